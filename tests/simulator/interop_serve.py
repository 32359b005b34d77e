"""Runs beside each client that others wrote: executes requests from stdin, and prints the results."""

import asyncio
from collections.abc import Callable
import inspect
import json
import sys
from typing import Any


async def serve(*actions: Callable[..., Any]) -> None:
    """Run actions by their names, one for each line of JSON, until stdin ends."""
    known = {action.__name__: action for action in actions}
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        try:
            answer = known[request.pop("do")](**request)
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as err:  # noqa: BLE001 - the test shows it
            answer = {"error": f"{type(err).__name__}: {err}"}
        print(json.dumps(answer, default=str), flush=True)  # noqa: T201
