"""Runs in the environment of whatsminer and pywhatsminer: what the tests can request of them."""

import asyncio
from contextlib import chdir
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from interop_serve import serve  # type: ignore[import-not-found]
from pywhatsminer import Client  # type: ignore[import-not-found]
from whatsminer import WhatsminerAccessToken, WhatsminerAPI  # type: ignore[import-not-found]


def whatsminer(ip: str, password: str) -> tuple[Any, Any]:
    """Return the API of whatsminer, and a token of the miner."""
    return WhatsminerAPI, WhatsminerAccessToken(ip, admin_password=password)


def pywhatsminer(ip: str, password: str) -> tuple[Any, Any]:
    """Return the API of pywhatsminer, and a token of the miner."""
    forget()
    client = Client(ip, password=password)
    return client.api, client._access_token  # noqa: SLF001 - the commands it has no method for


def forget() -> None:
    """Remove the tokens that pywhatsminer keeps in files of the current folder."""
    for file in Path.cwd().glob("token_*.pickle"):
        file.unlink()


CLIENTS = {"whatsminer": whatsminer, "pywhatsminer": pywhatsminer}


def ask(ip: str, client: str, commands: list[str]) -> dict[str, Any]:
    """Send plain commands; return the answers."""
    api, token = CLIENTS[client](ip, "")
    return {command: api.get_read_only_info(token, command) for command in commands}


def write(
    ip: str, client: str, password: str, command: str, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Send a command in the envelope; return the decrypted answer."""
    api, token = CLIENTS[client](ip, password)
    answer: dict[str, Any] = api.exec_command(token, command, parameters)
    return answer


def call(
    ip: str, password: str, part: str, method: str, arguments: list[Any]
) -> dict[str, Any]:
    """Call one of pywhatsminer's own methods; return its result."""
    forget()
    result = getattr(getattr(Client(ip, password=password), part), method)(*arguments)
    return result if isinstance(result, dict) else asdict(result)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, chdir(folder):
        asyncio.run(serve(ask, write, call))
