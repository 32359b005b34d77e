"""Permissions: which user may call which action."""

from collections.abc import Callable
from typing import Any

from homeassistant.auth.const import GROUP_ID_ADMIN, GROUP_ID_READ_ONLY, GROUP_ID_USER
from homeassistant.auth.models import Group
from homeassistant.auth.permissions import PermissionLookup
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.services.device import ACTIONS
from simulator import SimulatedMiner

from .conftest import Find, RaceClock
from .test_actions import CASES

CONTROL: dict[str, dict[str, Any]] = {
    "curtail": {"target": "stop"},
    "resume": {},
    "plan": {},
    "request_power": {"power": 2500},
}
"""The actions for everybody who may control the miner."""
EVERY = {*CONTROL, *(action.name for action in ACTIONS)}
DATA = (
    CONTROL
    | {name: case.data for name, case in CASES.items()}
    | {
        "update_firmware": {"path": "/media/image", "platform": "H616"},
        "get_data": {"command": "summary"},
    }
)


async def user_of(hass: HomeAssistant, group_id: str) -> MockUser:
    """Return a user who is in one group of core."""
    group = await hass.auth.async_get_group(group_id)
    assert group
    return MockUser(groups=[group]).add_to_hass(hass)


def user_with(hass: HomeAssistant, entities: dict[str, Any]) -> MockUser:
    """Return a user with a policy for entities."""
    user = MockUser(groups=[Group(name="Own", policy={"entities": entities})])
    user.perm_lookup = PermissionLookup(er.async_get(hass), dr.async_get(hass))
    return user.add_to_hass(hass)


async def call_as(hass: HomeAssistant, user_id: str, name: str, **target: Any) -> None:
    """Call an action as a user."""
    if not target:
        [entry] = hass.config_entries.async_entries(DOMAIN)
        [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        target = {"device_id": device.id}
    answers = hass.services.supports_response(DOMAIN, name)
    await hass.services.async_call(
        DOMAIN,
        name,
        {**DATA.get(name, {}), **target},
        blocking=True,
        context=Context(user_id=user_id),
        return_response=answers.value == "only",
    )


@pytest.mark.usefixtures("coordinator")
async def test_there_are_no_other_actions(hass: HomeAssistant) -> None:
    """An action beside the tables would have no check of the user."""
    assert set(hass.services.async_services_for_domain(DOMAIN)) == EVERY


@pytest.mark.parametrize(
    ("group_id", "may"),
    [
        (GROUP_ID_ADMIN, EVERY),
        (GROUP_ID_USER, set(CONTROL)),
        (GROUP_ID_READ_ONLY, set()),
    ],
)
async def test_every_action_for_every_kind_of_user(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    clock: RaceClock,
    group_id: str,
    may: set[str],
) -> None:
    """A guest with a tablet could stop the miner, or send its proceeds to his own pool."""
    user = await user_of(hass, group_id)
    miner.commands.clear()
    for name in EVERY - may:
        with pytest.raises(Unauthorized) as refused:
            await call_as(hass, user.id, name)
        key = "not_permitted" if name in CONTROL else "admin_only"
        assert refused.value.translation_key == key
        assert "{" not in str(refused.value)
        assert " " in str(refused.value)
    assert not miner.commands
    clock.race()
    for name in may & CONTROL.keys():
        await call_as(hass, user.id, name)
    for name in may - CONTROL.keys():
        # The check of the user is before the search for the miner.
        with pytest.raises(ServiceValidationError) as missing:
            await call_as(hass, user.id, name, device_id="none")
        assert missing.value.translation_key in {"no_miner", f"confirm_{name}"}


@pytest.mark.parametrize(
    ("allowed", "target"),
    [
        (lambda e: {}, lambda e: {"entity_id": e("switch", "mining")}),
        (
            lambda e: {"entity_ids": {e("sensor", "power"): True}},
            lambda e: {"entity_id": e("sensor", "power")},
        ),
        (
            lambda e: {"entity_ids": {e("switch", "mining"): {"read": True}}},
            lambda e: {"entity_id": e("switch", "mining")},
        ),
    ],
)
async def test_users_with_a_policy_of_their_own(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    entity_id: Find,
    allowed: Callable[[Find], dict[str, Any]],
    target: Callable[[Find], dict[str, Any]],
) -> None:
    """Who may see one sensor of a miner could stop it by naming that sensor."""
    user = user_with(hass, allowed(entity_id))
    miner.commands.clear()
    with pytest.raises(Unauthorized):
        await call_as(hass, user.id, "curtail", **target(entity_id))
    assert not miner.commands


async def test_the_device_may_be_allowed(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator, entry: MockConfigEntry
) -> None:
    """Who was given one miner must be able to pause it."""
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    user = user_with(hass, {"device_ids": {device.id: True}})
    await call_as(hass, user.id, "resume")


@pytest.mark.usefixtures("coordinator")
async def test_an_unknown_user_may_nothing(hass: HomeAssistant) -> None:
    """A user that was deleted could still act through a context that is kept."""
    with pytest.raises(UnknownUser):
        await call_as(hass, "gone", "resume")
