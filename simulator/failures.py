"""What a miner may do wrong: the tables of sections A.1, A.6, D.6, D.7, E.1 and H.2 of docs/protocol.md."""

from collections.abc import Callable
from dataclasses import dataclass
import json
import re

from .wire import Raw, encode

TRANSPORT = {
    "refuse": "every port is closed",
    "refuse_4028": "the port of API 1 and 2 is closed",
    "refuse_4433": "the port of API 3 is closed",
    "silent": "accepts, reads, and never answers",
    "close": "closes without a byte",
    "reset": "resets the connection without a byte",
    "reset_midway": "resets the connection after half of the answer",
    "bytewise": "sends the answer in single bytes",
    "byte_a_second": "sends one byte a second",
    "truncate": "stops after half of the answer and closes",
    "stall_midway": "stops after half of the answer and stays open",
    "stall_after_answer": "closes only some seconds after the answer (4028)",
    "never_close": "never closes after the answer (4028)",
    "nul": "ends the answer with a NUL",
    "newline": "ends the answer with a newline",
    "garbage": "sends bytes that mean nothing",
    "huge_answer": "sends an answer of 10 MB",
    "btminer_down": "sends the line of a daemon that cannot reach btminer (4028)",
    "wrong_key": "seals its answer with another key (4028)",
    "broken_seal": "breaks the base64 of its answer (4028)",
}

FRAMES = {
    "long_length": "a frame says that it is longer than it is (4433)",
    "short_length": "a frame says that it is shorter than it is (4433)",
    "huge_length": "a frame says that it has 4 GiB (4433)",
    "no_length": "a frame comes without its length (4433)",
    "no_answer_frame": "a heartbeat comes instead of the answer (4433)",
    "other_answer": "the answer belongs to another command (4433)",
    "split_header": "the length of a frame comes byte by byte (4433)",
    "report_between": "a report that nobody asked for comes before the answer (4433)",
    "heartbeat_between": "a heartbeat comes before the answer (4433)",
    "heartbeat_answered": "a heartbeat is answered with one (4433)",
    "close_after_answer": "closes the connection after each answer (4433)",
}

WRITES = {
    "applied_no_answer": "the write takes effect, no answer comes",
    "answered_not_applied": "the write is acknowledged and has no effect",
    "undone": "power_off, or a stop on 4433, undoes itself after 3 minutes",
}

BINARY = {
    "plain_ready": "answers in plain before the bytes of an image or a log (4028)",
    "one_segment": "the first bytes of a log come in one segment with the answer before them",
    "cut_log": "half of a log comes, then the connection ends",
    "stalled_log": "half of a log comes, and the connection stays",
    "long_log": "a log is said to be longer than it is",
    "short_log": "a log is said to be shorter than it is",
    "huge_log": "a log is said to have 4 GiB",
    "wordy_log": "the length of a log is no number",
    "empty_log": "a log has no bytes",
    "cut_upload": "the connection ends when half of an image has come",
    "stalled_upload": "nothing more is read when half of an image has come",
    "no_final_answer": "an image is taken, and the connection ends without an answer",
    "image_refused": "an image is refused after it has come",
    "old_version": "an image is taken, and the version after the reboot is the old one",
}

# Each refuses every request in the words of that code, and does nothing (sections A.4 and E.2)
ERRORS: dict[str, tuple[str, int]] = {
    f"error_{code}": (f"answers with code {code} (4028)", code)
    for code in (14, 23, 24, 45, 132, 135, 136, 137, 999)
} | {
    f"error_minus_{-code}": (f"answers with code {code} (4433)", code)
    for code in (-1, -2, -3, -4, -5, -99)
}

HIDE = "hide="
"""`hide=<field>` leaves a field out of every answer, at any depth."""

# What is around an answer, and what tells one row of it from another
ENVELOPE = frozenset(
    {"STATUS", "When", "Code", "Description", "id", "code", "when", "desc"}
)
NAMES = frozenset({"ASC", "Slot", "POOL", "ID", "DEVDETAILS", "id", "slot"})
TEN_YEARS_S = 315_360_000


def _after_first(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def _drop(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, "", text)


def _put(
    pattern: str, replacement: str | Callable[[re.Match[str]], str]
) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, replacement, text)


def _pairs(found: re.Match[str]) -> str:
    """Print a list of objects as if it were one; an empty list stays."""
    return f"[{found[1].replace('{', '').replace('}', '')}]"


def _contents(change: Callable[[object], object]) -> Callable[[str], str]:
    """Change what an answer contains, apart from its envelope."""

    def spoil_contents(text: str) -> str:
        try:
            answer = json.loads(text, parse_int=Raw, parse_float=Raw)
        except ValueError:
            return text
        return encode(
            {
                key: value if key in ENVELOPE else change(value)
                for key, value in answer.items()
            }
        )

    return spoil_contents


def _leaves(change: Callable[[object], object]) -> Callable[[str], str]:
    """Change every value, apart from those that tell rows from one another."""

    def walk(value: object, key: str = "") -> object:
        match value:
            case dict():
                return {key: walk(item, key) for key, item in value.items()}
            case list():
                return [walk(item) for item in value]
            case _:
                return value if key in NAMES else change(value)

    return _contents(walk)


def _numbers(replacement: str) -> Callable[[str], str]:
    """Put something in the place of every number; some firmware has its numbers in strings."""
    return _leaves(
        lambda value: Raw(replacement) if _is_number(value) else value,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"-?\d+(\.\d+)?", value))


def _without(half: int) -> Callable[[str], str]:
    """Leave out every second field of every object."""

    def walk(value: object) -> object:
        match value:
            case dict():
                return {
                    key: walk(item)
                    for number, (key, item) in enumerate(value.items())
                    if number % 2 != half
                }
            case list():
                return [walk(item) for item in value]
            case _:
                return value

    return _contents(walk)


def _lacking(*names: str) -> Callable[[str], str]:
    """Leave out the fields of these names, wherever they are."""

    def walk(value: object) -> object:
        match value:
            case dict():
                return {
                    key: walk(item) for key, item in value.items() if key not in names
                }
            case list():
                return [walk(item) for item in value]
            case _:
                return value

    return _contents(walk)


def _empty(value: object) -> object:
    """Leave the objects, and nothing in them."""
    match value:
        case dict():
            return {}
        case list():
            return [_empty(item) for item in value]
        case _:
            return value


def _moved(seconds: int) -> Callable[[str], str]:
    """Set the clock of the miner to another time."""
    return lambda text: re.sub(
        r'(?<="[Ww]hen":)-?\d+', lambda found: str(int(found[0]) + seconds), text
    )


def _hide(field: str) -> Callable[[str], str]:
    """Leave out one field, wherever it is."""

    def walk(value: object) -> object:
        match value:
            case dict():
                return {key: walk(item) for key, item in value.items() if key != field}
            case list():
                return [walk(item) for item in value]
            case _:
                return value

    def spoil_fields(text: str) -> str:
        try:
            answer = json.loads(text, parse_int=Raw, parse_float=Raw)
        except ValueError:
            return text
        return encode(walk(answer))

    return spoil_fields


# Each takes the text of an answer and spoils it; where there is nothing to spoil the text stays.
PAYLOAD: dict[str, tuple[str, Callable[[str], str]]] = {
    "all_null": ("null in the place of every value", _leaves(lambda _: None)),
    "even_fields": ("every second field is missing", _without(0)),
    "odd_fields": ("all the other fields are missing", _without(1)),
    "no_fields": ("all fields are missing", _contents(_empty)),
    "string_numbers": (
        "strings for numbers",
        _leaves(lambda value: str(value) if isinstance(value, Raw) else value),
    ),
    "all_nan": ("nan in the place of every number", _numbers("nan")),
    "all_inf": ("inf in the place of every number", _numbers("-inf")),
    "all_zero": ("0 in the place of every number", _numbers("0")),
    "all_nan_text": ("nan as a string in the place of every number", _numbers('"nan"')),
    "all_inf_text": ("inf as a string in the place of every number", _numbers('"inf"')),
    "null_contents": ("null in the place of all contents", _contents(lambda _: None)),
    "text_contents": ("a text in the place of all contents", _contents(lambda _: "ok")),
    "trailing_comma": (
        "a comma before the last brace",
        lambda text: re.sub(r"\}\s*$", ",}", text),
    ),
    "raw_newline": (
        "a newline in the string of the version",
        _put(r"(?<=\.)(?=REL|Rel)", "\n"),
    ),
    "joined_objects": ("no comma between two objects", _put(r"\},\{", "}{")),
    "list_comma": ("a comma at the start of a list", _put(r"\[\{", "[,{")),
    "psu_comma": ("no comma before temp0", _after_first('","temp0"', '""temp0"')),
    "list_of_pairs": (
        "error codes in a list without their braces (4028)",
        _put(r'(?<="error_code":)\[(.*?)\]', _pairs),
    ),
    "leading_comma": (
        "a comma instead of the first brace",
        lambda text: "," + text[1:],
    ),
    "string_nan": ("nan as a string", _put(r'(?<="Power":)[0-9.]+', '"nan"')),
    "bare_nan": (
        "nan where a number should be",
        _put(r'(?<="Temperature":)[0-9.]+', "-nan"),
    ),
    "string_inf": ("inf as a string", _put(r'(?<="MHS 15m":)[0-9.]+', '"inf"')),
    "duplicate_key": ("the same key twice", _put(r'("Uptime":\d+)', r"\1,\1")),
    "no_asc": ("boards without a number", _drop(r'"ASC":\d+,')),
    "no_mac": ("the MAC address is missing everywhere", _lacking("mac", "MAC")),
    "no_network": (
        "device information without its network (4433)",
        _lacking("network"),
    ),
    "empty_network": (
        "a list without entries instead of the network (4433)",
        _put(r'(?<="network":)\{[^}]*\}', "[]"),
    ),
    "no_serials": ("boards without a serial number", _lacking("PCB SN")),
    "no_flag": ("status without its flag", _drop(r'"(bt)?mineroff":"\w+",')),
    "no_envelope": (
        "the object alone, as the documents print status",
        _put(r'^\{"STATUS":.*"Msg":(\{.*\}),"Description":.*$', r"\1"),
    ),
    "clock_zero": ("a clock that was never set", _put(r'(?<="[Ww]hen":)-?\d+', "0")),
    "clock_negative": ("a clock before 1970", _put(r'(?<="[Ww]hen":)-?\d+', "-28800")),
    "clock_ahead": ("a clock that is ten years ahead", _moved(TEN_YEARS_S)),
    "clock_huge": ("a clock of 20 digits", _put(r'(?<="[Ww]hen":)-?\d+', "9" * 20)),
    "clock_words": ("a clock in words", _put(r'(?<="[Ww]hen":)-?\d+', '"now"')),
    "no_clock": ("an answer without a time", _drop(r'"[Ww]hen":-?\d+,')),
    "no_status": (
        "an answer that does not say whether it is an error",
        _drop(r'"STATUS":"\w",|"[Cc]ode":-?\d+,'),
    ),
    "power_missing": (
        "power that is not reported",
        _put(r'(?<="Power":)[0-9.]+', "-1"),
    ),
}

FAILURES: dict[str, str] = (
    TRANSPORT
    | FRAMES
    | WRITES
    | BINARY
    | {name: what for name, (what, _) in ERRORS.items()}
    | {name: what for name, (what, _) in PAYLOAD.items()}
)


@dataclass(slots=True)
class _Active:
    failure: str
    command: str | None
    times: int | None


class Failures:
    """The failures in force, each for one command or for all, for ever or for some times."""

    def __init__(self) -> None:
        """Start healthy."""
        self._active: list[_Active] = []

    def inject(
        self, failure: str, command: str | None = None, times: int | None = None
    ) -> None:
        """Add one."""
        if not is_known(failure):
            raise ValueError(
                f"Unknown failure {failure!r}; known are {', '.join(FAILURES)}, {HIDE}FIELD"
            )
        self._active.append(_Active(failure, command, times))

    def clear(self) -> None:
        """Remove all."""
        self._active.clear()

    def refusing(self, port: int) -> bool:
        """Whether this port is closed; 4028 and 4433 stand for those that take their place."""
        return any(
            active.failure in ("refuse", f"refuse_{port}") for active in self._active
        )

    def has(self, failure: str) -> bool:
        """Whether a failure is in force that belongs to no request."""
        return any(active.failure == failure for active in self._active)

    def take(self, command: str) -> frozenset[str]:
        """Return the failures of one request, and count it; a joined one has those of its parts."""
        names = {None, command, *command.split("+")}
        taken = [active for active in self._active if active.command in names]
        for active in taken:
            if active.times is not None:
                active.times -= 1
        self._active = [
            active
            for active in self._active
            if active.times is None or active.times > 0
        ]
        return frozenset(active.failure for active in taken)


def is_known(failure: str) -> bool:
    """Whether there is a failure of this name."""
    return failure in FAILURES or (failure.startswith(HIDE) and failure != HIDE)


def error_of(failures: frozenset[str], *, v3: bool) -> int | None:
    """Return the code that a request is refused with, if it is; each port has its own."""
    codes = (code for name, (_, code) in ERRORS.items() if name in failures)
    return next((code for code in codes if (code < 0) is v3), None)


def spoil(text: str, failures: frozenset[str]) -> str:
    """Apply the defects of the text."""
    for name, (_, defect) in PAYLOAD.items():
        if name in failures:
            text = defect(text)
    for failure in failures:
        if failure.startswith(HIDE):
            text = _hide(failure.removeprefix(HIDE))(text)
    return text
