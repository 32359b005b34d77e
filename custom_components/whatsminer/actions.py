"""The integration's own actions, addressed by device: curtail, resume, and those of maintenance.py."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any, Final, cast

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import (
    async_extract_config_entry_ids,
    async_register_admin_service,
)
import probatio

from .const import DOMAIN
from .coordinator import WhatsminerConfigEntry
from .curtailment import Outcome, Target, Way
from .errors import failed, invalid
from .maintenance import ACTIONS, Action

ATTR_TARGET: Final = "target"
ATTR_PERCENT: Final = "percent"
ATTR_POWER: Final = "power"
ATTR_DURATION: Final = "duration"
ATTR_REASON: Final = "reason"

SERVICE_CURTAIL: Final = "curtail"
SERVICE_RESUME: Final = "resume"

CURTAIL_SCHEMA = probatio.Schema(
    {
        **cv.ENTITY_SERVICE_FIELDS,
        probatio.Required(ATTR_TARGET): probatio.Coerce(Target),
        probatio.Optional(ATTR_PERCENT): probatio.All(
            probatio.Coerce(int), probatio.Range(min=1, max=100)
        ),
        probatio.Optional(ATTR_POWER): probatio.All(
            probatio.Coerce(int), probatio.Range(min=1, max=99_999)
        ),
        probatio.Optional(ATTR_DURATION): cv.positive_time_period,
        probatio.Optional(ATTR_REASON): cv.string,
    }
)
RESUME_SCHEMA = probatio.Schema({**cv.ENTITY_SERVICE_FIELDS})


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_CURTAIL,
        _async_curtail,
        schema=CURTAIL_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
    hass.services.async_register(
        DOMAIN,
        SERVICE_RESUME,
        _async_resume,
        schema=RESUME_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
    for action in ACTIONS:
        async_register_admin_service(
            hass,
            DOMAIN,
            action.name,
            partial(_async_maintain, action),
            schema=probatio.Schema({**cv.ENTITY_SERVICE_FIELDS, **action.fields}),
            supports_response=action.response,
        )


async def async_entries(call: ServiceCall) -> list[WhatsminerConfigEntry]:
    """The miners that an action is addressed to; raises where one of them is not set up."""
    entries: list[WhatsminerConfigEntry] = []
    for entry_id in sorted(await async_extract_config_entry_ids(call)):
        entry = call.hass.config_entries.async_get_entry(entry_id)
        if entry is None or entry.domain != DOMAIN:
            continue
        if entry.state is not ConfigEntryState.LOADED:
            raise invalid("not_loaded", name=entry.title)
        entries.append(entry)
    if not entries:
        raise invalid("no_miner")
    return entries


async def async_each[T](
    call: ServiceCall, act: Callable[[WhatsminerConfigEntry], Awaitable[T]]
) -> dict[str, T]:
    """Act on all miners at once; a failure of one stops none of the others."""
    entries = await async_entries(call)
    outcomes = await asyncio.gather(*map(act, entries), return_exceptions=True)
    results: dict[str, T] = {}
    failures: list[BaseException] = []
    for entry, outcome in zip(entries, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            failures.append(outcome)
        else:
            results[entry.title] = outcome
    if failures:
        raise failures[0]
    return results


async def _async_maintain(action: Action, call: ServiceCall) -> ServiceResponse:
    """Do one of the actions of maintenance.py."""
    action.check(call.data)
    if action.for_one(call.data) and len(await async_entries(call)) > 1:
        raise invalid("one_miner_only")
    results = await async_each(
        call, lambda entry: action.async_run(entry.runtime_data, call.data)
    )
    if not call.return_response:
        return None
    first, *more = results.values()
    return cast(ServiceResponse, {"miners": results} if more else first)


async def _async_curtail(call: ServiceCall) -> ServiceResponse:
    """Bring the power of miners down, and say whether and how it fell."""
    target: Target = call.data[ATTR_TARGET]
    amount: int | None = None
    if target is not Target.STOP:
        amount = call.data.get(target.value)
        if amount is None and target is Target.PERCENT:
            raise invalid("curtail_percent_missing")
        if amount is None:
            raise invalid("curtail_power_missing")
    duration: timedelta | None = call.data.get(ATTR_DURATION)
    reason: str | None = call.data.get(ATTR_REASON)
    return _told(
        call,
        await async_each(
            call,
            lambda entry: entry.runtime_data.curtailment.async_curtail(
                target, amount, duration, reason
            ),
        ),
    )


async def _async_resume(call: ServiceCall) -> ServiceResponse:
    """End the curtailment of miners."""
    return _told(
        call,
        await async_each(
            call, lambda entry: entry.runtime_data.curtailment.async_resume()
        ),
    )


def _told(call: ServiceCall, results: dict[str, Outcome]) -> ServiceResponse:
    """The response, or an error for who does not look at one."""
    if call.return_response:
        return _response(results)
    for name, outcome in results.items():
        if not outcome.confirmed:
            raise failed("power_not_reached", name=name)
    return None


def _response(results: dict[str, Outcome]) -> ServiceResponse:
    """The outcome of one miner, or the sum of several and each of them."""
    first, *more = results.values()
    if not more:
        return cast(ServiceResponse, asdict(first))
    ways = {outcome.way for outcome in results.values()} - {Way.NONE}

    def total(powers: list[float | None]) -> float | None:
        known = [power for power in powers if power is not None]
        return sum(known) if len(known) == len(powers) else None

    summed: dict[str, Any] = {
        "confirmed": all(outcome.confirmed for outcome in results.values()),
        "seconds": max(outcome.seconds for outcome in results.values()),
        "power_before": total([o.power_before for o in results.values()]),
        "power_after": total([o.power_after for o in results.values()]),
        "way": Way.NONE if not ways else ways.pop() if len(ways) == 1 else "mixed",
        "miners": {name: asdict(outcome) for name, outcome in results.items()},
    }
    return summed
