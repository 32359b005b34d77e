"""Clients that others wrote, in an environment and processes of their own.

They want other versions of what Home Assistant brings. They know only ports 4028 and 4433, so each
miner here has an address of its own.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from simulator import SimulatedMiner

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REQUIREMENTS = HERE / "requirements_interop.txt"
# Exactly as scripts/setup does it: the same uv, index and certificates
UV = ("bash", "-c", 'source "$1/scripts/_lib.sh" && shift && uv "$@"', "uv", str(ROOT))


def pins(*names: str) -> list[str]:
    """Return the pinned requirements of these clients."""
    lines = REQUIREMENTS.read_text().splitlines()
    return [line for line in lines if line.partition("==")[0] in names]


def environment(folder: Path, requirements: list[str]) -> Path:
    """Return a Python that has some clients; create it once, and again when a pin changes.

    Raises CalledProcessError where one cannot be installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place, stamp = folder / "venv", folder / "stamp"
    python = place / "bin" / "python"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = "\n".join((sys.version, *requirements))
        if not python.exists() or not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            make = ("venv", "--quiet", "--clear", "--python", sys.executable, place)
            install = ("pip", "install", "--quiet", "--python", python)
            for arguments in (make, (*install, *requirements)):
                subprocess.run(
                    (*UV, *arguments), check=True, stderr=subprocess.PIPE, text=True
                )
            stamp.write_text(wanted)
    return python


class Client:
    """A process that runs one of the clients."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Communicate through the standard input and output of the process."""
        self._process = process

    async def __call__(
        self, do: str, miner: SimulatedMiner, **arguments: Any
    ) -> dict[str, Any]:
        """Run an action in the client; return its result."""
        request = json.dumps({"do": do, "ip": miner.host, **arguments})
        return json.loads(await asyncio.to_thread(self._exchange, request))

    def _exchange(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        print(line, file=self._process.stdin, flush=True)
        return self._process.stdout.readline()


@contextmanager
def running(python: Path, script: str) -> Iterator[Client]:
    """Start the process; end it after the tests."""
    with subprocess.Popen(
        (python, HERE / script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Client(process)


def own_address(number: int) -> str:
    """Return an address that no other run of the tests uses at the same time."""
    process = os.getpid()
    return f"127.{64 + process // 250 % 128}.{process % 250 + 1}.{number}"
