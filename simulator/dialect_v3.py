"""API v3: the reads on TCP 4433 (protocol.md#e5)."""

from collections.abc import Callable, Mapping
import re
from typing import Any, ClassVar

from .auth_v3 import Accounts
from .dialect import Row
from .dialect_v2c import DialectV2c
from .machine import Machine
from .profiles import V3
from .truth import PsuTruth
from .truth_v3 import V3BoardTruth, V3PoolTruth, V3PsuTruth, V3Truth
from .wire import number, number32

MODE_CODES = {"low": "0", "normal": "1", "high": "2"}
STATUS_PARTS = ("summary", "edevs", "pools")
HISTORY_STEP_S = 600
LONGEST_HISTORY_S = 86400


class Failed(Exception):
    """The request is answered with an error code."""

    def __init__(self, code: int, msg: str) -> None:
        """Store code and text of the answer."""
        super().__init__(msg)
        self.code = code
        self.msg = msg


def failed(what: str = "failed") -> Failed:
    """Return the error with code -1."""
    return Failed(-1, what)


def invalid(param: object) -> Failed:
    """Return the error with code -2: the value is not allowed."""
    return Failed(-2, f"invalid param: {param}")


def missing(item: str = "param") -> Failed:
    """Return the error with code -3: the value is missing or has the wrong type."""
    return Failed(-3, f"{item} item is null")


def not_permitted() -> Failed:
    """Return the error with code -4."""
    return Failed(-4, "no permission for write command")


class DialectV3:
    """Reads of one machine: each returns part of `truth()` in the format of the wire."""

    READS: ClassVar[Mapping[str, Callable[[Any, object], object]]] = {
        "get.device.info": lambda self, param: self.device_info(param),
        "get.miner.status": lambda self, param: self.miner_status(param),
        "get.miner.setting": lambda self, _: self.miner_setting(),
        "get.system.setting": lambda self, _: self.system_setting(),
        "get.fan.setting": lambda self, _: self.fan_setting(),
        "get.device.custom_data": lambda self, _: {**self.machine.settings.custom},
        "get.miner.history": lambda self, param: self.history(param),
    }

    def __init__(
        self,
        v2c: DialectV2c,
        firmware: V3,
        accounts: Accounts,
        api_switch: Callable[[], bool],
    ) -> None:
        """Answer for the same machine as 2.2.x."""
        self.v2c = v2c
        self.firmware = firmware
        self.accounts = accounts
        self._api_switch = api_switch

    @property
    def machine(self) -> Machine:
        """The machine whose state is reported."""
        return self.v2c.machine

    @property
    def when(self) -> int:
        """The time on the miner's clock."""
        return self.v2c.when

    # What is true

    def truth(self) -> V3Truth:
        """Return the values that this firmware reports."""
        machine, firmware = self.machine, self.firmware
        profile, settings = machine.profile, machine.reported
        truth = self.v2c.truth()
        realtime, mean = round(machine.power_w), truth.power_w
        known = firmware.tells_factory_hash
        liquid = machine.liquid_c if profile.liquid else None
        return V3Truth(
            phase=truth.phase,
            mining=truth.mining,
            elapsed_s=int(truth.elapsed_s),
            uptime_s=truth.uptime_s,
            hashrate_ths=truth.hashrate_1m_ths,
            hashrate_average_ths=truth.hashrate_average_ths,
            hashrate_1m_ths=truth.hashrate_1m_ths,
            hashrate_15m_ths=truth.hashrate_15m_ths,
            hashrate_nominal_ths=profile.nominal_ths if known else None,
            power_w=realtime,
            power_realtime_w=realtime,
            power_5min_w=mean,
            power_rate_jth=truth.power_rate_jth or 0.0,
            power_limit_w=truth.power_limit_w,
            power_limit_set_w=settings.power_limit_set,
            power_mode=settings.power_mode,
            power_percent=(machine.percent_set and machine.reported_percent) or None,
            power_set_w=settings.power_set_w if firmware.since("3.0.3") else None,
            target_freq_percent=settings.target_freq,
            upfreq_speed=settings.upfreq_speed,
            upfreq_complete=truth.hash_stable,
            fast_boot=settings.fast_boot,
            fast_hash=settings.fast_hash if firmware.since("3.0.2") else None,
            heat_mode=settings.heat_mode if firmware.since("3.0.3") else None,
            environment_temperature_c=machine.environment_c,
            liquid_temperature_c=liquid,
            board_temperatures_c=tuple(
                board.temperature_c or 0.0 for board in truth.boards
            ),
            chip_temperature_min_c=truth.chip_temperature_min_c,
            chip_temperature_avg_c=truth.chip_temperature_avg_c,
            chip_temperature_max_c=truth.chip_temperature_max_c,
            fan_speed_in_rpm=truth.fan_speed_in_rpm,
            fan_speed_out_rpm=truth.fan_speed_out_rpm,
            frequency_average_mhz=truth.frequency_average_mhz,
            boards=tuple(
                self._board(slot, rate)
                for slot, rate in machine.board_rates(None).items()
            ),
            pools=tuple(
                V3PoolTruth(
                    url=pool.url,
                    user=pool.user,
                    active=pool.active,
                    status=pool.status.lower(),
                    reject_rate_percent=truth.reject_rate_percent
                    if pool.active
                    else 0.0,
                )
                for pool in truth.pools
            ),
            psu=self._psu(truth.psu, liquid),
            errors=tuple((code, reason(code)) for code in truth.error_codes)
            if firmware.tells_errors
            else None,
            error_codes=truth.error_codes if firmware.tells_errors else None,
            api_switch=self._api_switch(),
            api_version=firmware.api_version,
            led_auto=not machine.leds,
            firmware=machine.firmware,
            model=profile.model,
            mac=self.v2c.mac,
            hostname=machine.hostname,
            network=self.v2c.network,
            timezone=machine.timezone,
            permissions=self.accounts.permission_counts(),
            settings=settings,
        )

    def _board(self, slot: int, rate: float) -> V3BoardTruth:
        machine = self.machine
        profile = machine.profile
        coldest, average, hottest = machine.chip_c(slot)
        return V3BoardTruth(
            slot=slot,
            hashrate_average_ths=rate,
            hashrate_nominal_ths=profile.nominal_ths / profile.boards
            if self.firmware.tells_factory_hash
            else None,
            temperature_c=machine.board_c(slot),
            chip_temperature_min_c=coldest,
            chip_temperature_avg_c=average,
            chip_temperature_max_c=hottest,
            frequency_mhz=machine.board_mhz(slot),
            chips=profile.chips,
        )

    def _psu(self, psu: PsuTruth, liquid: float | None) -> V3PsuTruth:
        electrics = self.firmware.reports_electrics
        return V3PsuTruth(
            model=psu.model,
            fan_speed_rpm=psu.fan_speed_rpm or 0,
            input_voltage_v=psu.input_voltage_v if electrics else None,
            input_current_a=psu.input_current_a if electrics else None,
            input_power_w=psu.input_power_w if electrics else None,
            output_voltage_v=self.machine.output_v if electrics else None,
            temperature_c=psu.temperature_c if electrics else None,
            liquid_temperature_c=liquid if electrics else None,
        )

    # get.device.info

    def device_info(self, param: object) -> object:
        """Return identity and electrical values, all or one part."""
        truth = self.truth()
        parts: Row = {
            "network": self._network(truth),
            "miner": self._miner(truth),
            "system": {
                "api": truth.api_version,
                "platform": self.machine.profile.platform,
                "fwversion": truth.firmware,
                "control-board-version": "CB6V10",
                "apiswitch": "1" if truth.api_switch else "0",
                "ledstatus": self.v2c.led_state(),
            },
            "power": self._power(truth),
            "salt": self.accounts.salt,
        }
        if truth.errors is not None:
            since = self.machine.errors
            parts["error-code"] = [
                {str(code): self.v2c.local(since[code]), "reason": why}
                for code, why in truth.errors
            ]
        if param is None:
            return parts
        if param not in parts:
            raise invalid(param)
        return {param: parts[str(param)]}

    def _network(self, truth: V3Truth) -> Row:
        return {
            "ip": truth.network.ip,
            "proto": truth.network.proto,
            "netmask": truth.network.netmask,
            "dns": truth.network.dns,
            "mac": truth.mac,
            "gateway": truth.network.gateway,
            "hostname": truth.hostname,
        }

    def _miner(self, truth: V3Truth) -> Row:
        profile, settings = self.machine.profile, self.machine.settings
        boards = range(profile.boards)
        factory = round(profile.nominal_ths * 1000 / profile.boards)
        limit = settings.power_limit_set
        cooling: Row = (
            {"eeprom-liquid-cooling": "-".join("1" for _ in boards)}
            if profile.liquid
            else {}
        )
        return {
            "working": "true" if truth.mining else "false",
            "type": truth.model,
            "hash-board": truth.model.rpartition("V")[2],
            "detect-hash-rate": ":".join(str(factory) for _ in boards),
            "cointype": settings.coin_type,
            "pool-strategy": "FAILOVER",
            "heatmode": "" if settings.heat_mode == "normal" else settings.heat_mode,
            "hash-percent": str(settings.target_freq or ""),
            **{f"chipdata{slot}": profile.chip for slot in boards},
            "fast-boot": word(truth.fast_boot),
            "board-num": str(profile.boards),
            **{f"pcbsn{slot}": self.v2c.board_serial(slot) for slot in boards},
            "miner-sn": self.v2c.miner_serial,
            "power-limit-set": "" if limit is None else str(limit),
            "UpfreqSpeed": str(truth.upfreq_speed or ""),
            **cooling,
            "web-pool": int(settings.web_pools),
            "permission": truth.permissions,
        }

    def _power(self, truth: V3Truth) -> Row:
        psu, known = truth.psu, self.machine.profile.psu
        row: Row = {
            "type": known.name,
            "mode": MODE_CODES[truth.power_mode],
            "hwversion": known.hw_version,
            "swversion": known.sw_version,
            "model": known.model,
        }
        if psu.input_voltage_v is not None:
            row |= {
                "iin": number(round(psu.input_current_a or 0.0, 2)),
                "vin": number(round(psu.input_voltage_v, 1)),
                "vout": round((psu.output_voltage_v or 0.0) * 100),
                "pin": round(psu.input_power_w or 0.0),
            }
        row["fanspeed"] = round(psu.fan_speed_rpm)
        if psu.temperature_c is not None:
            row["temp0"] = tenths(psu.temperature_c)
        if psu.liquid_temperature_c is not None:
            row["liquid-temperature"] = tenths(psu.liquid_temperature_c)
        return row | {"sn": known.serial, "vendor": known.vendor}

    # get.miner.status

    def miner_status(self, param: object) -> object:
        """Return the requested parts; the request joins them with `+`."""
        if not isinstance(param, str) or not param:
            if self.firmware.missing_param_code:
                raise missing()
            return {}
        wanted = param.split("+")
        for part in wanted:
            if part not in STATUS_PARTS:
                raise invalid(part)
        if not self.machine.btminer_answers or (
            wanted == ["pools"] and not self.machine.mining
        ):
            raise failed()
        parts = {"summary": self.summary, "edevs": self.edevs, "pools": self.pools}
        truth = self.truth()
        return {part: parts[part](truth) for part in wanted}

    def report(self) -> object:
        """Return the pushed report: everything in get.miner.status."""
        truth = self.truth()
        return {"summary": self.summary(truth), "edevs": self.edevs(truth)}

    def summary(self, truth: V3Truth) -> Row:
        """Return the summary."""
        boards = len(truth.boards)
        nominal = truth.hashrate_nominal_ths
        return {
            "elapsed": truth.elapsed_s,
            "bootup-time": truth.uptime_s,
            "freq-avg": round(truth.frequency_average_mhz),
            "target-freq": 0,
            "factory-hash": thousandths(
                -0.001 * boards if nominal is None else nominal
            ),
            "hash-average": thousandths(truth.hashrate_average_ths),
            "hash-1min": thousandths(truth.hashrate_1m_ths),
            "hash-15min": thousandths(truth.hashrate_15m_ths),
            "hash-realtime": thousandths(truth.hashrate_ths),
            "power-rate": thousandths(truth.power_rate_jth),
            "power-5min": thousandths(truth.power_5min_w),
            "power-realtime": number(truth.power_realtime_w),
            "environment-temperature": tenths(truth.environment_temperature_c),
            "board-temperature": [tenths(each) for each in truth.board_temperatures_c],
            "chip-temp-min": tenths(truth.chip_temperature_min_c),
            "chip-temp-avg": tenths(truth.chip_temperature_avg_c),
            "chip-temp-max": tenths(truth.chip_temperature_max_c),
            "power-limit": truth.power_limit_w,
            "up-freq-finish": int(truth.upfreq_complete),
            "fan-speed-in": truth.fan_speed_in_rpm,
            "fan-speed-out": truth.fan_speed_out_rpm,
        }

    def edevs(self, truth: V3Truth) -> list[Row]:
        """Return the boards, without their temperature."""
        return [
            {
                "id": number_,
                "slot": board.slot,
                "hash-average": thousandths(board.hashrate_average_ths),
                "factory-hash": -0.001
                if board.hashrate_nominal_ths is None
                else number(round(board.hashrate_nominal_ths, 2)),
                "freq": number32(board.frequency_mhz),
                "effective-chips": board.chips,
                "chip-temp-min": tenths(board.chip_temperature_min_c),
                "chip-temp-avg": tenths(board.chip_temperature_avg_c),
                "chip-temp-max": tenths(board.chip_temperature_max_c),
            }
            for number_, board in enumerate(truth.boards)
        ]

    def pools(self, truth: V3Truth) -> list[Row]:
        """Return the pools, without counters."""
        return [
            {
                "id": number_,
                "url": pool.url,
                "status": pool.status,
                "account": pool.user,
                "stratum-active": pool.active,
                "reject-rate": thousandths(pool.reject_rate_percent),
                "last-share-time": self.when - 7 if pool.active else 0,
            }
            for number_, pool in enumerate(truth.pools, 1)
        ]

    # Settings

    def miner_setting(self) -> Row:
        """Return the settings; without a user's limit, the active limit is reported."""
        truth, machine = self.truth(), self.machine
        row: Row = {
            "power-limit": machine.settings.power_limit_set or machine.power_limit_w,
            "upfreq-speed": truth.upfreq_speed,
            "power-mode": truth.power_mode,
            "fast-boot": word(truth.fast_boot),
        }
        if truth.fast_hash is None:
            row["fast-mining"] = "disable"
        else:
            row["fast-hash"] = word(truth.fast_hash)
        if truth.heat_mode is not None:
            row["heat-mode"] = truth.heat_mode
        row["target-freq"] = truth.target_freq_percent
        if truth.power_set_w is not None:
            row["power"] = truth.power_set_w
        return row | {
            "power-percent": truth.power_percent or 0,
            "btrom-worker-suffix": "",
        }

    def system_setting(self) -> Row:
        """Return hostname, time and log settings."""
        settings = self.machine.settings
        start, stop = settings.time_randomized
        row: Row = {
            "web-pool": int(settings.web_pools),
            "timezone": settings.timezone,
            "zonename": settings.zonename,
            "hostname": settings.hostname,
            "time-randomized": {"start": start, "stop": stop},
            "ntp-server": settings.ntp_servers,
        }
        if server := settings.log_server:
            row["log-upload"] = {
                "ip": server.ip,
                "port": server.port,
                "proto": server.proto,
            }
        return row

    def fan_setting(self) -> Row:
        """Return the fans."""
        settings = self.machine.reported
        return {
            "fan-poweroff-cool": int(settings.poweroff_cool),
            "fan-zero-speed": int(settings.fan_zero_speed),
            "fan-temp-offset": settings.temp_offset,
        }

    # History

    def history(self, param: object) -> object:
        """Return rows of time, TH/s and W since btminer's start (the columns are not documented)."""
        times = [
            param.get(key) if isinstance(param, dict) else None
            for key in ("begin", "end")
        ]
        if None in times:
            raise missing()
        if not all(re.fullmatch(r"\d{1,10}", str(time)) for time in times):
            raise invalid(param)
        begin, end = (int(str(time)) for time in times)
        if not 0 <= end - begin <= LONGEST_HISTORY_S:
            raise invalid(param)
        truth = self.truth()
        first = max(begin, self.when - truth.elapsed_s)
        last = min(end, self.when)
        first += -first % HISTORY_STEP_S
        rows = (
            f"{time},{truth.hashrate_average_ths:.3f},{truth.power_5min_w:.0f}"
            for time in range(first, last + 1, HISTORY_STEP_S)
        )
        return {"Data": " ".join(rows)}


def reason(code: int) -> str:
    """Return the text of an error."""
    board = re.fullmatch(r"53(\d)", str(code))
    return f"Slot{board[1]} not found." if board else f"Error {code}."


def word(on: bool) -> str:
    """Return `enable` or `disable`."""
    return "enable" if on else "disable"


def tenths(value: float) -> int | float:
    """Return a temperature, with one decimal."""
    return number(round(value, 1))


def thousandths(value: float) -> int | float:
    """Return TH/s or another value, with three decimals."""
    return number(round(value, 3))
