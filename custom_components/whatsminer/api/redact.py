"""Raw answers of a miner without their private data, and its logs."""

from collections.abc import Container
import re
from typing import Any

from .catalog import JOINABLE
from .errors import InvalidAnswerError, InvalidValueError
from .parse import as_count, as_object, printable

REDACTED = "**REDACTED**"
MAX_LOG = 64 << 20
"""Bytes of the log of a miner."""

# Names of fields in the answers of sections C and E, in lower case.
_PRIVATE = re.compile(r"passw|token|salt|worker|^(user|account|sign|key)$")
_DEEPEST = 50
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+(?=@)")

_PARAMS = {
    "get_miner_info": re.compile(r"[a-z_]+(,[a-z_]+)*"),
    "get.device.info": re.compile(r"miner|system|power|network|salt|error-code"),
    "get.miner.status": re.compile(r"(summary|pools|edevs)(\+(summary|pools|edevs))*"),
}
_MOMENT = re.compile(r"\d{1,10}", re.ASCII)


def redacted(value: Any, depth: int = 0) -> Any:
    """Return the same value, with what is private or cannot be shown in it replaced.

    Raise InvalidAnswerError if it is nested too deeply to be shown.
    """
    if depth > _DEEPEST:
        raise InvalidAnswerError("an answer that is nested too deeply")
    match value:
        case dict():
            return {
                printable(str(key)): (
                    REDACTED
                    if item not in ("", None) and _PRIVATE.search(str(key).lower())
                    else redacted(item, depth + 1)
                )
                for key, item in value.items()
            }
        case list():
            return [redacted(item, depth + 1) for item in value]
        case str():
            return _CREDENTIALS.sub(REDACTED, printable(value))
        case _:
            return value


def check_data(
    allowed: Container[str], command: str, param: str | dict[str, str] | None
) -> None:
    """Raise InvalidValueError if it is not a read command, or does not take this parameter."""
    if command not in allowed:
        parts = command.split("+")
        if len(parts) < 2 or not all(p in allowed and p in JOINABLE for p in parts):
            raise InvalidValueError("read_command", command=command)
    match param:
        case None:
            known = command != "get.miner.history"
        case str():
            known = command in _PARAMS and bool(_PARAMS[command].fullmatch(param))
        case _:
            known = (
                command == "get.miner.history"
                and param.keys() == {"begin", "end"}
                and all(_MOMENT.fullmatch(moment) for moment in param.values())
            )
    if not known:
        raise InvalidValueError("parameter", command=command, value=param)


def size_of_log(detail: Any, key: str) -> int:
    """How long a log will be (protocol.md#d7). Raises InvalidAnswerError for one that is too long."""
    size = as_count(as_object(detail).get(key))
    if size is None:
        raise InvalidAnswerError("the miner does not say how long its log is")
    if size > MAX_LOG:
        raise InvalidAnswerError(f"a log of {size} bytes is longer than {MAX_LOG}")
    return size
