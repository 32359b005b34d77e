"""A fault must name the part that fails, or the owner opens the wrong machine."""

import pytest

from custom_components.whatsminer.api.fault_codes import fault_text

FAMILIES = [
    # Fans
    (100, "Fan fault"),
    (110, "Intake fan speed wrong"),
    (111, "Exhaust fan speed wrong"),
    (121, "Exhaust fan speed off by more than 2000 RPM"),
    (130, "Intake fan speed off by more than 3000 RPM"),
    (140, "Fan too fast"),
    # Power supply
    (200, "Power supply not found"),
    (218, "Input voltage below 230 V, high mode not possible"),
    (233, "Power supply output too hot"),
    (235, "Power supply output too hot"),
    (237, "Power supply output over current"),
    (246, "Power supply input over voltage or over current"),
    (249, "Power supply input over voltage or over current"),
    (251, "Power supply input under voltage"),
    (276, "Power supply: unknown fault"),
    (280, "Power supply: unknown fault"),
    (281, "Power supply vendor status 1"),
    (288, "Power supply vendor status 1"),
    (289, "Power supply vendor status 2"),
    (296, "Power supply vendor status 2"),
    # Temperature
    (301, "Board 1: temperature sensor not detected"),
    (320, "Board 0: temperature cannot be read"),
    (329, "Control board temperature sensor does not communicate"),
    (352, "Board 2: temperature protection"),
    (363, "Board 3: too hot"),
    (370, "Ambient temperature changes too fast"),
    (383, "Humidity protection"),
    # EEPROM
    (400, "Board EEPROM: unknown fault"),
    (410, "Board 0: EEPROM not detected"),
    (442, "Board 2: chip count in EEPROM wrong"),
    # Boards
    (500, "Board: unknown fault"),
    (512, "Board 2: wrong miner type"),
    (521, "Board 1: wrong bin type"),
    (531, "Board 1: not found"),
    (542, "Board 2: chip ids not readable"),
    (593, "Board 3: frequency too low"),
    # Surroundings, control board, checksums
    (600, "Surroundings too hot"),
    (610, "Surroundings too hot for high mode, back to normal mode"),
    (712, "Control board rebooted after an exception"),
    (721, "Board 1: frame error"),
    (801, "System monitor checksum wrong"),
    (901, "Power rate fault"),
    # Pools
    (2010, "All pools disabled"),
    (2021, "Pool 1 does not connect"),
    (2030, "Many shares rejected"),
    # Hashrate
    (2112, "Board 2: factory test step"),
    (2320, "Hashrate too low"),
    (2340, "Hashrate loss too high"),
    (2350, "Hashrate loss"),
    # Chips, voltage, coolant
    (5010, "Board 0: chip voltage too low"),
    (5053, "Board 3: stopped, chips too hot"),
    (5072, "Board 2: water flow abnormal"),
    (5080, "Chip temperature calibration failed"),
    (5111, "Board 1: frequency ramp timed out"),
    (5171, "Board 1: frequency ramp timed out"),
    (5203, "Board 0 chip 3: wrong nonces"),
    (520123, "Board 0 chip 123: wrong nonces"),
    (532007, "Board 2 chip 7: too few nonces"),
    (540123, "Board 0 chip 123: temperature protection"),
    (551200, "Board 1 chip 200: reset"),
    (563287, "Board 3 chip 287: no nonces"),
    # Software, data, factory
    (8000, "Tool version too old"),
    (8410, "Firmware for another miner series"),
    (8500, "Hashrate below grade 0"),
    (8521, "Power below grade 2"),
    (8522, "Fan below grade 2"),
    (8523, "Fan below grade 2"),
    (8534, "Voltage below grade 3"),
    (8600, "Product serial missing or wrong"),
    (8632, "Power supply serial missing or wrong"),
    (8644, "Power supply model missing or wrong"),
    (8660, "Cooling type wrong"),
    (9010, "Process crashed"),
    (100002, "Security library or signature illegal"),
    (100100, "btminer removed by the security check"),
    (110001, "Virus removed"),
]
UNKNOWN = [-1, 0, 7, 52, 99, 260, 900, 902, 8505, 9999, 123456, 100004, 999999, 5201234]


@pytest.mark.parametrize(("code", "text"), FAMILIES)
def test_a_code_says_what_is_wrong_and_where(code: int, text: str) -> None:
    """Without it an owner sees a bare number and has to search the web."""
    assert fault_text(code) == text


@pytest.mark.parametrize("code", UNKNOWN)
def test_a_code_nobody_knows_is_not_explained_away(code: int) -> None:
    """A wrong explanation would be worse than none."""
    assert fault_text(code) == "Unknown fault"


def test_every_text_is_fit_for_a_list() -> None:
    """A `{}` on the dashboard would look broken, and a full stop would not fit a list."""
    texts = {fault_text(code) for code in range(1_000_000)}
    assert len(texts) > 500
    for text in texts:
        assert text[0].isupper() or text.startswith("btminer")
        assert not set(text) & set("{}.")
