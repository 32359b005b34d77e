"""Command line: `python -m simulator --profile v205_m50` starts simulated miners and prints their addresses."""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
import os
from pathlib import Path
import signal
import sys

from . import FAILURES, FOREIGN, PROFILES, Phase, SimulatedMiner, make_image
from .failures import DEVIATIONS, HIDE, is_known

EVERY = PROFILES | FOREIGN

# Large enough for a progress to be seen
IMAGE_SIZE = 20_000_000

EXAMPLES = """\
examples:
  python -m simulator
      one M50 on 127.0.0.1:4028, password admin
  python -m simulator --profile v205_m50 --profile v2c_m60s --port 4028
      two miners, on 4028 and 4029
  python -m simulator --count 5 --speed 60 --state stopped
      five stopped miners whose clock runs 60 times as fast
  python -m simulator --fault truncate:pools --fault close:status
      a miner that cuts off its answer to pools, and closes instead of answering status
  python -m simulator --refuse set_power_pct_v2 --api-switch off
      a miner that does not know one command, and does not allow the others
  python -m simulator --fault hide=power_pct --percent-restarts
      a miner that never reports its percentage, and restarts whenever it is set without fast boot
  python -m simulator --profile v2c_m60s --v3-password Secret_1 --clock-offset -3600
      a miner that also has API v3 on 4433, and whose clock is an hour slow
  python -m simulator --fault cut_log:download_logs --fault old_version:update_firmware
      a miner whose log is cut off, and whose firmware does not change after an update
  python -m simulator --profile v205_m50 --make-image 20260401.12.REL new.bin
      write a firmware image that this miner accepts, and exit

profiles:
{profiles}

failures (--fault NAME for every command, --fault NAME:COMMAND for one):
{failures}

deviations (--fault, too): what a miner may answer where docs/protocol.md infers
{deviations}
"""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    profiles = "\n".join(f"  {_describe(name)}" for name in EVERY)
    known = FAILURES | {f"{HIDE}FIELD": "leaves this field out of every answer"}
    failures = "\n".join(f"  {name:21} {what}" for name, what in known.items())
    deviations = "\n".join(
        f"  {name:21} {what}" for name, (what, _) in DEVIATIONS.items()
    )
    result = argparse.ArgumentParser(
        prog="python -m simulator",
        description="Simulate MicroBT WhatsMiners that answer on TCP 4028 and 4433 like real ones. Ctrl-C ends them.",
        epilog=EXAMPLES.format(
            profiles=profiles, failures=failures, deviations=deviations
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("--list-profiles", action="store_true", help="print the profiles and exit")
    add(
        "--make-image",
        nargs=2,
        metavar=("VERSION", "FILE"),
        help="write a firmware image for the profile and exit",
    )
    add(
        "--profile",
        action="append",
        choices=EVERY,
        metavar="NAME",
        help="profile of the miner (v205_m50); may be repeated",
    )
    add(
        "--count",
        type=_count,
        default=1,
        metavar="N",
        help="number of miners of each profile, on consecutive ports (1)",
    )
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    add("--port", type=_port, default=4028, help="first port (4028); 0 uses free ports")
    add(
        "--v3-port",
        type=_port,
        metavar="PORT",
        help="first port for API v3 (4433, with --port 0 a free one); 0 uses free ports",
    )
    add("--password", default="admin", help="admin password (admin)")
    add(
        "--v3-password",
        default="super",
        metavar="PASSWORD",
        help="password of the v3 account super (super)",
    )
    add(
        "--api-switch",
        choices=("on", "off"),
        default="on",
        help="whether writes are allowed (on)",
    )
    add(
        "--state",
        choices=[phase.value for phase in Phase],
        default="stable",
        help="initial state (stable)",
    )
    add(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help="how much faster time passes for the miner (1)",
    )
    add(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="seed for noise, serials and MAC of the first miner (1); then N+1, ...",
    )
    add("--mac", help="MAC of a single miner")
    add(
        "--clock-offset",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="offset of the miner's clock (0)",
    )
    add(
        "--percent-restarts",
        action="store_true",
        help="setting a percentage restarts btminer while fast boot is disabled",
    )
    add(
        "--refuse",
        action="append",
        default=[],
        metavar="COMMAND",
        help="refuse this command, or COMMAND=VALUE, with code 14, or -2 on API v3; may be repeated",
    )
    add(
        "--fault",
        dest="failures",
        action="append",
        default=[],
        type=_failure,
        metavar="NAME[:COMMAND]",
        help="failure to inject; may be repeated",
    )
    return result


def _describe(name: str) -> str:
    profile = EVERY[name]
    return f"{name:12} {profile.model:11} API {profile.api_version:18} firmware {profile.firmware}"


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 250:
        raise argparse.ArgumentTypeError("give a number from 1 to 250")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("give a number from 0 to 65535")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 10000:
        raise argparse.ArgumentTypeError("give a number above 0, up to 10000")
    return speed


def _failure(text: str) -> tuple[str, str | None]:
    name, _, command = text.partition(":")
    if not is_known(name):
        raise argparse.ArgumentTypeError(
            f"unknown failure {name}; see the list in --help"
        )
    return name, command or None


def build(arguments: argparse.Namespace) -> list[SimulatedMiner]:
    """Return the miners that the arguments describe."""
    names = [
        name
        for name in arguments.profile or ["v205_m50"]
        for _ in range(arguments.count)
    ]
    v3_port = arguments.v3_port
    if v3_port is None:
        v3_port = 4433 if arguments.port else 0
    miners = []
    for number, name in enumerate(names):
        miner = SimulatedMiner(
            name,
            host=arguments.host,
            port=arguments.port + number if arguments.port else 0,
            password=arguments.password,
            api_switch=arguments.api_switch == "on",
            mac=arguments.mac,
            state=arguments.state,
            speed=arguments.speed,
            seed=arguments.seed + number,
            refuse={name: -2 if "." in name else 14 for name in arguments.refuse},
            clock_offset_s=arguments.clock_offset,
            v3_port=v3_port + number if v3_port else 0,
            v3_password=arguments.v3_password,
        )
        miner.machine.percent_restarts |= arguments.percent_restarts
        for failure, command in arguments.failures:
            miner.inject(failure, command)
        miners.append(miner)
    return miners


async def serve(miners: Sequence[SimulatedMiner]) -> int:
    """Run the miners until a signal arrives; return the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        for miner in miners:
            try:
                await stack.enter_async_context(miner)
            except OSError as err:
                print(
                    f"Cannot listen on {err.filename}: {reason(err)}. "
                    "Choose another --port, --v3-port or --host, or end the program that is using it.",
                    file=sys.stderr,
                )
                return 1
            profile = miner.profile
            v3 = f"  API v3 on {miner.v3_port}" if miner.v3_port else ""
            print(
                f"{miner.host}:{miner.port}  {profile.name}  {profile.model}  {miner.mac}{v3}",
                flush=True,
            )
        await stop.wait()
    return 0


def reason(error: OSError) -> str:
    """Return the system's text for the error, without what asyncio adds."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = parser()
    given = options.parse_args(arguments)
    if given.list_profiles:
        print("\n".join(map(_describe, EVERY)))
        return 0
    if given.make_image:
        version, file = given.make_image
        platform = EVERY[(given.profile or ["v205_m50"])[0]].platform
        Path(file).write_bytes(make_image(platform, version, IMAGE_SIZE))
        return 0
    number = len(given.profile or [""]) * given.count
    if given.mac and number > 1:
        options.error("--mac is for a single miner")
    if max(given.port, given.v3_port or 0) + number > 65536:
        options.error("there are not so many ports after --port or --v3-port")
    return asyncio.run(serve(build(given)))


if __name__ == "__main__":
    sys.exit(main())
