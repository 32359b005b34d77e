"""Serve the dashboard, which the browser loads as one module."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http import StaticPathConfig
from homeassistant.core import HomeAssistant

from ..const import DOMAIN

FOLDER: Final = f"/{DOMAIN}_static"
MODULE: Final = Path(__file__).parent / "dashboard.js"


def _digest() -> str:
    """Return what changes with the module."""
    return sha256(MODULE.read_bytes()).hexdigest()[:12]


async def async_setup_frontend(hass: HomeAssistant) -> None:
    """Have every page load the dashboard; without a user interface do nothing.

    Browsers keep the file for a month, so its address changes with its content.
    """
    if "frontend" not in hass.config.components:
        return
    digest = await hass.async_add_executor_job(_digest)
    url = f"{FOLDER}/{MODULE.name}"
    await hass.http.async_register_static_paths(
        [StaticPathConfig(url, str(MODULE), cache_headers=True)]
    )
    add_extra_js_url(hass, f"{url}?v={digest}")
