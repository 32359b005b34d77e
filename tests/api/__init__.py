"""Tests of the bundled client, and the answers of miners that they feed to it."""

from pathlib import Path

from custom_components.whatsminer.api.parse import JsonObject, parse_answer

CAPTURES = Path(__file__).parent / "captures"


def capture(name: str) -> bytes:
    """One answer, byte for byte as a miner sent it."""
    return (CAPTURES / name).read_bytes()


def parsed(name: str) -> JsonObject:
    """One answer, parsed."""
    return parse_answer(capture(name))
