"""The answers of real miners mean what docs/protocol.md says they mean, field by field.

Every expected value is worked out from the page by hand. A field that is not named is None: the
miner did not report it, and whoever shows a number there has made it up.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from custom_components.whatsminer.api.errors import (
    BtminerDownError,
    CommandRefusedError,
    InvalidAnswerError,
    NotWhatsminerError,
    TokenRejectedError,
    TokenTableFullError,
    UnsupportedCommandError,
    WhatsminerError,
    WriteApiDisabledError,
    WrongPasswordError,
)
from custom_components.whatsminer.api.models import (
    Board,
    Cooling,
    Dialect,
    Fault,
    Feature,
    MinerInfo,
    Pool,
    PowerMode,
    Psu,
    Status,
    Summary,
)
from custom_components.whatsminer.api.parse import JsonObject, parse_answer
from custom_components.whatsminer.api.v2.protocol import (
    is_challenge,
    parse_boards,
    parse_faults,
    parse_miner_info,
    parse_model,
    parse_pools,
    parse_psu,
    parse_status,
    parse_summary,
    parse_version,
    refusal,
)

from . import capture, parsed

SUMMARY_2023 = Summary(
    hashrate=113.9021143,
    hashrate_average=113.87421055,
    hashrate_5s=118.20334112,
    hashrate_1m=114.01002287,
    hashrate_5m=113.9021143,
    hashrate_15m=113.88100441,
    hashrate_target=113.1,
    hashrate_nominal=114.12,
    power=3312,
    efficiency=29.08,
    power_limit=3500,
    power_mode=PowerMode.NORMAL,
    temperature=76.5,
    environment_temperature=29.5,
    chip_temperature_min=68.25,
    chip_temperature_avg=81.44,
    chip_temperature_max=92.13,
    fan_speed_in=4920,
    fan_speed_out=4980,
    frequency_average=612,
    frequency_target=605,
    elapsed=86412,
    uptime=86501,
    accepted_shares=20311,
    rejected_shares=12,
    reject_rate=0.059,
    stable=True,
    fast_boot=False,
)


def summary_v140(error_codes: tuple[int, ...]) -> Summary:
    """The M20S of CAP-V1, which lists its faults in the summary."""
    return Summary(
        hashrate=67.39480097,
        hashrate_average=67.75325119,
        hashrate_5s=70.66811452,
        hashrate_1m=67.43935249,
        hashrate_5m=67.39480097,
        hashrate_15m=67.68162018,
        hashrate_target=65.3625,
        hashrate_nominal=68.796,
        power=3417,
        efficiency=pytest.approx(50.7012, abs=1e-4),  # 3417 W / 67.39480097 TH/s
        power_limit=3500,
        power_mode=PowerMode.NORMAL,
        temperature=71.5,
        chip_temperature_min=71,
        chip_temperature_avg=84.11,
        chip_temperature_max=92.5,
        fan_speed_in=6450,
        fan_speed_out=6480,
        psu_fan_speed=9060,
        frequency_average=648,
        frequency_target=625,
        elapsed=10154,
        uptime=10792,
        accepted_shares=2338,
        rejected_shares=0,
        reject_rate=0,
        stable=True,
        mac="C4:08:28:00:A4:19",
        firmware="20210322.22.REL",
        error_codes=error_codes,
    )


def summary_2023(**changes: float | None) -> Summary:
    """The 2.0.5 summary of 2023, with some fields changed by a defect."""
    fields = {name: getattr(SUMMARY_2023, name) for name in Summary.__slots__}
    return Summary(**fields | changes)


SUMMARIES = {
    "summary_v140_cap.json": summary_v140((110, 600)),
    "summary_v140_no_errors_comp.json": summary_v140(()),
    "summary_v205_doc.json": Summary(
        hashrate=84.94136602,
        hashrate_average=84.98373062,
        hashrate_5s=102.42386964,
        hashrate_1m=86.36142306,
        hashrate_5m=84.94136602,
        hashrate_15m=84.96942409,
        hashrate_target=76.157172,
        hashrate_nominal=84.773,
        power=3593,
        efficiency=42.31,
        power_limit=3600,
        power_mode=PowerMode.NORMAL,
        temperature=80,
        environment_temperature=32,
        chip_temperature_min=75.17,
        chip_temperature_avg=89.6,
        chip_temperature_max=101.25,
        fan_speed_in=4530,
        fan_speed_out=4530,
        frequency_average=646,
        frequency_target=574,
        elapsed=2648,
        uptime=20507,
        accepted_shares=804,
        rejected_shares=0,
        reject_rate=0,
        stable=True,
        fast_boot=False,
    ),
    "summary_v205_2023_comp.json": SUMMARY_2023,
    "summary_v205_power_minus_1_comp.json": summary_2023(power=None, efficiency=None),
    "summary_v2c_m60s_cap.json": Summary(
        hashrate=140.544208,
        hashrate_average=111.337976,
        hashrate_1m=140.544208,
        hashrate_15m=111.337976,
        hashrate_nominal=165.848,
        power=3173.4533333333334,
        efficiency=22.191356658935547,
        power_limit=3600,
        power_mode=PowerMode.NORMAL,
        environment_temperature=28.687,
        chip_temperature_min=54.443180084228516,
        chip_temperature_avg=69.33332824707031,
        chip_temperature_max=84.19318389892578,
        fan_speed_in=3764,
        fan_speed_out=3735,
        frequency_average=358.30596923828125,
        elapsed=884.010009765625,
        uptime=911,
        reject_rate=0,
        stable=False,
        fast_boot=False,
    ),
    "summary_v2c_m7bs_cap.json": Summary(
        hashrate=692.632192,
        hashrate_average=692.030656,
        hashrate_1m=692.632192,
        hashrate_15m=692.00544,
        hashrate_nominal=560.974,
        power=9763.263333333334,
        efficiency=14.103324890136719,
        power_limit=9758,
        power_mode=PowerMode.HIGH,
        environment_temperature=45.562,
        chip_temperature_min=57.628570556640625,
        chip_temperature_avg=67.5,
        chip_temperature_max=77.70713806152344,
        fan_speed_in=0,
        fan_speed_out=0,
        frequency_average=419.217041015625,
        elapsed=10658.685546875,
        uptime=12927,
        reject_rate=0,
        stable=True,
        fast_boot=False,
    ),
    # 0.000462963 is a fraction: 1 of 2160 shares
    "summary_v2c_one_rejected_cap.json": Summary(
        hashrate=183.1276,
        hashrate_average=183.467184,
        hashrate_1m=183.1276,
        hashrate_15m=183.456352,
        hashrate_nominal=184.811,
        power=3386.0266666666666,
        efficiency=18.476,
        power_limit=3400,
        power_mode=PowerMode.NORMAL,
        fan_speed_in=3401,
        fan_speed_out=3401,
        frequency_average=373.8,
        elapsed=26005.865234375,
        uptime=2175251,
        reject_rate=pytest.approx(0.0462963, abs=1e-7),
        stable=True,
    ),
    "summary_v1_m21s_without_chip_sensors_cap.json": Summary(
        hashrate=54.84463942,
        hashrate_average=54.95045769,
        hashrate_nominal=55.347,
        power=3412,
        efficiency=pytest.approx(62.2121, abs=1e-4),  # 3412 W / 54.84463942 TH/s
        power_limit=3500,
        power_mode=PowerMode.NORMAL,
        temperature=72,
        fan_speed_in=6840,
        fan_speed_out=6840,
        frequency_average=848,
        elapsed=394368,
        stable=True,
        mac="C4:00:00:00:00:01",
        firmware="20210322.22.REL",
        error_codes=(),
    ),
    "summary_v13_m30s_power_input_cap.json": Summary(
        hashrate=96.41723165,
        hashrate_average=99.79364689,
        hashrate_nominal=100.999,
        power=3496,
        efficiency=35.03,
        power_limit=3600,
        power_mode=PowerMode.HIGH,
        psu_fan_speed=8784,
        psu_input_voltage=199.25,
        psu_input_current=17.53,
        elapsed=1216997,
        mac="C4:00:00:00:00:30",
        firmware="20210109.22.REL",
        error_codes=(206,),
    ),
    # Three faults, two of the factory's, and a fan that stands still
    "summary_v13_m31s_cap.json": Summary(
        hashrate=76.69080844,
        hashrate_average=76.71860438,
        hashrate_5s=92.76828894,
        hashrate_1m=77.9094486,
        hashrate_5m=76.94356094,
        hashrate_15m=76.76672675,
        hashrate_target=71.47224,
        hashrate_nominal=75.697,
        power=3553,
        efficiency=46.31,
        power_limit=3600,
        power_mode=PowerMode.HIGH,
        temperature=72,
        environment_temperature=7,
        chip_temperature_min=48,
        chip_temperature_avg=73.87,
        chip_temperature_max=93,
        fan_speed_in=5700,
        fan_speed_out=0,
        psu_fan_speed=7608,
        psu_input_voltage=229.5,
        psu_input_current=15.58,
        frequency_average=710,
        frequency_target=652,
        elapsed=33102,
        uptime=1405529,
        accepted_shares=2296,
        rejected_shares=1,
        reject_rate=0.0445,
        stable=True,
        mac="C4:00:00:00:00:31",
        firmware="20201202.22.REL",
        error_codes=(110, 111, 131),
    ),
    "broken_escaped_quote.txt": Summary(
        hashrate=67.82744638,
        hashrate_average=68.71059719,
        hashrate_5s=64.14377795,
        hashrate_5m=67.82744638,
        hashrate_nominal=67.051,
        power=3491,
        efficiency=pytest.approx(51.4688, abs=1e-4),  # 3491 W / 67.82744638 TH/s
        power_limit=3500,
        power_mode=PowerMode.NORMAL,
        temperature=72,
        frequency_average=622,
        elapsed=66295,
        accepted_shares=5018,
        rejected_shares=29,
        stable=True,
        mac="C4:00:00:00:00:11",
        firmware="20200917.22.REL",
        error_codes=(),
    ),
    "broken_trailing_nul.txt": summary_v140((110, 600)),
    "broken_trailing_comma.txt": summary_v140((110, 600)),
    # The efficiency is 3312 W / 113.9021143 TH/s, as if the miner had said none.
    "broken_inf_nan_strings.txt": summary_2023(
        environment_temperature=None, efficiency=pytest.approx(29.0776, abs=1e-4)
    ),
    "broken_inf_nan_bare.txt": summary_2023(
        environment_temperature=None,
        temperature=None,
        efficiency=pytest.approx(29.0776, abs=1e-4),
    ),
}

# file: the summary's MHS av in TH/s at that moment, boards
BOARDS = {
    "devs_v140_cap.json": (
        67.75325119,
        (
            Board(
                slot=0,
                hashrate=22.42834306,
                hashrate_average=22.65021507,
                temperature=70,
                chip_temperature_min=71,
                chip_temperature_avg=83.33,
                chip_temperature_max=90,
                frequency=650,
                chips=105,
                tuned=True,
                serial="H5M14S69129A17K10095",
            ),
        ),
    ),
    "devs_v205_doc.json": (
        84.98373062,
        (
            Board(
                slot=0,
                hashrate=10.35111056,
                hashrate_average=10.3422848,
                hashrate_nominal=28.836,
                temperature=80,
                chip_temperature_min=80.56,
                chip_temperature_avg=89.89,
                chip_temperature_max=97,
                frequency=587,
                chips=156,
                tuned=False,
                serial="HEM1EP9C400929K60003",
            ),
        ),
    ),
    "devs_d22_comp.json": (
        31.0,
        (
            Board(
                slot=0,
                hashrate=10.35111056,
                hashrate_average=10.3422848,
                hashrate_nominal=28.836,
                temperature=80,
                frequency=587,
                chips=156,
                tuned=False,
                serial="HEM1EP9C400929K60003",
            ),
        ),
    ),
    "edevs_v2c_m60s_cap.json": (
        41.1,
        (
            Board(
                slot=0,
                hashrate=20.32,
                hashrate_average=13.7,
                hashrate_nominal=54.735,
                temperature=41.69,
                frequency=162,
                chips=215,
                tuned=False,
                serial="SKM3CSD7104716K90757",
            ),
        ),
    ),
    "edevs_v2c_m7bs_comp.json": (
        692.030656,
        tuple(
            Board(
                slot=slot,
                hashrate=rate,
                hashrate_average=rate,
                hashrate_nominal=139.93,
                frequency=419,
                chips=288,
                tuned=True,
                serial=serial,
            )
            for slot, rate, serial in (
                (0, 170.62, "SKM7A"),
                (1, 175.49, "SKM7A"),
                (2, 175.56, "SKM7B"),
                (3, 170.35, "SKM7B"),
            )
        ),
    ),
    "devs_v2_without_asc_and_slot_comp.json": (
        None,
        (
            Board(
                slot=0,
                hashrate=28,
                hashrate_average=28,
                temperature=70.5,
                tuned=True,
            ),
            Board(
                slot=1,
                hashrate=29,
                hashrate_average=29,
                temperature=71.5,
                tuned=True,
            ),
        ),
    ),
    "broken_list_starts_with_comma.txt": (
        None,
        (
            Board(
                slot=0,
                hashrate=20.32,
                hashrate_average=13.7,
                hashrate_nominal=54.735,
                temperature=41.69,
                frequency=162,
                chips=215,
                tuned=False,
                serial="SKM3CSD7104716K90757",
            ),
        ),
    ),
}

POOL_V140 = Pool(
    index=1,
    url="stratum+tcp://btc.example.pool:3333",
    user="asic-rs.test",
    status="alive",
    active=True,
    priority=0,
    accepted=2338,
    rejected=0,
    reject_rate=0,
    last_share=datetime(2025, 10, 21, 15, 42, 44, tzinfo=UTC),
)


def spare_pool_v140(index: int) -> Pool:
    """The two other pools of CAP-V1: zero counters, not in use."""
    return Pool(
        index=index,
        url="stratum+tcp://btc.example.pool:3333",
        user="asic-rs.test",
        status="alive",
        active=False,
        priority=index - 1,
        accepted=0,
        rejected=0,
        reject_rate=0,
    )


POOLS = {
    "pools_v140_cap.json": (POOL_V140,),
    "pools_v140_three_comp.json": (
        POOL_V140,
        spare_pool_v140(2),
        spare_pool_v140(3),
    ),
    "pools_v205_doc.json": (
        Pool(
            index=1,
            url="stratum+tcp://btc.ss.poolin.com:443",
            user="microbtinitial",
            status="alive",
            active=True,
            priority=0,
            accepted=0,
            rejected=0,
            reject_rate=0,
        ),
    ),
    "pools_v2c_m7bs_cap.json": (
        Pool(
            index=1,
            url="stratum+tcp://pool.example:1314",
            user="account.worker",
            status="alive",
            active=True,
            priority=0,
            accepted=432,
            rejected=0,
            reject_rate=0,
            last_share=datetime(2026, 8, 13, 13, 42, 3, tzinfo=UTC),
        ),
    ),
    "pools_v2c_one_rejected_cap.json": (
        Pool(
            index=1,
            url="stratum+tcp://pool.example:3333",
            user="acc.worker",
            status="alive",
            active=True,
            priority=0,
            accepted=2159,
            rejected=1,
            reject_rate=pytest.approx(0.0462963, abs=1e-7),
        ),
    ),
    "broken_lone_backslash.txt": (
        Pool(
            index=1,
            url="stratum+tcp://pool.example:3333",
            user=r"dom\acc.worker",
            status="alive",
            active=True,
            accepted=5,
            rejected=0,
            reject_rate=0,
        ),
    ),
}


def psu_stopped(temperature: float | None) -> Psu:
    """The stopped 400 V hydro unit of TET."""
    return Psu(
        model="P564B",
        input_voltage=396,
        input_current=0,
        input_power=13,
        fan_speed=0,
        temperature=temperature,
        enabled=False,
        serial="1413C2246300196",
    )


PSUS = {
    "get_psu_v140_cap.json": Psu(model="P21-12-3600-E"),
    "get_psu_v205_doc.json": Psu(
        model="P221B",
        input_voltage=224,
        input_current=8.718,
        fan_speed=6976,
        serial="A1232B0120100049",
    ),
    "get_psu_stopped_tet.json": psu_stopped(None),
    "broken_psu_comma_missing_before_temp0.txt": psu_stopped(33.5),
}

STATUSES = {
    "status_v140_20220919_cap.json": Status(off=True, firmware="20220919.15.REL"),
    "status_v2_20230208_cap.json": Status(
        off=False,
        power_mode=PowerMode.NORMAL,
        target_frequency=0,
        firmware="20230208.18.Rel",
    ),
    "status_v205_20230803_cap.json": Status(off=False, firmware="20230803.11.REL"),
    "status_v205_20230911_cap.json": Status(off=False, firmware="20230911.12.Rel"),
    "status_v205_20240924_cap.json": Status(
        off=False,
        power_mode=PowerMode.NORMAL,
        power_limit_set=3300,
        target_frequency=0,
        firmware="20240924.14.Rel",
    ),
    # 2147483647 W is the miner's way to say "no limit"
    "status_v2c_20250214_cap.json": Status(off=False, firmware="20250214.16.1"),
    "status_v2c_m7bs_cap.json": Status(
        off=False,
        power_mode=PowerMode.HIGH,
        power_limit_set=10030,
        power_percent=120,
        target_frequency=0,
        fast_hash=False,
        liquid_temperature=49,
        firmware="20260312.16.REL3",
    ),
    "status_bare_d205_comp.json": Status(off=False, firmware="20220125.13.Rel"),
    "status_bare_d22_comp.json": Status(
        off=True,
        power_mode=PowerMode.LOW,
        target_frequency=-10,
        firmware="20240924.14.Rel",
    ),
    "status_stopped_by_api_comp.json": Status(
        off=True,
        stop_reason="by whatsminer api",
        power_mode=PowerMode.NORMAL,
        power_limit_set=3300,
        target_frequency=0,
        firmware="20240924.14.Rel",
    ),
    "status_without_flag_comp.json": Status(firmware="20200207.23.1"),
    "broken_duplicate_keys.txt": Status(
        off=False,
        power_mode=PowerMode.NORMAL,
        power_limit_set=3300,
        target_frequency=0,
        firmware="20240924.14.Rel",
    ),
}

# The column "Doc" of protocol.md#d1: what is in the first document, what came later, and what then went.
FEATURES_V1 = {
    Feature.MINING,
    Feature.RESTART,
    Feature.REBOOT,
    Feature.LED,
    Feature.FAST_BOOT,
    Feature.POWER_MODE,
    Feature.POWER_PERCENT,
    Feature.TARGET_FREQUENCY,
    Feature.PREHEAT,
    Feature.POOLS,
    Feature.WEB_POOLS,
    Feature.HOSTNAME,
    Feature.TIME_ZONE,
    Feature.LOG_SERVER,
    Feature.NETWORK,
    Feature.PASSWORD,
    Feature.SSH,
    Feature.DOWNLOAD_LOGS,
    Feature.UPDATE_FIRMWARE,
    Feature.FACTORY_RESET,
}
FEATURES_V2 = FEATURES_V1 - {Feature.SSH} | {
    Feature.POWER_LIMIT,
    Feature.UPFREQ_SPEED,
    Feature.START_AT_BOOT,
    Feature.HEAT_MODE,
    Feature.POWER_OFF_COOL,
    Feature.FAN_ZERO_SPEED,
    Feature.TEMPERATURE_OFFSET,
}
FEATURES_V2C = FEATURES_V2 - {Feature.PREHEAT} | {
    Feature.POWER,
    Feature.RESTORE_POWER_PERCENT,
    Feature.CUSTOM_DATA,
}
# The column "Visible afterwards in" of protocol.md#d1; the percent (protocol.md#d4), fast boot on 1.x (protocol.md#c11).
UNREADABLE_V2C = {
    Feature.FAN_ZERO_SPEED,
    Feature.HEAT_MODE,
    Feature.LOG_SERVER,
    Feature.POWER,
    Feature.POWER_OFF_COOL,
    Feature.START_AT_BOOT,
    Feature.TEMPERATURE_OFFSET,
    Feature.TIME_ZONE,
    Feature.WEB_POOLS,
}
UNREADABLE_V205 = UNREADABLE_V2C - {Feature.POWER} | {
    Feature.POWER_PERCENT,
    Feature.UPFREQ_SPEED,
}
UNREADABLE_V203 = UNREADABLE_V205 | {Feature.TARGET_FREQUENCY}
UNREADABLE_V1 = {
    Feature.FAST_BOOT,
    Feature.HOSTNAME,
    Feature.LOG_SERVER,
    Feature.NETWORK,
    Feature.POWER_PERCENT,
    Feature.SSH,
    Feature.TARGET_FREQUENCY,
    Feature.TIME_ZONE,
    Feature.WEB_POOLS,
}

FOR_AIR = {
    Feature.POWER_OFF_COOL,
    Feature.FAN_ZERO_SPEED,
    Feature.TEMPERATURE_OFFSET,
}

INFO_V203 = MinerInfo(
    dialect=Dialect.V2,
    api_version="2.0.3",
    firmware="20220125.13.Rel",
    platform="H6OS",
    features=frozenset(FEATURES_V2),
    unreadable=frozenset(UNREADABLE_V203),
)
INFO_V140 = MinerInfo(
    dialect=Dialect.V1,
    api_version="whatsminer v1.4.0",
    firmware="20210322.22.REL",
    features=frozenset(FEATURES_V1),
    unreadable=frozenset(UNREADABLE_V1),
)

VERSIONS = {
    "get_version_v140_cap.json": INFO_V140,
    "get_version_v203_doc.json": INFO_V203,
    "get_version_v205_comp.json": MinerInfo(
        dialect=Dialect.V2,
        api_version="2.0.5",
        firmware="20230803.11.REL",
        platform="H616",
        features=frozenset(FEATURES_V2),
        unreadable=frozenset(UNREADABLE_V205),
    ),
    "get_version_v2c_m7bs_cap.json": MinerInfo(
        dialect=Dialect.V2_2,
        api_version="2.2.2",
        firmware="20260312.16.REL3",
        platform="H616",
        model="M7BS_VM30",
        features=frozenset(FEATURES_V2C - FOR_AIR),
        unreadable=frozenset(UNREADABLE_V2C),
        cooling=Cooling.LIQUID,
    ),
    "get_version_plain_text_comp.json": MinerInfo(
        dialect=Dialect.V1,
        api_version="20200207.23.1",
        features=frozenset(FEATURES_V1),
        unreadable=frozenset(UNREADABLE_V1),
    ),
    "broken_raw_newline_in_string.txt": INFO_V140,
    "broken_leading_comma.txt": INFO_V203,
    "broken_leading_comma_before_brace.txt": INFO_V203,
}

MODELS = {
    "devdetails_v203_doc.json": "M30S+VE40",
    "broken_objects_without_comma.txt": "M30S+VE40",
}

MINER_INFOS = {
    "get_miner_info_v2c_m7bs_cap.json": {
        "mac": "A0:5B:06:00:36:60",
        "hostname": "WhatsMiner",
        "serial": "BTM7BS30FA26031256090407244H05947",
        "led_auto": False,
    },
    # The MAC is in the summary
    "get_miner_info_without_mac_comp.json": {
        "mac": None,
        "hostname": "WhatsMiner",
        "serial": None,
        "led_auto": True,
    },
    "get_miner_info_led_auto_comp.json": {
        "mac": "A0:5B:06:00:36:60",
        "hostname": "WhatsMiner",
        "serial": None,
        "led_auto": True,
    },
}

FAULTS = {
    "get_error_code_v205_comp.json": (
        Fault(code=218, time="2024-06-15 10:30:00"),
        Fault(code=110, time="2024-06-15 09:15:00"),
    ),
    "get_error_code_empty_doc.json": (),
    "get_error_code_numbers_comp.json": (Fault(code=218), Fault(code=110)),
    "get_error_code_dict_comp.json": (
        Fault(code=329, time="2022-01-17 11:28:11"),
        Fault(code=541, time="2022-01-17 11:30:00"),
    ),
    "get_error_code_reason_comp.json": (
        Fault(code=531, time="2025-03-12 14:52:35", reason="Slot1 not found."),
    ),
    "get_error_code_desc_comp.json": (
        Fault(code=206, reason="Power input voltage error"),
    ),
    "broken_error_code_list.txt": (Fault(code=329, time="2022-01-17 11:28:11"),),
    "broken_error_code_list_two.txt": (
        Fault(code=329, time="2022-01-17 11:28:11"),
        Fault(code=541, time="2022-01-17 11:30:00"),
    ),
}

# parser, file, model
READS: list[tuple[Callable[[JsonObject], Any], str, Any]] = [
    (parser, name, model)
    for parser, table in (
        (parse_summary, SUMMARIES),
        (parse_pools, POOLS),
        (parse_psu, PSUS),
        (parse_status, STATUSES),
        (parse_version, VERSIONS),
        (parse_model, MODELS),
        (parse_miner_info, MINER_INFOS),
        (parse_faults, FAULTS),
    )
    for name, model in table.items()
]

READ_IDS = [name for _, name, _ in READS]

# file: exception class, code, text of the miner
REFUSALS = {
    "error_14_invalid_cmd_cap.json": (UnsupportedCommandError, 14, "invalid cmd"),
    "error_14_invalid_cmd_v140_comp.json": (
        UnsupportedCommandError,
        14,
        "invalid cmd",
    ),
    "error_14_cgminer_comp.json": (UnsupportedCommandError, 14, "Invalid command"),
    "error_14_invalid_data_comp.json": (CommandRefusedError, 14, "invalid data"),
    "error_23_json_cmd_err_comp.json": (CommandRefusedError, 23, "json cmd err"),
    "error_24_missing_command_v1_cap.json": (
        CommandRefusedError,
        24,
        "Missing JSON 'command'",
    ),
    "error_45_command_join_err_comp.json": (
        CommandRefusedError,
        45,
        "command join err",
    ),
    "error_132_command_error_cap.json": (
        CommandRefusedError,
        132,
        "API command ERROR",
    ),
    "error_132_deprecated_v2c_cap.json": (
        UnsupportedCommandError,
        132,
        "This command is deprecated.",
    ),
    "error_132_unknow_err_v2c_cap.json": (
        CommandRefusedError,
        132,
        "API btminer unknow err",
    ),
    "error_137_base64_comp.json": (CommandRefusedError, 137, ""),
}
WRITE_REFUSALS = {
    "error_23_enc_json_load_err_doc.json": WrongPasswordError,
    "error_45_write_switch_off_doc.json": WriteApiDisabledError,
    "error_135_check_token_err_comp.json": TokenRejectedError,
    "error_json_token_err_comp.json": TokenRejectedError,
    "error_136_over_max_connect_doc.json": TokenTableFullError,
}

CHALLENGES = [
    "get_token_131_comp.json",
    "get_token_133_doc.json",
    "get_token_134_doc.json",
    "get_token_time_0000_comp.json",
    "get_token_timeout_doc.json",
]

# Everything that reports success, with whatever code and in whichever envelope.
SUCCESSES = [
    "ok_v2_doc.json",
    *CHALLENGES,
    *(name for _, name, _ in READS),
    *BOARDS,
]


@pytest.mark.parametrize(("parser", "name", "model"), READS, ids=READ_IDS)
def test_an_answer_means(
    parser: Callable[[JsonObject], Any], name: str, model: Any
) -> None:
    """Otherwise the dashboard shows something that the miner did not say."""
    assert parser(parsed(name)) == model


@pytest.mark.parametrize("name", BOARDS)
def test_boards_mean(name: str) -> None:
    """Otherwise a board shows a million times its hashrate, or is in the wrong slot."""
    average, boards = BOARDS[name]
    assert parse_boards(parsed(name), average) == boards


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_means(name: str) -> None:
    """Otherwise the user is reported that a command worked which the miner refused."""
    kind, code, message = REFUSALS[name]
    error = refusal("some_cmd", parsed(name))
    assert isinstance(error, CommandRefusedError)
    assert type(error) is kind
    assert (error.command, error.code, error.message) == ("some_cmd", code, message)
    assert str(error) == f"some_cmd: code {code}: {message}"


@pytest.mark.parametrize(("name", "kind"), WRITE_REFUSALS.items())
def test_a_refused_write_means(name: str, kind: type[WhatsminerError]) -> None:
    """Otherwise the user is sent to change the password when the API switch is off."""
    assert type(refusal("power_off", parsed(name))) is kind


def test_a_full_token_table_says_how_long_to_wait() -> None:
    """Asking again before 185 s starts the miner's waiting time anew."""
    error = refusal("get_token", parsed("error_136_over_max_connect_doc.json"))
    assert isinstance(error, TokenTableFullError)
    assert error.retry_after == 185
    assert str(error) == "token table full, wait 185 s"


def test_an_error_without_its_status() -> None:
    """A full token table would be taken for a broken answer, and be filled further."""
    assert isinstance(refusal("get_token", {"Code": 136}), TokenTableFullError)
    assert isinstance(refusal("power_off", {"Code": "45"}), WriteApiDisabledError)
    assert refusal("summary", {"Code": 131, "Msg": {}}) is None
    assert refusal("summary", {"STATUS": "S", "Code": 14, "Msg": {}}) is None


@pytest.mark.parametrize("name", SUCCESSES)
def test_a_success_is_no_refusal(name: str) -> None:
    """Otherwise a miner with an unusual success code cannot be added."""
    assert refusal("some_cmd", parsed(name)) is None


@pytest.mark.parametrize("name", CHALLENGES)
def test_a_challenge_is_known_by_its_shape(name: str) -> None:
    """The success code of get_token was seen as 131, 133 and 134."""
    assert is_challenge(parsed(name))


@pytest.mark.parametrize("name", ["error_136_over_max_connect_doc.json", "ok_b4.json"])
def test_no_challenge_is_made_up(name: str) -> None:
    """A token made from anything else would be a write with a wrong password."""
    assert not is_challenge(parsed(name))


def test_btminer_down_is_no_broken_answer() -> None:
    """A restarting miner would be shown as broken."""
    with pytest.raises(BtminerDownError):
        parse_answer(capture("btminer_down.txt"))


def test_a_truncated_answer_is_not_half_believed() -> None:
    """One pool of three would be shown as all there are."""
    raw = capture("broken_truncated_pools.txt")
    assert len(raw) == 1228
    with pytest.raises(InvalidAnswerError):
        parse_answer(raw)


def test_a_joined_answer_is_no_summary() -> None:
    """The cut summary inside a joined answer would wipe most sensors."""
    answer = parsed("joined_summary_pools_doc.json")
    assert set(answer) == {"summary", "pools", "id"}
    with pytest.raises(InvalidAnswerError):
        parse_summary(answer)


@pytest.mark.parametrize(
    "name",
    [
        "error_14_invalid_cmd_cap.json",
        "error_14_cgminer_comp.json",
        "ok_sealed_b4.json",
    ],
)
def test_something_else_is_not_taken_for_a_whatsminer(name: str) -> None:
    """The user would get a device full of unknowns for another maker's miner."""
    with pytest.raises(NotWhatsminerError):
        parse_version(parsed(name))


@pytest.mark.parametrize(
    ("parser", "name"),
    [
        (parse_summary, "summary_empty_doc.json"),
        (parse_summary, "ok_v2_doc.json"),
        (lambda answer: parse_boards(answer, None), "summary_v205_doc.json"),
        (parse_pools, "summary_v205_doc.json"),
        (parse_psu, "ok_v2_doc.json"),
        (parse_status, "ok_v2_doc.json"),
        (parse_miner_info, "ok_v2_doc.json"),
        (parse_faults, "get_psu_v205_doc.json"),
        (
            lambda answer: parse_faults({"Msg": {"error_code": answer["Msg"]}}),
            "ok_v2_doc.json",
        ),
    ],
)
def test_an_answer_to_another_question_is_rejected(
    parser: Callable[[JsonObject], Any], name: str
) -> None:
    """Empty models would turn all the sensors unknown without a word in the log."""
    with pytest.raises(InvalidAnswerError):
        parser(parsed(name))


def test_codes_without_their_count() -> None:
    """A miner that lists its faults and does not count them would be shown as healthy, or as unknown."""
    answer = parsed("summary_v140_cap.json")
    del answer["SUMMARY"][0]["Error Code Count"]
    assert parse_summary(answer).error_codes == (110, 600)
    for name in ("Error Code 0", "Error Code 1"):  # one was missing, then all
        del answer["SUMMARY"][0][name]
        assert parse_summary(answer).error_codes is None


def test_the_model_is_unknown_where_no_board_tells() -> None:
    """An invented model would pick wrong limits."""
    assert parse_model({"DEVDETAILS": [{"Model": ""}, "x"]}) is None
