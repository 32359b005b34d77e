"""Recognizing a miner by its boards and its uptime, without a request."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.whatsminer.api.identity import Traits, is_same_miner, same_mac

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ONE, TWO = {0: "A1", 1: "A2"}, {0: "B1", 1: "B2"}


def traits(
    seconds: float,
    uptime: float | None,
    elapsed: float | None,
    serials: dict[int, str],
) -> Traits:
    """One poll, so many seconds after the first."""
    read_at = BEGIN + timedelta(seconds=seconds)
    return Traits(read_at, (uptime, elapsed), serials)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(traits(30, 1030, 930, ONE), True, id="same"),
        pytest.param(traits(30, 1040, 925, ONE), True, id="read a little later"),
        pytest.param(traits(30, 1030, 930, {1: "A2"}), True, id="one board less"),
        pytest.param(traits(30, 1030, 930, {}), None, id="no serials"),
        pytest.param(traits(30, None, None, ONE), True, id="no clocks"),
        pytest.param(traits(30, None, None, {}), None, id="nothing"),
        pytest.param(traits(30, 1030, 930, TWO), False, id="other boards"),
        pytest.param(traits(30, 1030, 930, ONE | {1: "B2"}), False, id="other board"),
        pytest.param(traits(30, 900, 930, ONE), False, id="board restarted"),
        pytest.param(traits(30, 1030, 5, ONE), False, id="btminer restarted"),
        pytest.param(traits(30, 9000, 930, {}), False, id="runs for longer"),
        pytest.param(traits(600, 1030, 930, {}), False, id="ran meanwhile too little"),
    ],
)
def test_is_same_miner(now: Traits, expected: bool | None) -> None:
    """A neighbour's energy would be counted, or each poll would cost one more connection."""
    assert is_same_miner(traits(0, 1000, 900, ONE), now) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("A0:5B:06:00:36:60", "a0-5b-06-00-36-60", True),
        ("A0:5B:06:00:36:60", "a05b06003660", True),
        ("A0:5B:06:00:36:60", "A0:5B:06:00:36:61", False),
    ],
)
def test_same_mac(one: str, other: str, expected: bool) -> None:
    """The same miner would be refused because its firmware writes the MAC differently."""
    assert same_mac(one, other) is expected
