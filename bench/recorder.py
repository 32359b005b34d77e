"""The recorder bench: how many rows one miner writes to the database of a home, with all defaults."""

import argparse
import asyncio
from pathlib import Path
import sqlite3
from typing import Any

from homeassistant.components.recorder import get_instance
from homeassistant.const import __version__ as HA_VERSION
from homeassistant.helpers import entity_registry as er, recorder as recorder_helper
from homeassistant.setup import async_setup_component

from bench.clock import SkippingLoop
from bench.fleet import Fleet, home, with_miners
from bench.miners import KINDS, Miners, Plan
from bench.table import arguments, finish, say

HOURS = 1.0
MOST_PER_POLL = 6.0
DATABASE = "home-assistant_v2.db"


async def bench(loop: SkippingLoop, miners: Miners, hours: float) -> dict[str, Any]:
    """Let a Home Assistant with a recorder on SQLite run, and look into its database."""
    async with home(loop, miners) as fleet:
        hass, file = fleet.hass, Path(fleet.hass.config.path(DATABASE))
        recorder_helper.async_initialize_recorder(hass)
        config = {"recorder": {"db_url": f"sqlite:///{file}", "commit_interval": 1}}
        with loop.wait():  # a thread opens the database
            assert await async_setup_component(hass, "recorder", config)
            await get_instance(hass).async_recorder_ready.wait()
        await fleet.set_up()
        recorder = get_instance(hass)
        await asyncio.sleep(60)
        with loop.wait():
            await recorder.async_block_till_done()
        before, polls = rows(file), fleet.polls
        await asyncio.sleep(hours * 3600)
        with loop.wait():
            await recorder.async_block_till_done()
        after, polls = rows(file), fleet.polls - polls
        found = er.async_get(hass).entities.values()
        enabled = sum(entry.disabled_by is None for entry in found)
    return result(fleet, before, after, polls, enabled, hours)


def rows(file: Path) -> dict[str, int]:
    """The rows of each entity."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        return dict(
            database.execute(
                "SELECT m.entity_id, count(*) FROM states s JOIN states_meta m"
                " ON m.metadata_id = s.metadata_id GROUP BY 1"
            )
        )


def result(
    fleet: Fleet,
    before: dict[str, int],
    after: dict[str, int],
    polls: int,
    enabled: int,
    hours: float,
) -> dict[str, Any]:
    """Rows for each kind of entity, and for a miner and a day."""
    miners = len(fleet.entries)
    kinds: dict[str, int] = {}
    for entity_id, count in after.items():
        if new := count - before.get(entity_id, 0):
            name = fleet.names.get(entity_id, entity_id)
            kinds[name] = kinds.get(name, 0) + new
    total = sum(kinds.values())
    per_poll = total / polls
    return {
        "home_assistant": HA_VERSION,
        "miners": miners,
        "hours": hours,
        "entities_per_miner": round(enabled / miners, 1),
        "rows_per_poll": round(per_poll, 2),
        "rows_per_miner_and_day": round(total / miners * 24 / hours),
        "rows": [
            {"entity": name, "rows_per_poll": round(count / polls, 3)}
            for name, count in sorted(kinds.items(), key=lambda item: -item[1])
        ],
        "goals": [
            {
                "goal": f"at most {MOST_PER_POLL:g} rows for a poll",
                "figure": round(per_poll, 2),
                "met": per_poll <= MOST_PER_POLL,
            }
        ],
    }


def main() -> None:
    """Run the command line."""
    parser: argparse.ArgumentParser = arguments("recorder", __doc__)
    parser.add_argument(
        "--hours", type=float, default=HOURS, help="simulated hours (1)"
    )
    options = parser.parse_args()
    say(f"{len(KINDS)} miners, {options.hours:g} h, recorder on SQLite")
    found = with_miners(
        Plan(KINDS), lambda loop, miners: bench(loop, miners, options.hours)
    )
    print(f"{found['rows_per_miner_and_day']} rows for a miner and a day\n")
    finish("recorder", found, options)


if __name__ == "__main__":
    main()
