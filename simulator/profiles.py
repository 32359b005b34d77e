"""The simulated miners (section J of docs/protocol.md): identity, ratings and behaviour."""

from dataclasses import dataclass, field, replace

from .timing import Timing

MODES = frozenset({"set_low_power", "set_normal_power", "set_high_power"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Psu:
    """A power supply as get_psu reports it."""

    name: str
    model: str
    hw_version: str
    sw_version: str
    serial: str
    vendor: str
    voltage_v: float
    phases: int
    fan_rpm: int
    temperature_c: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A configured pool."""

    url: str
    user: str
    password: str = "x"

    @property
    def host(self) -> str:
        """The address alone."""
        return self.url.split("//")[-1].split(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class V3:
    """The behaviour of a firmware on the v3 port, where it differs or is unknown (section E)."""

    api_version: str
    # Figures of the power supply, and the list of errors, in get.device.info
    reports_electrics: bool = True
    tells_errors: bool = True
    tells_factory_hash: bool = True
    # get.miner.status without a param
    missing_param_code: int = 0
    wrong_token_code: int = -4
    percent_as_number: bool = True
    # The port is closed while btminer restarts
    refuses_while_down: bool = False

    def since(self, version: str) -> bool:
        """Return whether this firmware has at least this version."""
        return self.api_version >= version


POOLS = (
    Pool(url="stratum+tcp://btc.example.com:3333", user="account.worker1"),
    Pool(url="stratum+tcp://eu.example.com:443", user="account.worker1"),
    Pool(url="stratum+tcp://backup.example.net:25", user="account.worker1"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One model with one firmware; the values are those of a healthy miner in normal mode."""

    name: str
    # v1, v204, v205 or v2c: what it answers, and which commands it knows
    dialect: str
    model: str
    api_version: str
    firmware: str
    platform: str
    chip: str
    mac: str

    hashrate_ths: float
    nominal_ths: float
    power_w: float
    power_limit_w: int
    frequency_mhz: float
    boards: int
    chips: int
    # The settings it is found with
    power_mode: str = "normal"
    power_percent: int = 100
    power_limit_set: int | None = None
    # How far the user's limit may go, where that is not power_limit_w
    power_limit_max_w: int = 0
    leds: tuple[tuple[int, str], ...] = ()
    # Board, and how far its coldest, average and hottest chip are from it
    board_c: float
    chip_min_k: float
    chip_avg_k: float
    chip_max_k: float
    environment_c: float
    liquid_c: float = 0.0
    fan_rpm: int
    fan_step_rpm: int = 30
    psu: Psu
    pools: tuple[Pool, ...] = POOLS
    share_difficulty: int = 131072

    # Habits
    liquid: bool = False
    text_when_stopped: bool = False
    elapsed_survives_stop: bool = False
    limit_zero_while_starting: bool = False
    default_limit_text: str = ""
    mode_text: str = ""
    percent_max: int = 100
    percent_restarts: bool = False
    token_code: int = 134
    terminator: bytes = b""
    unanswered: frozenset[str] = frozenset()
    board_numbers: bool = True
    tells_limit_set: bool = False
    tells_percent: bool = True
    tells_liquid: bool = False
    hash_percent_text: str = "0"
    shared_pcb: bool = False
    power_off_holds: bool = True
    v3: V3 | None = None
    info_is_filtered: bool = True
    # Failures that this miner always has (simulator/failures.py)
    failures: tuple[str, ...] = ()
    timing: Timing = field(default_factory=Timing)


def _profiles(*profiles: Profile) -> dict[str, Profile]:
    return {profile.name: profile for profile in profiles}


_M50 = Profile(
    name="v205_m50",
    dialect="v205",
    model="M50_VH84",
    api_version="2.0.5",
    firmware="20230803.11.REL",
    platform="H616",
    chip="H36K07-22110702 BINV02-196804B",
    mac="CA:01:14:00:04:EB",
    hashrate_ths=113.9,
    nominal_ths=114.12,
    power_w=3312,
    power_limit_w=3500,
    frequency_mhz=612,
    boards=3,
    chips=111,
    board_c=76.5,
    chip_min_k=-8.2,
    chip_avg_k=5.0,
    chip_max_k=15.6,
    environment_c=29.5,
    fan_rpm=4950,
    hash_percent_text="",
    psu=Psu(
        name="P221B",
        model="P221B",
        hw_version="V00.02",
        sw_version="V02.01.V02.03",
        serial="A1232G0120100049",
        vendor="7",
        voltage_v=231.5,
        phases=1,
        fan_rpm=4992,
        temperature_c=46.5,
    ),
    unanswered=MODES,
)

PROFILES: dict[str, Profile] = _profiles(
    Profile(
        name="v1_m20s",
        dialect="v1",
        model="M20SV10",
        api_version="whatsminer v1.4.0",
        firmware="20210322.22.REL",
        platform="H3",
        chip="HP5A01-19101436   BINV04-192101D",
        mac="C4:08:28:00:A4:19",
        hashrate_ths=67.7,
        nominal_ths=68.796,
        power_w=3417,
        power_limit_w=3500,
        frequency_mhz=648,
        boards=3,
        chips=105,
        board_c=71.5,
        chip_min_k=-0.5,
        chip_avg_k=12.6,
        chip_max_k=21.0,
        environment_c=28.0,
        fan_rpm=6465,
        psu=Psu(
            name="P21",
            model="P21-12-3600-E",
            hw_version="",
            sw_version="102220.009",
            serial="",
            vendor="",
            voltage_v=228.75,
            phases=1,
            fan_rpm=9060,
            temperature_c=50.0,
        ),
        share_difficulty=65536,
        text_when_stopped=True,
        timing=Timing(stable_s=1538),
    ),
    Profile(
        name="v204_m30sp",
        dialect="v204",
        model="M30S+_VE40",
        api_version="2.0.4",
        firmware="20220125.13.Rel",
        platform="H6OS",
        chip="K88Z001-2039 BINV01-195001B",
        mac="C6:07:20:00:1E:5B",
        hashrate_ths=84.98,
        nominal_ths=84.773,
        power_w=3593,
        power_limit_w=3600,
        frequency_mhz=646,
        boards=3,
        chips=156,
        board_c=80.0,
        chip_min_k=-4.8,
        chip_avg_k=9.6,
        chip_max_k=21.2,
        environment_c=32.0,
        fan_rpm=4530,
        psu=Psu(
            name="P221B",
            model="P221B",
            hw_version="V01.00",
            sw_version="V01.00.V01.03",
            serial="A1232B0120100049",
            vendor="7",
            voltage_v=232.0,
            phases=1,
            fan_rpm=6976,
            temperature_c=50.0,
        ),
        pools=POOLS[:1],
        share_difficulty=65536,
        text_when_stopped=True,
        token_code=133,
        unanswered=MODES,
        info_is_filtered=False,
    ),
    _M50,
    replace(
        _M50,
        name="v205_m56s",
        model="M56S_VH30",
        firmware="20240924.14.Rel",
        chip="H36K12-23041301 BINV02-196804D",
        mac="CE:11:26:00:0B:7D",
        hashrate_ths=212.0,
        nominal_ths=212.34,
        power_w=5512,
        power_limit_w=5600,
        frequency_mhz=588,
        boards=4,
        chips=152,
        board_c=58.0,
        chip_min_k=1.5,
        chip_avg_k=11.0,
        chip_max_k=19.5,
        environment_c=36.5,
        fan_rpm=0,
        psu=Psu(
            name="P463B",
            model="P463B",
            hw_version="R00010",
            sw_version="20221024_P00032.20221017_S00030",
            serial="1413C2246300196",
            vendor="1",
            voltage_v=396.0,
            phases=3,
            fan_rpm=0,
            temperature_c=52.5,
        ),
        liquid=True,
        mode_text="normal",
        board_numbers=False,
        tells_limit_set=True,
        hash_percent_text="0",
        unanswered=frozenset({"reboot", "factory_reset"}),
    ),
    replace(
        _M50,
        name="v2c_m60s",
        dialect="v2c",
        model="M60S_VK40",
        api_version="2.2.2",
        firmware="20251016.14.Rel2",
        chip="H37A01-24051902BINVE6-197801C",
        mac="A0:5B:06:00:2C:60",
        hashrate_ths=165.8,
        nominal_ths=165.848,
        power_w=3540,
        power_limit_w=3600,
        frequency_mhz=423,
        boards=3,
        chips=215,
        board_c=72.0,
        chip_min_k=-6.0,
        chip_avg_k=6.5,
        chip_max_k=18.0,
        environment_c=28.7,
        fan_rpm=3750,
        fan_step_rpm=1,
        psu=Psu(
            name="P566B",
            model="P566B",
            hw_version="R00020",
            sw_version="20231108_P00041.20230915_S00036",
            serial="2F260200665",
            vendor="1",
            voltage_v=231.5,
            phases=1,
            fan_rpm=4720,
            temperature_c=47.5,
        ),
        pools=POOLS[:1],
        share_difficulty=4194304,
        elapsed_survives_stop=True,
        limit_zero_while_starting=True,
        mode_text="normal",
        default_limit_text="2147483647",
        token_code=131,
        terminator=b"\n",
        hash_percent_text="0",
        unanswered=MODES | {"reboot", "restart_btminer", "factory_reset", "net_config"},
        board_numbers=False,
        tells_limit_set=True,
        v3=V3(api_version="3.0.2", reports_electrics=False, tells_errors=False),
        timing=Timing(
            starting_after_power_on_s=10,
            token_limit_per_ip=100,
            token_limit=100,
            busy_s=180,
        ),
    ),
)
PROFILES |= _profiles(
    replace(
        PROFILES["v2c_m60s"],
        name="v3_m7bs",
        model="M7BS_VM30",
        firmware="20260312.16.REL3",
        chip="KAAP315-2601 BINVLC-199004E",
        mac="A0:5B:06:00:36:60",
        # In normal mode at 100 %; it is found at 692 TH/s and 9763 W
        hashrate_ths=554.2,
        nominal_ths=560.974,
        power_w=7396,
        power_limit_w=8871,
        power_limit_max_w=10030,
        frequency_mhz=335.7,
        boards=4,
        chips=288,
        power_mode="high",
        mode_text="high",
        power_percent=120,
        power_limit_set=10030,
        percent_max=200,
        leds=((1, "200,100,0"), (0, "200,100,0")),
        board_c=55.0,
        chip_min_k=0.9,
        chip_avg_k=8.4,
        chip_max_k=16.1,
        environment_c=45.5,
        liquid_c=48.2,
        fan_rpm=0,
        psu=Psu(
            name="P966B",
            model="P966B",
            hw_version="R00030",
            sw_version="20250611_P00012.20250520_S00009",
            serial="2F260200665",
            vendor="1",
            voltage_v=396.0,
            phases=3,
            fan_rpm=0,
            temperature_c=54.0,
        ),
        liquid=True,
        tells_liquid=True,
        shared_pcb=True,
        v3=V3(
            api_version="3.0.5",
            missing_param_code=-3,
            wrong_token_code=-2,
            percent_as_number=False,
        ),
        timing=replace(PROFILES["v2c_m60s"].timing, stable_s=1299),
    ),
    replace(
        PROFILES["v2c_m60s"],
        name="v3_m64_bad",
        model="M64_VL30",
        firmware="20250409.15.REL",
        chip="H38L01-24081203 BINVL1-198803C",
        mac="CA:15:25:00:64:01",
        hashrate_ths=183.6,
        nominal_ths=184.2,
        power_w=3690,
        power_limit_w=3750,
        frequency_mhz=402,
        boards=4,
        chips=114,
        board_c=60.0,
        chip_min_k=1.0,
        chip_avg_k=9.5,
        chip_max_k=17.5,
        environment_c=33.0,
        liquid_c=52.0,
        fan_rpm=0,
        psu=Psu(
            name="P564B",
            model="P564B",
            hw_version="R00010",
            sw_version="20221024_P00032.20221017_S00030",
            serial="1413C2246300196",
            vendor="1",
            voltage_v=396.0,
            phases=3,
            fan_rpm=0,
            temperature_c=53.5,
        ),
        liquid=True,
        percent_max=100,
        mode_text="",
        hash_percent_text="",
        tells_percent=False,
        power_off_holds=False,
        v3=V3(
            api_version="3.0.1",
            tells_factory_hash=False,
            wrong_token_code=-2,
            refuses_while_down=True,
        ),
    ),
)

# What other simulators and other clients' fixtures do, where no miner is known to do it: facts in our own words.
FOREIGN: dict[str, Profile] = _profiles(
    replace(
        PROFILES["v2c_m60s"],
        name="foreign_closing_v3",
        failures=("close_after_answer",),
    ),
    replace(
        PROFILES["v3_m7bs"],
        name="foreign_words_v3",
        failures=("code_text", "percent_object", "reject_percent"),
    ),
    replace(
        _M50,
        name="foreign_short_status",
        failures=tuple(
            f"hide={field}"
            for field in (
                "mineroff_reason",
                "mineroff_time",
                "power_mode",
                "hash_percent",
            )
        ),
    ),
    replace(_M50, name="foreign_bare_codes", failures=("bare_codes",)),
)
