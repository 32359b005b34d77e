"""Where Home Assistant imports the integration: never in its event loop."""

from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[2]

# In a new Python: here everything is imported already. The last line says whether all was imported in the executor,
# and what the first use of the cipher still imports.
SCRIPT = """
import asyncio, sys, threading
from homeassistant import loader
from homeassistant.core import HomeAssistant

WATCHED = ("Crypto", "passlib", "custom_components.whatsminer")
found = {}

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(WATCHED):
            found[name] = threading.current_thread() is threading.main_thread()

async def main(config, first):
    hass = HomeAssistant(config)
    loader.async_setup(hass)
    sys.meta_path.insert(0, Watch())
    integration = await loader.async_get_integration(hass, "whatsminer")
    if first == "component":
        await integration.async_get_component()
    else:
        await integration.async_get_platform(first)
    assert {"Crypto.Cipher.AES", "passlib.handlers.md5_crypt"} <= found.keys()
    assert not any(found.values()), [name for name, blocks in found.items() if blocks]
    found.clear()
    api = sys.modules["custom_components.whatsminer.api.v2.crypto"]
    assert api.decrypt(api.encrypt({"cmd": "status"}, bytes(32)), bytes(32)) == {"cmd": "status"}
    assert not found, found
    await hass.async_stop(force=True)

asyncio.run(main(*sys.argv[1:]))
print("imported")
"""


@pytest.mark.parametrize(
    "first", ["component", "config_flow", "diagnostics", "repairs"]
)
def test_the_cipher_is_imported_off_the_event_loop(first: str) -> None:
    """Its import needs up to 0.1 s, in which Home Assistant would not react."""
    done = subprocess.run(
        (sys.executable, "-c", SCRIPT, ROOT, first),
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout == "imported\n", done.stderr
