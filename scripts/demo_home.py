"""The demo: three simulated miners, and a Home Assistant that knows them.

What scripts/demo runs once all is installed. Each start looks what is there already and adds
what is missing, so that it does not matter when the last one was interrupted.
"""

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import sys

from aiohttp import ClientError, ClientSession
from demo_client import DemoError, Home
from demo_config import (
    DASHBOARD,
    GROUP,
    HOST,
    MINERS,
    PLAN,
    PRICES,
    ROOT,
    THERMOSTAT,
    WORKSHOP,
    SimulatedMiner,
    home_assistant,
    write_config,
)

DEMO = ROOT / ".demo"
CONFIG = DEMO / "config"
LAUNCHER = ROOT / "scripts" / "demo_launcher.py"

USER = PASSWORD = "demo"
AREA = {"name": "Mining room", "icon": "mdi:pickaxe"}
RESTART = 100  # the exit code of Home Assistant that asks to be started again
ALL_MINERS = (*MINERS, WORKSHOP)
WORKSHOP_AREA = {"name": "Workshop", "icon": "mdi:radiator"}
V3_OFFSET = 4433 - 4028  # where a miner speaks API 3, if it does, seen from its port


def say(text: str) -> None:
    """Print a line for the person at the terminal."""
    print(f"==> {text}", flush=True)


# Ports


def free(port: int) -> bool:
    """Return whether nothing listens there."""
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        return True
    return False


def next_free(port: int) -> int:
    """Take this port, or the next one that is free."""
    for candidate in range(port, port + 100):
        if free(candidate):
            if candidate != port:
                say(
                    f"Port {port} is used by another program; the demo uses {candidate}"
                )
            return candidate
    raise DemoError(f"The ports {port} to {port + 99} are all taken. Free one of them.")


def web_port(wanted: int | None) -> int:
    """Find a port for Home Assistant."""
    if wanted is None:
        return next_free(8123)
    if not free(wanted):
        raise DemoError(f"Port {wanted} is taken by another program. Choose another.")
    return wanted


def miner_ports() -> list[int]:
    """Give the miners the ports that Home Assistant knows, or free ones the first time."""
    memory = CONFIG / "miner_ports.json"
    if memory.exists():
        ports: list[int] = json.loads(memory.read_text())
        while len(ports) < len(ALL_MINERS):  # made by an older demo
            ports.append(next_free(max(ports) + 1))
        for port in ports:
            if not free(port) or not free(port + V3_OFFSET):
                raise DemoError(
                    f"Port {port}, where this demo has a miner, is taken by another program. "
                    "End that program, or start over with --fresh."
                )
        return ports
    ports = []
    for miner in ALL_MINERS:
        ports.append(next_free(max([miner.port, *(port + 1 for port in ports)])))
    memory.write_text(json.dumps(ports))
    return ports


# Files


@contextmanager
def only_one() -> Iterator[None]:
    """Let one demo at a time use the folder."""
    DEMO.mkdir(exist_ok=True)
    with (DEMO / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                "The demo is already running. End it with Ctrl-C in its terminal."
            ) from None
        yield


# Programs


async def service(name: str, *command: str, speed: float = 1) -> None:
    """Run a program until this is cancelled, and restart it when the program requests that."""
    log = DEMO / f"{name}.log"
    code = RESTART
    while code == RESTART:
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *command),
                cwd=ROOT,
                env={**os.environ, "DEMO_SPEED": f"{speed:g}"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us alone
            )
        try:
            code = await process.wait()
        finally:
            await end(process)
    last = "\n".join(log.read_text().splitlines()[-20:])
    raise DemoError(f"{name} ended (code {code}). The end of {log}:\n{last}")


async def end(process: asyncio.subprocess.Process) -> None:
    """End a program the polite way, or the other way after a while."""
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()


def miner_command(miner: SimulatedMiner, port: int, speed: float) -> list[str]:
    """Say how this miner is started."""
    options = {
        "profile": miner.profile,
        "mac": miner.mac,
        "host": HOST,
        "port": port,
        "v3-port": port + V3_OFFSET,
        "password": miner.password,
        "v3-password": miner.password,
        "speed": speed,
    }
    return [
        "-m",
        "simulator",
        *(f"--{name}={value}" for name, value in options.items()),
    ]


async def demo(options: argparse.Namespace) -> None:
    """Run everything until cancelled."""
    if options.fresh:
        shutil.rmtree(CONFIG, ignore_errors=True)
    CONFIG.mkdir(exist_ok=True)
    port = web_port(options.port)
    url = f"http://{HOST}:{port}"
    write_config(CONFIG, port)
    miners = list(zip(ALL_MINERS, miner_ports(), strict=True))

    async with ClientSession() as http, asyncio.TaskGroup() as group:
        say("Starting Home Assistant and three simulated miners")
        command = [str(LAUNCHER), *home_assistant(CONFIG)]
        services = [
            group.create_task(service("homeassistant", *command, speed=options.speed))
        ]
        for miner, port in miners:
            command = miner_command(miner, port, options.speed)
            services.append(group.create_task(service(miner.slug, *command)))

        home = Home(http, url)
        await home.answers()
        async with home.logged_in(USER, PASSWORD):
            await home.runs()
            for miner, port in miners:
                passwords = dict.fromkeys(("password", "v3_password"), miner.password)
                await home.add_miner(HOST, port, port + V3_OFFSET, passwords)
            await home.set_prices(PRICES, PLAN)
            is_new = await home.set_thermostat(WORKSHOP.name, PRICES, THERMOSTAT)
            await home.add_group(GROUP)
            # What appears once the miners are in their room has its name in the entity id.
            await home.missing({f"sensor.{m.slug}_cost_per_hour" for m in ALL_MINERS})
            await home.furnish(AREA, DASHBOARD)
            if is_new:
                await heat_workshop(home)
                await follow_price(home)
            names = [device["name"] for device in await home.miners()]
            if options.check:
                await check_dashboard(home)

        if options.check:
            for task in services:
                task.cancel()
            return
        print(
            f"\n    Open      {url}"
            f"\n    Log in    user {USER}, password {PASSWORD}"
            f"\n    Miners    {', '.join(names)}, {options.speed:g} times as fast as real ones"
            f"\n    Logs      {DEMO}/*.log"
            "\n\nEnd with Ctrl-C.",
            flush=True,
        )


async def heat_workshop(home: Home) -> None:
    """Put the third miner into the workshop, and let it heat."""
    climate = f"climate.{WORKSHOP.slug}_thermostat"
    await home.missing({climate})
    room = await home.call("config/area_registry/create", **WORKSHOP_AREA)
    for miner in await home.miners():
        if miner["name"] == WORKSHOP.name:
            place = {"device_id": miner["id"], "area_id": room["area_id"]}
            await home.call("config/device_registry/update", **place)
    mode = {"entity_id": climate, "hvac_mode": "heat", "temperature": 21}
    await home.post("/api/services/climate/set_temperature", mode)


async def follow_price(home: Home) -> None:
    """Run the second miner at the power that earns most, so that its curve is measured."""
    source = f"select.{MINERS[1].slug}_power_source"
    choice = {"entity_id": source, "option": "most_profitable"}
    await home.post("/api/services/select/select_option", choice)


async def check_dashboard(home: Home) -> None:
    """Check that the pages load the module that builds the dashboard."""
    async with home.http.get(home.url) as page:
        found = re.search(r"/whatsminer_static/dashboard\.js\?v=\w+", await page.text())
    if not found:
        raise DemoError("The pages of Home Assistant do not load the dashboard.")
    async with home.http.get(home.url + found[0]) as module:
        module.raise_for_status()
    say("The dashboard is loaded")


async def until_signal(options: argparse.Namespace) -> None:
    """Run the demo, and end it cleanly on request."""
    running = asyncio.create_task(demo(options))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
    say("Ended")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Start Home Assistant with three simulated miners, ready to click on.",
    )
    add = parser.add_argument
    add(
        "--fresh", action="store_true", help="forget the last demo and set up a new one"
    )
    add(
        "--port", type=int, help="where Home Assistant listens (8123, or the next free)"
    )
    add(
        "--speed",
        type=float,
        default=10,
        help="how fast time goes for the miners, and how fast they are measured (10)",
    )
    add(
        "--check",
        action="store_true",
        help="check that the dashboard is loaded, and end",
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        options = arguments()
        with only_one():
            asyncio.run(until_signal(options))
    except* DemoError as errors:
        sys.exit("\n".join(f"error: {error}" for error in errors.exceptions))
    except* ClientError as errors:
        log = DEMO / "homeassistant.log"
        why = ", ".join(str(error) for error in errors.exceptions)
        sys.exit(f"error: Home Assistant did not do as asked ({why}). See {log}.")
