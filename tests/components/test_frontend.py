"""The dashboard: its module's own tests, and how Home Assistant serves it."""

from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
import shutil
import subprocess
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.frontend import MODULE

NODE = shutil.which("node")
ADDED = "custom_components.whatsminer.frontend.add_extra_js_url"


@pytest.mark.skipif(not NODE, reason="node is not installed, so its tests cannot run")
def test_module() -> None:
    """Every user would see a wrong view; node's report names it."""
    assert NODE
    tests = sorted((Path(__file__).parents[1] / "frontend").glob("*.test.mjs"))
    assert tests
    done = subprocess.run(
        [NODE, "--test", *tests], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_is_self_contained() -> None:
    """A file that it imports would be cached under an address that never changes."""
    source = MODULE.read_text()
    assert "import " not in source.replace("important ", "")
    assert "customElements.whenDefined(" in source


async def test_is_served(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> None:
    """After an update a browser must not keep using the dashboard from its cache."""
    assert await async_setup_component(hass, "http", {})
    hass.config.components.add("frontend")
    with patch(ADDED) as added:
        assert await async_setup_component(hass, DOMAIN, {})
    [(_, url)] = [call.args for call in added.call_args_list]
    content = MODULE.read_bytes()
    assert url.endswith(f"?v={sha256(content).hexdigest()[:12]}")

    client = await hass_client_no_auth()
    answer = await client.get(url)
    assert answer.status == HTTPStatus.OK
    assert await answer.read() == content
    assert "javascript" in answer.headers["Content-Type"]
    assert "max-age=2678400" in answer.headers["Cache-Control"]


async def test_without_user_interface(hass: HomeAssistant) -> None:
    """Who runs Home Assistant without its frontend must have the miners all the same."""
    with patch(ADDED) as added:
        assert await async_setup_component(hass, DOMAIN, {})
    assert not added.called
