"""Tolerant JSON and coercion: strict first, the known repairs second, never a guessed value.

Numbers come as int, float or string and booleans in a dozen spellings, so every field goes
through one of the `as_*` helpers. They return None for whatever is not clearly a value, and for a
quantity outside the range that a miner can be in.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
import json
import math
import re
from typing import Any

import orjson

from .errors import BtminerDownError, InvalidAnswerError
from .models import Cooling, Fault, HeatMode, PowerMode, Preheat, PreheatStage

type JsonObject = dict[str, Any]
type Coercion = Callable[[Any], float | None]

_BTMINER_DOWN = b"Socket connect failed"

MAX_TEXT = 255
"""Characters of a text; a longer one is cut."""
MAX_ROWS = 16
"""Slots for boards, and pools. No miner has more than 4 of either."""
MAX_FAULTS = 100
"""Faults of one list; a sick board can have one for each of its chips."""

_PADDING = "\0 \t\r\n"
PADDING = _PADDING.encode()
"""What miners put around an answer."""

_BYTE_ORDER_MARK = "\ufeff"

# The defects of protocol.md#a6. Each repair is applied on top of the ones before it, and only after strict
# parsing has failed, since some of them could damage a string that was right. A truncated answer
# is not repaired: half a list of boards would pass for all of them.
_REPAIRS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # A backslash that begins no escape stands for itself, before a quote ' for nothing.
    (
        re.compile(r'\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(\'?))'),
        lambda match: match[0] if match[1] else match[2] or r"\\",
    ),
    (re.compile(r"(?<=\})\0.*", re.DOTALL), ""),  # what is left of an older answer
    (re.compile(r"[\x00-\x1f]+"), ""),  # raw newlines inside a string
    (re.compile(r"^,\{?"), "{"),
    (re.compile(r"\}\s*\{"), "},{"),
    (re.compile(r"\[\s*,"), "["),
    (re.compile(r",\s*(?=[}\]])"), ""),
    (re.compile(r'""(?=\w+"\s*:)'), '","'),  # "vendor":"1""temp0":"0"
    (
        re.compile(
            r"(?<=[:,\[])\s*[+-]?(?:nan|inf(?:inity)?)(?=\s*[,}\]])", re.IGNORECASE
        ),
        "null",
    ),
    (
        re.compile(r'("error_code"\s*:\s*)\[((?:\s*"\w+"\s*:\s*"[^"]*"\s*,?)+\s*)\]'),
        r"\1{\2}",
    ),
)

_REPAIRABLE = 1 << 14
"""Characters; four boards and three pools in one answer have half as many."""

# Python itself would also read "1_000" and the digits of other scripts.
_NUMBER = re.compile(
    r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE
)

# Second digit of the series (M5[3]S): hydro, immersion and other liquid models (protocol.md#g2).
_AIR_DIGITS = "01"
_EXTRA_AIR = frozenset({"M29", "M32"})

_TRUE = frozenset({"true", "enable", "enabled", "on", "y", "yes"})
_FALSE = frozenset({"false", "disable", "disabled", "off", "n", "no"})


# A high and a low surrogate are one character; one alone is none, and cannot be written as UTF-8.
_SURROGATES = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\[^u])"
    r"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_REPLACEMENT = "\ufffd"


def _finite(digits: str) -> float | None:
    """A number that JSON can hold; the whole ones have at most 64 bits."""
    number = float(digits)
    return number if math.isfinite(number) else None


# Non-finite numbers are legal in C's printf, not values.
_DECODER = json.JSONDecoder(
    parse_constant=lambda _: None,
    parse_float=_finite,
    parse_int=lambda digits: int(digits) if len(digits) < 19 else _finite(digits),
)


def _candidates(text: str) -> Iterator[str]:
    """A text as it is, then as each further repair leaves it, unless that would take long."""
    yield text
    if len(text) > _REPAIRABLE:
        return
    for defect, repair in _REPAIRS:
        if (repaired := defect.sub(repair, text)) != text:
            yield (text := repaired)


def _without_lone_surrogates(text: str) -> str:
    return _SURROGATES.sub(lambda match: match[1] or _REPLACEMENT, text)


def _repaired(text: str) -> object:
    """What an answer becomes that is not quite JSON; None when no repair helps."""
    text = _without_lone_surrogates(text)
    for candidate in _candidates(text):
        try:
            return _DECODER.decode(candidate)
        except ValueError, RecursionError:
            continue
    return None


def parse_answer(raw: bytes) -> JsonObject:
    """Turn the bytes of one answer into an object (protocol.md#a3).

    Raises BtminerDownError for the plain text of protocol.md#a4, InvalidAnswerError for all else that is
    no object.
    """
    bare = raw.strip(PADDING).removeprefix(_BYTE_ORDER_MARK.encode())
    if bare.startswith(_BTMINER_DOWN):
        raise BtminerDownError("btminer does not run")
    if not bare:
        raise InvalidAnswerError("empty answer")
    try:
        answer = orjson.loads(bare)
    except orjson.JSONDecodeError:
        half = len(bare) // 2
        if (once := bare[:half].strip(PADDING)) == bare[half:].strip(PADDING):
            return parse_answer(once)  # of two that differ, either may be it
        answer = _repaired(bare.decode("utf-8", errors="replace"))
    if isinstance(answer, dict):
        return answer
    raise InvalidAnswerError(f"no JSON object in an answer of {len(raw)} bytes")


def is_complete(raw: bytes) -> bool:
    """Whether the bytes so far are one whole answer (I, "end of response")."""
    if not raw.rstrip(PADDING).endswith((b"}", b"refused")):
        return False
    try:
        parse_answer(raw)
    except BtminerDownError:
        return True
    except InvalidAnswerError:
        return False
    return True


_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"|["{}]', re.DOTALL)


def split_answer(raw: bytes) -> tuple[bytes, bytes] | None:
    """Cut the first object off from what follows it (protocol.md#d7); None while it is not whole."""
    depth = 0
    for match in _STRUCTURE.finditer(raw):
        if match[0] == b"{":
            depth += 1
        elif match[0] == b"}":
            depth -= 1
            if depth <= 0:
                return raw[: match.end()], raw[match.end() :]
        elif match[0] == b'"':
            return None  # inside a string
    return None


def parse_padded(raw: bytes) -> JsonObject:
    """Parse a decrypted answer: one object, then NUL or PKCS#7 padding (protocol.md#b3)."""
    text = raw.decode("utf-8", errors="replace").split("\0", 1)[0].strip(_PADDING)
    text = text.removeprefix(_BYTE_ORDER_MARK)
    text = _without_lone_surrogates(text)
    try:
        answer, _ = _DECODER.raw_decode(text)
    except ValueError, RecursionError:
        return parse_answer(text.encode())
    if not isinstance(answer, dict):
        raise InvalidAnswerError("no JSON object in a decrypted answer")
    return answer


def as_float(value: Any) -> float | None:
    """A finite number, from a number or a string."""
    kind = type(value)
    if kind is str:
        if not _NUMBER.fullmatch(value):
            return None
    elif kind is not float and kind is not int:  # a boolean is no number
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def within(low: float, high: float) -> Coercion:
    """Make a coercion for a quantity: a number outside its range was not reported.

    The vendor writes -1 for "not reported" (protocol.md#c14), and a counter that ran over has 10 or 20 digits.
    """

    def coerce(value: Any) -> float | None:
        number = as_float(value)
        return number if number is not None and low <= number <= high else None

    return coerce


def nonzero(quantity: Coercion) -> Coercion:
    """Make a coercion of a quantity for which exactly 0 means "none"."""
    return lambda value: quantity(value) or None


# The ranges of all that is measured. They are wide: what is outside no WhatsMiner can be.
as_power = within(0, 100_000)
"""W; above 100 kW is also the vendor's way to write "no limit" (protocol.md#c7)."""
as_limit = nonzero(as_power)
"""W; 0 means "no limit" (protocol.md#c7, #d3)."""
as_hashrate = within(0, 10_000)
"""TH/s."""
as_nominal_hashrate = nonzero(as_hashrate)
"""TH/s; 0, or a tiny negative number, means "not known" (protocol.md#e5)."""
as_efficiency = nonzero(within(0, 10_000))
"""J/TH."""
as_temperature = within(-60, 200)
"""Degrees Celsius of what can be at 0: air, liquid, control board."""
as_hot_temperature = nonzero(as_temperature)
"""Degrees Celsius of chips, boards and power supply; exactly 0 means "no sensor" (protocol.md#c14)."""
as_fan_speed = within(0, 30_000)
"""RPM."""
as_frequency = within(0, 5_000)
"""MHz."""
as_current = within(0, 500)
"""A."""
as_duration = within(0, 315_360_000)
"""Seconds, up to ten years."""
as_share = within(0, 100)
"""Percent of a whole."""


_POWER_PERCENT = within(0, 200)


def as_power_percent(value: Any) -> float | None:
    """Percent that a miner can be set to (protocol.md#d4); 0 is none set, which is 100 (protocol.md#e5)."""
    percent = _POWER_PERCENT(value)
    return 100.0 if percent == 0 else percent


def as_unclear_share(value: Any) -> float | None:
    """Percent, from percent or a fraction (protocol.md#c2, #e5): only 0 and what is above 1 show which it is."""
    share = as_share(value)
    return None if share is not None and 0 < share <= 1 else share


_VOLTS = within(80, 600)
"""V between the lines of any mains that feeds a miner."""
_AMOUNT = within(0, 10**15)
_CODE = within(1, 9_999_999)
_WHOLE = within(-(2**53), 2**53)
_OFFSET = within(-100, 100)
_MOMENT = within(1_230_940_800, (1 << 32) - 1)
"""Unix seconds from 2009, when there was something to mine, to the end of 32 bits."""


def as_voltage(value: Any) -> float | None:
    """V of the mains, reported in V or in hundredths of it: only one of them is possible (protocol.md#c5)."""
    return first(_VOLTS(value), scaled(value, 0.01, _VOLTS), default=None)


def parse_mains(
    voltage: Any, current: Any, *, alone: Coercion = lambda _: None
) -> tuple[float | None, float | None]:
    """V and A at the input of a power supply; beside hundredths of V are mA (protocol.md#c5).

    `alone` reads a current without a voltage, whose unit may be unknown.
    """
    volts = as_voltage(voltage)
    if volts is None:
        return None, alone(current)
    factor = 1 if volts == as_float(voltage) else 0.001
    return volts, scaled(current, factor, as_current)


def _as_whole(
    quantity: Coercion, to_int: Callable[[float], int] = int
) -> Callable[[Any], int | None]:
    """Make a coercion that drops the fraction of a quantity."""

    def coerce(value: Any) -> int | None:
        number = quantity(value)
        return None if number is None else to_int(number)

    return coerce


def _as_nearest(quantity: Coercion) -> Callable[[Any], int | None]:
    """Make a coercion of what is set as a whole number: 69.99999 of a binary float is 70 (protocol.md#c11)."""
    return _as_whole(quantity, round)


as_int = _as_whole(_WHOLE)
"""A whole number; a fraction is dropped."""
as_count = _as_whole(_AMOUNT)
"""How many there are."""
as_small_count = _as_whole(within(0, 10_000))
"""How many chips there are, and what a pool is numbered with."""
as_row = _as_whole(within(0, MAX_ROWS - 1))
"""The number of a slot."""
as_port = _as_whole(within(1, 65_535))
as_delay = _as_nearest(within(0, 120))
"""Seconds by which a start or a stop is late (protocol.md#e6)."""
as_speed = _as_nearest(within(0, 10))
"""How fast the frequency rises (protocol.md#e6)."""
as_temperature_offset = _as_nearest(within(-30, 0))
"""Degrees by which the fans' target is set off (protocol.md#d1)."""
as_code = _as_whole(_CODE)
"""A fault code (protocol.md#f1)."""
as_offset = _as_nearest(_OFFSET)
"""Percent, or degrees, by which something is set off; MHz under the same name are none (protocol.md#c7)."""


def as_bool(value: Any) -> bool | None:
    """A boolean in any of the spellings seen."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    number = as_float(value)
    return bool(number) if number in (0, 1) else None


def printable(text: str) -> str:
    """A text in which every control character and lone surrogate is replaced."""
    return _UNPRINTABLE.sub(_REPLACEMENT, text)


def as_text(value: Any) -> str | None:
    """A text without the blanks and quotes around it; None when nothing is left.

    It can be printed and stored: no control characters, no lone surrogates, not longer than MAX_TEXT.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        text = str(value).strip(_PADDING)
    except ValueError:  # a whole number of thousands of digits
        return None
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip(_PADDING)
    text = printable(text)
    if len(text) > MAX_TEXT:
        text = f"{text[: MAX_TEXT - 1]}…"
    return text or None


_MAC = re.compile(
    r"[0-9a-f]{2}(?:([:-]?)[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}", re.IGNORECASE
)


def as_mac(value: Any) -> str | None:
    """The MAC of one device, in the form `AA:BB:CC:DD:EE:FF`; not of none, and not of many."""
    text = as_text(value) or ""
    if not _MAC.fullmatch(text):
        return None
    octets = bytes.fromhex(re.sub("[:-]", "", text))
    if octets[0] & 1 or not any(octets):
        return None
    return octets.hex(":").upper()


def as_object(value: Any) -> JsonObject:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_objects(value: Any) -> list[JsonObject]:
    """The objects of a list; whatever else is in it is left out."""
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def slots_of(rows: list[JsonObject], *keys: str) -> list[int]:
    """The slots of boards, from the first of these fields that a row has; their order where some are the same."""
    for number in range(len(keys)):
        found = [
            next(
                (
                    slot
                    for key in keys[number:]
                    if (slot := as_row(row.get(key))) is not None
                ),
                None,
            )
            for row in rows
        ]
        slots = [slot for slot in found if slot is not None]
        if len(set(slots)) == len(rows):
            return slots
    return list(range(len(rows)))


def scaled(value: Any, factor: float, quantity: Coercion) -> float | None:
    """A quantity that is reported in another unit, free of binary rounding dust."""
    number = as_float(value)
    return None if number is None else quantity(round(number * factor, 9))


def ratio(part: float | None, whole: float | None, quantity: Coercion) -> float | None:
    """A quantity that is the quotient of two others."""
    return quantity(part / whole) if part is not None and whole else None


def first[T, D](*values: T | None, default: D) -> T | D:
    """The first value that is not None."""
    return next((value for value in values if value is not None), default)


def pick(source: Mapping[str, Any], *keys: str) -> Any:
    """The value of the first of several keys that has one (`vender`, `vendor`)."""
    found = (source[key] for key in keys if key in source)
    return next((value for value in found if value not in (None, "")), None)


def as_power_mode(value: Any) -> PowerMode | None:
    """A power mode, in any case of letters."""
    word = (as_text(value) or "").lower()
    return PowerMode(word) if word in PowerMode else None


_HEAT_MODES = {
    "normal": HeatMode.NORMAL,
    "heating": HeatMode.HEATING,
    "anti-freezing": HeatMode.ANTI_FREEZING,
    "anti-icing": HeatMode.ANTI_FREEZING,
}


def as_heat_mode(value: Any) -> HeatMode | None:
    """A heat mode, in the words of either port (protocol.md#e8)."""
    return _HEAT_MODES.get((as_text(value) or "").lower())


def as_texts(value: Any) -> tuple[str, ...] | None:
    """The texts of a list, or those between the blanks of one; None where one is missing."""
    items = value.split() if isinstance(value, str) else value
    if not isinstance(items, list) or len(items) > MAX_ROWS:
        return None
    texts = tuple(text for item in items if (text := as_text(item)) is not None)
    return texts if len(texts) == len(items) else None


_LED_PATTERN = re.compile(r"(?:\d+,\d+,\d+,\d+\s*)+|manual", re.IGNORECASE)


def as_led_auto(value: Any) -> bool | None:
    """Whether the LEDs are in their usual mode, not in patterns that were set (protocol.md#c8)."""
    word = as_text(value) or ""
    if word.lower() == "auto":
        return True
    return False if _LED_PATTERN.fullmatch(word) else None


def as_dhcp(value: Any) -> bool | None:
    """Whether the addresses come by DHCP (protocol.md#c8)."""
    return {"dhcp": True, "static": False}.get((as_text(value) or "").lower())


_PREHEAT_STAGES = {
    "wait for adjust temp": PreheatStage.WAITING,
    "adjust continue": PreheatStage.ADJUSTING,
    "adjust complete": PreheatStage.COMPLETE,
}


def parse_preheat(answer: JsonObject) -> Preheat:
    """What `pre_power_on` says: how far the warming up is (protocol.md#d5)."""
    detail = as_object(answer.get("Msg"))
    words = (as_text(detail.get("msg")) or "").lower()
    return Preheat(
        stage=_PREHEAT_STAGES.get(words), complete=as_bool(detail.get("complete"))
    )


def as_moment(value: Any) -> datetime | None:
    """Unix seconds of the miner's clock as UTC; 0 is never (protocol.md#c2)."""
    seconds = _MOMENT(value)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def parse_fault_list(listed: Any) -> tuple[Fault, ...]:
    """The faults of a list, in any of the forms that either port has for it (protocol.md#c9, #e5).

    Raises InvalidAnswerError where an entry has no code: there is a fault then, but which?
    """
    entries = [listed] if isinstance(listed, dict) and listed else listed
    if not isinstance(entries, list | dict):
        raise InvalidAnswerError("the faults are no list")
    faults: dict[int, Fault] = {}
    for entry in entries[:MAX_FAULTS] if isinstance(entries, list) else ():
        found = _parse_fault(entry)
        if not found:
            raise InvalidAnswerError("a fault without its code")
        faults |= {fault.code: fault for fault in found}
    return tuple(faults.values())[:MAX_FAULTS]


def _parse_fault(entry: Any) -> list[Fault]:
    """The faults of one entry: a code alone, under a name, or as the name of its time."""
    if not isinstance(entry, dict):
        return [] if (code := as_code(entry)) is None else [Fault(code=code)]
    reason = as_text(pick(entry, "reason", "desc", "msg"))
    if "code" in entry:
        code, time = as_code(entry["code"]), as_text(entry.get("time"))
        return [] if code is None else [Fault(code=code, time=time, reason=reason)]
    return [
        fault
        for key, value in entry.items()
        if (fault := _fault_of(key, value, reason)) is not None
    ]


_LEAST_CODE = 100
"""No known code is lower (protocol.md#f2)."""


def _fault_of(key: str, value: Any, reason: str | None) -> Fault | None:
    """The fault of a code with its time, or of a position in a list with its code."""
    code, listed, index = as_code(key), as_code(value), as_int(key)
    if index is not None and index < _LEAST_CODE <= (listed or 0):
        code, value = listed, None
    return (
        None if code is None else Fault(code=code, time=as_text(value), reason=reason)
    )


def cooling_of(model: str | None) -> Cooling | None:
    """Air or liquid, by the model's name (protocol.md#g2); None when the name says nothing."""
    series = re.match(r"M\d([\dB])", (model or "").upper())  # M60S, M7BS
    if series is None:
        return None
    if series[1] in _AIR_DIGITS or series[0] in _EXTRA_AIR:
        return Cooling.AIR
    return Cooling.LIQUID
