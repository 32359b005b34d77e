"""States and timelines of protocol.md#h2, as a client sees them."""

from itertools import pairwise
import time
from typing import Any

import pytest

from simulator import PROFILES, ManualClock, Phase, SimulatedMiner, Timing

from .conftest import EPOCH, Make, Writer, ask, ask_text

REFUSED = "Socket connect failed: Connection refused\n"


def at_rest(
    profile: str = "v205_m50", **options: Any
) -> tuple[SimulatedMiner, ManualClock]:
    """Return a miner without a socket, for its physics only."""
    clock = ManualClock()
    return SimulatedMiner(profile, clock=clock, epoch=EPOCH, **options), clock


@pytest.mark.parametrize(
    "profile", [name for name, profile in PROFILES.items() if profile.power_off_holds]
)
async def test_power_off_and_on(
    make: Make, writer: type[Writer], clock: ManualClock, profile: str
) -> None:
    """If it failed: the mining switch would be tested on a miner that stops in another way."""
    miner = await make(profile)
    owner = writer(miner)
    before = miner.truth()
    assert before.phase is Phase.STABLE
    assert (await owner("power_off", respbefore="true"))["Code"] == 131
    clock.advance(2)
    assert not miner.truth().mining
    clock.advance(5)
    assert miner.machine.power_w == pytest.approx(15, abs=4)
    clock.advance(9)
    assert miner.truth().hashrate_ths == 0
    assert miner.truth().hashrate_average_ths == 0
    assert miner.truth().frequency_average_mhz == 0
    warm = miner.truth().boards[0].temperature_c
    clock.advance(300)
    cold = miner.truth().boards[0].temperature_c
    room = miner.machine.environment_c
    assert warm
    assert cold
    assert (cold - room) / (warm - room) == pytest.approx(0.37, abs=0.02)
    assert miner.truth().fan_speed_in_rpm == 0
    assert miner.truth().power_w == pytest.approx(15, abs=1)
    status = await ask(miner, "status")
    assert status["Msg"].get("mineroff", status["Msg"].get("btmineroff")) == "true"
    if profile in ("v1_m20s", "v204_m30sp"):
        for command in ("summary", "pools", "devs", "edevs", "devdetails"):
            assert await ask_text(miner, command) == REFUSED
    else:
        assert status["Msg"]["mineroff_reason"] == "by whatsminer api"
        assert status["Msg"]["mineroff_time"] == "2023-11-15 06:13:21"
        assert miner.truth().stop_reason == "by whatsminer api"
        psu = (await ask(miner, "get_psu"))["Msg"]
        assert (psu["enable"], psu["iin"], psu["fan_speed"]) == ("0", "0", "0")
    elapsed = miner.truth().elapsed_s
    v2c = miner.profile.dialect == "v2c"
    assert elapsed == before.elapsed_s + (316 if v2c else 1)
    assert (await owner("power_on"))["Code"] == 131
    assert miner.truth().mining
    assert miner.truth().phase is Phase.STARTING
    clock.advance(5)
    assert miner.truth().hashrate_1m_ths == pytest.approx(0, abs=0.001) or v2c
    clock.advance(60)
    assert miner.truth().phase is Phase.UPFREQ
    clock.advance(2500)
    truth = miner.truth()
    assert truth.phase is Phase.STABLE
    # A percentage is lost
    percent = miner.profile.power_percent / 100
    assert truth.hashrate_ths == pytest.approx(
        before.hashrate_ths / percent**0.8, rel=0.03
    )
    assert truth.power_w == pytest.approx(before.power_w / percent, rel=0.02)


async def test_stopped_2_0_5_is_frozen_and_2_2_counts_on(
    make: Make, clock: ManualClock
) -> None:
    """If it failed: only one behaviour of `Elapsed` on a stopped miner would be tested."""
    frozen = await make("v205_m50", state="stopped")
    counting = await make("v2c_m60s", state="stopped")
    first = [(await ask(miner, "summary")) for miner in (frozen, counting)]
    clock.advance(100)
    second = [(await ask(miner, "summary")) for miner in (frozen, counting)]
    assert second[0]["SUMMARY"][0]["Elapsed"] == first[0]["SUMMARY"][0]["Elapsed"]
    assert second[1]["Msg"]["Elapsed"] == first[1]["Msg"]["Elapsed"] + 100
    assert second[0]["SUMMARY"][0]["MHS av"] == second[1]["Msg"]["MHS av"] == 0
    assert (await ask(counting, "pools"))["POOLS"] == []
    assert counting.truth().pools == ()
    assert counting.truth().accepted_shares is None
    assert (await ask(frozen, "pools"))["POOLS"][0]["Stratum Active"] is False


async def test_reboot(make: Make, writer: type[Writer], clock: ManualClock) -> None:
    """If it failed: a closed port, then a daemon without btminer, could not be tested."""
    miner = await make("v205_m50")
    assert (await writer(miner)("reboot"))["Code"] == 131
    clock.advance(2)
    await miner.tick()
    assert miner.truth().phase is Phase.OFF_BOARD
    with pytest.raises(ConnectionRefusedError):
        await ask(miner, "status")
    clock.advance(60)
    await miner.tick()
    assert miner.truth().phase is Phase.BTMINER_DOWN
    assert await ask_text(miner, "summary") == REFUSED
    assert await ask_text(miner, "summary+pools") == REFUSED
    assert (await ask(miner, "status"))["Msg"]["mineroff"] == "false"
    assert (await ask(miner, "get_version"))["Code"] == 131
    clock.advance(27)
    assert miner.truth().phase is Phase.STARTING
    assert miner.truth().uptime_s - miner.truth().elapsed_s == 27
    summary = (await ask(miner, "summary"))["SUMMARY"][0]
    assert (summary["MHS av"], summary["Upfreq Complete"]) == (0, 0)


async def test_btminer_down_on_2_2_is_json(make: Make) -> None:
    """If it failed: the answer of newer firmware would not be tested."""
    miner = await make("v2c_m60s", state="btminer_down")
    for command in ("summary", "edevs", "pools", "summary+pools"):
        answer = await ask(miner, command)
        assert (answer["STATUS"], answer["Code"]) == ("E", 132)


async def test_stopped_miner_mines_again_after_reboot(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a controller that assumes that a stop lasts would not be noticed."""
    miner = await make("v205_m50", state="stopped")
    await writer(miner)("reboot")
    clock.advance(200)
    assert miner.truth().mining


def test_tuning_follows_the_page() -> None:
    """If it failed: a demo would show a miner at full hashrate immediately."""
    miner, clock = at_rest(state="starting")
    assert miner.truth().phase is Phase.STARTING
    clock.advance(20)
    truth = miner.truth()
    assert truth.hashrate_1m_ths == 0
    assert 15 < truth.power_w < 500
    clock.advance(25)
    assert miner.truth().phase is Phase.UPFREQ
    clock.advance(2)
    assert miner.truth().frequency_average_mhz / 612 == pytest.approx(0.12, abs=0.02)
    clock.advance(898)
    assert miner.truth().frequency_average_mhz / 612 == pytest.approx(0.90, abs=0.01)
    assert miner.truth().power_w / 3312 > 0.9
    assert not miner.truth().hash_stable
    clock.advance(1300 - 945)
    assert miner.truth().phase is Phase.STABLE
    assert miner.machine.stable_cost_s == 1300


@pytest.mark.parametrize(
    ("speed", "seconds"), [(0, 900), (3, 684), (5, 540), (7, 470), (9, 400), (10, 400)]
)
def test_upfreq_speed(speed: int, seconds: int) -> None:
    """If it failed: the tuning speed would have no effect."""
    miner, clock = at_rest(state="btminer_down")
    miner.machine.change(upfreq_speed=speed)
    clock.advance(27 + 45 + seconds)
    assert miner.truth().frequency_average_mhz / 612 == pytest.approx(0.90, abs=0.01)


async def test_fast_boot(make: Make, writer: type[Writer], clock: ManualClock) -> None:
    """If it failed: the fast boot switch would have no effect."""
    miner = await make("v205_m50")
    owner = writer(miner)
    assert (await ask(miner, "summary"))["SUMMARY"][0]["Btminer Fast Boot"] == "disable"
    await owner("enable_btminer_fast_boot")
    assert (await ask(miner, "summary"))["SUMMARY"][0]["Btminer Fast Boot"] == "enable"
    assert miner.truth().fast_boot is True
    await owner("restart_btminer")
    clock.advance(11 + 60)
    assert miner.truth().power_w > 0.85 * 3312
    clock.advance(30)
    assert miner.truth().phase is Phase.STABLE
    await owner("disable_btminer_fast_boot")
    await owner("restart_btminer")
    clock.advance(200)
    assert miner.truth().phase is Phase.UPFREQ


async def test_restart(make: Make, writer: type[Writer], clock: ManualClock) -> None:
    """If it failed: clients could not detect a restart by `Elapsed`."""
    miner = await make("v205_m50")
    uptime = miner.truth().uptime_s
    assert (await writer(miner)("restart_btminer"))["Code"] == 131
    clock.advance(3)
    assert miner.truth().phase is Phase.BTMINER_DOWN
    assert miner.truth().power_w < 500
    clock.advance(10)
    truth = miner.truth()
    assert truth.phase is Phase.STARTING
    assert truth.elapsed_s == 2
    assert truth.uptime_s == uptime + 13
    assert truth.accepted_shares == 0


async def test_power_of_2_2_is_a_mean(
    make: Make, writer: type[Writer], clock: ManualClock
) -> None:
    """If it failed: a client could assume that power falls immediately when a miner stops."""
    miner = await make("v2c_m60s")
    await writer(miner)("power_off")
    clock.advance(1 + 150)
    reported = (await ask(miner, "summary"))["Msg"]["Power"]
    assert reported == pytest.approx(3540 / 2, rel=0.05)
    psu = (await ask(miner, "get_psu"))["Msg"]
    assert int(psu["pin"]) == pytest.approx(15, abs=1)


def test_means_lag() -> None:
    """If it failed: all windows would have the same value, and a wrong key would not be noticed."""
    miner, clock = at_rest()
    miner.machine.set_percent(50, gentle=False)
    clock.advance(30)
    truth = miner.truth()
    assert truth.hashrate_5m_ths
    assert truth.hashrate_1m_ths < truth.hashrate_5m_ths < truth.hashrate_15m_ths
    assert truth.hashrate_15m_ths < truth.hashrate_average_ths * 1.02


def test_window_longer_than_elapsed_is_the_average() -> None:
    """If it failed: the first minutes after a start would be reported differently from a real miner."""
    miner, clock = at_rest(state="upfreq")
    clock.advance(200)
    truth = miner.truth()
    assert truth.hashrate_15m_ths == truth.hashrate_5m_ths == truth.hashrate_average_ths
    assert truth.hashrate_1m_ths > truth.hashrate_average_ths


def test_time_in_one_stride_or_in_many() -> None:
    """If it failed: the true state would depend on how often it is read."""
    results = []
    for strides in ([9000.0], [10.0] * 900, [1.0] * 5000 + [4000.0]):
        miner, clock = at_rest()
        miner.machine.set_mode("low")
        for seconds in strides:
            clock.advance(seconds)
            miner.truth()
        results.append(miner.truth())
    for first, second in pairwise(results):
        assert second.hashrate_ths == pytest.approx(first.hashrate_ths, rel=1e-9)
        assert second.hashrate_average_ths == pytest.approx(
            first.hashrate_average_ths, rel=1e-9
        )
        assert second.power_w == pytest.approx(first.power_w, rel=1e-9)
        assert second.temperature_c == pytest.approx(first.temperature_c, rel=1e-9)
        assert second.accepted_shares == first.accepted_shares


def test_time_stops_with_the_clock() -> None:
    """If it failed: the true state and the answers would differ between two reads."""
    miner, clock = at_rest()
    clock.advance(12.5)
    assert miner.truth() == miner.truth()
    other, clock = at_rest()
    clock.advance(12.5)
    assert miner.truth() == other.truth()
    assert miner.truth() != at_rest(seed=2)[0].truth()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_month_costs_nothing(profile: str) -> None:
    """If it failed: a test or a laptop that slept would wait for the simulator."""
    miner, clock = at_rest(profile, state="off_board")
    begin = time.perf_counter()
    clock.advance(30 * 86400)
    truth = miner.truth()
    assert time.perf_counter() - begin < 1
    assert truth.phase is Phase.STABLE
    assert truth.elapsed_s == 30 * 86400 - 87
    assert truth.hashrate_average_ths == pytest.approx(
        miner.profile.hashrate_ths * miner.machine.tuned_share(), rel=0.01
    )


def test_speed() -> None:
    """If it failed: a demo would need twenty minutes until its miner is tuned."""
    miner, clock = at_rest(state="starting", speed=100)
    clock.advance(14)
    assert miner.truth().phase is Phase.STABLE
    assert miner.truth().elapsed_s == 1400


@pytest.mark.parametrize("state", list(Phase))
def test_begins_in_any_state(state: Phase) -> None:
    """If it failed: a test could not start in the state that it tests."""
    assert at_rest(state=state.value)[0].truth().phase is state


def test_timing_is_a_parameter() -> None:
    """If it failed: a test could not choose how long a restart takes."""
    miner, clock = at_rest(timing=Timing(btminer_down_s=100))
    miner.machine.restart()
    clock.advance(90)
    assert miner.truth().phase is Phase.BTMINER_DOWN


def test_long_polling_keeps_little() -> None:
    """If it failed: a miner that is polled for weeks would use more and more memory."""
    miner, clock = at_rest()
    for _ in range(5000):
        clock.advance(1)
        miner.truth()
    assert len(miner.machine._hashes.times) <= 1801  # noqa: SLF001
    assert miner.truth().hashrate_15m_ths == pytest.approx(113.9, rel=0.02)
