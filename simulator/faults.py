"""What a miner may do wrong: the tables of sections A.1, A.6, E.1 and H.2 of docs/protocol.md."""

from collections.abc import Callable
from dataclasses import dataclass
import re

TRANSPORT = {
    "refuse": "every port is closed",
    "refuse_4028": "the port of API 1 and 2 is closed",
    "refuse_4433": "the port of API 3 is closed",
    "silent": "accepts, reads, and never answers",
    "close": "closes without a byte",
    "reset": "resets the connection without a byte",
    "bytewise": "sends the answer in single bytes",
    "truncate": "stops after half of the answer and closes",
    "stall_midway": "stops after half of the answer and stays open",
    "stall_after_answer": "closes only some seconds after the answer (4028)",
    "never_close": "never closes after the answer (4028)",
    "nul": "ends the answer with a NUL",
    "newline": "ends the answer with a newline",
}

FRAMES = {
    "long_length": "a frame says that it is longer than it is (4433)",
    "short_length": "a frame says that it is shorter than it is (4433)",
    "huge_length": "a frame says that it has 4 GiB (4433)",
    "split_header": "the length of a frame comes byte by byte (4433)",
    "report_between": "a report that nobody asked for comes before the answer (4433)",
    "heartbeat_between": "a heartbeat comes before the answer (4433)",
    "heartbeat_answered": "a heartbeat is answered with one (4433)",
}

WRITES = {
    "applied_no_answer": "the write takes effect, no answer comes",
    "answered_not_applied": "the write is acknowledged and has no effect",
    "undone": "power_off, or a stop on 4433, undoes itself after 3 minutes",
}


def _after_first(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def _drop(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, "", text)


def _put(pattern: str, replacement: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, replacement, text)


# Each takes the text of an answer and spoils it; where there is nothing to spoil the text stays.
PAYLOAD: dict[str, tuple[str, Callable[[str], str]]] = {
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
    "leading_comma": (
        "a comma instead of the first brace",
        lambda text: "," + text[1:],
    ),
    "bare_nan": (
        "nan where a number should be",
        _put(r'(?<="Temperature":)[0-9.]+', "-nan"),
    ),
    "string_inf": ("inf as a string", _put(r'(?<="MHS 15m":)[0-9.]+', '"inf"')),
    "duplicate_key": ("the same key twice", _put(r'("Uptime":\d+)', r"\1,\1")),
    "no_asc": ("boards without a number", _drop(r'"ASC":\d+,')),
    "no_flag": ("status without its flag", _drop(r'"(bt)?mineroff":"\w+",')),
    "no_envelope": (
        "the object alone, as the documents print status",
        _put(r'^\{"STATUS":.*"Msg":(\{.*\}),"Description":.*$', r"\1"),
    ),
    "clock_zero": ("a clock that was never set", _put(r'(?<="[Ww]hen":)-?\d+', "0")),
    "clock_negative": ("a clock before 1970", _put(r'(?<="[Ww]hen":)-?\d+', "-28800")),
    "power_missing": (
        "power that is not reported",
        _put(r'(?<="Power":)[0-9.]+', "-1"),
    ),
}

FAULTS: dict[str, str] = (
    TRANSPORT | FRAMES | WRITES | {name: what for name, (what, _) in PAYLOAD.items()}
)


@dataclass(slots=True)
class _Active:
    fault: str
    command: str | None
    times: int | None


class Faults:
    """The faults in force, each for one command or for all, for ever or for some times."""

    def __init__(self) -> None:
        """Start healthy."""
        self._active: list[_Active] = []

    def inject(
        self, fault: str, command: str | None = None, times: int | None = None
    ) -> None:
        """Add one."""
        if fault not in FAULTS:
            raise ValueError(f"Unknown fault {fault!r}; known are {', '.join(FAULTS)}")
        self._active.append(_Active(fault, command, times))

    def clear(self) -> None:
        """Remove all."""
        self._active.clear()

    def refusing(self, port: int) -> bool:
        """Whether this port is closed; 4028 and 4433 stand for those that take their place."""
        return any(
            active.fault in ("refuse", f"refuse_{port}") for active in self._active
        )

    def has(self, fault: str) -> bool:
        """Whether a fault is in force that belongs to no request."""
        return any(active.fault == fault for active in self._active)

    def take(self, command: str) -> frozenset[str]:
        """Return the faults of one request, and count it."""
        taken = [active for active in self._active if active.command in (None, command)]
        for active in taken:
            if active.times is not None:
                active.times -= 1
        self._active = [
            active
            for active in self._active
            if active.times is None or active.times > 0
        ]
        return frozenset(active.fault for active in taken)


def spoil(text: str, faults: frozenset[str]) -> str:
    """Apply the defects of the text."""
    for name, (_, defect) in PAYLOAD.items():
        if name in faults:
            text = defect(text)
    return text
