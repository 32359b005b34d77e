"""Write docs/performance.md from docs/performance.json, so that no figure on the page is typed by hand."""

from collections.abc import Iterable, Mapping, Sequence
import json
from typing import Any

from bench.table import GOALS, ROOT, table, tables

FIGURES = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"

type Figures = Mapping[str, Any]


def section(title: str, command: str, about: str, *tables: Iterable[str]) -> list[str]:
    """A part of the page, with the command that gives its figures."""
    lines = [f"## {title}", "", f"`scripts/bench {command}`", "", about, ""]
    for each in tables:
        lines += [*each, ""]
    return lines


def fleet_row(fleet: Figures) -> dict[str, Any]:
    """One run of many miners."""
    calm = fleet["calm"]
    first = fleet["samples"][0]
    return {
        "miners": fleet["miners"],
        "entities": fleet["entities"],
        "set-up, s of CPU": float(calm_cpu(fleet["start"])),
        "CPU of a poll_ms": calm["cpu_s"] * 1000 / calm["polls"],
        "CPU of all, % of a core": 100 * calm["cpu_s"] / calm["simulated_s"],
        "memory of a miner, MB": fleet["memory_per_miner_mb"],
        "memory of all, MB": first["memory_mb"],
        "states changed for a poll": calm["states_changed"] / calm["polls"],
        "longest step calm_ms": calm["longest_step_cpu_ms"],
        "longest step set-up_ms": fleet["start"]["longest_step_cpu_ms"],
    }


def calm_cpu(phase: Figures) -> float:
    """Seconds of CPU."""
    return float(phase["cpu_s"])


def rough_rows(fleet: Figures) -> list[dict[str, Any]]:
    """What became of the run with outages."""
    first, last = fleet["samples"][0], fleet["samples"][-1]
    rough = fleet["rough"]
    figures = {
        "miners": fleet["miners"],
        "simulated hours": fleet["hours"],
        "outages": fleet["outages"],
        "polls": rough["polls"],
        "polls missed without an outage": fleet["missed_without_outage"],
        "entities that did not come back": fleet["unavailable_at_end"],
        "CPU of a poll, ms": rough["cpu_s"] * 1000 / rough["polls"],
        "longest step of the event loop, ms of CPU": rough["longest_step_cpu_ms"],
        "steps of 5 ms of CPU or more": rough["steps_over_5_ms_cpu"],
        "steps in all": rough["steps"],
        "longest collection of garbage, ms": rough["longest_collection_ms"],
        "allocated blocks at the beginning": first["blocks"],
        "allocated blocks at the end": last["blocks"],
        "resident memory at the beginning, MB": first["memory_mb"],
        "resident memory at the end, MB": last["memory_mb"],
    }
    return [{"what": name, "figure": value} for name, value in figures.items()]


def page(figures: Figures) -> str:
    """The whole page."""
    where = figures["poll"]["where"]
    fleets: Sequence[Figures] = figures["fleet"]
    calm = [fleet for fleet in fleets if fleet["rough"] is None]
    rough = [fleet for fleet in fleets if fleet["rough"] is not None]
    goals = [
        {"bench": name, **goal}
        for name in ("poll", "write", "parse", "start", "recorder", "group")
        for goal in figures[name]["goals"]
    ]
    recorder = figures["recorder"]
    lines = [
        "# What it costs",
        "",
        "A control board serves few connections, and Home Assistant often runs on a small board. These are figures of",
        "`scripts/bench all`, which writes this page; run it to get those of your machine.",
        "",
        "All miners here are simulated ones of this repository. They answer as fast as Python does, so that what is",
        "measured is the client; where a board takes its time the table says how much. CPU is that of the client's process.",
        "",
        f"Measured on {where['cores']} cores ({where['processor']}) with Python {where['python']} and Home Assistant",
        f"{fleets[0]['home_assistant']}, at a load of {where['load']} at the end of the first bench.",
        "",
        "## Goals",
        "",
        *table(goals, ("bench", *GOALS)),
        "",
        "An empty *met* cell means the figure is informational.",
        "",
    ]
    lines += section(
        "A poll",
        "poll",
        "Ten polls of ours, of which one is a long one, against the least that can be done: the same requests on bare sockets\n"
        "and `json.loads`, blocking (*bare*) and on an event loop (*bare loop*). pyasic and pyasic-rs read a whole miner in every\n"
        "poll; they detect it on the usual ports. *Most at once* is the number of connections that the board had\n"
        "to hold at the same time. With a board that answers immediately the clients take turns eight times, and the best of each\n"
        "counts, so that other work of the machine favours no client. A client that did not work with a miner says why.\n"
        "\n"
        "The connection is callbacks of the event loop on a socket (`Line` in `api/transport.py`). The same on\n"
        "`asyncio.Protocol`, tried with the same requests, took 2.7 times the CPU of the bare loop on 1.x, 2.8 on 2.0.x and\n"
        "2.3 on 2.2.x, and so missed the goal of 2; `Line` took 1.5, 1.2 and 1.6.",
        *tables("poll", figures["poll"]),
    )
    lines += section(
        "A command",
        "write",
        "The first command also gets a token, and before that asks who is there: two miners often share a password, and an\n"
        "address may have a new owner. *Busy* is the same on one core with another process that wants all of it.",
        *tables("write", figures["write"]),
    )
    lines += section(
        "One answer",
        "parse",
        "How long the event loop stands still for one answer, and for the worst that a miner could send.",
        *tables("parse", figures["parse"]),
    )
    lines += section(
        "The start",
        "start",
        "What the integration imports that Home Assistant has not imported anyhow, and the packages that it needs. Most of a\n"
        "set-up is the work of Home Assistant, which adds some 80 entities of a miner to its registry in one step; *ours* is what\n"
        "runs in this integration's own functions, and the profiler that measures it roughly doubles all times.\n\n"
        "pycryptodome brings the AES of both ports. Its import was measured alone and added: 0.03 s of CPU at best, up to\n"
        "0.13 s by the clock on a busy machine, most of it for `cffi`, and 2 MB of memory. Home Assistant imports it in a\n"
        "thread (`tests/components/test_imports.py` shows it), so the event loop does not wait. One command and its answer take\n"
        "0.04 ms to encrypt and decrypt, 0.08 ms with `cryptography`.",
        *tables("start", figures["start"]),
    )
    lines += section(
        "The database",
        "recorder",
        f"**{recorder['rows_per_miner_and_day']} rows for a miner and a day** with all defaults: "
        f"{recorder['entities_per_miner']} entities of a miner, counted\n"
        f"in the SQLite database of a recorder after {recorder['hours']:g} h with {recorder['miners']} miners of all kinds. "
        "A reading is updated when it has moved by\n"
        "more than its noise: 0.5 °C, 1 °C on a board, 0.1 TH/s, 0.5 TH/s on a board, 50 RPM.",
        *tables("recorder", recorder),
    )
    lines += section(
        "Many miners",
        "fleet --calm --miners 100",
        "One Home Assistant that polls every 30 s; time in which nothing happens is skipped.\n"
        "A step is what the event loop does in one go; Python's collector of garbage, which works for the whole process, is\n"
        "counted apart.",
        table(
            [fleet_row(fleet) for fleet in calm],
            list(fleet_row(calm[0])),
        ),
    )
    for fleet in rough:
        lines += section(
            "Many miners, with outages",
            f"fleet --miners {fleet['miners']} --hours {fleet['hours']:g}",
            "Miners fail in every way that the simulator knows, for up to 20 minutes each, and are written to.",
            table(rough_rows(fleet), ("what", "figure")),
        )
    lines += section(
        "A group of many miners",
        "group",
        f"{figures['group']['miners']} miners of four firmware generations in one [group](groups.md), a tenth of them failing\n"
        "in different ways; time in which nothing happens is skipped. The power target goes from full power to 80 %, where\n"
        "percents suffice, then to 30 %, which needs stops. *Within* is when the true power stays within 2 % of the target,\n"
        "or with few miners below it by at most one step, which is a tenth of the full power of the smallest miner that runs.\n"
        f"By the clock a step takes longer on a busy machine; this one had a load of {figures['group']['where']['load']}.",
        *tables("group", figures["group"]),
    )
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(json.loads(FIGURES.read_text())))


if __name__ == "__main__":
    main()
