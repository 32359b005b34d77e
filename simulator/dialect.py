"""The common part of the dialects on TCP 4028: envelopes, reads, joins (sections A and C of docs/protocol.md)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from .binary import make_log
from .checks import zone_offset_s
from .machine import STOP_REASON, Machine
from .settings import Network
from .timing import SimTime
from .truth import Truth
from .wire import Raw, encode, f2, f4, f8

BTMINER_REFUSES = "Socket connect failed: Connection refused\n"

# The daemon forwards these to btminer and knows nothing about them itself
FORWARDED = ("summary", "pools", "devs", "edevs", "devdetails")

TEXTS = {
    14: "invalid cmd",
    23: "enc json load err",
    24: "Missing JSON 'command'",
    45: "can't access write cmd",
    131: "API command OK",
    132: "API command ERROR",
    135: "check token err",
    136: "over max connect",
    137: "base64 decode err",
}

Row = dict[str, object]
Request = Mapping[str, object]


def keys(text: str) -> tuple[str, ...]:
    """Return the keys of a row, in their order on the wire."""
    return tuple(text.split(","))


def pick(row: Row, keys: tuple[str, ...]) -> Row:
    """Return some keys in their order on the wire."""
    return {key: row[key] for key in keys}


class Dialect(ABC):
    """One format in which a miner reports its state."""

    description: ClassVar[str] = ""
    joins_need_command: ClassVar[bool] = False
    READS: ClassVar[Mapping[str, Callable[[Any, Request], object]]] = {
        "summary": lambda self, _: self.summary(),
        "pools": lambda self, _: self.pools(),
        "devs": lambda self, _: self.devs(),
        "edevs": lambda self, _: self.edevs(),
        "devdetails": lambda self, _: self.devdetails(),
        "get_psu": lambda self, _: self.btminer(self.psu()),
        "get_version": lambda self, _: self.btminer(self.version()),
        "status": lambda self, _: self.status(),
    }

    def __init__(self, machine: Machine, time: SimTime, mac: str, ip: str) -> None:
        """Answer for one machine."""
        self.machine = machine
        self.profile = machine.profile
        self.time = time
        self.mac = mac
        self.ip = ip

    # Envelopes

    @property
    def when(self) -> int:
        """The time on the miner's clock."""
        return int(self.time.wall(self.time.now))

    def local(self, simulated: float) -> str:
        """Return a time as text, in the miner's time zone."""
        return self.time.local(simulated, zone_offset_s(self.machine.timezone))

    def btminer(self, msg: object, code: int = 131) -> Row:
        """Return envelope 1."""
        return {
            "STATUS": "S",
            "When": self.when,
            "Code": code,
            "Msg": msg,
            "Description": self.description,
        }

    def error(self, code: int, msg: str | None = None) -> Row:
        """Return envelope 1 for an error."""
        return self.btminer(
            TEXTS.get(code, TEXTS[132]) if msg is None else msg, code
        ) | {"STATUS": "E"}

    @abstractmethod
    def cgminer(self, code: int, msg: str, key: str, rows: list[Row]) -> Row:
        """Return envelope 2."""

    # Answers

    def answer(self, command: str, request: Request) -> str:
        """Return the answer to a read, single or joined."""
        if "+" in command:
            return self._join(command.split("+"))
        if command not in self.READS:
            return encode(self.error(14))
        if command in FORWARDED and not self.machine.btminer_answers:
            return self.btminer_down()
        return encode(self.read(command, request))

    def read(self, command: str, request: Request | None = None) -> object:
        """Return the answer to one read."""
        return self.READS[command](self, request or {})

    def btminer_down(self) -> str:
        """Return the daemon's answer while it cannot reach btminer."""
        return BTMINER_REFUSES

    def missing_command(self) -> str:
        """Return the answer to a request without a command, or with the command under the wrong key."""
        return encode(self.error(14))

    def _join(self, commands: list[str]) -> str:
        if any(
            command in self.READS and command not in FORWARDED for command in commands
        ):
            return encode(self.error(45, "command join err"))
        if any(command not in FORWARDED for command in commands):
            return encode(self.error(14))
        if not self.machine.btminer_answers:
            return self.btminer_down()
        return self.joined(dict.fromkeys(commands))

    def joined(self, commands: Mapping[str, object]) -> str:
        """Return a joined answer: one key for each command, each a list with one complete answer (protocol.md#a5)."""
        answers: Row = {command: [self.read(command)] for command in commands}
        return encode(answers | {"id": 1})

    # Contents

    def truth(self) -> Truth:
        """Return the true state, limited to what this dialect reports."""
        truth = self.machine.truth(self.time.now)
        truth.network = self.network
        return truth

    @property
    def network(self) -> Network:
        """Return the network settings; with DHCP the address is that of the port."""
        gateway = self.ip.rpartition(".")[0] + ".1"
        return self.machine.network or Network(
            proto="dhcp",
            ip=self.ip,
            netmask="255.255.255.0",
            gateway=gateway,
            dns=gateway,
        )

    def log(self) -> bytes:
        """Return the log that clients download."""
        machine = self.machine
        title = f"{self.profile.model} {machine.firmware} {self.mac}"
        return make_log(title, machine.seed)

    @abstractmethod
    def summary(self) -> Row:
        """Return the summary."""

    @abstractmethod
    def pools(self) -> Row:
        """Return the pools."""

    @abstractmethod
    def devs(self) -> Row:
        """Return all boards."""

    def edevs(self) -> Row:
        """Return the working boards: here all."""
        return self.devs()

    def devdetails(self) -> Row:
        """Return the model, once for each board."""
        rows: list[Row] = [
            {
                "DEVDETAILS": number,
                "Name": "SM",
                "ID": number,
                "Driver": "bitmicro",
                "Kernel": "",
                "Model": self.profile.model,
            }
            for number, _ in enumerate(self.machine.boards)
        ]
        head = {
            "STATUS": "S",
            "When": self.when,
            "Code": 69,
            "Msg": "Device Details",
            "Description": "btminer",
        }
        return {"STATUS": [head], "DEVDETAILS": rows, "id": 1}

    @abstractmethod
    def psu(self) -> Row:
        """Return the power supply."""

    @abstractmethod
    def status(self) -> Row:
        """Return whether the miner is mining."""

    def version(self) -> Row:
        """Return the versions of API and firmware."""
        return {
            "api_ver": self.profile.api_version,
            "fw_ver": self.machine.firmware,
            "platform": self.profile.platform,
            "chip": self.profile.chip,
        }

    def miner_info(self, request: Request) -> object:
        """Return network, lights and serials: all, or the requested keys."""
        network = self.network
        everything: Row = {
            "ip": network.ip,
            "proto": network.proto,
            "netmask": network.netmask,
            "gateway": network.gateway,
            "dns": network.dns,
            "hostname": self.machine.hostname,
            "mac": self.mac,
            "ledstat": self.led_state(),
            "minersn": self.miner_serial,
            "powersn": self.profile.psu.serial,
        } | self.more_info()
        wanted = request.get("info")
        if not isinstance(wanted, str) or not self.profile.info_is_filtered:
            return self.btminer(everything)
        keys = {key.strip() for key in wanted.split(",")} | self.always_told
        return self.btminer(
            {key: value for key, value in everything.items() if key in keys}
        )

    always_told: ClassVar[frozenset[str]] = frozenset()

    def more_info(self) -> Row:
        """Return the fields that later firmware adds."""
        return {}

    @property
    def miner_serial(self) -> str:
        """Return the serial number of the miner."""
        return f"HTM1EKKU2210190000000000{self.mac.replace(':', '')}"

    def board_serial(self, slot: int) -> str:
        """Return the serial number of a board; one board may have two slots (protocol.md#c3)."""
        number = slot // 2 if self.profile.shared_pcb else slot
        return f"SKM3CSD{self.mac.replace(':', '')[-6:]}K9075{number + 1}"

    def led_state(self) -> str:
        """Return `auto`, or one group for each light, ended by a space (protocol.md#c8)."""
        leds = sorted(self.machine.leds.items(), reverse=True)
        return "".join(f"{number},{pattern} " for number, pattern in leds) or "auto"

    def error_codes(self) -> object:
        """Return the listed errors with the time they appeared."""
        return [
            {str(code): self.local(since)}
            for code, since in self.machine.errors.items()
        ]

    def off_fields(self) -> Row:
        """Return the three fields of status about the stop."""
        off_since = self.machine.stopped_at
        return {
            "mineroff": "false" if off_since is None else "true",
            "mineroff_reason": "" if off_since is None else STOP_REASON,
            "mineroff_time": "" if off_since is None else self.local(off_since),
        }

    # What v1 and v2 print alike

    def summary_row(self, truth: Truth) -> Row:
        """Return every value of `SUMMARY` by its key; each firmware has some of them."""
        machine, profile = self.machine, self.profile
        return {
            "Elapsed": int(truth.elapsed_s),
            "MHS av": mhs(truth.hashrate_average_ths),
            "MHS 5s": mhs(truth.hashrate_5s_ths),
            "MHS 1m": mhs(truth.hashrate_1m_ths),
            "MHS 5m": mhs(truth.hashrate_5m_ths),
            "MHS 15m": mhs(truth.hashrate_15m_ths),
            "HS RT": mhs(truth.hashrate_ths),
            "Accepted": truth.accepted_shares,
            "Rejected": truth.rejected_shares,
            "Total MH": f4(machine.hashes_th * 1e6),
            "Temperature": f2(truth.temperature_c or 0.0),
            "freq_avg": round(truth.frequency_average_mhz),
            "Fan Speed In": truth.fan_speed_in_rpm,
            "Fan Speed Out": truth.fan_speed_out_rpm,
            "Power": round(truth.power_w),
            "Power Rate": f2(truth.power_rate_jth or 0.0),
            "Pool Rejected%": f4(truth.reject_rate_percent),
            "Pool Stale%": f4(0),
            "Last getwork": 0,
            "Uptime": truth.uptime_s,
            "Security Mode": 0,
            "Hash Stable": truth.hash_stable,
            "Hash Stable Cost Seconds": machine.stable_cost_s
            if truth.hash_stable
            else 0,
            "Hash Deviation%": f4(0.1398 * machine.noise(52, 0.2)),
            "Target Freq": round(truth.frequency_target_mhz),
            "Target MHS": round((truth.hashrate_target_ths or 0.0) * 1e6),
            "Env Temp": f2(truth.environment_temperature_c or 0.0),
            "Power Mode": truth.power_mode.capitalize(),
            "Factory GHS": round(profile.nominal_ths * 1000),
            "Power Limit": truth.power_limit_w,
            "Chip Temp Min": f2(truth.chip_temperature_min_c),
            "Chip Temp Max": f2(truth.chip_temperature_max_c),
            "Chip Temp Avg": f2(truth.chip_temperature_avg_c),
            "Debug": f"-0.0_100.0_{round(profile.hashrate_ths)}",
            "Btminer Fast Boot": "enable" if machine.reported.fast_boot else "disable",
            "Upfreq Complete": int(truth.hash_stable),
        }

    def pool_rows(self, truth: Truth) -> list[Row]:
        """Return every pool with every key that v1 or v2 has."""
        difficulty = self.profile.share_difficulty
        rows: list[Row] = []
        for number, (pool, configured) in enumerate(
            zip(truth.pools, self.machine.settings.pools, strict=True)
        ):
            used = pool.accepted + pool.rejected > 0
            work = pool.accepted * difficulty
            rows.append(
                {
                    "POOL": number + 1,
                    "URL": pool.url,
                    "Status": pool.status,
                    "Priority": number,
                    "Quota": 1,
                    "Long Poll": "N",
                    "Getworks": int(truth.elapsed_s / 30) if used else 0,
                    "Accepted": pool.accepted,
                    "Rejected": pool.rejected,
                    "Works": int(self.machine.hashes_th) if used else 0,
                    "Discarded": 0,
                    "Stale": 0,
                    "Get Failures": 0,
                    "Remote Failures": 0,
                    "User": pool.user,
                    "Last Share Time": self.when - 7 if used else 0,
                    "Diff1 Shares": work,
                    "Proxy Type": "",
                    "Proxy": "",
                    "Difficulty Accepted": f8(work),
                    "Difficulty Rejected": f8(pool.rejected * difficulty),
                    "Difficulty Stale": f8(0),
                    "Last Share Difficulty": f8(difficulty if used else 0),
                    "Work Difficulty": f8(0),
                    "Has Stratum": 1,
                    "Stratum Active": pool.active,
                    "Stratum URL": configured.host if pool.active else "",
                    "Stratum Difficulty": f8(difficulty if pool.active else 0),
                    "Best Share": 41127493 if used else 0,
                    "Pool Rejected%": f4(truth.reject_rate_percent if used else 0),
                    "Pool Stale%": f4(0),
                    "Bad Work": 19 if used else 0,
                    "Current Block Height": 920127 if pool.active else 0,
                    "Current Block Version": 536870912,
                }
            )
        return rows

    def board_rows(self, truth: Truth) -> list[Row]:
        """Return every board with every key that v1 or v2 has."""
        machine, profile = self.machine, self.profile
        per_board = len(truth.boards) or 1
        mean, last_5s, last_1m, last_5m, last_15m = map(
            machine.board_rates, (None, 5, 60, 300, 900)
        )
        return [
            {
                "ASC": number,
                "Slot": board.slot,
                "Enabled": "Y",
                "Status": "Alive",
                "Temperature": f2(board.temperature_c or 0.0),
                "Chip Frequency": round(board.frequency_mhz or 0.0),
                "MHS av": mhs(mean[board.slot]),
                "MHS 5s": mhs(last_5s[board.slot]),
                "MHS 1m": mhs(last_1m[board.slot]),
                "MHS 5m": mhs(last_5m[board.slot]),
                "MHS 15m": mhs(last_15m[board.slot]),
                "HS RT": mhs(board.hashrate_ths),
                "HS Factory": round(profile.nominal_ths * 1000 / profile.boards),
                "Factory GHS": round(profile.nominal_ths * 1000 / profile.boards),
                "Accepted": (truth.accepted_shares or 0) // per_board,
                "Rejected": (truth.rejected_shares or 0) // per_board,
                "Last Valid Work": self.when - 1,
                "Upfreq Complete": int(truth.hash_stable),
                "Effective Chips": profile.chips,
                "PCB SN": self.board_serial(board.slot),
                "Chip Data": profile.chip,
                "Chip Temp Min": f2(board.chip_temperature_min_c or 0.0),
                "Chip Temp Max": f2(board.chip_temperature_max_c or 0.0),
                "Chip Temp Avg": f2(board.chip_temperature_avg_c or 0.0),
                "chip_vol_diff": 9,
            }
            for number, board in enumerate(truth.boards)
        ]

    def psu_row(self, truth: Truth) -> Row:
        """Return every value of the power supply: strings, mA, 10 mV, W (protocol.md#c5)."""
        psu = self.profile.psu
        reported = truth.psu
        return {
            "name": psu.name,
            "hw_version": psu.hw_version,
            "sw_version": psu.sw_version,
            "model": psu.model,
            "enable": str(int(truth.mining)),
            "iin": str(round((reported.input_current_a or 0.0) * 1000)),
            "vin": str(round((reported.input_voltage_v or 0.0) * 100)),
            "pin": str(round(reported.input_power_w or 0.0)),
            "fan_speed": str(round(reported.fan_speed_rpm or 0)),
            "version": "-1",
            "serial_no": psu.serial,
            "vender": psu.vendor,
            "vendor": psu.vendor,
            "temp0": f"{reported.temperature_c or 0.0:.1f}",
        }


def mhs(ths: float | None) -> Raw:
    """Return TH/s as MH/s."""
    return f2((ths or 0.0) * 1e6)
