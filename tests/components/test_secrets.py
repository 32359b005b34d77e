"""Secrets: no password, key, sign, token or pool user in logs, errors, issues or reprs.

The fixture `secrets` looks at the logs of every test here; this adds all the rest.
"""

import gc
import logging
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from simulator import SimulatedMiner

from .conftest import PASSWORD, Call


@pytest.fixture(autouse=True)
def whole_log(caplog: pytest.LogCaptureFixture) -> None:
    """Let Home Assistant log all that it can; elsewhere it logs no details."""
    caplog.set_level(logging.DEBUG, "homeassistant")


def ours(thing: object) -> bool:
    """Whether an object is of a class of the integration."""
    return type(thing).__module__.startswith("custom_components.whatsminer")


@pytest.mark.parametrize("profile", ["v1_m20s", "v205_m50", "v2c_m60s", "v3_m7bs"])
async def test_nothing_shows_a_secret(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    miner: SimulatedMiner,
    secrets: set[str],
    call: Call,
) -> None:
    """Objects end up in tracebacks, and those in public issues."""
    private = secrets | {pool.user for pool in miner.truth().pools}
    await call("switch", "fast_boot", "turn_on")
    shown: list[Any] = [thing for thing in gc.get_objects() if ours(thing)]
    assert coordinator.miner in shown
    miner.api_switch = False
    with pytest.raises(HomeAssistantError) as refused:
        await call("switch", "fast_boot", "turn_off")
    shown += [refused.value, refused.value.__cause__, ir.async_get(hass).issues]
    assert secrets - {PASSWORD}
    for thing in shown:
        text = f"{thing!r} {thing!s}"
        assert not [secret for secret in private if secret in text], type(thing)


async def test_the_log_is_read_at_debug(
    coordinator: WhatsminerCoordinator, caplog: pytest.LogCaptureFixture
) -> None:
    """The fixture would find nothing in a log that was never written."""
    assert any(
        record.levelno == logging.DEBUG
        and record.name.startswith("custom_components.whatsminer")
        for record in caplog.get_records("setup")
    )
