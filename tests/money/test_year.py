"""A simulated year of hourly prices, from nothing: no policy may lose against the simple limit."""

import pytest

from bench.plan import CURVES, PRICES, over, read_prices, replay


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("curve", CURVES)
def test_a_year(curve: str) -> None:
    """The owner would earn less than with an automation of two lines."""
    found = replay(read_prices(PRICES), curve)
    gain = {name: over(one, found["threshold"]) for name, one in found.items()}
    assert gain["plan"] >= 0
    assert gain["plan, learned"] >= 0
    assert min(gain["best level"], gain["best level, learned"]) >= -0.3
    allowed = 0.5 if gain["plan"] < 20 else 1.0
    assert gain["plan, learned"] >= gain["plan"] - allowed
    assert found["plan"].starts <= found["best level"].starts
