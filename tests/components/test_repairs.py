"""The write access repair flow and the repair issues: each cause has its own text, and is checked live."""

from collections.abc import Awaitable, Callable, Generator
from http import HTTPStatus
import json
from typing import Any

from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import CONF_PASSWORD
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.whatsminer.const import (
    CONF_ACCOUNT,
    CONF_V3_PASSWORD,
    DOMAIN,
    SLOW_EVERY,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import SimulatedMiner

from .conftest import PASSWORD, Call, Poll, Show, issue
from .test_texts import load

type Doctor = Callable[[dict[str, Any] | None], Awaitable[dict[str, Any]]]


@pytest.fixture
async def doctor(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> Doctor:
    """Return a function that opens the repair flow as the frontend does, or continues it."""
    assert await async_setup_component(hass, "repairs", {})
    client = await hass_client()
    flow_id = ""

    async def step(user_input: dict[str, Any] | None) -> dict[str, Any]:
        nonlocal flow_id
        url, body = f"/api/repairs/issues/fix/{flow_id}", user_input
        if body is None:
            url = "/api/repairs/issues/fix"
            body = {"handler": DOMAIN, "issue_id": f"write_access_{entry.entry_id}"}
        response = await client.post(url, json=body)
        assert response.status == HTTPStatus.OK, await response.text()
        result: dict[str, Any] = await response.json()
        flow_id = result["flow_id"]
        return result

    return step


@pytest.fixture(autouse=True)
def _no_secret_in_issues(hass: HomeAssistant) -> Generator[None]:
    """A secret would be shown to every administrator, or logged."""
    yield
    assert PASSWORD not in str(ir.async_get(hass).issues)


async def _refused(call: Call) -> None:
    with pytest.raises(HomeAssistantError):
        await call("switch", "fast_boot", "turn_on")


async def test_api_switch_off(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    call: Call,
    state: Show,
    doctor: Doctor,
) -> None:
    """A user whose commands are refused would not find the API switch, or not see when it is on."""
    assert not issue(hass, "write_access", entry)
    miner.api_switch = False
    await _refused(call)
    assert issue(hass, "write_access", entry)
    result = await doctor(None)
    assert result["step_id"] == "write_api_disabled"
    assert not result["errors"]
    result = await doctor({})
    assert result["step_id"] == "write_api_disabled"  # not yet
    # Else a press of the button shows nothing.
    assert result["errors"] == {"base": "unchanged"}
    miner.api_switch = True
    result = await doctor({})
    assert result["type"] == "create_entry"
    assert not issue(hass, "write_access", entry)
    assert state("binary_sensor", "write_access") == "on"


async def test_wrong_password(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    call: Call,
    doctor: Doctor,
) -> None:
    """A user would have to enter a new password twice."""
    miner.set_password("changed")
    await _refused(call)
    result = await doctor(None)
    assert result["step_id"] == "wrong_password"
    result = await doctor({CONF_PASSWORD: "still wrong"})
    assert result["step_id"] == "wrong_password"
    assert result["errors"] == {"base": "unchanged"}
    assert entry.data[CONF_PASSWORD] == PASSWORD  # a guess is not stored
    result = await doctor({CONF_PASSWORD: "changed"})
    assert result["type"] == "create_entry"
    assert entry.data[CONF_PASSWORD] == "changed"
    assert not issue(hass, "write_access", entry)
    assert not hass.config_entries.flow.async_progress_by_handler(DOMAIN)


async def test_token_table_full(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    call: Call,
    doctor: Doctor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When another program uses all tokens, a user would search at the password or the switch."""
    monkeypatch.setattr("custom_components.whatsminer.api.v2.miner.BACK_OFF", 0)
    miner.forget_tokens()
    miner.fill_token_table()
    await _refused(call)
    result = await doctor(None)
    assert result["step_id"] == "token_table_full"
    miner.forget_tokens()
    result = await doctor({})
    assert result["type"] == "create_entry"
    assert not issue(hass, "write_access", entry)


async def test_full_token_table_at_start_is_no_case_for_the_doctor(
    hass: HomeAssistant, entry: MockConfigEntry, miner: SimulatedMiner, state: Show
) -> None:
    """A problem that ends within three minutes would leave an issue."""
    miner.fill_token_table()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert not issue(hass, "write_access", entry)
    assert state("binary_sensor", "write_access") == "unknown"


async def test_switch_that_is_turned_on_later(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    state: Show,
    poll: Poll,
) -> None:
    """After turning the API switch on, a user would also have to confirm it in Home Assistant."""
    miner.api_switch = False
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert issue(hass, "write_access", entry)
    miner.api_switch = True
    for _ in range(SLOW_EVERY + 1):
        await poll()
    assert not issue(hass, "write_access", entry)
    assert state("binary_sensor", "write_access") == "on"


@pytest.mark.parametrize("profile", ["v3_m7bs"])
async def test_account_without_permission(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    doctor: Doctor,
) -> None:
    """A user would change the password although the account of API 3 only lacks the permission to write."""
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_ACCOUNT: "user1", CONF_V3_PASSWORD: "user1"}
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    found = issue(hass, "write_access", entry)
    assert found
    assert found.translation_placeholders
    assert found.translation_placeholders["account"] == "user1"
    result = await doctor(None)
    assert result["step_id"] == "account_refused"
    result = await doctor({CONF_ACCOUNT: "super", CONF_V3_PASSWORD: PASSWORD})
    assert result["type"] == "create_entry"
    assert entry.data[CONF_ACCOUNT] == "super"
    assert not issue(hass, "write_access", entry)


async def test_firmware_refuses(
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    call: Call,
    doctor: Doctor,
) -> None:
    """A user would change the password although the firmware needs an update."""
    miner.api_switch = False
    await _refused(call)
    miner.api_switch = True
    miner.refuse["set_led"] = 132
    result = await doctor(None)
    assert result["step_id"] == "firmware_refuses"
    assert result["description_placeholders"]["command"] == r"set\_led"
    miner.refuse.clear()
    result = await doctor({})
    assert result["type"] == "create_entry"


async def test_miner_that_cannot_be_read(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    call: Call,
    doctor: Doctor,
) -> None:
    """The repair flow would report success for a miner that it could not read."""
    miner.api_switch = False
    await _refused(call)
    miner.api_switch = True
    miner.inject("refuse")
    result = await doctor(None)
    assert result["step_id"] == "unreachable"
    await hass.config_entries.async_unload(entry.entry_id)
    result = await doctor({})
    assert result["step_id"] == "unreachable"
    miner.clear_failures()
    await miner.tick()
    await hass.config_entries.async_setup(entry.entry_id)
    result = await doctor({})
    assert result["type"] == "create_entry"


async def test_another_miner_at_the_address(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    address: dict[str, Any],
    call: Call,
    state: Show,
    poll: Poll,
) -> None:
    """After a DHCP change, values and commands of one miner would belong to another."""
    await miner.stop()
    other = SimulatedMiner("v205_m50", port=address["port"], seed=7, password=PASSWORD)
    async with other:
        await _refused(call)
        for _ in range(2):
            await poll()
        assert state("sensor", "power") == "unavailable"
        found = issue(hass, "wrong_miner", entry)
        assert found
        assert found.translation_placeholders
        assert found.translation_placeholders["expected"] == miner.mac
        assert found.translation_placeholders["found"] == other.mac
        assert not [command for command in other.commands if command.encrypted]
    await miner.start()
    for _ in range(2):
        await poll()
    assert float(state("sensor", "power")) > 3000
    assert not issue(hass, "wrong_miner", entry)


async def test_another_miner_at_start(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The same when Home Assistant starts; and the issue would stay after the entry is removed."""
    hass.config_entries.async_update_entry(entry, unique_id="aa:bb:cc:dd:ee:ff")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert issue(hass, "wrong_miner", entry)
    await hass.config_entries.async_remove(entry.entry_id)
    assert not issue(hass, "wrong_miner", entry)


async def test_no_commands_wanted(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    call: Call,
) -> None:
    """A user who removes the password on purpose would be warned forever."""
    miner.set_password("changed")
    await _refused(call)
    assert issue(hass, "write_access", entry)
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    await hass.async_block_till_done()
    assert CONF_PASSWORD not in entry.data
    assert not issue(hass, "write_access", entry)


async def test_issues_of_a_disabled_entry(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    call: Call,
) -> None:
    """The issue of a disabled miner would stay, or that of an active miner disappear."""
    miner.api_switch = False
    await _refused(call)
    ir.async_ignore_issue(hass, DOMAIN, f"write_access_{entry.entry_id}", True)
    await hass.config_entries.async_reload(entry.entry_id)
    found = issue(hass, "write_access", entry)
    assert found
    assert found.dismissed_version, "an ignored issue is shown again"
    await hass.config_entries.async_set_disabled_by(
        entry.entry_id, ConfigEntryDisabler.USER
    )
    assert not issue(hass, "write_access", entry)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    await hass.async_block_till_done()
    assert issue(hass, "write_access", entry)


def test_every_step_has_texts() -> None:
    """A step without texts would be an empty dialog."""
    steps = load("translations/en.json")["issues"]["write_access"]["fix_flow"]["step"]
    assert set(steps) == {
        "wrong_password",
        "account_refused",
        "write_api_disabled",
        "token_table_full",
        "firmware_refuses",
        "unreachable",
    }
    assert len({json.dumps(step["description"]) for step in steps.values()}) == 6
