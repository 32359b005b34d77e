"""docs/actions.md: its tables match the code, and every example works."""

from collections.abc import AsyncGenerator
from pathlib import Path
import re
from typing import Any

from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.script import Script, async_validate_actions_config
from homeassistant.util.yaml import load_yaml_dict, parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.api import Cooling, Dialect, transport
from custom_components.whatsminer.api.catalog import features_of
from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.services import (
    CURTAIL_SCHEMA,
    PLAN_SCHEMA,
    REQUEST_SCHEMA,
    RESUME_SCHEMA,
)
from custom_components.whatsminer.services.device import ACTIONS, ATTR_CONFIRM
from simulator import SimulatedMiner, make_image

from .conftest import PASSWORD, RaceClock, until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "actions.md").read_text()
FORMS = load_yaml_dict(str(ROOT / "custom_components" / DOMAIN / "services.yaml"))
EXAMPLES = re.findall(r"^```yaml\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
DEVICE = "0123456789abcdef0123456789abcdef"
BY_NAME = {action.name: action for action in ACTIONS}
OWN = {
    "curtail": CURTAIL_SCHEMA,
    "resume": RESUME_SCHEMA,
    "plan": PLAN_SCHEMA,
    "request_power": REQUEST_SCHEMA,
}
AT_HOME = "127.0.0.1"
VERSION = "20260401.12.REL"

# What each example has done. Which miner it is for is 3.x where nothing else is said.
MINERS = {"preheat": "v205_m56s", "set_ssh": "v1_m20s"}
EFFECTS: dict[str, Any] = {
    "curtail": lambda s: not s.truth().mining,
    "resume": lambda s: s.truth().mining,
    "plan": lambda s: s.truth().mining,
    "request_power": lambda s: s.machine.power_percent < 100,
    "set_pools": lambda s: [p.user for p in s.truth().pools] == ["account.worker"] * 2,
    "set_power": lambda s: s.truth().settings.power_set_w == 3000,
    "preheat": lambda s: s.truth().preheat == "adjust complete",
    "set_coin_type": lambda s: s.truth().settings.coin_type == "BTC",
    "set_random_delay": lambda s: s.truth().settings.time_randomized == (60, 0),
    "restore_settings": lambda s: not s.truth().settings.fast_boot,
    "set_led": lambda s: len(s.machine.leds) == 2,
    "set_hostname": lambda s: s.truth().settings.hostname == "garage-1",
    "set_time_zone": lambda s: s.truth().settings.zonename == "Europe/Berlin",
    "set_ntp_servers": lambda s: "192.168.1.1" in s.truth().settings.ntp_servers,
    "set_log_server": lambda s: s.truth().settings.log_server.ip == "192.168.1.5",
    "set_custom_data": lambda s: s.truth().settings.custom["msg0"] == "shelf 7",
    "download_logs": lambda s: "get.log.download" in {c.name for c in s.commands},
    "reset_profile": lambda s: s.truth().mining,
    "get_data": lambda s: "summary" in {c.name for c in s.commands},
    "change_password": lambda s: s.v3_passwords["super"] == "Example_7",
    "set_permission": lambda s: "set.miner.service" in s.v3_permissions["user1"],
    "set_ssh": lambda s: not s.truth().settings.ssh,
    "set_network": lambda s: s.machine.reboots == 1,
    "factory_reset": lambda s: s.machine.resets == 1,
    "update_firmware": lambda s: s.truth().firmware == VERSION,
}


def action_of(example: str) -> str:
    """Return the action of an example."""
    found = re.search(r"action: whatsminer\.(\w+)", example)
    assert found
    return found[1]


def rows() -> dict[str, list[str]]:
    """Return the tables of all actions, by action."""
    return {
        name: [cell.strip() for cell in cells.split("|")]
        for name, cells in re.findall(
            r"^\| \[`(\w+)`\]\(#\S+\) \| (.+) \|$", PAGE, re.MULTILINE
        )
    }


def test_every_action_is_on_the_page() -> None:
    """A user would not find how to use an action."""
    named = {*OWN, *BY_NAME}
    assert rows().keys() == FORMS.keys() == named
    assert {action_of(example) for example in EXAMPLES} == named == EFFECTS.keys()


@pytest.mark.parametrize("name", BY_NAME)
def test_the_tables_are_true(name: str) -> None:
    """The owner of an old miner would not find out why an action does not work."""
    action, cells = BY_NAME[name], rows()[name]
    for dialect, cell in zip(Dialect, cells, strict=False):
        air, liquid = (
            action.feature is None or action.feature in features_of(dialect, cooling)
            for cooling in (Cooling.AIR, Cooling.LIQUID)
        )
        assert (
            cell
            == {
                (True, True): "yes",
                (False, True): "liquid",
                (False, False): "no",
            }[air, liquid]
        )
    assert cells[4] == ("yes" if action.confirm else "no")


@pytest.mark.parametrize("name", FORMS)
def test_fields_are_those_of_form_and_page(name: str) -> None:
    """A user would not find a field, or enter one that does not exist."""
    schema = BY_NAME[name].fields if name in BY_NAME else OWN[name].schema
    wanted = {str(getattr(key, "schema", key)) for key in schema}
    wanted -= {str(key) for key in cv.ENTITY_SERVICE_FIELDS}
    form = FORMS[name].get("fields", {})
    assert form.keys() == wanted
    section = PAGE.split(f"\n### {name}\n")[-1].split("\n##")[0]
    if name in BY_NAME:
        documented = dict(
            re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", section, re.MULTILINE)
        )
        assert documented.keys() == wanted
        for key in schema:
            # The schema does not require the confirmation: the action itself has a better message.
            needed = type(key).__name__ == "Required" or str(key) == ATTR_CONFIRM
            assert (documented[str(key)] == "yes") is needed
            assert bool(form[str(key)].get("required")) is needed


@pytest.fixture
async def miner(
    example: str, clock: RaceClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[SimulatedMiner]:
    """Start the miner of an example; it is also found at the address that an action sets."""
    name = action_of(example)
    async with SimulatedMiner(
        MINERS.get(name, "v2c_m60s"),
        password=PASSWORD,
        v3_password=PASSWORD,
        clock=clock,
    ) as simulated:
        if name == "preheat":
            simulated.machine.power_off()
        simulated.machine.change(ssh=True, fast_boot=True)
        connect = transport.Line.connect

        async def connect_there(line: transport.Line, address: Any) -> None:
            network = simulated.machine.network
            if address[0] != (network.ip if network else AT_HOME):
                raise OSError("no route")
            await connect(line, (AT_HOME, *address[1:]))

        monkeypatch.setattr(transport.Line, "connect", connect_there)
        monkeypatch.setattr(
            "custom_components.whatsminer.services.follow_up.INTERVAL", 0.02
        )
        clock.rate = 300
        clock.race()
        yield simulated


@pytest.mark.parametrize("example", EXAMPLES, ids=action_of)
async def test_every_example_works(
    hass: HomeAssistant,
    coordinator: WhatsminerCoordinator,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    example: str,
    tmp_path: Path,
) -> None:
    """A user would copy an example that does not work."""
    name = action_of(example)
    hass.config.config_dir = str(tmp_path)
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    image = tmp_path / "whatsminer-H616.bin"
    image.write_bytes(make_image(miner.profile.platform, VERSION))
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    if name == "resume":
        data = {"target": "stop", "reason": "grid call"}
        await run(hass, {"action": "whatsminer.curtail"}, device.id, data)
    here = (
        example.replace(DEVICE, device.id)
        .replace("/media/", f"{tmp_path}/")
        .replace("seconds: 30", "milliseconds: 50")
    )
    script = parse_yaml(here)
    variables = await run(hass, script)
    await until(lambda: EFFECTS[name](miner))
    match name:
        case "curtail":
            assert variables["outcome"]["confirmed"] is True
        case "plan":
            assert variables["plan"] == {"status": "no_forecast", "steps": []}
        case "get_data":
            assert variables["answer"]
        case "download_logs":
            assert variables["log"]["size"] == len(miner.log)
        case "update_firmware":
            assert variables["update"]["version_after"] == VERSION


async def run(
    hass: HomeAssistant,
    script: Any,
    device: str | None = None,
    data: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run actions as a script does; return its variables."""
    if device:
        script = {**script, "target": {"device_id": device}, "data": data}
    sequence = await async_validate_actions_config(hass, cv.SCRIPT_SCHEMA(script))
    result = await Script(hass, sequence, "example", DOMAIN).async_run(
        context=Context()
    )
    assert result
    return dict(result.variables)
