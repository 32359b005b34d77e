"""The integration's own actions, addressed by device: curtail, resume, and those of device.py."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any, Final, cast

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, Unauthorized, UnknownUser
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.service import async_extract_config_entry_ids
import probatio

from ..const import CONF_HOURS_AT_LEAST, CONF_HOURS_AT_MOST, DOMAIN, LOGGER
from ..exceptions import failed, invalid
from ..group.entry import is_group, member_entries, names_of
from ..group.events import AUTOMATION, Event
from ..group.runtime import Group
from ..group.totals import total_plan
from ..money.plan import NO_WISH, Wish
from ..power.executor import Outcome
from ..power.record import Method, Target
from ..runtime import WhatsminerConfigEntry
from .device import ACTIONS, Action

ATTR_TARGET: Final = "target"
ATTR_PERCENT: Final = "percent"
ATTR_POWER: Final = "power"
ATTR_DURATION: Final = "duration"
ATTR_REASON: Final = "reason"

type _Handler = Callable[[ServiceCall], Awaitable[ServiceResponse]]
type _Check = Callable[[ServiceCall, User], Awaitable[None]]
type Results[T] = list[tuple[WhatsminerConfigEntry, T]]
"""The results of an action, miner by miner."""


def _number(kind: type[float], lowest: int, highest: int) -> probatio.All[Any]:
    bounds = probatio.Range(min=lowest, max=highest)
    return probatio.All(probatio.Coerce(kind), bounds)


CURTAIL_SCHEMA = probatio.Schema(
    {
        **cv.ENTITY_SERVICE_FIELDS,
        probatio.Required(ATTR_TARGET): probatio.Coerce(Target),
        probatio.Optional(ATTR_PERCENT): _number(int, 1, 100),
        probatio.Optional(ATTR_POWER): _number(int, 1, 99_999),
        probatio.Optional(ATTR_DURATION): cv.positive_time_period,
        probatio.Optional(ATTR_REASON): cv.string,
    }
)
RESUME_SCHEMA = probatio.Schema(
    {**cv.ENTITY_SERVICE_FIELDS, probatio.Optional(ATTR_REASON): cv.string}
)
_HOURS = _number(float, 0, 24)
PLAN_SCHEMA = probatio.Schema(
    {
        **cv.ENTITY_SERVICE_FIELDS,
        probatio.Optional(CONF_HOURS_AT_LEAST): _HOURS,
        probatio.Optional(CONF_HOURS_AT_MOST): _HOURS,
    }
)
REQUEST_SCHEMA = probatio.Schema(
    {
        **cv.ENTITY_SERVICE_FIELDS,
        probatio.Required(ATTR_POWER): _number(int, 0, 99_999),
        probatio.Optional(
            ATTR_DURATION, default=timedelta(minutes=15)
        ): cv.positive_time_period,
    }
)


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions."""
    changes, reads = SupportsResponse.OPTIONAL, SupportsResponse.ONLY
    none = SupportsResponse.NONE
    for name, handler, schema, response in (
        ("curtail", _async_curtail, CURTAIL_SCHEMA, changes),
        ("resume", _async_resume, RESUME_SCHEMA, changes),
        ("request_power", _async_request_power, REQUEST_SCHEMA, none),
        ("plan", _async_plan, PLAN_SCHEMA, reads),
    ):
        hass.services.async_register(
            DOMAIN,
            name,
            partial(_async_authorized, _async_check_control, handler),
            schema=schema,
            supports_response=response,
        )
    for action in ACTIONS:
        hass.services.async_register(
            DOMAIN,
            action.name,
            partial(
                _async_authorized, _async_check_admin, partial(_async_maintain, action)
            ),
            schema=probatio.Schema({**cv.ENTITY_SERVICE_FIELDS, **action.fields}),
            supports_response=action.response,
        )


async def _async_authorized(check: _Check, handler: _Handler, call: ServiceCall) -> Any:
    """Run an action if its user may; an automation has no user and may."""
    if call.context.user_id:
        user = await call.hass.auth.async_get_user(call.context.user_id)
        if user is None:
            raise UnknownUser(context=call.context)
        await check(call, user)
    return await handler(call)


async def _async_check_admin(call: ServiceCall, user: User) -> None:
    """Raise unless the user is an administrator."""
    if not user.is_admin:
        raise _unauthorized(call, "admin_only")


async def _async_check_control(call: ServiceCall, user: User) -> None:
    """Raise unless the user may control every entity of each miner that is addressed."""
    registry = er.async_get(call.hass)
    for entry in await async_entries(call):
        for entity in er.async_entries_for_config_entry(registry, entry.entry_id):
            if not user.permissions.check_entity(entity.entity_id, POLICY_CONTROL):
                raise _unauthorized(call, "not_permitted", name=entry.title)


def _unauthorized(call: ServiceCall, key: str, **named: str) -> Unauthorized:
    """Return core's error for a missing right, with a translated message; core's own has none."""
    error = Unauthorized(context=call.context, permission=POLICY_CONTROL)
    error.translation_domain = DOMAIN
    error.translation_key = key
    error.translation_placeholders = named
    error.generate_message = True
    return error


async def _async_targets(call: ServiceCall) -> list[ConfigEntry[Any]]:
    """Return the miners and groups that an action targets."""
    found = [
        call.hass.config_entries.async_get_entry(entry_id)
        for entry_id in sorted(await async_extract_config_entry_ids(call))
    ]
    return [entry for entry in found if entry and entry.domain == DOMAIN]


async def async_entries(call: ServiceCall) -> list[WhatsminerConfigEntry]:
    """Return the miners that an action targets; disabled ones only if all are disabled.

    A group stands for its miners.
    """
    entries = list(
        {
            member.entry_id: member
            for entry in await _async_targets(call)
            for member in (
                member_entries(call.hass, entry) if is_group(entry) else [entry]
            )
        }.values()
    )
    if not entries:
        raise invalid("no_miner")
    return [entry for entry in entries if not entry.disabled_by] or entries


async def async_each[T](
    call: ServiceCall, act: Callable[[WhatsminerConfigEntry], Awaitable[T]]
) -> Results[T]:
    """Act on all miners at the same time; a failure of one stops none of the others."""

    async def act_on(entry: WhatsminerConfigEntry) -> T:
        if entry.state is not ConfigEntryState.LOADED:
            raise invalid("not_loaded", name=entry.title)
        return await act(entry)

    entries = await async_entries(call)
    outcomes = await asyncio.gather(*map(act_on, entries), return_exceptions=True)
    results: Results[T] = []
    failures: list[tuple[WhatsminerConfigEntry, BaseException]] = []
    for entry, outcome in zip(entries, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            failures.append((entry, outcome))
        else:
            results.append((entry, outcome))
    _raise_first(failures)
    return results


def _raise_first(failures: Results[BaseException]) -> None:
    """Raise the first error, if any, and log the others."""
    for entry, error in failures[1:]:
        known = isinstance(error, HomeAssistantError)
        LOGGER.error("%s: %s", entry.title, error, exc_info=None if known else error)
    if failures:
        raise failures[0][1]


def _by_name(results: Results[Any]) -> dict[str, Any]:
    """Return results by the names of the miners."""
    names = names_of(entry for entry, _ in results)
    return {names[entry.entry_id]: result for entry, result in results}


async def _async_maintain(action: Action, call: ServiceCall) -> ServiceResponse:
    """Run one of the actions of device.py."""
    action.check(call.data)
    if action.for_one(call.data) and len(await async_entries(call)) > 1:
        raise invalid("one_miner_only")
    results = await async_each(
        call, lambda entry: action.async_run(entry.runtime_data, call.data)
    )
    if not call.return_response:
        return None
    if len(results) == 1:
        return cast(ServiceResponse, results[0][1])
    return {"miners": _by_name(results)}


async def _async_curtail(call: ServiceCall) -> ServiceResponse:
    """Reduce the power of miners, and return whether and how it fell."""
    target: Target = call.data[ATTR_TARGET]
    amount: int | None = None
    if target is not Target.STOP:
        amount = call.data.get(target.value)
        if amount is None and target is Target.PERCENT:
            raise invalid("curtail_percent_missing")
        if amount is None:
            raise invalid("curtail_power_missing")
    duration: timedelta | None = call.data.get(ATTR_DURATION)
    if duration is not None and duration < timedelta(seconds=1):
        raise invalid("curtail_duration_zero")
    reason: str | None = call.data.get(ATTR_REASON)
    by = await _async_caller(call)
    events = [
        group.events.begin(by, target, amount, reason)
        for group in await _async_groups(call)
    ]
    results = await async_each(
        call,
        lambda entry: entry.runtime_data.curtailment.async_curtail(
            target, amount, duration, reason
        ),
    )
    return _respond(call, results, events)


async def _async_resume(call: ServiceCall) -> ServiceResponse:
    """End the curtailment with a reason, or all of them."""
    reason: str | None = call.data.get(ATTR_REASON)
    groups = await _async_groups(call)
    results = await async_each(
        call, lambda entry: entry.runtime_data.curtailment.async_resume(reason)
    )
    events = [event for group in groups for event in group.events.end(reason)]
    return _respond(call, results, events, is_group=bool(groups))


async def _async_plan(call: ServiceCall) -> ServiceResponse:
    """Return the plans that would be made now; they change nothing."""
    fields = CONF_HOURS_AT_LEAST, CONF_HOURS_AT_MOST
    wanted = Wish(*(call.data.get(field) for field in fields))
    least, most = wanted
    if least is not None and most is not None and least > most:
        raise invalid("plan_hours_impossible")

    def preview(entry: WhatsminerConfigEntry) -> Awaitable[dict[str, Any]]:
        planner = entry.runtime_data.planner
        return planner.async_preview(planner.limits if wanted == NO_WISH else wanted)

    results = await async_each(call, preview)
    if len(results) == 1 and not await _async_groups(call):
        return cast(ServiceResponse, results[0][1])
    markets = [entry.runtime_data.planner.market for entry, _ in results]
    currencies = {market.price.currency for market in markets}
    total = total_plan([plan for _, plan in results], currencies)
    return {**total, "miners": _by_name(results)}


async def _async_request_power(call: ServiceCall) -> ServiceResponse:
    """Let the power source *External* want a power for some time."""
    power, duration = call.data[ATTR_POWER], call.data[ATTR_DURATION]
    await async_each(
        call,
        lambda entry: entry.runtime_data.external.async_request(power, duration),
    )
    return None


async def _async_groups(call: ServiceCall) -> list[Group]:
    """Return the groups that an action targets."""
    return [
        entry.runtime_data
        for entry in await _async_targets(call)
        if is_group(entry) and entry.state is ConfigEntryState.LOADED
    ]


async def _async_caller(call: ServiceCall) -> str:
    """Return the name of the user who calls an action; an automation has none."""
    user_id = call.context.user_id
    user = await call.hass.auth.async_get_user(user_id) if user_id else None
    return (user and user.name) or AUTOMATION


def _respond(
    call: ServiceCall,
    results: Results[Outcome],
    events: list[Event],
    *,
    is_group: bool = False,
) -> ServiceResponse:
    """Return the response, or raise an error if the caller wants none."""
    if not call.return_response:
        _raise_first(
            [(entry, _unproven(entry)) for entry, one in results if not one.confirmed]
        )
        return None
    if events or is_group:
        return {**_summed(results), "events": [event.stored() for event in events]}
    if len(results) == 1:
        return cast(ServiceResponse, asdict(results[0][1]))
    return _summed(results)


def _unproven(entry: WhatsminerConfigEntry) -> HomeAssistantError:
    """Return why a curtailment was not confirmed: it is tried again, or it was ended."""
    is_active = bool(entry.runtime_data.curtailment.record.curtailments)
    return failed(
        "power_not_reached" if is_active else "curtailment_overtaken", name=entry.title
    )


def _summed(results: Results[Outcome]) -> dict[str, Any]:
    """Return the sum of several miners, and each of them."""
    outcomes = [outcome for _, outcome in results]
    ways = {outcome.way for outcome in outcomes} - {Method.NONE}

    def total(powers: list[float | None]) -> float | None:
        known = [power for power in powers if power is not None]
        return sum(known) if len(known) == len(powers) else None

    return {
        "confirmed": all(outcome.confirmed for outcome in outcomes),
        "seconds": max((outcome.seconds for outcome in outcomes), default=0.0),
        "power_before": total([outcome.power_before for outcome in outcomes]),
        "power_after": total([outcome.power_after for outcome in outcomes]),
        "way": Method.NONE if not ways else ways.pop() if len(ways) == 1 else "mixed",
        "stricter": any(outcome.stricter for outcome in outcomes),
        "miners": {name: asdict(one) for name, one in _by_name(results).items()},
    }
