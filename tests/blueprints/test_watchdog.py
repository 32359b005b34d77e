"""The watchdog: it restarts a faulty miner, leaves the others alone, and gives up after some attempts."""

from collections.abc import Callable
import re
from typing import Any

import pytest

from .conftest import HOLD, OFF, ON, World, notify


@pytest.fixture
def automate(world: World, notified: list[dict[str, Any]]) -> Callable[..., Any]:
    """Return a function that creates the automation."""

    async def run(**inputs: object) -> None:
        await world.automate(
            "watchdog",
            hashrate=world.entity("sensor", "hashrate"),
            lowest_hashrate=90,
            restart_button=world.entity("button", "restart_btminer"),
            reboot_button=world.entity("button", "reboot"),
            pool=world.entity("sensor", "pool"),
            on_step=notify("{{ step }}: {{ problem }}"),
            on_offline=notify("offline"),
            **inputs,
        )

    return run


def steps(notified: list[dict[str, Any]]) -> list[str]:
    """The steps that were notified."""
    return [call["message"].split(":")[0] for call in notified]


def heal_by(world: World, command: str) -> None:
    """Repair the boards when the miner applies this command."""

    def look() -> None:
        if world.done(command):
            world.miner.set_board_count(3)

    world.surroundings = look


async def test_normal_day(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """A healthy miner would be restarted, for example while it is stopped, curtailed or tuning."""
    await automate()
    world.step = 120
    await world.let_pass(hours=2)
    for action, data in (
        ("curtail", {"target": "stop"}),
        ("resume", {}),
        ("curtail", {"target": "percent", "percent": 50}),
        ("resume", {}),
    ):
        await world.hass.services.async_call(
            "whatsminer", action, {"device_id": world.devices, **data}
        )
        await world.settle()
        await world.let_pass(minutes=40)
    assert not notified
    assert world.done("restart_btminer", "reboot") == 0


async def test_restart_helps(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """A miner that lost two boards would not be restarted, or more than once."""
    await automate()
    heal_by(world, "restart_btminer")
    world.miner.set_board_count(1)
    await world.let_pass(minutes=14)
    assert world.done("restart_btminer") == 0
    await world.let_pass(minutes=8)
    assert world.done("restart_btminer") == 1
    world.step = 120
    await world.let_pass(hours=2)
    assert float(world.state("sensor", "hashrate")) > 110
    assert steps(notified) == ["restart"]
    assert re.fullmatch(
        r"restart: M50 04EB does [\d.]+ of at least 90 TH/s\.", notified[0]["message"]
    )
    assert world.done("reboot") == 0


async def test_reboot_helps(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """A miner that a restart does not repair would not be rebooted."""
    await automate()
    heal_by(world, "reboot")
    world.miner.set_board_count(1)
    world.step = 120
    await world.let_pass(hours=3)
    assert steps(notified) == ["restart", "reboot"]
    assert float(world.state("sensor", "hashrate")) > 110


@pytest.mark.long
async def test_nothing_helps(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """A broken board is for a person: notified once, and tried again twice a day at most."""
    await automate(daily_limit=2)
    world.miner.set_board_count(1)
    world.step = 120
    await world.let_pass(hours=11)
    assert steps(notified) == ["restart", "reboot", "give_up"]
    await world.let_pass(hours=13)
    assert steps(notified)[:6] == ["restart", "reboot", "give_up"] * 2
    assert world.done("restart_btminer") == 2
    assert world.done("reboot") == 2


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"daily_limit": 0}, ["give_up"]),
        ({"may_reboot": False}, ["restart", "give_up"]),
    ],
)
async def test_less_than_the_ladder(
    world: World,
    notified: list[dict[str, Any]],
    automate: Callable[..., Any],
    inputs: dict[str, Any],
    expected: list[str],
) -> None:
    """Who wants to be notified only, or no reboot, gets that."""
    await automate(**inputs)
    world.miner.set_board_count(1)
    world.step = 120
    await world.let_pass(hours=3)
    assert steps(notified) == expected
    assert world.done("reboot") == 0


async def test_dead_pool(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """A miner that hashes without a pool earns nothing."""
    pools = world.miner.profile.pools
    await automate()
    world.miner.machine.set_pools(())
    await world.let_pass(minutes=30)
    assert steps(notified) == ["restart"]
    assert "has no pool" in notified[0]["message"]
    world.miner.machine.set_pools(pools)
    world.step = 120
    await world.let_pass(hours=2)
    assert steps(notified) == ["restart"]


async def test_flapping_hashrate(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """A short dip in the hashrate would cost 20 minutes of tuning."""
    await automate()
    for _ in range(6):
        world.miner.set_board_count(1)
        await world.let_pass(minutes=8)
        world.miner.set_board_count(3)
        await world.let_pass(minutes=8)
    assert not notified


async def test_unavailable_miner(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """The watchdog would send commands to a miner that does not respond, or notify nobody, or again and again."""
    await automate(offline_minutes=40)
    world.miner.set_board_count(1)
    await world.let_pass(minutes=5)
    world.miner.inject("refuse")
    await world.let_pass(minutes=38)
    assert not notified
    await world.let_pass(minutes=22)
    assert steps(notified) == ["offline"]
    notified.clear()
    world.miner.clear_failures()
    await world.let_pass(minutes=12)
    assert not notified
    await world.let_pass(minutes=10)
    assert steps(notified) == ["restart"]


async def test_restart_in_the_middle(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """A restart of Home Assistant would reset the count of restarts of the miner."""
    await automate()
    world.step = 120
    world.miner.set_board_count(1)
    await world.let_pass(minutes=20)
    assert steps(notified) == ["restart"]
    await world.let_pass(minutes=30)
    await world.restart(minutes=5)
    await world.let_pass(minutes=20)
    assert steps(notified) == ["restart", "reboot"]
    await world.restart(minutes=30)
    await world.let_pass(minutes=30)
    assert steps(notified) == ["restart", "reboot", "give_up"]
    assert world.done("restart_btminer") == 1
    assert world.done("reboot") == 1


async def test_manual_hold(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """A miner would restart while a user works on it."""
    await world.set(HOLD, OFF)
    await automate(hold=[HOLD])
    world.step = 120
    world.miner.set_board_count(1)
    await world.let_pass(minutes=10)
    await world.set(HOLD, ON)
    await world.let_pass(minutes=60)
    assert not notified
    await world.set(HOLD, OFF)
    await world.let_pass(minutes=20)
    assert steps(notified) == ["restart"]


async def test_refused(
    world: World, notified: list[dict[str, Any]], automate: Callable[..., Any]
) -> None:
    """A miner that refuses commands would receive one every minute, or the user would not be notified."""
    await automate()
    world.miner.api_switch = False
    world.miner.set_board_count(1)
    world.step = 120
    await world.let_pass(hours=4)
    assert steps(notified) == ["restart", "reboot", "give_up"]
