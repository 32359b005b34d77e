"""Fixtures for every test."""

import asyncio
from collections.abc import Generator
import logging
import os
import sys
from unittest.mock import patch

from homeassistant import runner
import pytest

# Without this import the test plugin's own folder `custom_components` would hide ours.
import custom_components.whatsminer  # noqa: F401

# These run in a browser, in a process of their own: scripts/test --e2e.
collect_ignore = ["e2e"]


# What Home Assistant logs at level debug, a line for each entity of each set-up, and one for each
# statement to a database. pytest formats each line, even if no test reads it.
logging.getLogger("homeassistant").setLevel(logging.INFO)
for name in ("homeassistant.helpers.entity_registry", "sqlalchemy.engine"):
    logging.getLogger(name).setLevel(logging.WARNING)

# pytest shows the log of a test that fails; this handler of the test plugin would write it once more.
for handler in logging.getLogger().handlers[:]:
    logging.getLogger().removeHandler(handler)

# The test plugin looks for it before each test, and nothing here uses it.
sys.modules["MySQLdb"] = None  # type: ignore[assignment]


@pytest.fixture(autouse=True)
async def enable_event_loop_debug() -> None:
    """Run loops without debug mode, unlike the test plugin, except in `scripts/test --floor`.

    Debug mode finds calls from other threads, but it stores the stack of each future and callback,
    which took more than a third of the run.
    """
    asyncio.get_running_loop().set_debug("DEBUG_LOOPS" in os.environ)


@pytest.fixture(autouse=True, scope="session")
def disable_http_server() -> Generator[None]:
    """Keep Home Assistant's web server closed, as the test plugin does, but once for all tests."""
    server = "homeassistant.components.http.HomeAssistantHTTP"
    with patch(f"{server}.async_bind"), patch(f"{server}.start"):
        yield


@pytest.fixture(autouse=True, scope="session")
def _patient_end() -> Generator[None]:
    """Give threads time to end on a busy machine: one that is interrupted keeps the others from ending."""
    with patch("homeassistant.util.executor.EXECUTOR_SHUTDOWN_TIMEOUT", 100):
        yield


@pytest.fixture(autouse=True)
async def configure_event_loop(request: pytest.FixtureRequest) -> None:
    """Configure the loop as Home Assistant does, for the tests that have one.

    It starts threads, which took a tenth of the time of a test without Home Assistant.
    """
    if "hass" in request.fixturenames:
        runner.configure_event_loop(asyncio.get_running_loop())
