"""The common test: every miner of docs/protocol.md, section J, from the form to the controls."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
import json
from typing import Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import format_mac
from homeassistant.util import dt as dt_util
import pytest

from custom_components.whatsminer.const import DOMAIN
from simulator import FOREIGN, PROFILES, SimulatedMiner

from .conftest import RaceClock
from .test_settings import FOREIGN_SETTINGS, SETTINGS

pytestmark = pytest.mark.usefixtures("entity_registry_enabled_by_default")

type Reading = Callable[[Any], Any]


def _reject_rate(t: Any) -> float:
    """API 3 has it at the pool only."""
    if hasattr(t, "reject_rate_percent"):
        return t.reject_rate_percent
    return next(pool.reject_rate_percent for pool in t.pools if pool.active)


# What each sensor must show, drawn from the simulator's own truth, and how far the wire rounds.
SENSORS: dict[str, tuple[Reading, float]] = {
    "power": (lambda t: t.power_w, 0.5),
    "power_5m": (lambda t: t.power_5min_w, 0.001),
    "hashrate": (lambda t: t.hashrate_ths, 6e-4),
    "hashrate_average": (lambda t: t.hashrate_average_ths, 6e-4),
    "hashrate_1m": (lambda t: t.hashrate_1m_ths, 6e-4),
    "hashrate_5m": (lambda t: t.hashrate_5m_ths, 6e-4),
    "hashrate_15m": (lambda t: t.hashrate_15m_ths, 6e-4),
    "hashrate_target": (lambda t: t.hashrate_target_ths, 6e-4),
    "hashrate_nominal": (lambda t: t.hashrate_nominal_ths, 1e-3),
    "efficiency": (
        lambda t: t.power_rate_jth or (t.power_w / t.hashrate_ths),
        0.02,
    ),
    "temperature": (lambda t: max(board.temperature_c for board in t.boards), 0.1),
    "environment_temperature": (lambda t: t.environment_temperature_c, 0.051),
    "liquid_temperature": (lambda t: t.liquid_temperature_c, 0.051),
    "chip_temperature_avg": (lambda t: t.chip_temperature_avg_c, 0.051),
    "chip_temperature_min": (lambda t: t.chip_temperature_min_c, 0.051),
    "chip_temperature_max": (lambda t: t.chip_temperature_max_c, 0.051),
    "fan_speed_in": (lambda t: t.fan_speed_in_rpm or None, 0.5),
    "fan_speed_out": (lambda t: t.fan_speed_out_rpm or None, 0.5),
    "psu_fan_speed": (lambda t: t.psu.fan_speed_rpm or None, 0.5),
    "psu_input_voltage": (lambda t: t.psu.input_voltage_v, 0.051),
    "psu_input_current": (lambda t: t.psu.input_current_a, 0.0051),
    "psu_input_power": (lambda t: t.psu.input_power_w, 0.5),
    "psu_temperature": (lambda t: t.psu.temperature_c, 0.51),
    "frequency_average": (lambda t: t.frequency_average_mhz, 0.5),
    "frequency_target": (lambda t: t.frequency_target_mhz or None, 0.5),
    "accepted_shares": (
        lambda t: (
            t.accepted_shares
            if t.accepted_shares is not None
            else sum(pool.accepted for pool in t.pools)
        ),
        0,
    ),
    "rejected_shares": (
        lambda t: (
            t.rejected_shares
            if t.rejected_shares is not None
            else sum(pool.rejected for pool in t.pools)
        ),
        0,
    ),
    "reject_rate": (_reject_rate, 0.0051),
}
BOARDS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "hashrate": (
        lambda b: getattr(b, "hashrate_ths", None) or b.hashrate_average_ths,
        0.006,
    ),
    "temperature": (lambda b: b.temperature_c, 0.051),
    "chip_temperature_avg": (lambda b: b.chip_temperature_avg_c, 0.051),
    "chip_temperature_min": (lambda b: b.chip_temperature_min_c, 0.051),
    "chip_temperature_max": (lambda b: b.chip_temperature_max_c, 0.051),
    "frequency": (lambda b: b.frequency_mhz, 0.5),
    "chips": (lambda b: b.chips, 0),
}
TEXTS: dict[str, Reading] = {
    "status": lambda t: "mining",
    "pool": lambda t: next(pool.url for pool in t.pools if pool.active),
    "pool_user": lambda t: next(pool.user for pool in t.pools if pool.active),
    "fault": lambda t: "none",
}
STARTED = {"uptime": lambda t: t.uptime_s, "mining_uptime": lambda t: t.elapsed_s}
BINARY: dict[str, Reading] = {
    "problem": lambda t: bool(t.error_codes),
    "stable": lambda t: getattr(t, "hash_stable", None) or t.upfreq_complete,
}


@pytest.fixture(params=PROFILES | FOREIGN)
def profile(request: pytest.FixtureRequest) -> str:
    """Every profile in turn."""
    return request.param


@pytest.fixture
async def keys(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    address: dict[str, Any],
    credentials: dict[str, Any],
) -> dict[tuple[str, str], str]:
    """Set the miner up through the form; all entities by platform and key."""
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    for step in (address, credentials):
        result = await hass.config_entries.flow.async_configure(flow["flow_id"], step)
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done()
    mac = format_mac(miner.mac)
    assert result["result"].unique_id == mac
    return {
        (found.domain, found.unique_id.removeprefix(f"{mac}_")): found.entity_id
        for found in er.async_entries_for_config_entry(
            er.async_get(hass), result["result"].entry_id
        )
    }


async def test_every_entity_equals_the_truth(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    profile: str,
    keys: dict[tuple[str, str], str],
) -> None:
    """A wrong number on the dashboard costs its owner money."""
    truth: Any = miner.truth() if miner.v3_port is None else miner.v3_truth()
    now = dt_util.utcnow()

    def shown(platform: str, key: str) -> str:
        state = hass.states.get(keys.pop((platform, key)))
        assert state
        return state.state

    def reading_of(read: Reading, source: Any) -> Any:
        """A value, or None where this API has no such field at all."""
        with suppress(AttributeError):
            return read(source)
        return None

    numbers = {
        key: (reading_of(read, truth), slack) for key, (read, slack) in SENSORS.items()
    }
    for board in truth.boards:
        for key, (read, slack) in BOARDS.items():
            numbers[f"board_{board.slot}_{key}"] = (reading_of(read, board), slack)
    if miner.v3_port is not None:
        # What 4433 leaves out is completed from 4028: shares, and on some firmware the PSU.
        for key, (value, slack) in numbers.items():
            if value is None and key.startswith(("accepted", "rejected", "psu")):
                numbers[key] = (SENSORS[key][0](miner.truth()), slack)
    for key, (value, slack) in numbers.items():
        if value is None:
            assert ("sensor", key) not in keys, f"{key} shows what the miner never said"
        else:
            assert float(shown("sensor", key)) == pytest.approx(value, abs=slack), key
    for key, read in TEXTS.items():
        assert shown("sensor", key) == read(truth), key
    if truth.firmware != "20210322.22.REL" and miner.v3_port is None:
        assert shown("sensor", "stop_reason") == "none"
    for key, seconds in STARTED.items():
        began = datetime.fromisoformat(shown("sensor", key))
        assert abs(now - timedelta(seconds=seconds(truth)) - began) < timedelta(
            seconds=5
        )
    for key, read in BINARY.items():
        assert shown("binary_sensor", key) == ("on" if read(truth) else "off"), key
    # The API switch of 1.x shows only in a write, which leaves it unknown.
    seen = "on" if truth.led_auto or miner.v3_port else STATE_UNKNOWN
    assert shown("binary_sensor", "write_access") == seen
    assert shown("switch", "mining") == "on"
    fast_boot = {True: "on", False: "off", None: STATE_UNKNOWN}[truth.fast_boot]
    assert shown("switch", "fast_boot") == fast_boot
    assert shown("select", "power_mode") == truth.power_mode
    if ("number", "power_limit") in keys:
        assert float(shown("number", "power_limit")) == truth.power_limit_w
    # API 3 reports that there is no percent, API 1.x and 2.0.x report nothing.
    percent = str(truth.power_percent or (100 if miner.v3_port else STATE_UNKNOWN))
    assert shown("number", "power_percent") == percent
    for key, own in OWN.items():
        if ("sensor", key) in keys:
            assert shown("sensor", key) == own, key
    assert shown("number", "power_target") == STATE_UNKNOWN
    assert shown("sensor", "energy") == "0.0"  # nothing was measured yet
    assert shown("event", "fault") == STATE_UNKNOWN
    assert shown("binary_sensor", "connectivity") == "on"
    assert shown("update", "firmware") == "off"  # no image is being installed
    assert shown("binary_sensor", "worn") == STATE_UNKNOWN  # nothing was learned yet
    # test_settings.py has what these show
    left = {"reboot", "restart_btminer", "identify", "resume"} | (
        SETTINGS | FOREIGN_SETTINGS
    )[profile]
    assert {key for _, key in keys} == left


async def test_lists_read_as_text(
    hass: HomeAssistant, keys: dict[tuple[str, str], str]
) -> None:
    """InfluxDB and templates show a list as text: names of the code mean nothing to its reader."""
    lists = 0
    for entity_id in keys.values():
        state = hass.states.get(entity_id)
        assert state
        for name, value in state.attributes.items():
            if isinstance(value, (list, dict)):
                lists += 1
                assert str(value) == str(json.loads(json.dumps(value))), (
                    f"{entity_id} {name}"
                )
    assert lists > 3


OWN = {
    "curtailment": "none",
    "curtailment_reason": "none",
    "curtailment_until": STATE_UNKNOWN,
    "power_decided_by": "baseline",
    "power_target_way": "off",
    "power_target_next_restart": STATE_UNKNOWN,
    "power_target_restarts_today": "0",
    "profile_state": "empty",
    "sweet_spot_power": STATE_UNKNOWN,
}


@pytest.mark.parametrize(
    "profile",
    [
        # These have the controls of other profiles; the foreign ones differ in their answers to reads.
        pytest.param(
            profile,
            marks=[pytest.mark.long] if profile in {"v205_m56s", *FOREIGN} else [],
        )
        for profile in PROFILES | FOREIGN
    ],
)
async def test_every_control_works(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    clock: RaceClock,
    keys: dict[tuple[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command that does nothing, or is not shown, leaves a miner running in an expensive hour."""
    monkeypatch.setattr("custom_components.whatsminer.button.BLINK_SECONDS", 0.1)
    clock.race()

    async def call(platform: str, key: str, action: str, **data: object) -> None:
        await hass.services.async_call(
            platform, action, {"entity_id": keys[platform, key], **data}, blocking=True
        )

    def shown(platform: str, key: str) -> str:
        state = hass.states.get(keys[platform, key])
        assert state
        return state.state

    await call("switch", "mining", "turn_off")
    assert not miner.truth().mining
    assert shown("switch", "mining") == "off"
    assert shown("sensor", "status") == "stopped"
    await call("switch", "mining", "turn_on")
    assert miner.truth().mining
    assert shown("switch", "mining") == "on"

    for on in (True, False):
        await call("switch", "fast_boot", "turn_on" if on else "turn_off")
        assert miner.machine.fast_boot is on
        assert shown("switch", "fast_boot") == ("on" if on else "off")

    for mode in ("low", "high", "normal"):
        await call("select", "power_mode", "select_option", option=mode)
        assert miner.truth().power_mode == mode
        assert shown("select", "power_mode") == mode

    if ("number", "power_limit") in keys:
        limit = miner.machine.power_limit_w - 300
        await call("number", "power_limit", "set_value", value=limit)
        assert miner.machine.power_limit_w == limit
        assert float(shown("number", "power_limit")) == limit

    elapsed = miner.truth().elapsed_s
    await call("button", "restart_btminer", "press")
    assert miner.truth().elapsed_s < elapsed + 60

    clock.advance(2 * 3600)  # tuned again: only now a percent has an effect
    await hass.config_entries.async_reload(
        hass.config_entries.async_entries(DOMAIN)[0].entry_id
    )
    await hass.async_block_till_done()
    await call("number", "power_percent", "set_value", value=70)
    assert miner.machine.power_percent == 70
    assert float(shown("number", "power_percent")) == 70

    await call("button", "identify", "press")
    await hass.async_block_till_done(wait_background_tasks=True)
    blinks = [
        command.params
        for command in miner.commands
        if command.name in ("set_led", "set.system.led")
    ]
    assert "red" in str(blinks)
    assert "green" in str(blinks)
    assert blinks[-1].get("param") == "auto"

    uptime = miner.truth().uptime_s
    await call("button", "reboot", "press")
    assert miner.truth().uptime_s < uptime
    assert shown("sensor", "status") in ("starting", "restarting", "tuning")
