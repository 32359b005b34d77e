"""API 1.x: btminer on cgminer, with one long summary (protocol.md#c11 to protocol.md#c7)."""

from .dialect import Dialect, Row, keys, pick
from .truth import Truth
from .wire import Raw, encode, f2, f4

# Captures of v1 are sorted; this is cgminer's order as far as it is known (protocol.md#c11)
SUMMARY = keys(
    "Elapsed,MHS av,MHS 5s,MHS 1m,MHS 5m,MHS 15m,HS RT,Found Blocks,Getworks,Accepted,"
    "Rejected,Hardware Errors,Utility,Discarded,Stale,Get Failures,Local Work,"
    "Remote Failures,Network Blocks,Total MH,Work Utility,Difficulty Accepted,"
    "Difficulty Rejected,Difficulty Stale,Best Share,Temperature,freq_avg,Fan Speed In,"
    "Fan Speed Out,Voltage,Power,Power_RT,Device Hardware%,Device Rejected%,"
    "Pool Rejected%,Pool Stale%,Last getwork,Uptime,Chip Data,Power Current,"
    "Power Fanspeed,Error Code Count,Factory Error Code Count,Security Mode,"
    "Liquid Cooling,Hash Stable,Hash Stable Cost Seconds,Hash Deviation%,Target Freq,"
    "Target MHS,Power Mode,Firmware Version,CB Platform,CB Version,MAC,Factory GHS,"
    "Power Limit,Chip Temp Min,Chip Temp Max,Chip Temp Avg"
)

POOL = keys(
    "POOL,URL,Status,Priority,Quota,Long Poll,Getworks,Accepted,Rejected,Works,Discarded,"
    "Stale,Get Failures,Remote Failures,User,Last Share Time,Diff1 Shares,Proxy Type,"
    "Proxy,Difficulty Accepted,Difficulty Rejected,Difficulty Stale,"
    "Last Share Difficulty,Work Difficulty,Has Stratum,Stratum Active,Stratum URL,"
    "Stratum Difficulty,Has GBT,Best Share,Pool Rejected%,Pool Stale%,Bad Work,"
    "Current Block Height,Current Block Version"
)

BOARD = keys(
    "ASC,Name,ID,Slot,Enabled,Status,Temperature,Chip Frequency,Fan Speed In,"
    "Fan Speed Out,MHS av,MHS 5s,MHS 1m,MHS 5m,MHS 15m,Accepted,Rejected,Hardware Errors,"
    "Utility,Last Share Pool,Last Share Time,Total MH,Diff1 Work,Difficulty Accepted,"
    "Difficulty Rejected,Last Share Difficulty,Last Valid Work,Device Hardware%,"
    "Device Rejected%,Device Elapsed,Upfreq Complete,Effective Chips,PCB SN,"
    "Chip Temp Min,Chip Temp Max,Chip Temp Avg"
)


class DialectV1(Dialect):
    """Firmware until 2022."""

    description = "whatsminer v1.4.0"
    joins_need_command = True

    def cgminer(self, code: int, msg: str, key: str, rows: list[Row]) -> Row:
        """Return envelope 2 with its full head."""
        return {"STATUS": [self._head("S", code, msg)], key: rows, "id": 1}

    def _head(self, status: str, code: int, msg: str) -> Row:
        return {
            "STATUS": status,
            "When": self.when,
            "Code": code,
            "Msg": msg,
            "Description": "cgminer 4.9.2",
        }

    def missing_command(self) -> str:
        """Return the answer of cgminer, which reads only `command`."""
        return encode(
            {"STATUS": [self._head("E", 24, "Missing JSON 'command'")], "id": 1}
        )

    def truth(self) -> Truth:
        """Return what 1.x reports; the fan of the power supply is in its summary."""
        truth = super().truth()
        truth.elapsed_s = int(truth.elapsed_s)
        truth.power_rate_jth = None
        truth.power_percent = None
        truth.environment_temperature_c = None
        truth.fast_boot = None
        truth.stop_reason = None
        truth.led_auto = None
        truth.hostname = None
        truth.network = None
        truth.psu.input_voltage_v = None
        truth.psu.input_current_a = None
        truth.psu.input_power_w = None
        truth.psu.temperature_c = None
        return truth

    def summary(self) -> Row:
        """Return the long summary, with MAC, firmware and errors."""
        truth, machine, profile = self.truth(), self.machine, self.profile
        minutes = truth.elapsed_s / 60 or 1.0
        accepted, rejected = machine.shares
        row = self.summary_row(truth) | {
            "Found Blocks": 0,
            "Getworks": int(truth.elapsed_s / 30),
            "Hardware Errors": accepted // 34,
            "Utility": f2(accepted / minutes),
            "Discarded": int(truth.elapsed_s * 60),
            "Stale": 0,
            "Get Failures": 0,
            "Local Work": int(machine.hashes_th),
            "Remote Failures": 0,
            "Network Blocks": int(truth.elapsed_s / 600),
            "Work Utility": f2(accepted * profile.share_difficulty / minutes / 41443),
            "Difficulty Accepted": Raw(f"{accepted * profile.share_difficulty:.8f}"),
            "Difficulty Rejected": Raw(f"{rejected * profile.share_difficulty:.8f}"),
            "Difficulty Stale": Raw(f"{0:.8f}"),
            "Best Share": 41127493,
            "Voltage": 1180,
            "Power_RT": round(truth.power_w) + 10,
            "Device Hardware%": f4(0.011),
            "Device Rejected%": f4(0),
            "Chip Data": profile.chip,
            "Power Current": round(truth.power_w * 0.9 / 11.8),
            "Power Fanspeed": truth.psu.fan_speed_rpm,
            "Error Code Count": len(machine.errors),
            "Factory Error Code Count": 0,
            "Liquid Cooling": profile.liquid,
            "Firmware Version": f"'{machine.firmware}'",
            "CB Platform": "ALLWINNER_H3",
            "CB Version": "V8",
            "MAC": self.mac,
        }
        codes: Row = {
            f"Error Code {number}": code
            for number, code in enumerate(truth.error_codes)
        }
        front = SUMMARY.index("Error Code Count")
        first, last = pick(row, SUMMARY[:front]), pick(row, SUMMARY[front:])
        return self.cgminer(11, "Summary", "SUMMARY", [first | codes | last])

    def pools(self) -> Row:
        """Return all pools."""
        rows: list[Row] = [
            pick(row | {"Has GBT": False, "Has Stratum": True}, POOL)
            for row in self.pool_rows(self.truth())
        ]
        return self.cgminer(7, f"{len(rows)} Pool(s)", "POOLS", rows)

    def devs(self) -> Row:
        """Return all boards."""
        truth, machine = self.truth(), self.machine
        rates = machine.board_rates(None)
        rows: list[Row] = []
        for number, row in enumerate(self.board_rows(truth)):
            accepted = machine.shares[0] // (len(truth.boards) or 1)
            more: Row = {
                "Name": "SM",
                "ID": number,
                "Fan Speed In": truth.fan_speed_in_rpm,
                "Fan Speed Out": truth.fan_speed_out_rpm,
                "Hardware Errors": 15,
                "Utility": f2(accepted / (truth.elapsed_s / 60 or 1.0)),
                "Last Share Pool": 0,
                "Last Share Time": self.when - 10,
                "Total MH": f4(rates[number] * truth.elapsed_s * 1e6),
                "Diff1 Work": accepted * 263,
                "Difficulty Accepted": Raw(
                    f"{accepted * self.profile.share_difficulty:.8f}"
                ),
                "Difficulty Rejected": Raw(f"{0:.8f}"),
                "Last Share Difficulty": Raw(f"{self.profile.share_difficulty:.8f}"),
                "Device Hardware%": f4(0.0072),
                "Device Rejected%": f4(0),
                "Device Elapsed": truth.elapsed_s,
            }
            rows.append(pick(row | more, BOARD))
        return self.cgminer(9, f"{len(rows)} ASC(s)", "DEVS", rows)

    def devdetails(self) -> Row:
        """Return the model."""
        rows = super().devdetails()["DEVDETAILS"]
        return {
            "STATUS": [self._head("S", 69, "Device Details")],
            "DEVDETAILS": rows,
            "id": 1,
        }

    def psu(self) -> Row:
        """Return names only."""
        return pick(
            self.psu_row(self.truth()), ("name", "hw_version", "sw_version", "model")
        )

    def version(self) -> Row:
        """Return the versions of API and firmware."""
        return pick(super().version(), ("api_ver", "fw_ver"))

    def status(self) -> Row:
        """Return the flag, and the firmware in quotes."""
        flag = "false" if self.machine.mining else "true"
        return self.btminer(
            {"btmineroff": flag, "Firmware Version": f"'{self.machine.firmware}'"}
        )
