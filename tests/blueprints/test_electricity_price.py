"""The electricity price: off while it is expensive, on when it is cheap, and calm in between."""

from typing import Any

import pytest

from custom_components.whatsminer.const import CONF_HASHPRICE, CONF_PRICE_SENSOR

from .conftest import HOLD, OFF, ON, UNAVAILABLE, UNKNOWN, World, notify

PRICE = "sensor.price"


@pytest.fixture(autouse=True)
async def cheap(world: World) -> None:
    """Start with a low price; everything in these tests happens at full five minutes."""
    world.step = 300
    await world.price(0.1)


async def test_normal_day(world: World) -> None:
    """Expensive in the morning and in the evening: the miner is off then and only then."""
    await world.automate("electricity_price", miners=world.devices, price=PRICE)
    for hour, price, runs in (
        (8, 0.22, True),
        (9, 0.31, False),
        (10, 0.40, False),
        (11, 0.27, False),  # between the limits: as it was
        (12, 0.20, True),
        (14, 0.28, True),  # between the limits: as it was
        (18, 0.35, False),
        (20, 0.24, True),
    ):
        await world.let_pass_until(f"{hour:02}:00")
        await world.price(price)
        await world.let_pass(minutes=1)
        assert world.runs is runs, (hour, price)
    assert world.switched == 4
    assert world.curtailment["stopped_again"] == 0


async def test_less_power_in_between(world: World) -> None:
    """Half of the power while it is a little expensive, without a restart; the limit stays untouched."""
    await world.automate(
        "electricity_price",
        miners=world.devices,
        price=PRICE,
        middle_percent=50,
        middle_above=0.2,
    )

    async def watts(price: float) -> float:
        await world.price(price)
        await world.let_pass(minutes=10)
        return world.miner.truth().power_w

    full = await watts(0.15)
    assert await watts(0.22) == pytest.approx(full / 2, rel=0.05)
    assert await watts(0.16) == pytest.approx(full / 2, rel=0.05)
    assert await watts(0.14) == pytest.approx(full, rel=0.05)
    assert await watts(0.29) == pytest.approx(full / 2, rel=0.05)
    assert world.switched == 0
    assert await watts(0.31) < 100
    # Back to the middle from a stop: at half power again once it is tuned.
    await world.price(0.24)
    await world.let_pass(minutes=60)
    assert world.miner.truth().power_w == pytest.approx(full / 2, rel=0.05)
    assert world.switched == 2
    assert world.done("adjust_power_limit") == 0
    assert await watts(0.1) == pytest.approx(full, rel=0.05)


async def test_break_even(world: World) -> None:
    """Mining at a loss costs money, whatever the price is in absolute terms."""
    await world.options(**{CONF_HASHPRICE: 0.05})
    even = float(world.state("sensor", "break_even_price"))
    assert 0.05 < even < 0.1  # 0.05 per TH/s and day at 29 J/TH
    unit = "EUR/kWh"
    await world.price(even * 0.98, unit)
    await world.automate(
        "electricity_price",
        miners=world.devices,
        price=PRICE,
        break_even=world.entity("sensor", "break_even_price"),
    )
    await world.let_pass(minutes=6)
    assert world.runs
    await world.price(even * 1.02, unit)
    assert not world.runs
    await world.let_pass(minutes=20)
    await world.price(even * 0.97, unit)
    await world.let_pass(minutes=6)
    assert not world.runs
    # The same in cents, or per MWh
    await world.price(even * 97, "ct/kWh")
    assert not world.runs
    await world.price(even * 940, "EUR/MWh")
    assert world.runs


async def test_flapping_price(world: World) -> None:
    """Tuning takes 20 minutes: a price that crosses the limit often would cost most of the mining time."""
    await world.automate("electricity_price", miners=world.devices, price=PRICE)
    world.step = 60
    for minute in range(60):
        await world.price(0.299 if minute % 2 else 0.301)
        await world.let_pass(minutes=1)
    assert world.switched == 1
    assert not world.runs
    # Across both limits, it is the shortest times that hold.
    for minute in range(90):
        await world.price(0.2 if minute % 2 else 0.4)
        await world.let_pass(minutes=1)
    assert world.switched <= 6


@pytest.mark.parametrize("gone", [UNAVAILABLE, UNKNOWN, "nan", "rubbish"])
async def test_unavailable_price(world: World, gone: str) -> None:
    """A missing price would be treated as low or high, or the miner would stay off for more than an hour."""
    await world.automate("electricity_price", miners=world.devices, price=PRICE)
    await world.set(PRICE, gone)
    await world.let_pass(minutes=20)
    assert world.runs
    await world.price(0.4)
    assert not world.runs
    await world.set(PRICE, gone)
    await world.let_pass(minutes=55)
    assert not world.runs
    await world.let_pass(minutes=10)
    assert world.runs
    assert world.switched == 2


@pytest.mark.parametrize(
    ("action", "runs"), [("stop", False), ("leave", True), ("resume", True)]
)
async def test_price_gone_for_long(world: World, action: str, runs: bool) -> None:
    """A user could not choose what happens without a price."""
    await world.automate(
        "electricity_price", miners=world.devices, price=PRICE, unknown_action=action
    )
    await world.set(PRICE, UNAVAILABLE)
    await world.let_pass(minutes=70)
    assert world.runs is runs


async def test_restart_in_the_middle(world: World) -> None:
    """A restart while it is expensive must neither start the miner nor forget to."""
    await world.automate("electricity_price", miners=world.devices, price=PRICE)
    await world.price(0.4)
    assert not world.runs
    await world.restart(minutes=10)
    assert not world.runs
    await world.reload()
    assert world.switched == 1
    await world.let_pass(minutes=20)
    await world.reload(without=True)
    await world.price(0.1)
    await world.restart(minutes=5)
    assert world.runs


async def test_shortest_stop_outlasts_a_restart(world: World) -> None:
    """A restart would shorten the minimum times, which protect the hardware."""
    await world.automate("electricity_price", miners=world.devices, price=PRICE)
    await world.price(0.4)
    await world.let_pass(minutes=1)
    await world.price(0.1)
    await world.restart(minutes=3)
    assert not world.runs
    await world.let_pass(minutes=16)
    assert world.runs
    await world.price(0.4)
    await world.restart(minutes=3)
    assert world.runs
    await world.let_pass(minutes=35)
    assert not world.runs


async def test_manual_hold(world: World) -> None:
    """During a manual hold the price changes nothing."""
    await world.set(HOLD, ON)
    await world.automate(
        "electricity_price", miners=world.devices, price=PRICE, hold=[HOLD]
    )
    await world.price(0.4)
    await world.let_pass(minutes=10)
    assert world.runs
    await world.set(HOLD, OFF)
    assert not world.runs


@pytest.mark.parametrize("profiles", [("v205_m50", "v204_m30sp")])
async def test_one_of_two_is_offline(
    world: World, notified: list[dict[str, Any]]
) -> None:
    """An unreachable miner would keep the other from stopping, or keep running itself."""
    await world.automate(
        "electricity_price",
        miners=world.devices,
        price=PRICE,
        on_failure=notify("{{ failed | join }}"),
    )
    world.miners[0].inject("refuse")
    await world.price(0.4)
    await world.let_pass(minutes=3)
    assert world.running == [True, False]
    assert notified == [{"message": "M50 04EB"}]
    world.miners[0].clear_failures()
    await world.let_pass(minutes=6)
    assert world.running == [False, False]


async def test_refused(world: World, notified: list[dict[str, Any]]) -> None:
    """After a refused stop, the automation would wait for a minimum time before it retries."""
    await world.automate(
        "electricity_price",
        miners=world.devices,
        price=PRICE,
        on_failure=notify("no"),
    )
    world.miner.api_switch = False
    await world.price(0.4)
    assert len(notified) == 1
    assert world.curtailment["ended"] is None
    world.miner.api_switch = True
    await world.let_pass(minutes=6)
    assert not world.runs


@pytest.mark.parametrize(
    ("unit", "scale"), [("EUR/kWh", 1), ("ct/kWh", 100), ("EUR/MWh", 1000)]
)
async def test_break_even_in_the_unit_of_the_price(
    world: World, unit: str, scale: float
) -> None:
    """A break-even price in another unit would be read as EUR/kWh and never stop a miner."""
    await world.price(0.01 * scale, unit)
    await world.options(**{CONF_HASHPRICE: 0.05, CONF_PRICE_SENSOR: PRICE})
    sensor = world.entity("sensor", "break_even_price")
    even = float(world.state("sensor", "break_even_price"))
    assert 0.05 < even / scale < 0.1
    await world.automate(
        "electricity_price", miners=world.devices, price=PRICE, break_even=sensor
    )
    await world.price(even * 0.98, unit)
    await world.let_pass(minutes=10)
    assert world.runs
    await world.price(even * 1.02, unit)
    assert not world.runs


@pytest.mark.parametrize("profiles", [("v205_m50", "v204_m30sp")])
async def test_break_even_of_a_miner_that_is_unplugged(world: World) -> None:
    """The miner that reports the break-even goes for repair: the others must not run at any price."""
    await world.price(0.01)
    await world.options(**{CONF_HASHPRICE: 0.05})
    await world.automate(
        "electricity_price",
        miners=world.devices,
        price=PRICE,
        break_even=world.entity("sensor", "break_even_price"),
    )
    await world.price(0.9)
    await world.let_pass(minutes=5)
    assert world.running == [False, False]
    world.miners[0].inject("refuse")
    await world.let_pass(minutes=90)
    assert world.running[1] is False


@pytest.mark.parametrize("duration", ["00:10:00", "00:40:00"])
async def test_stop_of_another_user_ends_while_it_is_expensive(
    world: World, duration: str
) -> None:
    """A stop to change a filter ends: half an hour at the most expensive price would cost more than it."""
    world.step = 60
    await world.automate("electricity_price", miners=world.devices, price=PRICE)
    await world.price(0.9)
    await world.curtail(duration=duration, reason="Filter")
    ran = 0
    for _ in range(60):
        await world.let_pass(minutes=1)
        ran += world.runs
    assert ran <= 6
    assert world.curtailment["reason"] == "Electricity price"
    assert world.curtailment["ended_reason"] == "Filter"


async def test_pause_ends_while_it_is_expensive(world: World) -> None:
    """The weekly pause ends at 13:00, the price has been expensive since 12:55: off it stays."""
    world.step = 60
    await world.automate("electricity_price", miners=world.devices, price=PRICE)
    await world.automate("weekly_pause", miners=world.devices)
    await world.let_pass_until("12:55")
    await world.price(0.9)
    ran = 0
    for _ in range(60):
        await world.let_pass(minutes=1)
        ran += world.runs
    assert ran <= 6


async def test_started_by_the_user_runs_for_the_minimum_time(world: World) -> None:
    """A miner that a user starts without a hold would not run for the minimum time that the page promises."""
    await world.automate("electricity_price", miners=world.devices, price=PRICE)
    await world.price(0.9)
    await world.hass.services.async_call(
        "switch", "turn_on", {"entity_id": world.entity("switch", "mining")}
    )
    await world.let_pass(minutes=24)
    assert world.runs
    await world.let_pass(minutes=12)
    assert not world.runs


@pytest.mark.parametrize(("hours", "runs"), [(0, True), (2, False)])
async def test_price_that_is_no_longer_updated(
    world: World, hours: int, runs: bool
) -> None:
    """A price that is no longer updated would keep the miner running, although the user has limited its age."""
    await world.automate(
        "electricity_price",
        miners=world.devices,
        price=PRICE,
        stale_hours=hours,
        unknown_action="stop",
    )
    await world.let_pass(minutes=100)
    await world.price(0.1)  # the same price, reported again
    await world.let_pass(minutes=100)
    assert world.runs
    await world.let_pass(minutes=30)
    assert world.runs is runs


async def test_blocked(world: World, notified: list[dict[str, Any]]) -> None:
    """A forgotten hold, or a dead price, costs as much as no automation: it is notified, once each."""
    await world.set(HOLD, ON)
    await world.automate(
        "electricity_price",
        miners=world.devices,
        price=PRICE,
        hold=[HOLD],
        on_blocked=notify("{{ blocked }}"),
    )
    await world.let_pass(minutes=20)
    assert not notified
    await world.price(0.4)
    await world.let_pass(minutes=30)
    await world.price(0.5)
    await world.let_pass(minutes=30)
    assert world.runs
    assert notified == [{"message": "hold"}]
    await world.set(HOLD, OFF)
    assert not world.runs
    await world.set(PRICE, UNAVAILABLE)
    await world.let_pass(minutes=55)
    assert len(notified) == 1
    await world.let_pass(minutes=60)
    assert notified[1:] == [{"message": "silent"}]
