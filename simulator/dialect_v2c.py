"""API 2.2.x: the answers of newer firmware on TCP 4028 (protocol.md#c13, #c2, #c3)."""

from collections.abc import Mapping

from .dialect import Dialect, Row, keys, pick
from .dialect_v2 import DialectV2
from .truth import Truth
from .wire import encode, f2, number, number32

POOL = keys(
    "POOL,URL,Status,Priority,Quota,Getworks,Accepted,Rejected,Discarded,Stale,"
    "Get Failures,Remote Failures,User,Last Share Time,Stratum Active,Stratum Difficulty,"
    "Pool Rejected%,Pool Stale%,Bad Work,To Remove"
)
JOINED_SUMMARY = ("Elapsed", "MHS av", "Uptime", "Power")


class DialectV2c(DialectV2):
    """The compatibility layer of firmware that has API 3.0 on another port."""

    always_told = frozenset({"upfreq_speed"})

    def btminer_down(self) -> str:
        """Return the daemon's answer as JSON."""
        return encode(self.error(132, "API btminer unknow err"))

    def truth(self) -> Truth:
        """Return what 2.2.x reports: a mean of the power, and the last minute as the current hashrate."""
        truth = Dialect.truth(self)
        machine = self.machine
        rate, power = truth.hashrate_1m_ths, machine.power_mean_w
        truth.hashrate_ths = rate
        truth.hashrate_5s_ths = None
        truth.hashrate_5m_ths = None
        truth.hashrate_target_ths = None
        truth.power_w = power
        truth.power_rate_jth = power / rate if rate else 0.0
        truth.temperature_c = None
        if self.profile.tells_liquid:
            truth.liquid_temperature_c = round(machine.liquid_c)
        truth.frequency_target_mhz = 0
        if not self.profile.tells_percent:
            truth.power_percent = None
        pools = truth.pools if machine.mining else ()
        truth.pools = pools
        truth.accepted_shares = sum(pool.accepted for pool in pools) if pools else None
        truth.rejected_shares = sum(pool.rejected for pool in pools) if pools else None
        rates = machine.board_rates(60)
        for board in truth.boards:
            board.hashrate_ths = rates[board.slot]
            board.chip_temperature_min_c = None
            board.chip_temperature_avg_c = None
            board.chip_temperature_max_c = None
        return truth

    def _summary_row(self) -> Row:
        truth, machine = self.truth(), self.machine
        boards = " ".join(
            f"{board.hashrate_ths / 10:.1f}/0.5" for board in truth.boards
        )
        return {
            "Elapsed": number32(truth.elapsed_s),
            "MHS av": mhs32(truth.hashrate_average_ths),
            "MHS 1m": mhs32(truth.hashrate_1m_ths),
            "MHS 15m": mhs32(truth.hashrate_15m_ths),
            "HS RT": mhs32(truth.hashrate_ths),
            "freq_avg": number32(truth.frequency_average_mhz),
            "Fan Speed In": truth.fan_speed_in_rpm,
            "Fan Speed Out": truth.fan_speed_out_rpm,
            # A mean of 300 whole numbers
            "Power": number(round(truth.power_w * 300) / 300),
            "Power Rate": number32(truth.power_rate_jth or 0.0),
            # A fraction, whatever it is called
            "Pool Rejected%": truth.reject_rate_percent / 100,
            "Uptime": truth.uptime_s,
            "Hash Stable": "true" if truth.hash_stable else "false",
            "Hash Stable Cost Seconds": machine.stable_cost_s
            if truth.hash_stable
            else 0,
            "Target Freq": 0,
            "Env Temp": number(round(truth.environment_temperature_c or 0.0, 3)),
            "Power Mode": truth.power_mode.capitalize(),
            "Factory GHS": round(truth.hashrate_nominal_ths * 1000),
            "Power Limit": truth.power_limit_w,
            "Chip Temp Min": number32(truth.chip_temperature_min_c),
            "Chip Temp Max": number32(truth.chip_temperature_max_c),
            "Chip Temp Avg": number32(truth.chip_temperature_avg_c),
            "Debug": f"{truth.environment_temperature_c:.1f} {boards} ",
            "Btminer Fast Boot": "enable" if machine.reported.fast_boot else "disable",
        }

    def summary(self) -> Row:
        """Return the summary, flat in `Msg`."""
        return self.btminer(self._summary_row())

    def pools(self) -> Row:
        """Return the pools; none while the miner is stopped."""
        truth = self.truth()
        rows: list[Row] = []
        for row, pool in zip(
            self.pool_rows(truth) if truth.pools else [], truth.pools, strict=True
        ):
            used = pool.accepted + pool.rejected > 0
            more: Row = {
                "Stratum Difficulty": self.profile.share_difficulty
                if pool.active
                else 0,
                "Pool Rejected%": truth.reject_rate_percent / 100 if used else 0,
                "Pool Stale%": 0,
                "To Remove": False,
            }
            rows.append(pick(row | more, POOL))
        return self.cgminer(7, f"{len(rows)} Pool(s)", "POOLS", rows)

    def edevs(self) -> Row:
        """Return the boards, whose MHS are TH/s."""
        machine, profile = self.machine, self.profile
        truth = self.truth()
        mean, last_1m, last_15m = map(machine.board_rates, (None, 60, 900))
        rows: list[Row] = [
            {
                "Slot": board.slot,
                "Temperature": f2(board.temperature_c or 0.0),
                "Chip Frequency": round(board.frequency_mhz or 0.0),
                "MHS av": f2(mean[board.slot]),
                "MHS 1m": f2(last_1m[board.slot]),
                "MHS 15m": f2(last_15m[board.slot]),
                "HS RT": f2(board.hashrate_ths),
                "Factory GHS": round(profile.nominal_ths * 1000 / profile.boards),
                "Upfreq Complete": int(truth.hash_stable),
                "Effective Chips": profile.chips,
                "PCB SN": self.board_serial(board.slot),
                "Chip Data": profile.chip,
            }
            for board in truth.boards
        ]
        return self.cgminer(9, f"{len(rows)} ASC(s)", "DEVS", rows)

    def devs(self) -> Row:
        """Refuse the read: only `edevs` works."""
        return self.error(132, "API btminer unknow err")

    def devdetails(self) -> Row:
        """Refuse the read: the model is in the version."""
        return self.error(132, "This command is deprecated.")

    def joined(self, commands: Mapping[str, object]) -> str:
        """Return a joined answer in the form of cgminer, with a shorter summary."""
        answers: Row = {command: [self.read(command)] for command in commands}
        if "summary" in commands:
            short = pick(self._summary_row(), JOINED_SUMMARY)
            answers["summary"] = [self.cgminer(11, "Summary", "SUMMARY", [short])]
        return encode(answers | {"id": 1})

    def version(self) -> Row:
        """Return API, firmware and model."""
        return super().version() | {"miner_type": self.profile.model}

    def status(self) -> Row:
        """Return the flag, the settings as strings, and the percentage as a number."""
        machine, profile = self.machine, self.profile
        row = self.status_row()
        if profile.tells_percent:
            row["fast_mining"] = "false"
            row["fast_hash"] = "true" if machine.reported.fast_hash else "false"
            if profile.tells_liquid:
                row["liquid_temp"] = round(machine.liquid_c)
            row["power_pct"] = machine.reported_percent
        return self.btminer(row)

    def more_info(self) -> Row:
        """Return the time servers and the speed of tuning."""
        settings = self.machine.reported
        return {
            "ntp": settings.ntp_servers,
            "upfreq_speed": str(settings.upfreq_speed),
        }


def mhs32(ths: float) -> int | float:
    """Return TH/s as MH/s, limited to 32 bits."""
    return int(number32(ths * 1e6))
