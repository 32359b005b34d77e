"""What the miner's error codes mean: code to text (section F).

A code is type, subtype and value in one number: 542 is type 5, subtype 4, value 2. The value is
mostly a board, counted from 0 as the slots are.
"""

UNKNOWN = "Unknown fault"

_SINGLE: dict[int, str] = {
    # Fans
    100: "Fan fault",
    110: "Intake fan speed wrong",
    111: "Exhaust fan speed wrong",
    120: "Intake fan speed off by more than 2000 RPM",
    121: "Exhaust fan speed off by more than 2000 RPM",
    130: "Intake fan speed off by more than 3000 RPM",
    131: "Exhaust fan speed off by more than 3000 RPM",
    140: "Fan too fast",
    # Power supply
    200: "Power supply not found",
    201: "Power supply does not match the configuration",
    202: "Power supply output voltage fault",
    203: "Power supply protection: surroundings too hot",
    204: "Power supply current protection: surroundings too hot",
    205: "Power supply current fault",
    206: "Power supply input voltage low",
    207: "Power supply input current protection: bad mains supply",
    208: "Power supply power fault",
    209: "Power supply voltage offset fault",
    210: "Power supply in error state",
    211: "Power supply output current fault, reboot advised",
    212: "Power supply output voltage at its limit",
    213: "Power supply input does not fit its output",
    214: "Power supply input power does not change",
    215: "Power supply output voltage could not be set",
    216: "Power unchanged for a long time",
    217: "Power supply output could not be switched on",
    218: "Input voltage below 230 V, high mode not possible",
    219: "Power supply input current wrong",
    **dict.fromkeys((233, 234, 235), "Power supply output too hot"),
    **dict.fromkeys((236, 237, 238), "Power supply output over current"),
    239: "Power supply output over voltage",
    240: "Power supply output under voltage",
    241: "Power supply output currents unbalanced",
    **dict.fromkeys((243, 244, 245), "Power supply input too hot"),
    # The sources disagree which of the two pairs is the voltage.
    **dict.fromkeys(
        (246, 247, 248, 249), "Power supply input over voltage or over current"
    ),
    **dict.fromkeys((250, 251), "Power supply input under voltage"),
    **dict.fromkeys((253, 254), "Power supply fan fault"),
    **dict.fromkeys((255, 256), "Power supply output over power"),
    257: "Power supply primary side over current",
    263: "Power supply communication warning",
    264: "Power supply communication error",
    **dict.fromkeys((265, 266, *range(276, 281)), "Power supply: unknown fault"),
    267: "Power supply watchdog",
    268: "Power supply output over current",
    269: "Power supply input over current",
    270: "Power supply input over voltage",
    271: "Power supply input under voltage",
    272: "Power supply output power too high",
    273: "Power supply input power too high",
    274: "Power supply fan warning",
    275: "Power supply temperature warning",
    **dict.fromkeys(range(281, 289), "Power supply vendor status 1"),
    **dict.fromkeys(range(289, 297), "Power supply vendor status 2"),
    # Temperature
    329: "Control board temperature sensor does not communicate",
    370: "Ambient temperature changes too fast",
    380: "Humidity sensor missing",
    **dict.fromkeys((381, 382), "Humidity sensor read error"),
    383: "Humidity protection",
    # Boards
    400: "Board EEPROM: unknown fault",
    500: "Board: unknown fault",
    # Surroundings
    600: "Surroundings too hot",
    610: "Surroundings too hot for high mode, back to normal mode",
    # Control board
    700: "Control board MAC address bad",
    701: "Control board chip not supported",
    **dict.fromkeys((710, 712), "Control board rebooted after an exception"),
    711: "Control board rebooted after an exception with a lower clock, update the firmware",
    713: "Control board network unstable, clock changed",
    714: "Control board: unknown fault",
    # Checksums
    800: "btminer checksum wrong",
    801: "System monitor checksum wrong",
    802: "Remote daemon checksum wrong",
    810: "Board serial does not match the liquid conversion",
    901: "Power rate fault",
    # Pools
    2000: "No pool configured",
    2010: "All pools disabled",
    2030: "Many shares rejected",
    2040: "Pool without AsicBoost",
    2050: "Switching to the new pool failed",
    # Hashrate
    **dict.fromkeys((2310, 2320), "Hashrate too low"),
    **dict.fromkeys((2330, 2340), "Hashrate loss too high"),
    2350: "Hashrate loss",
    # Chips, software, data and factory
    5080: "Chip temperature calibration failed",
    8000: "Tool version too old",
    8010: "Frequency low",
    8020: "Hashrate low",
    8035: "Surroundings hot",
    8100: "Chip data wrong",
    8200: "Power supply version wrong",
    8210: "Miner type wrong",
    8220: "Version information wrong",
    8300: "Level empty",
    8400: "Firmware too old",
    8410: "Firmware for another miner series",
    8650: "Board structure wrong",
    8660: "Cooling type wrong",
    8670: "Board serial missing",
    8700: "Power supply does not fit the miner",
    **dict.fromkeys((9000, 9010), "Process crashed"),
    **dict.fromkeys(
        (100000, 100001, 100002, 100003), "Security library or signature illegal"
    ),
    100100: "btminer removed by the security check",
    110000: "Illegal file found",
    110001: "Virus removed",
}

_BY_VALUE: dict[tuple[int, int], str] = {
    # Temperature
    (3, 0): "Board {}: temperature sensor not detected",
    (3, 2): "Board {}: temperature cannot be read",
    (3, 5): "Board {}: temperature protection",
    (3, 6): "Board {}: too hot",
    # EEPROM
    (4, 1): "Board {}: EEPROM not detected",
    (4, 2): "Board {}: EEPROM not readable",
    (4, 3): "Board {}: chip bin in EEPROM wrong",
    (4, 4): "Board {}: chip count in EEPROM wrong",
    (4, 5): "Board {}: EEPROM transfer error",
    # Boards
    (5, 1): "Board {}: wrong miner type",
    (5, 2): "Board {}: wrong bin type",
    (5, 3): "Board {}: not found",
    (5, 4): "Board {}: chip ids not readable",
    (5, 5): "Board {}: bad chips",
    (5, 6): "Board {}: out of balance",
    (5, 7): "Board {}: transfer error",
    (5, 8): "Board {}: reset error",
    (5, 9): "Board {}: frequency too low",
    (7, 2): "Board {}: frame error",
    # Pools
    (20, 2): "Pool {} does not connect",
    # Hashrate
    (21, 1): "Board {}: factory test step",
    # Chips, voltage, coolant
    (50, 1): "Board {}: chip voltage too low",
    (50, 2): "Board {}: chip voltage changed",
    (50, 3): "Board {}: chip temperatures differ too much",
    (50, 4): "Board {}: hottest chip too far off",
    (50, 5): "Board {}: stopped, chips too hot",
    (50, 7): "Board {}: water flow abnormal",
    (50, 9): "Board {}: chip temperatures unbalanced",
    (51, 1): "Board {}: frequency ramp timed out",
    (51, 2): "Board {}: many CRC errors",
    (51, 3): "Board {}: unstable",
    (51, 7): "Board {}: frequency ramp timed out",
    # Factory data; the value distinguishes missing from wrong, but not which is which
    (86, 0): "Product serial missing or wrong",
    (86, 1): "Product type missing or wrong",
    (86, 2): "Miner serial missing or wrong",
    (86, 3): "Power supply serial missing or wrong",
    (86, 4): "Power supply model missing or wrong",
}

_BY_CHIP: dict[int, str] = {
    52: "Board {} chip {}: wrong nonces",
    53: "Board {} chip {}: too few nonces",
    54: "Board {} chip {}: temperature protection",
    55: "Board {} chip {}: reset",
    56: "Board {} chip {}: no nonces",
}

_GRADE = 85
_BY_GRADE: dict[int, str] = {
    0: "Hashrate below grade {}",
    1: "Power below grade {}",
    2: "Fan below grade {}",
    3: "Fan below grade {}",
    4: "Voltage below grade {}",
}


def decode(code: int) -> tuple[int, int, int]:
    """Take a code apart into type, subtype and value (protocol.md#f1)."""
    if 200_000 <= code <= 999_999:
        return code // 10_000, code // 1_000 % 10, code % 1_000
    return code // 100, code // 10 % 10, code % 10


def fault_text(code: int) -> str:
    """Say in a few words what an error code means."""
    if text := _SINGLE.get(code):
        return text
    kind, subtype, value = decode(code)
    if text := _BY_CHIP.get(kind):
        return text.format(subtype, value)
    if kind == _GRADE and (text := _BY_GRADE.get(value)):
        return text.format(subtype)
    return _BY_VALUE.get((kind, subtype), UNKNOWN).format(value)
