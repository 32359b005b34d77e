"""Where Home Assistant imports the integration: never in its event loop."""

from pathlib import Path
import subprocess
import sys

ROOT = Path(__file__).parents[2]

# In a new Python: here everything is imported already. A process for each of the first imports says whether all was
# imported in the executor, and what the first use of the cipher still imports. It is forked, since the import of Home
# Assistant takes seconds.
SCRIPT = """
import asyncio, os, sys, threading
from homeassistant import loader
from homeassistant.components import frontend, recorder  # most of the time, and there before us
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

config, *firsts = sys.argv[1:]
for first in firsts:
    if os.fork() == 0:
        asyncio.run(main(config, first))
        print(first)
        break
    os.wait()
"""
FIRSTS = ["component", "config_flow", "diagnostics", "repairs"]


def test_the_cipher_is_imported_off_the_event_loop() -> None:
    """Its import needs up to 0.1 s, in which Home Assistant would not react."""
    done = subprocess.run(
        (sys.executable, "-c", SCRIPT, ROOT, *FIRSTS),
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout.split() == FIRSTS, done.stderr
