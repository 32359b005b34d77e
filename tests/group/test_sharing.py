"""How the miners of a group share the heat of one heater."""

import pytest

from custom_components.whatsminer.group.sharing import Unit, lowest_watts, share


def unit(name: str, watts: float = 3000, **values: object) -> Unit:
    """Return a miner that runs for long, and is tuned."""
    return Unit(**{"name": name, "watts": watts, "lowest": 40, "on": True, **values})


def off(name: str, watts: float = 3000, **values: object) -> Unit:
    """Return a miner that is stopped for long."""
    return unit(name, watts, on=False, **values)


A, B = unit("a"), unit("b")
A_OFF, B_OFF = off("a"), off("b")


@pytest.mark.parametrize(
    ("watts", "units", "percents"),
    [
        pytest.param(6000, [A, B], {"a": 100, "b": 100}, id="all"),
        pytest.param(4200, [A, B], {"a": 70, "b": 70}, id="the same percent"),
        pytest.param(2400, [A, B], {"a": 40, "b": 40}, id="lowest level of both"),
        pytest.param(2390, [A, B], {"a": 80, "b": 0}, id="less is for one"),
        pytest.param(500, [A, B], {"a": 40, "b": 0}, id="one runs at least"),
        pytest.param(2700, [A, B_OFF], {"a": 90, "b": 0}, id="the other stays off"),
        pytest.param(
            3350, [A, B_OFF], {"a": 40, "b": 56}, id="room for a start at full power"
        ),
        pytest.param(3250, [A, B_OFF], {"a": 100, "b": 0}, id="almost enough"),
        pytest.param(2000, [A_OFF, B_OFF], {"a": 67, "b": 0}, id="a start of one"),
        pytest.param(5000, [A_OFF, B_OFF], {"a": 83, "b": 83}, id="a start of both"),
        pytest.param(
            1000,
            [A, unit("b", may_switch=False)],
            {"a": 0, "b": 40},
            id="one in its minimum run stays",
        ),
        pytest.param(
            4000,
            [A, off("b", may_switch=False)],
            {"a": 100, "b": 0},
            id="one in its minimum stop stays off",
        ),
        pytest.param(
            2000,
            [off("a", may_switch=False), off("b", may_switch=False)],
            {"a": 67, "b": 0},
            id="nothing else could heat",
        ),
        pytest.param(
            4000, [A, unit("b", tunes=True)], {"a": 40, "b": 67}, id="one tunes"
        ),
        pytest.param(
            2900,
            [unit("a", tunes=True), B],
            {"a": 48, "b": 40},
            id="one that tunes for some minutes stops no other",
        ),
        pytest.param(
            4200, [A, unit("b", highest=50)], {"a": 90, "b": 50}, id="one is capped"
        ),
        pytest.param(3600, [A, off("b", highest=0)], {"a": 100}, id="one is curtailed"),
        pytest.param(3600, [off("b", highest=0)], {}, id="all are curtailed"),
        pytest.param(
            5000,
            [A, unit("b", lowest=100)],
            {"a": 67, "b": 100},
            id="one follows no percent",
        ),
        pytest.param(
            1600,
            [unit("a", 1000), unit("b", 3400)],
            {"a": 0, "b": 47},
            id="a small one could not heat enough alone",
        ),
        pytest.param(
            900,
            [unit("a", 1000), unit("b", 3400)],
            {"a": 90, "b": 0},
            id="a small one heats enough alone",
        ),
    ],
)
def test_share(watts: float, units: list[Unit], percents: dict[str, float]) -> None:
    """A tank would get more or less heat than its thermostat wants, or miners would start often."""
    assert share(watts, units) == percents


def test_nothing_flaps() -> None:
    """A miner would start and stop while the wish moves around one power."""
    on, starts = [True, False], 0
    for watts in [3400, 2900, 2500, 3400, 2450, 2900] * 5:
        found = share(watts, [unit("a", on=on[0]), unit("b", on=on[1])])
        starts += bool(found["b"]) and not on[1]
        on = [bool(found[name]) for name in "ab"]
    assert starts == 1


def test_lowest_level() -> None:
    """The thermostat would wait for less heat than there can be, or stop all too early."""
    small = unit("small", 1000)
    assert lowest_watts([A, B]) == 1200
    assert lowest_watts([A, small]) == 1200
    assert lowest_watts([small, A]) == 400
    assert lowest_watts([off("small", 1000), A]) == 1200
    assert lowest_watts([off("small", 1000), A_OFF]) == 400
    assert lowest_watts([unit("a", highest=0), small]) == 400
