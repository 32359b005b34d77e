"""API v3: what is told on TCP 4433 (section E.5 of docs/protocol.md)."""

from collections.abc import Callable, Mapping
import re
from typing import Any, ClassVar

from .auth_v3 import Accounts
from .dialect import Row
from .dialect_v2c import DialectV2c
from .machine import Machine
from .profiles import V3
from .truth_v3 import V3BoardTruth, V3PoolTruth, V3PsuTruth, V3Truth
from .wire import number, number32

MODE_CODES = {"low": "0", "normal": "1", "high": "2"}
STATUS_PARTS = ("summary", "edevs", "pools")
HISTORY_STEP_S = 600
LONGEST_HISTORY_S = 86400


class Failed(Exception):
    """A request that is answered with another code than 0."""

    def __init__(self, code: int, msg: str) -> None:
        """Remember what to answer."""
        super().__init__(msg)
        self.code = code
        self.msg = msg


def failed(what: str = "failed") -> Failed:
    """Return -1."""
    return Failed(-1, what)


def invalid(param: object) -> Failed:
    """Return -2: a value that is not one of those there are."""
    return Failed(-2, f"invalid param: {param}")


def missing(item: str = "param") -> Failed:
    """Return -3: not there, or not of the type that is read."""
    return Failed(-3, f"{item} item is null")


def not_permitted() -> Failed:
    """Return -4."""
    return Failed(-4, "no permission for write command")


class DialectV3:
    """Reads of one machine; what the wire tells is `truth()`, put in other words."""

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
        """Speak for the machine that 2.2.x speaks for as well."""
        self.v2c = v2c
        self.firmware = firmware
        self.accounts = accounts
        self._api_switch = api_switch

    @property
    def machine(self) -> Machine:
        """The machine that it speaks for."""
        return self.v2c.machine

    @property
    def when(self) -> int:
        """The clock of the miner."""
        return self.v2c.when

    # What is true

    def truth(self) -> V3Truth:
        """Return what this firmware tells, as the wire tells it."""
        machine, firmware = self.machine, self.firmware
        profile, settings = machine.profile, machine.settings
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
            power_percent=machine.percent_set or None,
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
            boards=tuple(self._board(slot) for slot in machine.boards),
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
            psu=self._psu(liquid),
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
            permissions=self.accounts.told(),
            settings=settings,
        )

    def _board(self, slot: int) -> V3BoardTruth:
        machine = self.machine
        profile = machine.profile
        coldest, average, hottest = machine.chip_c(slot)
        return V3BoardTruth(
            slot=slot,
            hashrate_average_ths=machine.board_rate(slot, None),
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

    def _psu(self, liquid: float | None) -> V3PsuTruth:
        psu = self.v2c.truth().psu
        tells = self.firmware.tells_electrics
        return V3PsuTruth(
            model=psu.model,
            fan_speed_rpm=psu.fan_speed_rpm or 0,
            input_voltage_v=psu.input_voltage_v if tells else None,
            input_current_a=psu.input_current_a if tells else None,
            input_power_w=psu.input_power_w if tells else None,
            output_voltage_v=self.machine.output_v if tells else None,
            temperature_c=psu.temperature_c if tells else None,
            liquid_temperature_c=liquid if tells else None,
        )

    # get.device.info

    def device_info(self, param: object) -> object:
        """Identity and electrics, all of it or one part."""
        told = self.truth()
        parts: Row = {
            "network": self._network(told),
            "miner": self._miner(told),
            "system": {
                "api": told.api_version,
                "platform": self.machine.profile.platform,
                "fwversion": told.firmware,
                "control-board-version": "CB6V10",
                "apiswitch": "1" if told.api_switch else "0",
                "ledstatus": self.v2c.led_state(),
            },
            "power": self._power(told),
            "salt": self.accounts.salt,
        }
        if told.errors is not None:
            since = self.machine.errors
            parts["error-code"] = [
                {str(code): self.v2c.local(since[code]), "reason": why}
                for code, why in told.errors
            ]
        if param is None:
            return parts
        if param not in parts:
            raise invalid(param)
        return {param: parts[str(param)]}

    def _network(self, told: V3Truth) -> Row:
        return {
            "ip": told.network.ip,
            "proto": told.network.proto,
            "netmask": told.network.netmask,
            "dns": told.network.dns,
            "mac": told.mac,
            "gateway": told.network.gateway,
            "hostname": told.hostname,
        }

    def _miner(self, told: V3Truth) -> Row:
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
            "working": "true" if told.mining else "false",
            "type": told.model,
            "hash-board": told.model.rpartition("V")[2],
            "detect-hash-rate": ":".join(str(factory) for _ in boards),
            "cointype": settings.coin_type,
            "pool-strategy": "FAILOVER",
            "heatmode": "" if settings.heat_mode == "normal" else settings.heat_mode,
            "hash-percent": str(settings.target_freq or ""),
            **{f"chipdata{slot}": profile.chip for slot in boards},
            "fast-boot": word(told.fast_boot),
            "board-num": str(profile.boards),
            **{f"pcbsn{slot}": self.v2c.board_serial(slot) for slot in boards},
            "miner-sn": self.v2c.miner_serial,
            "power-limit-set": "" if limit is None else str(limit),
            "UpfreqSpeed": str(settings.upfreq_speed or ""),
            **cooling,
            "web-pool": int(settings.web_pools),
            "permission": told.permissions,
        }

    def _power(self, told: V3Truth) -> Row:
        psu, known = told.psu, self.machine.profile.psu
        row: Row = {
            "type": known.name,
            "mode": MODE_CODES[told.power_mode],
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
        """Return the parts asked for, joined by `+`."""
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
        told = self.truth()
        return {part: parts[part](told) for part in wanted}

    def report(self) -> object:
        """Return everything that get.miner.status tells, to be pushed."""
        told = self.truth()
        return {"summary": self.summary(told), "edevs": self.edevs(told)}

    def summary(self, told: V3Truth) -> Row:
        """The miner in figures."""
        boards = len(told.boards)
        nominal = told.hashrate_nominal_ths
        return {
            "elapsed": told.elapsed_s,
            "bootup-time": told.uptime_s,
            "freq-avg": round(told.frequency_average_mhz),
            "target-freq": 0,
            "factory-hash": thousandths(
                -0.001 * boards if nominal is None else nominal
            ),
            "hash-average": thousandths(told.hashrate_average_ths),
            "hash-1min": thousandths(told.hashrate_1m_ths),
            "hash-15min": thousandths(told.hashrate_15m_ths),
            "hash-realtime": thousandths(told.hashrate_ths),
            "power-rate": thousandths(told.power_rate_jth),
            "power-5min": thousandths(told.power_5min_w),
            "power-realtime": number(told.power_realtime_w),
            "environment-temperature": tenths(told.environment_temperature_c),
            "board-temperature": [tenths(each) for each in told.board_temperatures_c],
            "chip-temp-min": tenths(told.chip_temperature_min_c),
            "chip-temp-avg": tenths(told.chip_temperature_avg_c),
            "chip-temp-max": tenths(told.chip_temperature_max_c),
            "power-limit": told.power_limit_w,
            "up-freq-finish": int(told.upfreq_complete),
            "fan-speed-in": told.fan_speed_in_rpm,
            "fan-speed-out": told.fan_speed_out_rpm,
        }

    def edevs(self, told: V3Truth) -> list[Row]:
        """The boards, without their temperature."""
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
            for number_, board in enumerate(told.boards)
        ]

    def pools(self, told: V3Truth) -> list[Row]:
        """The pools, without counters."""
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
            for number_, pool in enumerate(told.pools, 1)
        ]

    # Settings

    def miner_setting(self) -> Row:
        """What was set; a limit that was not is told as the one in force."""
        told, machine = self.truth(), self.machine
        row: Row = {
            "power-limit": machine.settings.power_limit_set or machine.power_limit_w,
            "upfreq-speed": told.upfreq_speed,
            "power-mode": told.power_mode,
            "fast-boot": word(told.fast_boot),
        }
        if told.fast_hash is None:
            row["fast-mining"] = "disable"
        else:
            row["fast-hash"] = word(told.fast_hash)
        if told.heat_mode is not None:
            row["heat-mode"] = told.heat_mode
        row["target-freq"] = told.target_freq_percent
        if told.power_set_w is not None:
            row["power"] = told.power_set_w
        return row | {
            "power-percent": told.power_percent or 0,
            "btrom-worker-suffix": "",
        }

    def system_setting(self) -> Row:
        """Name, time and logs."""
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
        """The fans."""
        settings = self.machine.settings
        return {
            "fan-poweroff-cool": int(settings.poweroff_cool),
            "fan-zero-speed": int(settings.fan_zero_speed),
            "fan-temp-offset": settings.temp_offset,
        }

    # History

    def history(self, param: object) -> object:
        """Rows of time, TH/s and W since btminer's start (nobody documents the columns)."""
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
        told = self.truth()
        first = max(begin, self.when - told.elapsed_s)
        last = min(end, self.when)
        first += -first % HISTORY_STEP_S
        rows = (
            f"{time},{told.hashrate_average_ths:.3f},{told.power_5min_w:.0f}"
            for time in range(first, last + 1, HISTORY_STEP_S)
        )
        return {"Data": " ".join(rows)}


def reason(code: int) -> str:
    """Return the words that come with an error."""
    board = re.fullmatch(r"53(\d)", str(code))
    return f"Slot{board[1]} not found." if board else f"Error {code}."


def word(on: bool) -> str:
    """As it is written."""
    return "enable" if on else "disable"


def tenths(value: float) -> int | float:
    """A temperature."""
    return number(round(value, 1))


def thousandths(value: float) -> int | float:
    """TH/s, and most others."""
    return number(round(value, 3))
