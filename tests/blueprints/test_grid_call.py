"""The grid call: off when it has to be, proven, notified if not, and back one after the other."""

from itertools import pairwise
from typing import Any

import pytest

from simulator import Timing

from .conftest import HOLD, OFF, ON, UNAVAILABLE, UNKNOWN, World, notify

SIGNAL = "binary_sensor.grid_call"

ONE_MINER = pytest.mark.parametrize("profiles", [("v205_m50",)])


@pytest.fixture
def profiles() -> tuple[str, ...]:
    """Return the profiles of three miners, which stop together and return one by one."""
    return ("v205_m50", "v205_m56s", "v204_m30sp")


@pytest.fixture(autouse=True)
async def quiet(world: World) -> None:
    """Start without a call."""
    await world.set(SIGNAL, OFF)


async def automate(world: World, **inputs: object) -> None:
    """Return a function that creates the automation."""
    await world.automate("grid_call", miners=world.devices, signal=SIGNAL, **inputs)


async def test_normal_call(world: World, notified: list[dict[str, Any]]) -> None:
    """The miners would not stop within a minute, or not return one by one after the call."""
    await automate(world, on_failure=notify("no"), stagger=120, stagger_random=0)
    await world.let_pass(minutes=5)
    assert all(world.running)
    begin = world.now
    await world.set(SIGNAL, ON)
    assert not any(world.running)
    assert (world.now - begin).total_seconds() < 60
    await world.let_pass(seconds=30)
    assert sum(miner.truth().power_w for miner in world.miners) < 100
    await world.let_pass(minutes=30)
    assert not any(world.running)
    await world.set(SIGNAL, OFF)
    assert sum(world.running) == 0
    counts = []
    for _ in range(7):
        await world.let_pass(minutes=1)
        counts.append(sum(world.running))
    assert counts[0] <= 1
    assert counts[-1] == 3
    assert all(after - before <= 1 for before, after in pairwise(counts))
    assert not notified
    assert all(miner.applied.count("power_off") == 1 for miner in world.miners)


async def test_call_during_the_return(world: World) -> None:
    """With a new call during the return, miners would keep running or starting."""
    await automate(world, stagger=300, stagger_random=0)
    await world.set(SIGNAL, ON)
    await world.let_pass(minutes=10)
    await world.set(SIGNAL, OFF)
    await world.let_pass(minutes=2)
    assert sum(world.running) == 1
    begin = world.now
    await world.set(SIGNAL, ON)
    assert sum(world.running) == 0
    assert (world.now - begin).total_seconds() < 60
    await world.let_pass(minutes=15)
    assert sum(world.running) == 0


@pytest.mark.long
async def test_random_delay(world: World) -> None:
    """All homes would return in the same second and overload the grid."""
    await automate(world, return_delay=0, stagger=0, stagger_random=3600, minimum_off=0)
    await world.set(SIGNAL, ON)
    await world.set(SIGNAL, OFF)
    await world.let_pass(minutes=1)
    assert sum(world.running) < 3
    await world.let_pass(hours=3, minutes=5)
    assert all(world.running)


async def test_power_does_not_fall(
    world: World, notified: list[dict[str, Any]]
) -> None:
    """A miner that says OK and continues would cost a fine: it is commanded again, and its owner notified."""
    await automate(
        world,
        on_failure=notify("{{ failed | join(', ') }}"),
        attempts=2,
    )
    world.miners[1].inject("answered_not_applied", "power_off")
    await world.set(SIGNAL, ON)
    assert world.running == [False, True, False]
    await world.let_pass(minutes=2)
    assert [call["message"] for call in notified] == ["M56S 0B7E"]
    assert sum(c.name == "power_off" for c in world.miners[1].commands) >= 2
    # The others were left alone until then.
    assert world.done("power_off") == 1
    world.miners[1].clear_failures()
    await world.let_pass(minutes=7)
    assert not any(world.running)
    assert len(notified) <= 2


async def test_unreachable_miner(world: World, notified: list[dict[str, Any]]) -> None:
    """A miner that does not respond would keep the others from stopping."""
    await automate(world, on_failure=notify("{{ failed | join(', ') }}"), attempts=2)
    world.miners[0].inject("refuse")
    await world.let_pass(minutes=3)
    await world.set(SIGNAL, ON)
    assert world.running == [True, False, False]
    await world.let_pass(minutes=3)
    assert [call["message"] for call in notified] == ["M50 04EB"]
    world.miners[0].clear_failures()
    await world.let_pass(minutes=8)
    assert not any(world.running)


@pytest.mark.usefixtures("rare_polls")
@ONE_MINER
async def test_flapping_signal(world: World) -> None:
    """A loose contact would start and stop the miners every minute."""
    await automate(world, return_delay=0, stagger=0, stagger_random=0, minimum_off=10)
    for minute in range(40):
        await world.set(SIGNAL, OFF if minute % 2 else ON)
        await world.let_pass(minutes=1)
    assert world.switched <= 8
    await world.set(SIGNAL, ON)
    assert not any(world.running)


@pytest.mark.usefixtures("rare_polls")
@pytest.mark.parametrize("gone", [UNAVAILABLE, UNKNOWN])
@ONE_MINER
async def test_unavailable_signal(world: World, gone: str) -> None:
    """An unavailable signal would stop or start the miners although the user did not choose that."""
    await automate(world)
    await world.set(SIGNAL, gone)
    await world.let_pass(minutes=40)
    assert all(world.running)
    await world.set(SIGNAL, ON)
    assert not any(world.running)
    await world.set(SIGNAL, gone)
    await world.let_pass(minutes=40)
    assert not any(world.running)


@pytest.mark.usefixtures("rare_polls")
@pytest.mark.parametrize(("action", "count"), [("stop", 0), ("resume", 3)])
async def test_signal_gone_for_long(world: World, action: str, count: int) -> None:
    """A user could not choose what happens without a signal."""
    await automate(world, unknown_action=action)
    if action == "resume":
        await world.set(SIGNAL, ON)
    await world.set(SIGNAL, UNAVAILABLE)
    await world.let_pass(minutes=25)
    assert sum(world.running) == 3 - count
    await world.let_pass(minutes=20)
    assert sum(world.running) == count


async def test_restart_in_the_middle(world: World) -> None:
    """A restart during a call or a return, or a call while Home Assistant is stopped, would be lost."""
    await automate(world, stagger=240, stagger_random=0)
    await world.set(SIGNAL, ON)
    await world.restart(minutes=3)
    assert not any(world.running)
    await world.let_pass(minutes=5)
    await world.set(SIGNAL, OFF)
    await world.let_pass(minutes=2)
    assert sum(world.running) == 1
    await world.restart(minutes=3)
    await world.let_pass(minutes=12)
    assert all(world.running)
    assert all(miner.applied.count("power_on") == 1 for miner in world.miners)
    await world.reload(without=True)
    await world.set(SIGNAL, ON)
    await world.restart(minutes=1)
    assert not any(world.running)


@ONE_MINER
async def test_manual_hold(world: World) -> None:
    """During a manual hold a call changes nothing; and a hold ends a return as well."""
    await world.set(HOLD, ON)
    await automate(world, hold=[HOLD])
    await world.set(SIGNAL, ON)
    await world.let_pass(minutes=2)
    assert all(world.running)
    await world.set(HOLD, OFF)
    assert not any(world.running)
    await world.let_pass(minutes=6)
    await world.set(SIGNAL, OFF)
    await world.set(HOLD, ON)
    await world.let_pass(minutes=10)
    assert not any(world.running)


@ONE_MINER
async def test_inverted_signal(world: World) -> None:
    """A contact that opens for a call would have the opposite effect."""
    await world.set(SIGNAL, ON)
    await automate(world, stop_state="off")
    await world.let_pass(minutes=2)
    assert all(world.running)
    await world.set(SIGNAL, OFF)
    assert not any(world.running)


async def test_others_stay_as_they_were(world: World) -> None:
    """A grid call would start a miner that the user or another automation has stopped."""
    await automate(world)
    await world.hass.services.async_call(
        "switch", "turn_off", {"entity_id": world.entity("switch", "mining", 0)}
    )
    await world.hass.services.async_call(
        "whatsminer",
        "curtail",
        {"device_id": world.devices[1], "target": "stop", "reason": "Price"},
    )
    await world.settle()
    await world.set(SIGNAL, ON)
    assert not any(world.running)
    await world.let_pass(minutes=10)
    await world.set(SIGNAL, OFF)
    await world.let_pass(minutes=15)
    assert world.running == [False, False, True]


async def test_user_starts_a_miner_during_a_call(world: World) -> None:
    """The user starts a miner during a call: it is stopped again, for a fine is a fine."""
    await automate(world)
    await world.set(SIGNAL, ON)
    await world.hass.services.async_call(
        "switch", "turn_on", {"entity_id": world.entity("switch", "mining", 0)}
    )
    await world.settle()
    await world.let_pass(minutes=7)
    assert not any(world.running)


@pytest.mark.parametrize("timing", [Timing(idle_power_w=1500)])
@ONE_MINER
async def test_reports_a_stop_but_uses_power(
    world: World, notified: list[dict[str, Any]]
) -> None:
    """A miner that reports a stop but still uses power would go unnoticed."""
    await automate(world, on_failure=notify("no"), attempts=2)
    await world.set(SIGNAL, ON)
    await world.let_pass(minutes=2)
    assert not any(world.running)
    assert len(notified) == 1


async def test_curtailed_and_offline(
    world: World, notified: list[dict[str, Any]]
) -> None:
    """A miner that is curtailed by the price and offline during a call would go unnoticed, although it may use power."""
    await automate(world, on_failure=notify("{{ failed | join(', ') }}"))
    await world.curtail(target="percent", percent=60, reason="Price")
    world.miner.inject("refuse")
    await world.let_pass(minutes=3)
    await world.set(SIGNAL, ON)
    await world.let_pass(minutes=10)
    assert world.running == [True, False, False]
    assert notified[0] == {"message": "M50 04EB"}
    world.miner.clear_failures()
    await world.let_pass(minutes=6)
    assert not any(world.running)


@pytest.mark.usefixtures("rare_polls")
@ONE_MINER
async def test_blocked(world: World, notified: list[dict[str, Any]]) -> None:
    """A call that cannot be heeded may cost a fine: it is notified, once for each cause."""
    await world.set(HOLD, ON)
    await automate(world, hold=[HOLD], on_blocked=notify("{{ blocked }}"))
    await world.let_pass(minutes=6)
    assert not notified
    await world.set(SIGNAL, ON)
    await world.let_pass(minutes=20)
    assert all(world.running)
    assert notified == [{"message": "hold"}]
    await world.set(HOLD, OFF)
    assert not any(world.running)
    await world.set(SIGNAL, UNAVAILABLE)
    await world.let_pass(minutes=25)
    assert len(notified) == 1
    await world.let_pass(minutes=30)
    assert notified[1:] == [{"message": "silent"}]
