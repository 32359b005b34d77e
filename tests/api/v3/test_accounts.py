"""Accounts: who may command the miner, and on which port."""

import asyncio

import pytest

from custom_components.whatsminer.api import (
    AccountRefusedError,
    CommandRefusedError,
    Dialect,
    NoPasswordError,
    PowerMode,
    UnknownOutcomeError,
    WriteApiDisabledError,
    WrongPasswordError,
)

from .conftest import (
    ADMIN,
    M7BS,
    M60S,
    PASSWORD,
    Call,
    Client,
    Start,
    every_profile,
    stop,
    written,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


# Who may write


@every_profile
async def test_a_wrong_password(start: Start, client: Client, profile: str) -> None:
    """The user would search everywhere but in the password."""
    sim = await start(profile, v3_password="another")
    miner = await client(sim)
    for call in (miner.check_password, miner.check_write_access, miner.stop_mining):
        with pytest.raises(AccountRefusedError) as caught:
            await call()
        assert caught.value.account == "super"
    assert sim.v3_truth().mining
    assert written(sim).count("set.miner.service") == 1


async def test_a_changed_password_is_noticed(start: Start, client: Client) -> None:
    """The user is prompted for the new one instead of seeing a dead switch."""
    sim = await start()
    miner = await client(sim)
    await miner.check_password()
    sim.set_v3_password("super", "another")
    with pytest.raises(AccountRefusedError):
        await miner.stop_mining()
    sim.set_v3_password("super", PASSWORD)
    await miner.stop_mining()


async def test_an_unknown_account(start: Start, client: Client) -> None:
    """`admin` is that of 4028, and many will try it."""
    sim = await start()
    miner = await client(sim, account="admin", v3_password=ADMIN)
    with pytest.raises(AccountRefusedError) as caught:
        await miner.check_password()
    assert caught.value.account == "admin"


@pytest.mark.parametrize(
    ("unknown", "checked"),
    [
        (["set.miner.report"], True),
        (["set.miner.report", "set.system.led"], True),
        (["set.miner.report", "set.system.led", "set.system.webpools"], False),
    ],
)
async def test_an_account_where_the_command_of_the_check_is_unknown(
    start: Start, client: Client, unknown: list[str], checked: bool
) -> None:
    """The right password would be refused on firmware that lacks one optional command."""
    sim = await start()
    before = sim.v3_truth()
    sim.refuse = dict.fromkeys(unknown, -2)
    assert await (await client(sim)).check_password() is checked
    assert sim.v3_truth() == before
    miner = await client(sim)
    await miner.stop_mining()
    assert "set.miner.service" in sim.applied
    if checked:
        wrong = await client(sim, v3_password="wrong")
        with pytest.raises(AccountRefusedError):
            await wrong.check_password()


async def test_an_account_without_permission(start: Start, client: Client) -> None:
    """It can be read with any account, and written with none but a permitted one."""
    sim = await start()
    miner = await client(sim, account="user1", v3_password="user1")
    with pytest.raises(AccountRefusedError):
        await miner.stop_mining()
    sim.v3_permissions["user1"] = {"set.miner.report"}
    await miner.check_password()
    with pytest.raises(CommandRefusedError) as caught:
        await miner.stop_mining()
    assert caught.value.code == -4
    assert sim.v3_truth().mining
    sim.v3_permissions["user1"] = {"set.miner.service"}
    await miner.stop_mining()


async def test_the_write_api_is_off(start: Start, client: Client) -> None:
    """The user is advised to turn on the switch, not to change the password."""
    for options in ({}, {"v3_password": "wrong"}, {"v3_password": None}):
        sim = await start(api_switch=False)
        miner = await client(sim, **options)
        assert miner.info.api_switch is False
        with pytest.raises(WriteApiDisabledError):
            await miner.stop_mining()
        if miner.has_password and "v3_password" not in options:
            with pytest.raises(WriteApiDisabledError):
                await miner.check_write_access()
        clock_stands_still = sim.v3_truth()
        assert clock_stands_still.mining
        sim.api_switch = True
        assert (await miner.read()).info.api_switch is True


async def test_a_miner_without_password_can_be_read_only(
    start: Start, client: Client
) -> None:
    """Reads need no password, and a write must say what is missing."""
    sim = await start()
    miner = await client(sim, v3_password=None, password=None)
    assert not miner.has_password
    assert (await miner.read()).failed == {}
    with pytest.raises(NoPasswordError):
        await miner.stop_mining()
    with pytest.raises(NoPasswordError):
        await stop(miner)
    assert written(sim) == []


@every_profile
async def test_the_password_check_changes_nothing(
    start: Start, client: Client, profile: str
) -> None:
    """Adding a miner would restart it."""
    sim = await start(profile)
    miner = await client(sim)
    before = sim.v3_truth()
    await miner.check_password()
    assert await miner.check_write_access() is True
    assert sim.v3_truth() == before
    assert set(written(sim)) == {"set.miner.report"}
    # Nor does the miner begin to talk on its own
    assert sim.commands[-1].params["param"] == {"gap": 0}


@pytest.mark.parametrize("hours", [-5, 3, 24 * 365])
async def test_a_clock_that_is_wrong(start: Start, client: Client, hours: int) -> None:
    """A miner without time server would refuse every command."""
    sim = await start(clock_offset_s=hours * 3600, ts_tolerance_s=0)
    miner = await client(sim)
    await miner.set_fast_boot(True)
    sim.clock_offset_s = -hours * 3600
    await miner.stop_mining()
    assert written(sim) == ["set.miner.fastboot", "set.miner.service"]


async def test_a_clock_that_was_never_set(start: Start, client: Client) -> None:
    """It counts the seconds since the start (protocol.md#e2)."""
    sim = await start(epoch=3521.0, ts_tolerance_s=0)
    await (await client(sim)).set_fast_boot(True)
    assert [c.params["ts"] for c in sim.commands if "ts" in c.params] == [3521]


# Only the admin's password is known


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("power_off", lambda m: m.stop_mining()),
        ("power_on", lambda m: m.start_mining()),
        ("adjust_power_limit", lambda m: m.set_power_limit(3000)),
        ("set_power_pct_v2", lambda m: m.set_power_percent(75)),
        ("restore_power_pct", lambda m: m.restore_power_percent()),
        ("enable_btminer_fast_boot", lambda m: m.set_fast_boot(True)),
        ("set_led", lambda m: m.set_led_auto()),
        ("set_led", lambda m: m.blink()),
    ],
)
@every_profile
async def test_writes_go_to_4028(
    start: Start,
    client: Client,
    crowd: list[int],
    profile: str,
    command: str,
    call: Call,
) -> None:
    """Who has not given the password of API 3.x could not command anything."""
    sim = await start(profile)
    miner = await client(sim, v3_password=None)
    assert miner.has_password
    await miner.read()
    await call(miner)
    assert set(written(sim)) == {command}
    assert {c.api for c in sim.commands if c.encrypted} == {"v2"}
    assert sim.tokens_issued == 1
    state = await miner.read()
    assert state.info.dialect is Dialect.V3
    assert state.failed == {}
    assert max(crowd) == 1


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("set_low_power", lambda m: m.set_power_mode(PowerMode.LOW)),
        ("restart_btminer", lambda m: m.restart_btminer()),
        ("reboot", lambda m: m.reboot()),
    ],
)
async def test_writes_to_4028_that_are_never_answered(
    start: Start, client: Client, command: str, call: Call
) -> None:
    """This firmware never answers them; the outcome is read back (protocol.md#d8)."""
    sim = await start()
    miner = await client(sim, v3_password=None)
    with pytest.raises(UnknownOutcomeError):
        await call(miner)
    assert written(sim) == [command]


async def test_the_limits_are_the_same_on_4028(start: Start, client: Client) -> None:
    """A liquid cooled miner could not be set above 100 % there."""
    sim = await start(M7BS)
    miner = await client(sim, v3_password=None)
    await miner.set_power_percent(130)
    assert sim.v3_truth().power_percent == 130
    assert written(sim) == ["set_power_pct_v2"]


async def test_both_ports_share_one_lock(
    start: Start, client: Client, crowd: list[int]
) -> None:
    """Polls on one port and commands on the other would be two sockets at the same time."""
    sim = await start()
    miner = await client(sim, v3_password=None)
    await asyncio.gather(
        *(miner.read() for _ in range(3)),
        *(miner.set_fast_boot(number % 2 == 0) for number in range(5)),
        miner.check_password(),
    )
    assert max(crowd) == 1
    assert sim.most_open_connections == sim.most_open_v3_connections == 1
    assert sim.tokens_issued == 1


async def test_the_password_of_4028_is_checked_there(
    start: Start, client: Client
) -> None:
    """The user would find out with the first command."""
    sim = await start(M60S)
    miner = await client(sim, v3_password=None)
    await miner.check_password()
    assert await miner.check_write_access() is True
    wrong = await client(sim, v3_password=None, password="wrong")
    with pytest.raises(WrongPasswordError):
        await wrong.check_password()
    with pytest.raises(WrongPasswordError):
        await wrong.stop_mining()
    assert set(written(sim)) == {"status", "set_led"}


# An account that no harmless command proves


@pytest.mark.parametrize(
    ("unknown", "proven"),
    [
        pytest.param(("set.miner.report",), True, id="report unknown"),
        pytest.param(
            ("set.miner.report", "set.system.led", "set.system.webpools"),
            False,
            id="all unknown",
        ),
    ],
)
async def test_an_unknown_command_proves_nothing(
    start: Start, client: Client, unknown: tuple[str, ...], proven: bool
) -> None:
    """The right password would be refused by firmware that lacks an optional command."""
    sim = await start(refuse=dict.fromkeys(unknown, -2))
    miner = await client(sim)
    before = sim.v3_truth()
    assert await miner.check_password() is proven
    assert await miner.check_write_access() is proven
    assert sim.v3_truth() == before
    await miner.stop_mining()
    assert sim.applied[-1] == "set.miner.service"


@every_profile
async def test_a_wrong_password_without_the_optional_command(
    start: Start, client: Client, profile: str
) -> None:
    """A wrong password would be taken for an old firmware."""
    sim = await start(profile, v3_password="another", refuse={"set.miner.report": -2})
    miner = await client(sim)
    for call in (miner.check_password, miner.stop_mining):
        with pytest.raises(AccountRefusedError):
            await call()
    assert sim.applied == []


async def test_a_new_password_that_nothing_proves(start: Start, client: Client) -> None:
    """Home Assistant would continue with a password that the miner may not have accepted."""
    unknown = ("set.miner.report", "set.system.led", "set.system.webpools")
    sim = await start(refuse=dict.fromkeys(unknown, -2))
    miner = await client(sim)
    await miner.change_password("New_1")
    await miner.stop_mining()
    sim.inject("close", "set.user.change_passwd")
    with pytest.raises(UnknownOutcomeError):
        await miner.change_password("New_2")
    await miner.start_mining()
