"""JSON, byte for byte as the miner writes it: no spaces, printf numbers (protocol.md#c11)."""

from functools import cache
import json
import struct


class Raw(str):
    """Text that is written unchanged."""

    __slots__ = ()


def f2(value: float) -> Raw:
    """Return temperatures and MHS as `%.2f`."""
    return Raw(f"{value:.2f}")


def f4(value: float) -> Raw:
    """Return percentages and totals as `%.4f`."""
    return Raw(f"{value:.4f}")


def f8(value: float) -> Raw:
    """Return difficulties as `%.8f`."""
    return Raw(f"{value:.8f}")


def float32(value: float) -> float:
    """Return a number, limited to 32 bits."""
    result: float = struct.unpack("f", struct.pack("f", value))[0]
    return result


def number(value: float) -> int | float:
    """Return a number as the JSON library of 2.2.x writes it: integers without decimals."""
    return int(value) if value == int(value) else value


def number32(value: float) -> int | float:
    """Like `number`, for a value that firmware 2.2.x stores in 32 bits."""
    return number(float32(value))


_text = json.JSONEncoder().encode
_key = cache(_text)


def encode(value: object) -> str:
    """Return a value as JSON text, in the given order and formats."""
    match value:
        case Raw():
            return value
        case dict():
            items = [f"{_key(key)}:{encode(item)}" for key, item in value.items()]
            return "{" + ",".join(items) + "}"
        case list() | tuple():
            return "[" + ",".join([encode(item) for item in value]) + "]"
        # Not a bool; the encoder needs many times as long.
        case int() if type(value) is int:
            return repr(value)
        case _:
            return _text(value)
