"""Miners that answer otherwise than docs/protocol.md infers (section K): read right, or unknown."""

from collections.abc import AsyncIterator
import contextlib
from contextlib import asynccontextmanager
from dataclasses import replace
import re
from typing import Any
from unittest.mock import ANY

import pytest

from custom_components.whatsminer.api import (
    Cooling,
    HeatMode,
    InvalidAnswerError,
    Miner,
    PowerMode,
    UnknownOutcomeError,
    WhatsminerError,
    WrongPasswordError,
    connect,
)
from custom_components.whatsminer.api.v2.protocol import refusal
from simulator import DEVIATIONS, ManualClock, SimulatedMiner, Timing

from .test_fault_matrix import complete, flat

pytestmark = pytest.mark.usefixtures("client_sockets")

PASSWORD = "Secret_1"
OVER_4028 = ("v1_m20s", "v204_m30sp", "v205_m50", "v2c_m60s")
OVER_4433 = "v3_m7bs"


# What the client reads instead of the usual value, by a pattern of its path; the rest is the same.
SAME: dict[str, Any] = {}
UNKNOWN_MODEL = {r"info\.(model|cooling)": None}
EXPECTED: dict[str, dict[str, Any]] = {
    "description": SAME,
    "first_of_joined": SAME,
    "other_key_words": SAME,
    "lone_backslash": {r"pools\.\d\.user": r"dom\account.worker1"},
    "pkcs7_padding": SAME,
    "data_key": SAME,
    "spaces": SAME,
    "other_rate_unit": SAME,
    "other_board_unit": SAME,
    "other_reject_unit": {r"summary\.reject_rate": ANY},  # the shares are counted
    "other_summary_unit": SAME,
    "short_version": {r"info\.api_version": ANY},
    "status_words": SAME,
    "status_object": SAME,
    "byte_order_mark": SAME,
    "twice": SAME,
    "number_of_time": SAME,
    "codes_from_one": SAME,
    "same_slots": SAME,
    "no_frequency": {r"summary\.frequency_average": 0},
    "zero_percent": SAME,
    "pools_to_remove": SAME,
    "pools_reversed": SAME,
    "pool_words": {r"pools\.\d\.status": "rejecting"},
    "utc_times": {r"faults\.\d+\.time": "2023-11-14 22:13:20"},
    "unix_times": {r"faults\.\d+\.time": "1718447400"},
    "listed_notes": SAME,
    "board_tuning": SAME,
    "float_dust": SAME,
    "no_model": UNKNOWN_MODEL,
    "odd_model": {r"info\.model": "N1_X10", r"info\.cooling": None},
    "liquid_model": {r"info\.model": "M66S_VK30", r"info\.cooling": Cooling.LIQUID},
}
OTHER_FEATURES = {"liquid_model"}
"""The name decides what it is offered; the readings are the same (protocol.md#g2)."""
MORE_FEATURES = {"no_model", "odd_model"}
"""Without a known model it may be cooled either way, and has the features of both (protocol.md#g2)."""


@asynccontextmanager
async def simulated(
    profile: str, clock: ManualClock | None = None, **options: Any
) -> AsyncIterator[SimulatedMiner]:
    """A miner whose time stands still, so that it says the same again."""
    async with SimulatedMiner(
        profile,
        clock=clock or ManualClock(),
        epoch=1_700_000_000.0,
        password=PASSWORD,
        v3_password=PASSWORD,
        **options,
    ) as sim:
        sim.set_errors([110, 2010])
        yield sim


@asynccontextmanager
async def client(sim: SimulatedMiner, profile: str) -> AsyncIterator[Miner]:
    """Someone who adds the miner."""
    v3 = profile == OVER_4433
    miner = await connect(
        sim.host,
        sim.port,
        password=PASSWORD,
        v3_port=sim.v3_port if v3 else None,
        v3_password=PASSWORD if v3 else None,
    )
    try:
        yield miner
    finally:
        await miner.close()


@pytest.mark.parametrize("profile", [*OVER_4028, OVER_4433])
@pytest.mark.parametrize("name", EXPECTED)
async def test_a_miner_that_deviates(name: str, profile: str) -> None:
    """A number would be wrong by a factor, or the miner could not be added at all."""
    expected = EXPECTED[name]
    async with simulated(profile) as sim:
        async with client(sim, profile) as miner:
            clean = flat(await miner.read())
        sim.inject(name)
        async with client(sim, profile) as miner:
            state = await miner.read()
            await miner.set_fast_boot(enabled=True)
        assert complete(state), state.failed
        assert sim.machine.fast_boot
    found = flat(state)
    for path, usual in clean.items():
        pattern = next((each for each in expected if re.fullmatch(each, path)), None)
        wanted = usual if pattern is None or usual is None else expected[pattern]
        if path == "info.features" and name in MORE_FEATURES | OTHER_FEATURES:
            assert name in OTHER_FEATURES or found[path] >= usual
        elif isinstance(wanted, float):
            assert found[path] == pytest.approx(wanted, rel=1e-3, abs=0.01), path
        else:
            assert found[path] == wanted, path


IN_SUMMARY = ("summary_psu", "summary_psu_units")


@pytest.mark.parametrize("profile", ["v1_m20s", "v205_m50"])
@pytest.mark.parametrize("name", IN_SUMMARY)
async def test_a_power_supply_in_the_summary(name: str, profile: str) -> None:
    """A miner would seem to draw thousands of amperes, or none."""
    async with simulated(profile) as sim:
        sim.inject(name)
        async with client(sim, profile) as miner:
            summary = (await miner.read()).summary
    assert summary
    assert summary.power
    assert summary.psu_input_voltage == 228.75
    assert summary.psu_input_current == pytest.approx(summary.power / 228.75, abs=0.01)


@pytest.mark.parametrize("profile", [*OVER_4028, OVER_4433])
async def test_slots_that_are_numbered_from_one(profile: str) -> None:
    """A board would be shown with the temperature of its neighbour."""
    async with simulated(profile) as sim:
        async with client(sim, profile) as miner:
            clean = (await miner.read()).boards or ()
        sim.inject("slots_from_one")
        async with client(sim, profile) as miner:
            boards = (await miner.read()).boards
    assert boards == tuple(replace(board, slot=board.slot + 1) for board in clean)


@pytest.mark.parametrize("mac", ["00:1A:2B:3C:4D:5E", "02:00:00:00:00:01"])
async def test_other_mac_addresses(mac: str) -> None:
    """A miner with a newer network chip could not be added."""
    async with simulated("v205_m50", mac=mac) as sim, client(sim, "v205_m50") as miner:
        assert miner.info.mac == mac


@pytest.mark.parametrize("profile", ["v2c_m60s", OVER_4433])
async def test_a_power_supply_that_measures_nothing(profile: str) -> None:
    """A miner would seem to draw no power, and its energy cost nothing."""
    clock = ManualClock()
    async with simulated(profile, clock) as sim, client(sim, profile) as miner:
        sim.inject("psu_unmeasured")
        state = await miner.read()
        assert state.summary
        assert state.power_now == state.summary.power
        assert state.power_is_mean is state.info.power_is_mean
        await miner.stop_mining()
        clock.advance(600)
        assert (await miner.read()).power_now == pytest.approx(0, abs=30)


async def test_modes_with_another_power() -> None:
    """The power of a mode would be that of a table, not what the miner reports."""
    timing = Timing(low_mode_share=0.5, cooling_s=30)
    clock = ManualClock()
    async with (
        simulated("v205_m50", clock, timing=timing) as sim,
        client(sim, "v205_m50") as miner,
    ):
        full = (await miner.read()).power_now
        with contextlib.suppress(UnknownOutcomeError):
            await miner.set_power_mode(PowerMode.LOW)
        clock.advance(7200)
        low = await miner.read()
        await miner.stop_mining()
        clock.advance(600)
        idle = await miner.read()
    assert full
    assert low.power_now == pytest.approx(full / 2, rel=0.03)
    assert low.power_mode is PowerMode.LOW
    assert idle.temperature
    assert idle.temperature < 40


@pytest.mark.parametrize("name", ["listed_notes", None])
async def test_texts_of_the_owner(name: str | None) -> None:
    """An owner would be shown that nothing is stored on the miner."""
    async with simulated("v2c_m60s") as sim, client(sim, "v2c_m60s") as miner:
        await miner.set_custom_data("msg9", "shed")
        if name is None:
            assert (await miner.get_custom_data())["msg9"] == "shed"
            return
        sim.inject(name)
        with pytest.raises(InvalidAnswerError):
            await miner.get_custom_data()


@pytest.mark.parametrize("code", [14, 45, 132, 135])
def test_a_refusal_in_words(code: int) -> None:
    """A command that was refused would be taken for done."""
    answer = {"STATUS": "Error", "When": 1, "Code": code, "Msg": "no"}
    assert isinstance(refusal("power_off", answer), WhatsminerError)
    assert refusal("power_off", {"STATUS": "Success", "Code": 131}) is None


@pytest.mark.parametrize("code", [14, 45, 132, 999])
def test_a_refusal_whose_status_is_an_object(code: int) -> None:
    """A command that was refused would be taken for done."""
    alone = {"STATUS": {"STATUS": "E", "Code": code, "Msg": "no"}}
    assert isinstance(refusal("power_off", alone), WhatsminerError)
    beside = {"STATUS": {"STATUS": "E"}, "Code": code, "Msg": "no"}
    assert isinstance(refusal("power_off", beside), WhatsminerError)
    assert refusal("power_off", {"STATUS": {"STATUS": "S"}, "Code": 131}) is None


@pytest.mark.parametrize("profile", OVER_4028)
async def test_a_wrong_password_in_other_words(profile: str) -> None:
    """A wrong password would be accepted, and the first real command fail."""
    async with simulated(profile) as sim:
        sim.inject("other_key_words")
        miner = await connect(sim.host, sim.port, password="wrong", v3_port=None)
        with pytest.raises(WrongPasswordError):
            await miner.check_password()


async def test_a_percent_whose_refusal_has_another_code() -> None:
    """2.0.5 that does not know the gentle command could not be throttled."""
    async with simulated("v205_m50") as sim, client(sim, "v205_m50") as miner:
        sim.refuse["set_power_pct_v2"] = 132
        await miner.set_power_percent(60)
        assert sim.applied == ["set_power_pct"]


@pytest.mark.parametrize("code", [14, 132])
@pytest.mark.parametrize("on", [True, False])
async def test_fast_boot_by_its_later_name(code: int, on: bool) -> None:
    """1.x that knows the command only by the name of 2.x would refuse the switch."""
    async with simulated("v1_m20s") as sim, client(sim, "v1_m20s") as miner:
        sim.machine.fast_boot = not on
        verb = "enable" if on else "disable"
        sim.refuse[f"{verb}_cgminer_fast_boot"] = code
        await miner.set_fast_boot(on)
        assert sim.machine.fast_boot is on
        assert sim.applied == [f"{verb}_btminer_fast_boot"]


@pytest.mark.parametrize(
    ("profile", "refused", "code"),
    [
        ("v3_m64_bad", "set_heat_mode=anti-icing", 132),
        ("v3_m7bs", "set.miner.heat_mode=anti-freezing", -2),
        ("v3_m7bs", "set.miner.heat_mode=anti-freezing", -3),
    ],
)
async def test_the_other_word_for_the_protection_against_frost(
    profile: str, refused: str, code: int
) -> None:
    """A miner whose firmware has the other word would freeze in winter."""
    async with simulated(profile) as sim, client(sim, profile) as miner:
        sim.refuse[refused] = code
        await miner.set_heat_mode(HeatMode.ANTI_FREEZING)
        assert sim.truth().settings.heat_mode == "anti-freezing"


@pytest.mark.parametrize("on", [True, False])
async def test_fast_boot_without_the_settings(on: bool) -> None:
    """Where fast boot is unknown, a percent would be taken for one that restarts the miner."""
    async with simulated("v2c_m60s") as sim:
        sim.refuse["get.miner.setting"] = -2
        sim.machine.fast_boot = on
        miner = await connect(sim.host, sim.port, v3_port=sim.v3_port)
        state = await miner.read()
        await miner.close()
    assert state.summary
    assert state.summary.fast_boot is on


@pytest.mark.parametrize("code", [-1, -2, -3, -4, -5])
@pytest.mark.parametrize("command", ["set.miner.report", "set.system.led"])
async def test_an_account_that_some_commands_do_not_prove(
    command: str, code: int
) -> None:
    """The right password would be refused because of one command that the firmware dislikes."""
    async with simulated("v2c_m60s") as sim:
        sim.refuse |= {command: code, "set.miner.report": code}
        miner = await connect(
            sim.host, sim.port, v3_port=sim.v3_port, v3_password=PASSWORD
        )
        assert await miner.check_password()
        await miner.close()


async def test_a_user_with_one_permission() -> None:
    """Whoever may do little would be said to have a wrong password."""
    async with simulated("v2c_m60s") as sim:
        sim.v3_permissions["user1"] = {"set.system.led", "set.miner.service"}
        miner = await connect(
            sim.host,
            sim.port,
            v3_port=sim.v3_port,
            account="user1",
            v3_password="user1",
        )
        assert await miner.check_password()
        await miner.stop_mining()
        await miner.close()
    assert sim.applied == ["set.system.led", "set.miner.service"]


def test_every_deviation_is_tested() -> None:
    """A wrong guess of the protocol page would be survived on paper alone."""
    others = {*IN_SUMMARY, "slots_from_one", "psu_unmeasured"}
    assert EXPECTED.keys() | others == DEVIATIONS.keys()
