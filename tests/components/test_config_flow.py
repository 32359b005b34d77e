"""The config flows: each failure has its own message, and each can be fixed in the same dialog."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, section
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import format_mac
from homeassistant.setup import async_setup_component
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from pytest_socket import socket_allow_hosts

from custom_components.whatsminer.const import (
    CONF_ACCOUNT,
    CONF_DEAD_BAND,
    CONF_FIXED_PRICE,
    CONF_HASHPRICE,
    CONF_HASHPRICE_SENSOR,
    CONF_HEAT_EFFICIENCY,
    CONF_HEAT_PRICE,
    CONF_HEAT_SHARE,
    CONF_HEAT_SOURCE,
    CONF_HOURS_AT_LEAST,
    CONF_HOURS_AT_MOST,
    CONF_POWER_LIMIT_MAX,
    CONF_POWER_LIMIT_MIN,
    CONF_PRICE_SENSOR,
    CONF_RESTART_INTERVAL,
    CONF_RESTARTS_ALLOWED,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.power.record import Target
from simulator import SimulatedMiner

from .conftest import PASSWORD, Find, RaceClock, issue

TEXTS: dict[str, Any] = json.loads(
    (
        Path(__file__).parents[2]
        / "custom_components"
        / DOMAIN
        / "translations"
        / "en.json"
    ).read_text()
)
SENTENCES: dict[str, str] = TEXTS["config"]["error"]

type Form = dict[str, Any]


@pytest.fixture
def form(address: Form, credentials: Form) -> Form:
    """Return the complete input of both steps."""
    return {**address, **credentials}


@pytest.fixture
async def other_server() -> AsyncGenerator[Callable[[bytes], int]]:
    """Start a server that is not a WhatsMiner; `answer` is its answer to every request."""
    answer = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)

    def set_answer(said: bytes) -> int:
        nonlocal answer
        answer = said
        return server.sockets[0].getsockname()[1]

    yield set_answer
    server.close()
    await server.wait_closed()


async def _start(hass: HomeAssistant) -> str:
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    if result["type"] is FlowResultType.MENU:
        result = await hass.config_entries.flow.async_configure(
            result["flow_id"], {"next_step_id": "miner"}
        )
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {}
    return result["flow_id"]


async def _submit(hass: HomeAssistant, flow_id: str, form: Form) -> ConfigFlowResult:
    """Submit the steps with their part of the form until the flow ends or shows an error; return the result."""
    while True:
        result = await _submit_once(hass, flow_id, form)
        if result["type"] is not FlowResultType.FORM or result["errors"]:
            return result


async def _submit_once(
    hass: HomeAssistant, flow_id: str, form: Form
) -> ConfigFlowResult:
    """Submit the current step; return the next."""
    shown = await hass.config_entries.flow.async_configure(flow_id)
    schema = shown["data_schema"]
    assert schema
    asked = {str(key) for key in schema.schema}
    return await hass.config_entries.flow.async_configure(
        flow_id, {key: value for key, value in form.items() if key in asked}
    )


async def _recover(hass: HomeAssistant, flow_id: str, form: Form) -> None:
    """Submit the same dialog with valid data; check that it creates the entry."""
    result = await _submit(hass, flow_id, form)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == form
    await hass.async_block_till_done()


@pytest.mark.parametrize(
    "entered",
    [" {} ", "http://{}", " https://{}/cgi-bin/luci ", "http://{}:80/", "{}:{port}"],
)
async def test_creates_entry(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form, entered: str
) -> None:
    """A user could not add a miner; a name without model and MAC would mix up two of them.

    Who copies the address of the miner's web page would read that nothing answers there.
    """
    typed: dict[str, Any] = {CONF_HOST: entered.format(miner.host, port=miner.port)}
    if "{port}" in entered:
        typed[CONF_PORT] = 4028
    result = await _submit(hass, await _start(hass), {**form, **typed})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "M50 04EB"
    assert result["data"] == form
    assert result["result"].unique_id == format_mac(miner.mac)
    await hass.async_block_till_done()
    assert miner.most_open_connections == 1


@pytest.mark.parametrize(
    "entered", ["::1", "[::1]", "[::1]:{port}", "http://[::1]/", "0:0:0:0:0:0:0:1"]
)
async def test_ipv6(hass: HomeAssistant, entered: str) -> None:
    """An IPv6 address would be accepted, but the entry would have no entities."""
    socket_allow_hosts(["127.0.0.1", "::1"])
    async with SimulatedMiner(
        "v205_m50", host="::1", password=PASSWORD, v3_port=None
    ) as simulated:
        form = {CONF_HOST: entered.format(port=simulated.port), CONF_PORT: 4028}
        if "{port}" not in entered:
            form[CONF_PORT] = simulated.port
        result = await _submit(
            hass, await _start(hass), {**form, "v3_port": 1, CONF_PASSWORD: PASSWORD}
        )
        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert result["data"][CONF_HOST] == "::1"
        await hass.async_block_till_done()
        [device] = dr.async_entries_for_config_entry(
            dr.async_get(hass), result["result"].entry_id
        )
        assert device.configuration_url == "http://[::1]"
        power = hass.states.get("sensor.m50_04eb_power")
        assert power
        assert float(power.state) > 0
        await hass.config_entries.async_unload(result["result"].entry_id)


@pytest.mark.parametrize(
    "entered", ["", " ", "a b", "http://", "[::1", "1.2.3.4:x", "1.2.3.4:0", "me@host"]
)
async def test_no_address(hass: HomeAssistant, form: Form, entered: str) -> None:
    """A user would search for a typing error in the network."""
    flow_id = await _start(hass)
    result = await _submit(hass, flow_id, {**form, CONF_HOST: entered})
    assert result["errors"] == {CONF_HOST: "invalid_host"}
    await _recover(hass, flow_id, form)


async def test_password_is_optional(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """A user who only wants sensors would need a password, or see controls."""
    del form[CONF_PASSWORD]
    await _recover(hass, await _start(hass), form)
    assert not hass.states.async_entity_ids(["switch", "number", "select", "button"])
    assert len(hass.states.async_entity_ids("sensor")) > 5
    assert not [command for command in miner.commands if command.encrypted]


async def test_changes_nothing(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """The check of the password would restart a miner or change a setting."""
    before = miner.truth()
    await _recover(hass, await _start(hass), form)
    assert miner.truth() == before
    sent = {command.name for command in miner.commands if command.encrypted}
    assert sent == {
        "status",
        "set_led",
    }  # LEDs that were automatic are set to automatic


@pytest.mark.parametrize("profile", ["v1_m20s"])
async def test_refuses_nothing_on_1x(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """On 1.x the check of the password would change the LEDs, whose state is unknown."""
    await _recover(hass, await _start(hass), form)
    sent = {command.name for command in miner.commands if command.encrypted}
    assert sent == {"status"}


async def test_unreachable(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form, unused_tcp_port: int
) -> None:
    """A user with a wrong address would not learn that no miner responds there."""
    flow_id = await _start(hass)
    result = await _submit(hass, flow_id, {**form, CONF_PORT: unused_tcp_port})
    assert result["errors"] == {"base": "cannot_connect"}
    assert (result["description_placeholders"] or {})["host"] == miner.host
    await _recover(hass, flow_id, form)


async def test_wrong_password(hass: HomeAssistant, form: Form) -> None:
    """A user would notice a wrong password only at the first command."""
    flow_id = await _start(hass)
    result = await _submit(hass, flow_id, {**form, CONF_PASSWORD: "wrong"})
    assert result["errors"] == {CONF_PASSWORD: "wrong_password"}
    await _recover(hass, flow_id, form)


async def test_write_api_disabled(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """A user would not learn that the API switch in WhatsMinerTool is off."""
    miner.api_switch = False
    flow_id = await _start(hass)
    result = await _submit_once(hass, flow_id, form)
    assert result["step_id"] == "admin"
    result = await _submit_once(hass, flow_id, form)
    assert result["step_id"] == "admin_switch_off"
    assert _fields(result["data_schema"]) == {CONF_PASSWORD: PASSWORD}
    miner.api_switch = True
    await _recover(hass, flow_id, form)
    assert (
        issue(hass, "write_access", hass.config_entries.async_entries(DOMAIN)[0])
        is None
    )


@pytest.mark.parametrize("profile", ["v205_m50", "v3_m7bs"])
async def test_the_switch_may_be_turned_on_later(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """A user who cannot turn the API switch on now would keep a read-only miner."""
    miner.api_switch = False
    result = await _submit(hass, await _start(hass), form)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == form
    await hass.async_block_till_done()
    [entry] = hass.config_entries.async_entries(DOMAIN)
    found = issue(hass, "write_access", entry)
    assert found
    assert found.is_fixable
    assert hass.states.async_entity_ids("switch")


async def test_token_table_full(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """A user would not learn that another program uses all tokens, and for how long."""
    miner.fill_token_table()
    flow_id = await _start(hass)
    result = await _submit(hass, flow_id, form)
    assert result["errors"] == {CONF_PASSWORD: "token_table_full"}
    assert (result["description_placeholders"] or {})["seconds"] == "185"
    miner.forget_tokens()
    await _recover(hass, flow_id, form)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"STATUS":[{"STATUS":"E","When":1,"Code":14,"Msg":"Invalid command",'
        b'"Description":"cgminer 4.12"}],"id":1}',
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b'{"hello":"world"}',
    ],
    ids=["cgminer", "http", "json"],
)
async def test_not_a_whatsminer(
    hass: HomeAssistant,
    form: Form,
    other_server: Callable[[bytes], int],
    answer: bytes,
) -> None:
    """A user who enters the address of another device would wait for it in vain."""
    flow_id = await _start(hass)
    result = await _submit(hass, flow_id, {**form, CONF_PORT: other_server(answer)})
    assert result["errors"] == {"base": "not_whatsminer"}
    await _recover(hass, flow_id, form)


async def test_no_answer(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """A starting miner would be reported as unreachable."""
    miner.inject("close")
    flow_id = await _start(hass)
    result = await _submit(hass, flow_id, form)
    assert result["errors"] == {"base": "no_answer"}
    miner.clear_failures()
    await _recover(hass, flow_id, form)


@pytest.mark.parametrize("profile", ["v1_m20s"])
async def test_stopped_1x_reports_no_mac(
    hass: HomeAssistant, miner: SimulatedMiner, clock: RaceClock, form: Form
) -> None:
    """A miner without a MAC address would be added, although it cannot be identified."""
    miner.machine.power_off()
    clock.advance(60)
    flow_id = await _start(hass)
    result = await _submit(hass, flow_id, form)
    assert result["errors"] == {"base": "btminer_down"}
    miner.machine.power_on()
    clock.advance(60)
    await _recover(hass, flow_id, form)


async def test_miner_without_mac(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """A user would read that the mining process is down although it is running."""
    miner.inject("hide=mac")
    miner.inject("hide=MAC")
    flow_id = await _start(hass)
    result = await _submit(hass, flow_id, form)
    assert result["errors"] == {"base": "no_mac"}
    miner.clear_failures()
    await _recover(hass, flow_id, form)


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_an_account_can_be_typed(hass: HomeAssistant, form: Form) -> None:
    """A user could not control firmware whose account is named admin."""
    flow_id = await _start(hass)
    result = await _submit(hass, flow_id, {**form, CONF_ACCOUNT: " admin "})
    assert result["errors"] == {CONF_V3_PASSWORD: "account_refused"}
    assert (result["description_placeholders"] or {})["account"] == "admin"
    await _recover(hass, flow_id, {**form, CONF_ACCOUNT: "super"})


async def test_unexpected_error(
    hass: HomeAssistant, form: Form, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error would end in an unusable dialog instead of a message and a traceback in the log."""
    flow_id = await _start(hass)
    with patch(
        "custom_components.whatsminer.config_flow.async_connect",
        side_effect=RuntimeError,
    ):
        result = await _submit(hass, flow_id, form)
    assert result["errors"] == {"base": "unknown"}
    assert "Unexpected error" in caplog.text
    assert PASSWORD not in caplog.text
    await _recover(hass, flow_id, form)


async def test_same_miner_only_once(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator, form: Form
) -> None:
    """Two entries for one miner would send it every command twice."""
    result = await _submit(hass, await _start(hass), {**form, CONF_HOST: "localhost"})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_entered_values_stay(hass: HomeAssistant, address: Form) -> None:
    """A user would have to enter everything again after a failed attempt."""
    result = await _submit(hass, await _start(hass), {**address, CONF_PORT: 1})
    schema = result["data_schema"]
    assert schema
    suggested = {
        str(key): (key.description or {}).get("suggested_value")
        for key in schema.schema
    }
    assert suggested == {**address, CONF_PORT: 1}


@pytest.mark.parametrize("profile", ["v2c_m60s", "v3_m7bs", "v3_m64_bad"])
async def test_api_3_asks_for_an_account(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """A user with new firmware would have to enter the password of old firmware."""
    flow_id = await _start(hass)
    for wrong in ({CONF_V3_PASSWORD: "wrong"}, {CONF_ACCOUNT: "user1"}):
        result = await _submit(hass, flow_id, {**form, **wrong})
        assert result["step_id"] == "account"
        assert result["errors"] == {CONF_V3_PASSWORD: "account_refused"}
    assert (result["description_placeholders"] or {})["account"] == "user1"
    await _recover(hass, flow_id, form)
    assert not [command for command in miner.commands if command.encrypted]


@pytest.mark.parametrize("profile", ["v3_m7bs"])
async def test_api_switch_is_reported_before_it_is_needed(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """A user would not learn that the API switch is off, which API 3 reports."""
    miner.api_switch = False
    flow_id = await _start(hass)
    result = await _submit_once(hass, flow_id, form)
    assert result["step_id"] == "account_switch_off"
    miner.api_switch = True
    await _recover(hass, flow_id, form)


@pytest.mark.parametrize("profile", ["v3_m7bs"])
@pytest.mark.parametrize("password", [None])
async def test_api_3_without_password(
    hass: HomeAssistant, miner: SimulatedMiner, form: Form
) -> None:
    """A user who only reads would have to enter an account."""
    miner.api_switch = False
    await _recover(hass, await _start(hass), form)
    assert not hass.states.async_entity_ids(["switch", "number", "select", "button"])


def test_five_failures_have_five_sentences() -> None:
    """Two failures with the same message would send users to the wrong place."""
    keys = (
        "cannot_connect",
        "not_whatsminer",
        "wrong_password",
        "write_api_disabled",
        "token_table_full",
    )
    assert len({SENTENCES[key] for key in keys}) == 5


async def test_options_narrow_the_bounds(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    entity_id: Find,
) -> None:
    """A user could not limit the power to what the wiring allows."""
    number = hass.states.get(entity_id("number", "power_target"))
    assert number
    assert (number.attributes["min"], number.attributes["max"]) == (1400, 3500)

    result = await hass.config_entries.options.async_init(entry.entry_id)
    for wrong, bounds in (
        ({CONF_POWER_LIMIT_MIN: 3000, CONF_POWER_LIMIT_MAX: 2000}, ("3000", "2000")),
        ({CONF_POWER_LIMIT_MIN: 9000}, ("9000", "3500")),  # above the miner's own
    ):
        result = await hass.config_entries.options.async_configure(
            result["flow_id"], wrong
        )
        assert result["errors"] == {"base": "max_below_min"}
        lowest, highest = bounds
        assert result["description_placeholders"] == {
            "lowest": f"{lowest} W",
            "highest": f"{highest} W",
        }
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {CONF_POWER_LIMIT_MIN: 2000, CONF_POWER_LIMIT_MAX: 3000}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()

    number = hass.states.get(entity_id("number", "power_limit"))
    assert number
    assert (number.attributes["min"], number.attributes["max"]) == (2000, 3000)


async def test_options_while_the_miner_is_offline(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A user could not set the bounds before the miner has answered once."""
    result = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {CONF_POWER_LIMIT_MIN: 9000}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def _options(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    """Open the options; return the form."""
    return await hass.config_entries.options.async_init(entry.entry_id)


def _fields(schema: Any) -> dict[str, Any]:
    """Return all fields of a form with their suggested values, also those in sections."""
    fields: dict[str, Any] = {}
    for key, value in schema.schema.items():
        if isinstance(value, section):
            fields |= _fields(value.schema)
        else:
            fields[str(key)] = (key.description or {}).get("suggested_value")
    return fields


ALL_OPTIONS = {
    CONF_POWER_LIMIT_MIN: 2000,
    CONF_POWER_LIMIT_MAX: 3000,
    CONF_PRICE_SENSOR: "sensor.price",
    CONF_FIXED_PRICE: 0.3,
    CONF_HASHPRICE_SENSOR: "sensor.hashprice",
    CONF_HASHPRICE: 0.05,
    CONF_HEAT_SOURCE: "fuel",
    CONF_HEAT_PRICE: 0.1,
    CONF_HEAT_EFFICIENCY: 0.9,
    CONF_HEAT_SHARE: 50,
    "heat_share_sensor": "sensor.share",
    "heat_demand": "sensor.demand",
    CONF_DEAD_BAND: 50,
    CONF_RESTARTS_ALLOWED: False,
    CONF_RESTART_INTERVAL: 120,
}
THERMOSTAT_OPTIONS = {
    "thermostat_sensor": "sensor.tank",
    "thermostat_kind": "tank",
    "thermostat_min": 30,
    "thermostat_max": 50,
    "thermostat_comfort": 44,
    "thermostat_eco": 38,
    "thermostat_boost": 49,
    "thermostat_away": 31,
    "thermostat_step": 1,
    "thermostat_hard_limit": 58,
    "thermostat_call": "binary_sensor.demand",
    "thermostat_extra_cost": 0.05,
    "thermostat_above": 3,
    "thermostat_below": 2.5,
    "thermostat_widen": 0,
    "thermostat_lowest": 50,
    "thermostat_minimum_run": 90,
    "thermostat_minimum_stop": 45,
    "thermostat_lost": 120,
}
PLAN_OPTIONS = {
    "forecast": ["sensor.forecast"],
    "forecast_tax": 25,
    "forecast_fee": 0.1,
    "hours_at_least": 4,
    "hours_at_most": 8,
    "shortest_run": 90,
    "shortest_stop": 45,
}
LIMIT_OPTIONS = {
    "limit_stop_above": 0.3,
    "limit_resume_below": 0.25,
    "limit_break_even": False,
    "limit_hysteresis": 10,
    "limit_middle_percent": 60,
    "limit_middle_above": 0.2,
    "limit_wait": 30,
    "limit_oldest": 2,
    "limit_unknown": "stop",
}
ALL_OPTIONS |= THERMOSTAT_OPTIONS | PLAN_OPTIONS | LIMIT_OPTIONS
SECTIONS = {
    "economics": (
        CONF_PRICE_SENSOR,
        CONF_FIXED_PRICE,
        CONF_HASHPRICE_SENSOR,
        CONF_HASHPRICE,
    ),
    "heat": (
        CONF_HEAT_SOURCE,
        CONF_HEAT_PRICE,
        CONF_HEAT_EFFICIENCY,
        CONF_HEAT_SHARE,
        "heat_share_sensor",
        "heat_demand",
    ),
    "limits": tuple(LIMIT_OPTIONS),
    "plan": tuple(PLAN_OPTIONS),
    "thermostat": tuple(THERMOSTAT_OPTIONS),
    "power_target": (CONF_DEAD_BAND, CONF_RESTARTS_ALLOWED, CONF_RESTART_INTERVAL),
}


def _filled_in(options: dict[str, Any]) -> dict[str, Any]:
    """Return the values as the form sends them."""
    form = {
        name: {key: options[key] for key in keys if key in options}
        for name, keys in SECTIONS.items()
    }
    inside = {key for keys in SECTIONS.values() for key in keys}
    return form | {key: value for key, value in options.items() if key not in inside}


async def test_options_are_kept_and_shown_again(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A user who changes one option would lose the others."""
    result = await _options(hass, entry)
    assert set(_fields(result["data_schema"]).values()) == {None}
    await hass.config_entries.options.async_configure(
        result["flow_id"], _filled_in(ALL_OPTIONS)
    )
    await hass.async_block_till_done()
    assert entry.options == ALL_OPTIONS
    result = await _options(hass, entry)
    assert _fields(result["data_schema"]) == ALL_OPTIONS


async def test_prices_are_offered_for_the_next_miner(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A user with ten miners would have to enter the same price ten times."""
    hass.config_entries.async_update_entry(entry, options=ALL_OPTIONS)
    second = MockConfigEntry(domain=DOMAIN, unique_id="c2:11:20:00:00:02")
    second.add_to_hass(hass)
    result = await _options(hass, second)
    schema = result["data_schema"]
    assert schema
    prices = {key: ALL_OPTIONS[key] for key in SECTIONS["economics"]}
    offered = {
        key: value for key, value in _fields(schema).items() if value is not None
    }
    assert offered == prices
    # What is offered must be seen before it is saved.
    assert schema.schema["economics"].options["collapsed"] is False
    hass.config_entries.async_update_entry(second, options={CONF_DEAD_BAND: 50})
    result = await _options(hass, second)
    assert CONF_PRICE_SENSOR not in {
        key: value
        for key, value in _fields(result["data_schema"]).items()
        if value is not None
    }


async def test_fixed_prices_name_their_units(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A price in cents would be read as a price in euros."""
    hass.states.async_set("sensor.price", "1", {"unit_of_measurement": "NOK/kWh"})
    options = {CONF_PRICE_SENSOR: "sensor.price"}
    hass.config_entries.async_update_entry(entry, options=options)
    result = await _options(hass, entry)
    schema = result["data_schema"]
    assert schema
    fields = schema.schema["economics"].schema.schema
    units = [
        fields[key].config["unit_of_measurement"]
        for key in (CONF_FIXED_PRICE, CONF_HASHPRICE)
    ]
    assert units == ["EUR/kWh", "NOK/TH/day"]


async def test_options_open_in_a_browser(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: MockConfigEntry
) -> None:
    """A form that cannot be sent to the browser would show an unknown error and no fields."""
    hass.config_entries.async_update_entry(entry, options=ALL_OPTIONS)
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()
    answer = await client.post(
        "/api/config/config_entries/options/flow", json={"handler": entry.entry_id}
    )
    assert answer.status == HTTPStatus.OK
    form = await answer.json()
    places = {field["name"]: field for field in form["data_schema"]}
    for name, keys in SECTIONS.items():
        assert places[name]["type"] == "expandable"
        assert [field["name"] for field in places[name]["schema"]] == list(keys)
    answer = await client.post(
        f"/api/config/config_entries/options/flow/{form['flow_id']}",
        json=_filled_in({**ALL_OPTIONS, CONF_DEAD_BAND: 80.0}),
    )
    assert (await answer.json())["type"] == FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert entry.options == {**ALL_OPTIONS, CONF_DEAD_BAND: 80}


async def test_emptied_options_are_not_used(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A user could not remove a price sensor."""
    hass.config_entries.async_update_entry(entry, options=ALL_OPTIONS)
    result = await _options(hass, entry)
    await hass.config_entries.options.async_configure(
        result["flow_id"], {"economics": {}, "power_target": {}}
    )
    await hass.async_block_till_done()
    assert entry.options == {CONF_RESTARTS_ALLOWED: True}


async def test_temperatures_are_in_the_unit_of_the_home(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A user with Fahrenheit would set a hard limit of 104 °C."""
    hass.config.units = US_CUSTOMARY_SYSTEM
    result = await _options(hass, entry)
    wanted = {
        "thermostat_sensor": "sensor.tank",
        "thermostat_kind": "tank",
        "thermostat_comfort": 104,
        "thermostat_max": 140,
    }
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"thermostat": wanted}
    )
    assert result["errors"] == {"base": "thermostat_bounds"}
    assert result["description_placeholders"] == {
        "lowest": "68.0 °F",
        "highest": "140.0 °F",
        "hard_limit": "140.0 °F",
    }
    shown = _fields(result["data_schema"])
    assert wanted.items() <= shown.items()
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"thermostat": {**wanted, "thermostat_max": 131}}
    )
    assert entry.options["thermostat_comfort"] == 40
    assert entry.options["thermostat_max"] == 55
    shown = _fields((await _options(hass, entry))["data_schema"])
    assert shown["thermostat_comfort"] == 104


@pytest.mark.parametrize(
    ("units", "options", "error", "named"),
    [
        (
            {"sensor.price": "W"},
            {CONF_PRICE_SENSOR: "sensor.price"},
            "not_a_price",
            {"entity": "sensor.price", "unit": "W"},
        ),
        (
            {"sensor.price": "EUR/h"},
            {CONF_PRICE_SENSOR: "sensor.price"},
            "not_a_price",
            {"entity": "sensor.price", "unit": "EUR/h"},
        ),
        (
            {"sensor.hashprice": "EUR/kWh"},
            {CONF_HASHPRICE_SENSOR: "sensor.hashprice"},
            "not_a_hashprice",
            {"entity": "sensor.hashprice", "unit": "EUR/kWh"},
        ),
        (
            {"sensor.price": "EUR/kWh", "sensor.hashprice": "USD/TH/day"},
            {
                CONF_PRICE_SENSOR: "sensor.price",
                CONF_HASHPRICE_SENSOR: "sensor.hashprice",
            },
            "currencies_differ",
            {"price": "EUR", "hashprice": "USD"},
        ),
        (
            {"sensor.price": "€/kWh", "sensor.hashprice": "₿/TH/day"},
            {
                CONF_PRICE_SENSOR: "sensor.price",
                CONF_HASHPRICE_SENSOR: "sensor.hashprice",
            },
            "currencies_differ",
            {"price": "€", "hashprice": "₿"},
        ),
    ],
)
async def test_options_refuse_what_is_no_price(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    units: dict[str, str],
    options: dict[str, Any],
    error: str,
    named: dict[str, str],
) -> None:
    """A user who selects a power sensor as the price would only notice by the bill."""
    for entity_id, unit in units.items():
        hass.states.async_set(entity_id, "1", {"unit_of_measurement": unit})
    result = await _options(hass, entry)
    flow_id = result["flow_id"]
    result = await hass.config_entries.options.async_configure(
        flow_id, _filled_in(options)
    )
    assert result["errors"] == {"base": error}
    assert result["description_placeholders"] == named
    sentence = TEXTS["options"]["error"][error].format(**named)
    assert all(word in sentence for word in named.values())
    shown = _fields(result["data_schema"])
    assert {key: shown[key] for key in options} == options
    hass.states.async_set("sensor.price", "1", {"unit_of_measurement": "EUR/kWh"})
    hass.states.async_set("sensor.hashprice", "1", {"unit_of_measurement": "EUR/PH/d"})
    result = await hass.config_entries.options.async_configure(
        flow_id, _filled_in(options)
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_options_with_a_price_that_is_not_there_yet(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A user could not select a sensor that has not started yet."""
    result = await _options(hass, entry)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], _filled_in({CONF_PRICE_SENSOR: "sensor.price"})
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_every_option_is_explained(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A field without a text would show its key."""
    result = await _options(hass, entry)
    texts = TEXTS["options"]["step"]["init"]
    forms = {None: texts, **texts["sections"]}
    for place in forms.values():
        assert place["data"].keys() == place["data_description"].keys()
    assert {key for place in forms.values() for key in place["data"]} == set(
        _fields(result["data_schema"])
    )
    schema = result["data_schema"]
    assert schema
    for key, value in schema.schema.items():
        if isinstance(value, section):
            assert set(forms[str(key)]["data"]) == set(_fields(value.schema))


async def _curtail(hass: HomeAssistant, coordinator: WhatsminerCoordinator) -> None:
    """Curtail the only miner until Resume."""
    await coordinator.config_entry.runtime_data.curtailment.async_curtail(Target.STOP)
    await hass.async_block_till_done()


@pytest.mark.parametrize("profile", ["v2c_m60s"])
async def test_another_password_of_api_3(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
) -> None:
    """A user who changed the password would read that the firmware was updated."""
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    result = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert result["step_id"] == "reauth_account_password"
    assert (result["description_placeholders"] or {})["account"] == "super"
    assert _fields(result["data_schema"])[CONF_ACCOUNT] == "super"
    result = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_ACCOUNT: "super", CONF_V3_PASSWORD: PASSWORD}
    )
    assert result["reason"] == "reauth_successful"
    await hass.async_block_till_done()


@pytest.mark.parametrize("kind", ["reauth", "reconfigure"])
async def test_password_removed_during_a_curtailment(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    clock: RaceClock,
    kind: str,
) -> None:
    """A user would not see why the miner is stopped."""
    clock.race()
    await _curtail(hass, coordinator)
    clock.stop()
    configure = hass.config_entries.flow.async_configure
    if kind == "reauth":
        entry.async_start_reauth(hass)
        await hass.async_block_till_done()
        [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    else:
        flow = await entry.start_reconfigure_flow(hass)
        fields = (CONF_HOST, CONF_PORT, CONF_V3_PORT)
        address = {key: entry.data[key] for key in fields}
        await configure(flow["flow_id"], {**address, "change_password": True})
    result = await configure(flow["flow_id"], {})
    assert result["errors"] == {"base": "still_curtailed"}
    result = await configure(flow["flow_id"], {})
    assert result["reason"] == f"{kind}_successful"
    assert CONF_PASSWORD not in entry.data
    await hass.async_block_till_done()


async def test_password_removed_without_a_curtailment(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator, entry: MockConfigEntry
) -> None:
    """A warning without a reason would make users ignore warnings."""
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    assert result["reason"] == "reauth_successful"
    await hass.async_block_till_done()


@pytest.mark.usefixtures("coordinator")
async def test_hours_that_no_day_has_are_refused(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A plan that must run for longer than it may would follow one of the two, unsaid."""
    form = await _options(hass, entry)
    for hours, kind in (
        ({CONF_HOURS_AT_LEAST: 12, CONF_HOURS_AT_MOST: 6}, FlowResultType.FORM),
        ({CONF_HOURS_AT_LEAST: 6, CONF_HOURS_AT_MOST: 12}, FlowResultType.CREATE_ENTRY),
    ):
        form = await hass.config_entries.options.async_configure(
            form["flow_id"], {"plan": hours}
        )
        assert form["type"] is kind
        if kind is FlowResultType.FORM:
            assert form["errors"] == {"base": "hours_impossible"}
    await hass.async_block_till_done()


@pytest.mark.usefixtures("coordinator")
async def test_price_limits_in_the_wrong_order_are_refused(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A miner that resumes above the price at which it stops would switch all the time."""
    form = await _options(hass, entry)
    for limits, kind in (
        ({"limit_resume_below": 0.4}, FlowResultType.FORM),
        (
            {"limit_middle_percent": 60, "limit_middle_above": 0.3},
            FlowResultType.FORM,
        ),
        ({"limit_resume_below": 0.3}, FlowResultType.CREATE_ENTRY),
    ):
        form = await hass.config_entries.options.async_configure(
            form["flow_id"], {"limits": {"limit_stop_above": 0.3, **limits}}
        )
        assert form["type"] is kind
        if kind is FlowResultType.FORM:
            assert form["errors"] == {"base": "limits_impossible"}
            assert form["description_placeholders"] == {"stop_above": "0.3"}
    await hass.async_block_till_done()
