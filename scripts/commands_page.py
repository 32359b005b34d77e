"""Write docs/commands.md: every command of the vendor, where it is in Home Assistant, and the proof.

    .venv/bin/python scripts/commands_page.py [--check]

Which commands there are, and which dialects know them, comes from the client. What commands them
comes from the tables of entities and actions, and from SHOWN_BY and ALSO where no table says so.
"""

import argparse
from pathlib import Path
import sys

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from custom_components.whatsminer.api import COMMANDS, ApiCommand, Dialect, Feature  # noqa: E402
from custom_components.whatsminer.button import BUTTONS  # noqa: E402
from custom_components.whatsminer.number import NUMBERS  # noqa: E402
from custom_components.whatsminer.select import SELECTS  # noqa: E402
from custom_components.whatsminer.services.device import ACTIONS  # noqa: E402
from custom_components.whatsminer.switch import SWITCHES  # noqa: E402

PAGE = ROOT / "docs" / "commands.md"

type Place = str
"""`<platform>.<key>` of an entity, `action.<name>`, or one of WORDS."""

WORDS = {
    "set-up": "adding the miner, and every start",
    "device": "the device: model, serial number, firmware, MAC",
}

_POWER = ("sensor.power", "sensor.hashrate", "sensor.efficiency")
_BOARDS = ("sensor.board_0_hashrate", "sensor.board_0_temperature")
SHOWN_BY: dict[str, tuple[Place, ...]] = {
    "summary": _POWER,
    "pools": ("sensor.pool", "sensor.reject_rate"),
    "devs": _BOARDS,
    "edevs": _BOARDS,
    "devdetails": ("device",),
    "get_psu": ("sensor.psu_input_voltage", "sensor.psu_input_power"),
    "get_version": ("device",),
    "status": ("switch.mining", "sensor.stop_reason", "number.target_frequency"),
    "get_miner_info": ("device", "number.upfreq_speed"),
    "get_error_code": ("sensor.fault", "binary_sensor.problem", "event.fault"),
    "get_token": ("set-up", "binary_sensor.write_access"),
    "get.device.info": ("device", "switch.mining", "sensor.fault", "event.fault"),
    "get.miner.status": (*_POWER, *_BOARDS, "sensor.pool"),
    "get.miner.setting": (
        "number.power_percent",
        "number.upfreq_speed",
        "select.power_mode",
    ),
    "get.system.setting": ("switch.web_pools",),
    "get.fan.setting": ("switch.fan_zero_speed", "number.temperature_offset"),
    "set.miner.report": ("set-up", "binary_sensor.write_access"),
}
"""The entities that show the answer of a command."""

ALSO: dict[Feature, tuple[Place, ...]] = {
    Feature.MINING: ("action.curtail", "action.resume"),
    Feature.POWER_LIMIT: ("number.power_target", "action.curtail", "action.resume"),
    Feature.POWER_PERCENT: ("number.power_target", "action.curtail", "action.resume"),
    Feature.RESTORE_POWER_PERCENT: ("number.power_percent",),
}
"""What commands a feature too, or alone, without being made for it."""

_READ = "test_every_profile.py::test_every_entity_equals_the_truth"
_CONTROL = "test_every_profile.py::test_every_control_works"
_SETTING = "test_settings.py::test_every_setting"
_ACTION = "test_actions.py::test_every_action_on_every_firmware"
_FULL = "test_settings.py::test_full_power_is_given_back"
PROOFS: dict[str, str] = {
    # of a command, of a place, or of all places of a platform
    "restore_power_pct": _FULL,
    "device": "test_polling.py::test_device",
    "set-up": "test_config_flow.py::test_wrong_password",
    "binary_sensor.write_access": _READ,
    "switch.mining": _CONTROL,
    "switch.fast_boot": _CONTROL,
    "number.power_limit": _CONTROL,
    "number.power_percent": _CONTROL,
    "number.power_target": "test_power_target.py::test_down_without_a_restart",
    "select.power_mode": _CONTROL,
    "action.curtail": "curtailment/test_curtail.py::test_stop_is_proven_and_undone",
    "action.resume": "curtailment/test_curtail.py::test_stop_is_proven_and_undone",
    "action.download_logs": "test_action_files.py::test_a_log_is_what_the_miner_has",
    "action.update_firmware": "test_action_files.py::test_new_firmware_is_seen_running",
    "action.preheat": "test_actions.py::test_preheating",
    "action.get_data": "test_actions.py::test_raw_answers_without_what_is_private",
    "sensor": _READ,
    "binary_sensor": _READ,
    "event": "test_fault_event.py::test_a_fault_is_reported_once",
    "button": _CONTROL,
    "switch": _SETTING,
    "number": _SETTING,
    "select": _SETTING,
    "action": _ACTION,
}

HEAD = """\
# Commands

Every command of the vendor's API, from [protocol.md](protocol.md), and where it is in Home Assistant: an entity, by its
key in [entities.md](entities.md), or an action of this integration, by its name in [actions.md](actions.md). *Cooling*
is the only one that a command is meant for; other miners have neither that entity nor that action.

The proofs are in `tests/components` and run against the simulated miners. How each command is worded on the wire, what
the miner then does and reports, and that no other value is sent, is proven in
`tests/api/commands/test_every_command.py::test_every_command`.

`set_power_pct` is sent where the power must fall within seconds, as for a curtailment, and where the firmware does not
know `set_power_pct_v2`; `restore_power_pct` for 100 %
where it is known. A firmware that is older than a command refuses it, and the sentence that is shown says so.

This page is written by `scripts/commands_page.py`.

| Command | Dialects | Cooling | In Home Assistant | Proof |
|---|---|---|---|---|
"""


def places(command: ApiCommand) -> tuple[Place, ...]:
    """Where a command is in Home Assistant; each once."""
    found: list[Place] = list(SHOWN_BY.get(command.name, ()))
    for feature in command.features:
        for platform, table in (
            ("switch", SWITCHES),
            ("number", NUMBERS),
            ("select", SELECTS),
        ):
            found += [
                f"{platform}.{description.key}"
                for description in table
                if description.control.feature is feature
            ]
        found += [f"button.{one.key}" for one in BUTTONS if one.feature is feature]
        found += [f"action.{one.name}" for one in ACTIONS if one.feature is feature]
        found += ALSO.get(feature, ())
    if command.is_data:
        found.append("action.get_data")
    return tuple(dict.fromkeys(found))


def proofs(command: ApiCommand) -> tuple[str, ...]:
    """The tests that show a command in all its places."""
    keys = [command.name] if command.name in PROOFS else places(command)
    return tuple(
        dict.fromkeys(
            PROOFS[key if key in PROOFS else key.split(".")[0]] for key in keys
        )
    )


def row(command: ApiCommand) -> str:
    """The row of a command."""
    dialects = " ".join(
        f"{dialect}.x" for dialect in Dialect if dialect in command.dialects
    )
    words = [
        WORDS.get(place) or "{} `{}`".format(*place.split(".", 1))
        for place in places(command)
    ]
    cells = (
        f"`{command.name}`",
        dialects,
        command.cooling or "any",
        ", ".join(words),
        " ".join(f"`{proof}`" for proof in proofs(command)),
    )
    return f"| {' | '.join(cells)} |"


def page() -> str:
    """The whole page."""
    return HEAD + "".join(f"{row(command)}\n" for command in COMMANDS)


def main() -> int:
    """Write the page, or see whether it is as it would be written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    if parser.parse_args().check:
        if PAGE.read_text() == page():
            return 0
        print(f"{PAGE.relative_to(ROOT)} is stale: run {Path(__file__).name}")
        return 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
