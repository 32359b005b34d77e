"""API 2.0.x: firmware of 2022 (2.0.4) and of 2023 and later (2.0.5) (section C of docs/protocol.md)."""

from collections.abc import Mapping
from typing import ClassVar

from .dialect import Dialect, Row, keys, pick
from .dialect_v1 import POOL as POOL_V1
from .truth import Truth
from .wire import Raw

SUMMARY_2022 = keys(
    "Elapsed,MHS av,MHS 5s,MHS 1m,MHS 5m,MHS 15m,HS RT,Accepted,Rejected,Total MH,"
    "Temperature,freq_avg,Fan Speed In,Fan Speed Out,Power,Power Rate,Pool Rejected%,"
    "Pool Stale%,Last getwork,Uptime,Security Mode,Hash Stable,Hash Stable Cost Seconds,"
    "Hash Deviation%,Target Freq,Target MHS,Env Temp,Power Mode,Factory GHS,Power Limit,"
    "Chip Temp Min,Chip Temp Max,Chip Temp Avg,Debug,Btminer Fast Boot"
)

GONE_IN_2023 = frozenset(
    {
        "Last getwork",
        "Security Mode",
        "Hash Stable",
        "Hash Stable Cost Seconds",
        "Hash Deviation%",
        "Debug",
    }
)

SUMMARY_2023 = (
    *(key for key in SUMMARY_2022 if key not in GONE_IN_2023),
    "Upfreq Complete",
)

POOL = tuple(key for key in POOL_V1 if key != "Has GBT")

BOARD_2022 = keys(
    "ASC,Slot,Enabled,Status,Temperature,Chip Frequency,MHS av,MHS 5s,MHS 1m,MHS 5m,"
    "MHS 15m,HS RT,HS Factory,Accepted,Rejected,Last Valid Work,Upfreq Complete,"
    "Effective Chips,PCB SN,Chip Data,Chip Temp Min,Chip Temp Max,Chip Temp Avg,"
    "chip_vol_diff"
)

BOARD_2023 = tuple(
    "Factory GHS" if key == "HS Factory" else key
    for key in BOARD_2022
    if key not in ("Accepted", "Rejected", "Last Valid Work")
)

PSU_2022 = keys(
    "name,hw_version,sw_version,model,iin,vin,fan_speed,version,serial_no,vender"
)

PSU_2023 = keys(
    "name,hw_version,sw_version,model,enable,iin,vin,pin,fan_speed,serial_no,vendor,temp0"
)


class DialectV2(Dialect):
    """Firmware of 2023 and later that speaks 2.0.5."""

    summary_keys, board_keys, psu_keys = SUMMARY_2023, BOARD_2023, PSU_2023

    READS: ClassVar = {
        **Dialect.READS,
        "get_miner_info": lambda self, request: self.miner_info(request),
        "get_error_code": lambda self, _: self.btminer(
            {"error_code": self.error_codes()}
        ),
    }

    def cgminer(self, code: int, msg: str, key: str, rows: list[Row]) -> Row:
        """Return envelope 2 with a short head."""
        return {"STATUS": [{"STATUS": "S", "Msg": msg}], key: rows, "id": 1}

    def truth(self) -> Truth:
        """Return what 2.0.5 reports: all but the percentage."""
        truth = super().truth()
        truth.elapsed_s = int(truth.elapsed_s)
        truth.power_percent = None
        return truth

    def summary(self) -> Row:
        """Return the summary."""
        row = pick(self.summary_row(self.truth()), self.summary_keys)
        return self.cgminer(11, "Summary", "SUMMARY", [row])

    def pools(self) -> Row:
        """Return all pools."""
        rows = [pick(row, POOL) for row in self.pool_rows(self.truth())]
        return self.cgminer(7, f"{len(rows)} Pool(s)", "POOLS", rows)

    def devs(self) -> Row:
        """Return all boards; some firmware does not number them."""
        known = self.board_keys if self.profile.board_numbers else self.board_keys[1:]
        rows = [pick(row, known) for row in self.board_rows(self.truth())]
        return self.cgminer(9, f"{len(rows)} ASC(s)", "DEVS", rows)

    def psu(self) -> Row:
        """Return the power supply with its readings."""
        return pick(self.psu_row(self.truth()), self.psu_keys)

    def status(self) -> Row:
        """Return the flag with reason and time, and the settings as strings."""
        return self.btminer(self.status_row())

    def status_row(self) -> Row:
        """Return the fields of status in 2.0.5."""
        settings, profile = self.machine.settings, self.profile
        limit: Row = (
            {"power_limit_set": self.limit_text()} if profile.tells_limit_set else {}
        )
        return {
            **self.off_fields(),
            "FirmwareVersion": self.machine.firmware,
            "power_mode": settings.mode_text,
            **limit,
            "hash_percent": str(settings.target_freq or profile.hash_percent_text),
        }

    def limit_text(self) -> str:
        """Return the user's limit: empty, a number, or unlimited."""
        limit = self.machine.settings.power_limit_set
        if limit is None:
            return self.profile.default_limit_text
        return str(limit) if limit else "2147483647"


class DialectV204(DialectV2):
    """Firmware of 2022: as documented, with its invalid JSON."""

    summary_keys, board_keys, psu_keys = SUMMARY_2022, BOARD_2022, PSU_2022

    def cgminer(self, code: int, msg: str, key: str, rows: list[Row]) -> Row:
        """Return envelope 2 without an id."""
        return {"STATUS": [{"STATUS": "S", "Msg": msg}], key: rows}

    def truth(self) -> Truth:
        """Return what 2.0.4 reports: no reasons, less about the power supply."""
        truth = super().truth()
        truth.stop_reason = None
        truth.psu.input_power_w = None
        truth.psu.temperature_c = None
        return truth

    def status(self) -> Row:
        """Return the flag under its old name, and the firmware."""
        flag = "false" if self.machine.mining else "true"
        return self.btminer(
            {"btmineroff": flag, "Firmware Version": self.machine.firmware}
        )

    def error_codes(self) -> object:
        """Return a list with keys, which is not valid JSON (protocol.md#a6)."""
        errors = (
            f'"{code}":"{self.local(since)}"'
            for code, since in self.machine.errors.items()
        )
        return Raw(f"[{','.join(errors)}]")

    def joined(self, commands: Mapping[str, object]) -> str:
        """Return a joined answer, with the firmware's syntax error (protocol.md#a6)."""
        return super().joined(commands).replace("[{", "[,{").replace("},{", "}{")
