"""Tolerant JSON and coercion: strict first, the known repairs second, never a guessed value.

Numbers come as int, float or string and booleans in a dozen spellings, so every field goes
through one of the `as_*` helpers. They give None for whatever is not clearly a value.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
import json
import math
import re
from typing import Any

import orjson

from .errors import BtminerDownError, InvalidAnswerError
from .models import Cooling, HeatMode, PowerMode, Preheat, PreheatStage

type JsonObject = dict[str, Any]

_BTMINER_DOWN = b"Socket connect failed"
NO_LIMIT_ABOVE = 100_000
"""Powers above this are the vendor's way to say "no limit" (C.7)."""

_PADDING = "\0 \t\r\n"
PADDING = _PADDING.encode()
"""What miners put around an answer."""

# The defects of A.6. Each repair is applied on top of the ones before it, and only after strict
# parsing has failed, since some of them could damage a string that was right. A truncated answer
# is not repaired: half a list of boards would pass for all of them.
_REPAIRS: tuple[tuple[re.Pattern[str], str], ...] = (
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
        re.compile(r'("error_code"\s?:\s?)\[((?:\s?"\w+"\s?:\s?"[^"]*",?)+)\]'),
        r"\1{\2}",
    ),
)

_REPAIRABLE = 1 << 14
"""Characters; four boards and three pools in one answer have half as many."""

# Python itself would also read "1_000" and the digits of other scripts.
_NUMBER = re.compile(
    r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE
)

# Second digit of the series (M5[3]S): hydro, immersion and other liquid models (G.2).
_AIR_DIGITS = "01"
_EXTRA_AIR = frozenset({"M29", "M32"})

_TRUE = frozenset({"true", "enable", "enabled", "on", "y", "yes"})
_FALSE = frozenset({"false", "disable", "disabled", "off", "n", "no"})


# Non-finite numbers are legal in C's printf, not values.
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def _candidates(text: str) -> Iterator[str]:
    """A text as it is, then as each further repair leaves it, unless that would take long."""
    yield text
    if len(text) > _REPAIRABLE:
        return
    for defect, repair in _REPAIRS:
        if (repaired := defect.sub(repair, text)) != text:
            yield (text := repaired)


def _repaired(text: str) -> object:
    """What an answer becomes that is not quite JSON; None when no repair helps."""
    for candidate in _candidates(text):
        try:
            return _DECODER.decode(candidate)
        except ValueError, RecursionError:
            continue
    return None


def parse_answer(raw: bytes) -> JsonObject:
    """Turn the bytes of one answer into an object (A.3).

    Raises BtminerDownError for the plain text of A.4, InvalidAnswerError for all else that is
    no object.
    """
    bare = raw.strip(PADDING)
    if bare.startswith(_BTMINER_DOWN):
        raise BtminerDownError("btminer does not run")
    if not bare:
        raise InvalidAnswerError("empty answer")
    try:
        answer = orjson.loads(bare)
    except orjson.JSONDecodeError:
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
    """Cut the first object off from what follows it (D.7); None while it is not whole."""
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
    """Parse a decrypted answer: one object, then NUL or PKCS#7 padding (B.3)."""
    text = raw.decode("utf-8", errors="replace").split("\0", 1)[0].strip(_PADDING)
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


def as_amount(value: Any) -> float | None:
    """A number that cannot be negative; the vendor says -1 for "not reported" (C.1.4)."""
    number = as_float(value)
    return number if number is not None and number >= 0 else None


def as_positive(value: Any) -> float | None:
    """A number for which 0 means "none" in the vendor's language."""
    return as_amount(value) or None


def as_limit(value: Any) -> float | None:
    """A power limit in W; 0, and all above 100 kW, mean "no limit" (C.7, D.3)."""
    limit = as_positive(value)
    return limit if limit is not None and limit <= NO_LIMIT_ABOVE else None


def as_int(value: Any) -> int | None:
    """A whole number, from a number or a string; a fraction is dropped."""
    number = as_float(value)
    return None if number is None else int(number)


def as_count(value: Any) -> int | None:
    """A whole number that cannot be negative."""
    number = as_amount(value)
    return None if number is None else int(number)


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


def as_text(value: Any) -> str | None:
    """A text without the blanks and quotes around it; None when nothing is left."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip(_PADDING)
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip(_PADDING)
    return text or None


def as_object(value: Any) -> JsonObject:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_objects(value: Any) -> list[JsonObject]:
    """The objects of a list; whatever else is in it is left out."""
    return (
        [item for item in value if isinstance(item, dict)]
        if isinstance(value, list)
        else []
    )


def scaled(
    value: Any,
    factor: float,
    coerce: Callable[[Any], float | None] = as_amount,
) -> float | None:
    """A coerced number in another unit, free of binary rounding dust."""
    number = coerce(value)
    return None if number is None else round(number * factor, 9)


def first[T, D](*values: T | None, default: D) -> T | D:
    """The first value that is not None."""
    return next((value for value in values if value is not None), default)


def pick(source: Mapping[str, Any], *keys: str) -> Any:
    """The first of several keys that is there (`vender`, `vendor`)."""
    return next((source[key] for key in keys if key in source), None)


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
    """A heat mode, in the words of either port (E.8)."""
    return _HEAT_MODES.get((as_text(value) or "").lower())


def as_texts(value: Any) -> tuple[str, ...] | None:
    """The texts of a list, or those between the blanks of one; None where one is missing."""
    items = value.split() if isinstance(value, str) else value
    if not isinstance(items, list):
        return None
    texts = tuple(text for item in items if (text := as_text(item)) is not None)
    return texts if len(texts) == len(items) else None


_PREHEAT_STAGES = {
    "wait for adjust temp": PreheatStage.WAITING,
    "adjust continue": PreheatStage.ADJUSTING,
    "adjust complete": PreheatStage.COMPLETE,
}


def parse_preheat(answer: JsonObject) -> Preheat:
    """What `pre_power_on` says: how far the warming up is (D.5)."""
    detail = as_object(answer.get("Msg"))
    words = (as_text(detail.get("msg")) or "").lower()
    return Preheat(
        stage=_PREHEAT_STAGES.get(words), complete=as_bool(detail.get("complete"))
    )


def as_moment(value: Any) -> datetime | None:
    """Unix seconds of the miner's clock as UTC; 0 is never (C.2)."""
    seconds = as_positive(value)
    # A miner's clock may hold anything; only a 32-bit one is a date.
    return (
        datetime.fromtimestamp(seconds, UTC) if seconds and seconds < 1 << 32 else None
    )


def cooling_of(model: str | None) -> Cooling | None:
    """Air or liquid, by the model's name (G.2); None when the name says nothing."""
    series = re.match(r"M\d([\dB])", (model or "").upper())  # M60S, M7BS
    if series is None:
        return None
    if series[1] in _AIR_DIGITS or series[0] in _EXTRA_AIR:
        return Cooling.AIR
    return Cooling.LIQUID
