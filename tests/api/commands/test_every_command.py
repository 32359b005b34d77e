"""Every command has its effect, within its bounds, and none is forgotten."""

import contextlib
from dataclasses import replace
from pathlib import Path
import re
from typing import Any

import pytest

from custom_components.whatsminer.api import (
    COMMANDS,
    MAX_FIRMWARE,
    CommandRefusedError,
    Feature,
    HeatMode,
    LogServer,
    Preheat,
    PreheatStage,
    UnknownOutcomeError,
    UnsupportedCommandError,
)
from custom_components.whatsminer.api.catalog import features_of
from custom_components.whatsminer.api.v3.protocol import encrypt_param, make_digest
from simulator import ManualClock

from .cases import CASES, NETWORK, POOL_1, RED, TOO_NEW_FOR_204, Case
from .conftest import (
    LIQUID,
    LONG,
    SETUPS,
    V1,
    V2,
    V3,
    WAIT,
    Call,
    Client,
    Setup,
    Start,
    every_setup,
    pieces,
    received,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


def _marks(name: str, case: Case) -> list[pytest.MarkDecorator]:
    """Leave to the long run what the setup of the same words that is cooled by air shows."""
    is_twin = name.endswith(" liquid") and case.cooling is None
    return [pytest.mark.long] if name in LONG or is_twin else []


@pytest.mark.parametrize(
    ("setup", "case"),
    [
        pytest.param(setup, case, id=f"{name}-{command}", marks=_marks(name, case))
        for name, setup in SETUPS.items()
        for command, case in CASES.items()
    ],
)
async def test_every_command(
    start: Start, client: Client, clock: ManualClock, setup: Setup, case: Case
) -> None:
    """A miner ignores what is worded otherwise than in its document, and the user waits.

    What it has not is never sent.
    """
    sim = await start(setup)
    miner = await client(sim, setup)
    fits = case.cooling in (None, setup.cooling)
    if setup.words not in case.wire or not fits:
        assert case.feature not in miner.info.features
        with pytest.raises(ValueError, match=f"cannot set {case.feature.value}"):
            await case.call(miner)
        assert received(sim) == []
        assert sim.tokens_issued == 0
        return
    assert case.feature in miner.info.features
    if setup.profile == "v204_m30sp" and case.feature in TOO_NEW_FOR_204:
        with pytest.raises(UnsupportedCommandError, match="code 14"):
            await case.call(miner)
        return
    for call in filter(None, (case.first, case.call, case.after)):
        sim.commands.clear()
        # Some are not answered, as a rule (protocol.md#d1).
        with contextlib.suppress(UnknownOutcomeError):
            await call(miner)
        assert call is not case.call or received(sim) == case.wire[setup.words]
        clock.advance(WAIT)
        await sim.tick()
    assert case.effect(sim)
    state = await miner.read()
    if case.feature not in miner.info.unreadable:
        assert case.reported(state)


# Bounds

NONSENSE: dict[str, Call] = {
    "power of none": lambda m: m.set_power(0),
    "power beyond all": lambda m: m.set_power(100_000),
    "a percent that is true": lambda m: m.set_power_percent(True),
    "frequency upwards on air": lambda m: m.set_target_frequency(1),
    "frequency below nothing": lambda m: m.set_target_frequency(-101),
    "speed 11": lambda m: m.set_upfreq_speed(11),
    "speed -1": lambda m: m.set_upfreq_speed(-1),
    "a warmer miner": lambda m: m.set_temperature_offset(1),
    "31 degrees": lambda m: m.set_temperature_offset(-31),
    "no pool": lambda m: m.set_pools(),
    "four pools": lambda m: m.set_pools(*[POOL_1] * 4),
    "no scheme": lambda m: m.set_pools(replace(POOL_1, url="pool.example:3333")),
    "no port": lambda m: m.set_pools(replace(POOL_1, url="stratum+tcp://p.example")),
    "port 0": lambda m: m.set_pools(replace(POOL_1, url="stratum+tcp://p.example:0")),
    "no user": lambda m: m.set_pools(replace(POOL_1, user="")),
    "two lines": lambda m: m.set_pools(replace(POOL_1, password="hidden\nhidden")),
    "long user": lambda m: m.set_pools(replace(POOL_1, user="hidden" * 50)),
    "an unknown coin": lambda m: m.set_coin_type("DOGE"),
    "no LED": lambda m: m.set_leds(),
    "one LED twice": lambda m: m.set_leds(RED, RED),
    "over a minute": lambda m: m.set_leds(replace(RED, duration=60_001)),
    "a host of two parts": lambda m: m.set_hostname("a.b"),
    "a host with a hyphen first": lambda m: m.set_hostname("-a"),
    "a long host": lambda m: m.set_hostname("a" * 64),
    "a zone of Python": lambda m: m.set_time_zone("UTC+one", "Etc/UTC"),
    "a zone without name": lambda m: m.set_time_zone("UTC0", ""),
    "no NTP server": lambda m: m.set_ntp_servers(),
    "five NTP servers": lambda m: m.set_ntp_servers(*["pool.ntp.org"] * 5),
    "two in one": lambda m: m.set_ntp_servers("a.example,b.example"),
    "121 s": lambda m: m.set_random_delay(0, 121),
    "-1 s": lambda m: m.set_random_delay(-1, 0),
    "a log server by name": lambda m: m.set_log_server(LogServer(address="a", port=1)),
    "port 65536": lambda m: m.set_log_server(
        LogServer(address="192.168.2.5", port=65536)
    ),
    "DHCP with an address": lambda m: m.set_network(replace(NETWORK, dhcp=True)),
    "no address": lambda m: m.set_network(replace(NETWORK, address=None)),
    "IPv6": lambda m: m.set_network(replace(NETWORK, address="fe80::1")),
    "the network itself": lambda m: m.set_network(
        replace(NETWORK, address="192.168.2.0")
    ),
    "all of the network": lambda m: m.set_network(
        replace(NETWORK, address="192.168.2.255")
    ),
    "this computer": lambda m: m.set_network(replace(NETWORK, address="127.0.0.1")),
    "everybody": lambda m: m.set_network(replace(NETWORK, address="224.0.0.1")),
    "a gateway elsewhere": lambda m: m.set_network(
        replace(NETWORK, gateway="192.168.3.1")
    ),
    "its own gateway": lambda m: m.set_network(
        replace(NETWORK, gateway=NETWORK.address)
    ),
    "a mask with a hole": lambda m: m.set_network(
        replace(NETWORK, netmask="255.0.255.0")
    ),
    "a mask in bits": lambda m: m.set_network(replace(NETWORK, netmask="24")),
    "a mask upside down": lambda m: m.set_network(
        replace(NETWORK, netmask="0.0.0.255")
    ),
    "no name server": lambda m: m.set_network(replace(NETWORK, dns=None)),
    "three name servers": lambda m: m.set_network(
        replace(NETWORK, dns=("192.168.2.1",) * 3)
    ),
    "a name server by name": lambda m: m.set_network(
        replace(NETWORK, dns=("dns.example",))
    ),
    "a wrong host": lambda m: m.set_network(replace(NETWORK, hostname="a b")),
    "an unknown field": lambda m: m.set_custom_data("msg10", "x"),
    "128 bytes": lambda m: m.set_custom_data("msg0", "ü" * 64),
    "two lines of data": lambda m: m.set_custom_data("msg0", "a\nb"),
    "another super": lambda m: m.set_permission("super", "set.system.led"),
    "a read": lambda m: m.set_permission("user1", "get.miner.status"),
    "an empty password": lambda m: m.change_password(""),
    "a password with signs": lambda m: m.change_password("hidden&"),
    "no image": lambda m: m.update_firmware(pieces(b""), 0),
    "a huge image": lambda m: m.update_firmware(pieces(b""), MAX_FIRMWARE + 1),
}


@pytest.mark.parametrize("call", NONSENSE.values(), ids=list(NONSENSE))
async def test_nonsense_is_never_sent(start: Start, client: Client, call: Call) -> None:
    """A miner with a wrong address or a garbled pool must be fetched from its shelf."""
    sim = await start(SETUPS["3.x"])
    miner = await client(sim, SETUPS["3.x"])
    with pytest.raises(ValueError) as caught:
        await call(miner)
    assert "hidden" not in str(caught.value)
    assert received(sim) == []


@every_setup
async def test_bounds_are_those_of_the_miner(
    start: Start, client: Client, setup: Setup
) -> None:
    """A slider would go to where the miner refuses, or not to where it could go (section I)."""
    sim = await start(setup)
    miner = await client(sim, setup)
    liquid, v3 = setup.cooling is LIQUID, setup.words is V3
    lowest = -10 if setup.words is V1 else -100
    assert miner.range_of(Feature.TARGET_FREQUENCY) == range(
        lowest, 101 if liquid else 1
    )
    assert miner.range_of(Feature.UPFREQ_SPEED) == range(11 if v3 else 10)
    assert miner.range_of(Feature.POWER_PERCENT) == range(201 if liquid else 101)
    assert miner.range_of(Feature.TEMPERATURE_OFFSET) == range(-30, 1)
    assert (HeatMode.NORMAL in miner.heat_modes) is v3
    assert miner.account == ("super" if v3 else "admin")
    with pytest.raises(ValueError, match="no number"):
        miner.range_of(Feature.POOLS)
    if liquid and not v3:
        with pytest.raises(ValueError, match="heat_mode must be one of"):
            await miner.set_heat_mode(HeatMode.NORMAL)
    assert received(sim) == []


async def test_a_static_address_keeps_the_name(
    start: Start, client: Client, clock: ManualClock
) -> None:
    """On 4028 the name goes with the addresses: the miner would lose the one it has."""
    setup = SETUPS["2.0.5"]
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_hostname("garage-1")
    clock.advance(WAIT)
    await sim.tick()
    await miner.read()
    with contextlib.suppress(UnknownOutcomeError):
        await miner.set_network(replace(NETWORK, hostname=None))
    assert received(sim)[-1][1]["host"] == "garage-1"


# Sealed parameters (protocol.md#e4)


@pytest.mark.parametrize(
    ("command", "salt", "ts", "param", "sealed"),
    [
        (
            "set.miner.pools",
            "5QAHiKMb",
            1692685512,
            [{"pool": "stratum+tcp://pool:3333", "worker": "worker", "passwd": "x"}],
            "M7c6KBuUVIiP+BnrFxPBexRUr3Zw94Ng42eBDFq02W9o7MSxcGd0EcmSwVx72paF9s8xliqcLqi00gxEFa8A"
            "zpW/A3R+69wXNkHPuGtqhA4=",
        ),
        (
            "set.user.change_passwd",
            "uhCiDyVj",
            1760000000,
            {"account": "super", "new": "NewPass1", "old": "super"},
            "zCXPJTNA9lW/jcj1u49GaRGmm5NXoMfs5U03X30dA2JagslC/MCvAbnHa/l3YDWCe8C+lQK0nCwfoUqs6DJU"
            "+A==",
        ),
    ],
)
def test_the_sealed_parameters_of_the_page(
    command: str, salt: str, ts: int, param: Any, sealed: str
) -> None:
    """The miner could not read pools and passwords."""
    assert encrypt_param(param, make_digest(command, "super", salt, ts)) == sealed


# Preheating


async def test_preheating_has_three_stages(
    start: Start, client: Client, clock: ManualClock
) -> None:
    """The owner of a hydro miner would not know when it may be started (protocol.md#d5)."""
    setup = SETUPS["2.0.5 liquid"]
    sim = await start(setup)
    miner = await client(sim, setup)
    with pytest.raises(CommandRefusedError):
        await miner.pre_power_on()  # it is mining
    sim.commands.clear()
    with contextlib.suppress(UnknownOutcomeError):
        await miner.stop_mining()
    clock.advance(WAIT)
    await sim.tick()
    found = []
    for _ in range(12):
        found.append(await miner.pre_power_on())
        clock.advance(30)
        await sim.tick()
    assert list(dict.fromkeys(found)) == [
        Preheat(stage=PreheatStage.WAITING, complete=False),
        Preheat(stage=PreheatStage.ADJUSTING, complete=False),
        Preheat(stage=PreheatStage.COMPLETE, complete=True),
    ]
    assert received(sim)[-1] == (
        "pre_power_on",
        {"complete": "false", "msg": "wait for adjust temp"},
    )


@every_setup
async def test_only_old_liquid_cooled_miners_are_preheated(
    start: Start, client: Client, setup: Setup
) -> None:
    """The newer documents do not have it (protocol.md#d1)."""
    sim = await start(setup)
    miner = await client(sim, setup)
    assert (Feature.PREHEAT in miner.info.features) is (
        setup.cooling is LIQUID and setup.words in (V1, V2)
    )


# The table

PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"

# Of the page, what is not for an owner, or not known well enough to be sent (protocol.md#d1, #e5).
LEFT_OUT = {"get.psu.command", "get.miner.report"}

DOCUMENTED = (
    "summary",
    "pools",
    "edevs",
    "devs",
    "devdetails",
    "get_psu",
    "get_version",
    "get_token",
    "status",
    "get_miner_info",
    "get_error_code",
    "update_pools",
    "restart_btminer",
    "power_off",
    "power_on",
    "set_led",
    "set_low_power",
    "set_normal_power",
    "set_high_power",
    "update_firmware",
    "reboot",
    "factory_reset",
    "update_pwd",
    "net_config",
    "download_logs",
    "set_target_freq",
    "enable_btminer_fast_boot",
    "disable_btminer_fast_boot",
    "enable_web_pools",
    "disable_web_pools",
    "set_hostname",
    "set_zone",
    "load_log",
    "set_power_pct",
    "set_power_pct_v2",
    "set_temp_offset",
    "adjust_power_limit",
    "adjust_upfreq_speed",
    "set_poweroff_cool",
    "set_fan_zero_speed",
    "set_heat_mode",
    "enable_btminer_init",
    "disable_btminer_init",
)
"""The commands of the vendor's document V2.0.5."""


def test_the_table_has_every_command_of_the_page() -> None:
    """A command of the vendor would be out of reach, and no test would notice."""
    page = PAGE.read_text()
    listed = set()
    for heading in ("## D.1 Table", "### Others", "## E.6 Write commands"):
        section = page.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
        for row in section.splitlines():
            if row.startswith("| `"):
                listed |= set(re.findall(r"`([\w.]+)`", row.split("|")[1]))
    names = [command.name for command in COMMANDS]
    assert len(set(names)) == len(names)
    assert set(names) >= listed - LEFT_OUT
    assert set(names) >= set(DOCUMENTED)
    assert {f for c in COMMANDS for f in c.features} == set(Feature)
    for command in COMMANDS:
        assert command.dialects
        for dialect in command.dialects:
            assert features_of(dialect) >= set(command.features)


def test_every_command_of_the_table_is_met_here() -> None:
    """A row of docs/commands.md would name a proof that there is not."""
    worded = {
        (dialect, name)
        for case in CASES.values()
        for dialect, wire in case.wire.items()
        for name, _ in wire
    }
    elsewhere = {
        # by the tests below the cases
        "pre_power_on": "",
        "update_pwd": "set.user.change_passwd",
        "download_logs": "get.log.download",
        "update_firmware": "set.system.update_firmware",
        # by tests/api/v2 and by every password that is checked
        "set_power_pct_v2": "set.miner.power_percent",
        "get_token": "set.miner.report",
    }
    known = {*elsewhere, *elsewhere.values()}
    for command in COMMANDS:
        for dialect in command.dialects:
            assert (
                command.is_data
                or command.name in known
                or (dialect, command.name) in worded
            ), (dialect, command.name)
