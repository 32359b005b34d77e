"""Fixtures for every test."""

import asyncio
import logging
import os

import pytest

# Without this import the test plugin's own folder `custom_components` would hide ours.
import custom_components.whatsminer  # noqa: F401

# These run in a browser, in a process of their own: scripts/test --e2e.
collect_ignore = ["e2e"]


# A line for each entity of each set-up, and one for each statement to a database.
for name in ("homeassistant.helpers.entity_registry", "sqlalchemy.engine"):
    logging.getLogger(name).setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
async def enable_event_loop_debug() -> None:
    """Run loops without debug mode, unlike the test plugin, except in `scripts/test --floor`.

    Debug mode finds calls from other threads, but it stores the stack of each future and callback,
    which took more than a third of the run.
    """
    asyncio.get_running_loop().set_debug("DEBUG_LOOPS" in os.environ)
