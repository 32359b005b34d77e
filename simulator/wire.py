"""JSON byte for byte as the miner prints it: no spaces, printf numbers (section C.11 of docs/protocol.md)."""

import json
import struct


class Raw(str):
    """Text that goes onto the wire as it stands."""

    __slots__ = ()


def f2(value: float) -> Raw:
    """Temperatures and MHS, `%.2f`."""
    return Raw(f"{value:.2f}")


def f4(value: float) -> Raw:
    """Percentages and totals, `%.4f`."""
    return Raw(f"{value:.4f}")


def f8(value: float) -> Raw:
    """Difficulties, `%.8f`."""
    return Raw(f"{value:.8f}")


def float32(value: float) -> float:
    """What is left of a number that went through 32 bits."""
    result: float = struct.unpack("f", struct.pack("f", value))[0]
    return result


def number(value: float) -> int | float:
    """As the JSON library of 2.2.x prints it: whole numbers without decimals."""
    return int(value) if value == int(value) else value


def number32(value: float) -> int | float:
    """The same for a number that firmware 2.2.x keeps in 32 bits."""
    return number(float32(value))


def encode(value: object) -> str:
    """One JSON text in the order and the formats given."""
    match value:
        case Raw():
            return str(value)
        case dict():
            return (
                "{"
                + ",".join(
                    f"{json.dumps(key)}:{encode(item)}" for key, item in value.items()
                )
                + "}"
            )
        case list() | tuple():
            return "[" + ",".join(encode(item) for item in value) + "]"
        case _:
            return json.dumps(value)
