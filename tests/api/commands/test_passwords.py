"""A new password: changed, used from then on, or settled by trying both."""

import logging

import pytest

from custom_components.whatsminer.api import (
    NoPasswordError,
    UnknownOutcomeError,
    connect,
    transport,
)
from simulator import SimulatedMiner

from .conftest import (
    PASSWORD,
    SETUPS,
    V3,
    V3_PASSWORD,
    Client,
    Setup,
    Start,
    every_setup,
    sent,
)

NEW = "Other_2"

pytestmark = pytest.mark.usefixtures("client_sockets")


def secret_of(sim: SimulatedMiner, setup: Setup) -> str:
    """The password that the miner wants by now."""
    return sim.v3_passwords["super"] if setup.words is V3 else sim.password


@every_setup
async def test_a_new_password_is_used_from_then_on(
    start: Start, client: Client, caplog: pytest.LogCaptureFixture, setup: Setup
) -> None:
    """After changing it Home Assistant would be locked out of the miner."""
    caplog.set_level(logging.DEBUG)
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    await miner.change_password(NEW)
    assert secret_of(sim, setup) == NEW
    sim.commands.clear()
    await miner.set_led_auto()
    assert len(sent(sim)) == 1
    for secret in (NEW, PASSWORD, V3_PASSWORD):
        assert secret not in caplog.text + repr(miner)


@every_setup
@pytest.mark.parametrize(
    ("fault", "holds"),
    [("applied_no_answer", True), ("silent", False), ("answered_not_applied", False)],
)
async def test_what_became_of_a_password_is_found_out(
    start: Start,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    setup: Setup,
    fault: str,
    holds: bool,
) -> None:
    """The owner would not know which of the two opens the miner."""
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 0.3)
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    v3 = setup.words is V3
    sim.inject(fault, "set.user.change_passwd" if v3 else "update_pwd")
    if holds:
        await miner.change_password(NEW)
    else:
        with pytest.raises(UnknownOutcomeError) as caught:
            await miner.change_password(NEW)
        assert NEW not in repr(caught.value)
    assert (secret_of(sim, setup) == NEW) is holds
    sim.clear_failures()
    await miner.set_led_auto()
    asked = [name for name in sent(sim) if "pwd" in name or "passwd" in name]
    assert len(asked) == 1


async def test_an_acknowledged_password_is_kept_when_it_cannot_be_tried(
    start: Start, client: Client
) -> None:
    """A full token table would make Home Assistant forget the new password."""
    setup = SETUPS["2.0.5"]
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    sim.inject("error_136", "get_token")
    await miner.change_password(NEW)
    assert secret_of(sim, setup) == NEW
    sim.clear_failures()
    fresh = await connect(sim.host, sim.port, password=NEW, v3_port=None)
    await fresh.check_password()


async def test_another_account_may_change_its_password(start: Start) -> None:
    """It is not known that such an account may do what a password is tried with."""
    sim = await start(SETUPS["3.x"], v3_passwords={"user1": V3_PASSWORD})
    sim.v3_permissions["user1"] = {"set.user.change_passwd"}
    miner = await connect(
        sim.host,
        sim.port,
        v3_port=sim.v3_port,
        account="user1",
        v3_password=V3_PASSWORD,
    )
    await miner.change_password(NEW)
    assert sim.v3_passwords["user1"] == NEW
    await miner.close()


async def test_no_password_no_change(start: Start) -> None:
    """Without the old password there is nothing to be changed."""
    sim = await start(SETUPS["2.0.5"])
    miner = await connect(sim.host, sim.port, v3_port=None)
    with pytest.raises(NoPasswordError):
        await miner.change_password(NEW)
    assert secret_of(sim, SETUPS["2.0.5"]) == PASSWORD
