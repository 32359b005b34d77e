"""Every fault of the simulated miner, met by every read and every write in every dialect.

One test is one fault in one dialect. It breaks each command alone, and all of them at once, and
asserts each time: a typed error or partial data in time, no value that the miner did not say, no
write that comes twice or is misjudged, nothing left behind, and a clean poll right after it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from itertools import takewhile
import os
from typing import Any

import pytest
from pytest import approx  # noqa: PT013 - it is part of a rule here

from custom_components.whatsminer.api import (
    Activity,
    Board,
    BtminerDownError,
    CannotConnectError,
    Fault,
    Feature,
    InvalidAnswerError,
    Miner,
    MinerState,
    NoAnswerError,
    NoMacError,
    NotWhatsminerError,
    Pool,
    PoolLogin,
    PowerMode,
    Section,
    UnknownOutcomeError,
    WhatsminerError,
    connect,
)
from custom_components.whatsminer.api.commanding import Commands
from custom_components.whatsminer.api.parse import MAX_FAULTS, MAX_ROWS, MAX_TEXT
from custom_components.whatsminer.api.v2 import crypto as client_auth
from custom_components.whatsminer.api.v2.miner import V2Miner
from custom_components.whatsminer.api.v3.miner import V3Miner
from simulator import (
    FAILURES,
    ManualClock,
    Received,
    SimulatedMiner,
    miner as simulator_miner,
    server as simulator_server,
)
from simulator.failures import BINARY, ERRORS, FRAMES, PAYLOAD
from simulator.profiles import FOREIGN, PROFILES

PASSWORD, V3_PASSWORD = "Secret_1", "Super_1"
EPOCH = 1_700_000_000.0
DEADLINE = 45.0
"""Seconds in which everything must end, whatever the miner does: docs/reliability.md says so."""

pytestmark = pytest.mark.usefixtures("client_sockets")


@dataclass(frozen=True)
class Setup:
    """A miner, and how it is spoken to."""

    profile: str
    v3: bool = False
    v3_password: str | None = None


SETUPS = {
    "v1_m20s": Setup("v1_m20s"),
    "v204_m30sp": Setup("v204_m30sp"),
    "v205_m50": Setup("v205_m50"),
    "v205_m56s": Setup("v205_m56s"),
    "v2c_m60s over 4028": Setup("v2c_m60s"),
    "v2c_m60s over 4433": Setup("v2c_m60s", v3=True, v3_password=V3_PASSWORD),
    "v3_m7bs over 4433": Setup("v3_m7bs", v3=True, v3_password=V3_PASSWORD),
    "v3_m64_bad over 4433": Setup("v3_m64_bad", v3=True, v3_password=V3_PASSWORD),
    "v3_m7bs, written over 4028": Setup("v3_m7bs", v3=True),
    "foreign_closing_v3": Setup("foreign_closing_v3", v3=True, v3_password=V3_PASSWORD),
    "foreign_words_v3": Setup("foreign_words_v3", v3=True, v3_password=V3_PASSWORD),
    "foreign_short_status": Setup("foreign_short_status"),
    "foreign_bare_codes": Setup("foreign_bare_codes"),
}

# These leave no answer of a write that could be read.
UNREADABLE_4028 = frozenset(
    {
        "silent",
        "close",
        "reset",
        "reset_midway",
        "byte_a_second",
        "truncate",
        "stall_midway",
        "garbage",
        "huge_answer",
        "btminer_down",
        "wrong_key",
        "broken_seal",
        "applied_no_answer",
    }
)
UNREADABLE_4433 = (UNREADABLE_4028 - {"btminer_down", "wrong_key", "broken_seal"}) | {
    "long_length",
    "short_length",
    "huge_length",
    "no_length",
    "no_answer_frame",
    "other_answer",
    "no_status",
}

POOL = PoolLogin(url="stratum+tcp://p1.example:3333", user="acc.w1", password="x")
WRITES: dict[str, Callable[[Miner], Awaitable[object]]] = {
    "start_mining": lambda miner: miner.start_mining(),
    "stop_mining": lambda miner: miner.stop_mining(),
    "restart_btminer": lambda miner: miner.restart_btminer(),
    "reboot": lambda miner: miner.reboot(),
    "set_power_mode": lambda miner: miner.set_power_mode(PowerMode.LOW),
    "set_power_limit": lambda miner: miner.set_power_limit(3000),
    "set_power_percent": lambda miner: miner.set_power_percent(80),
    "restore_power_percent": lambda miner: miner.restore_power_percent(),
    "set_fast_boot": lambda miner: miner.set_fast_boot(enabled=True),
    "set_led_auto": lambda miner: miner.set_led_auto(),
    "check_password": lambda miner: miner.check_password(),
    "check_write_access": lambda miner: miner.check_write_access(),
    "blink": lambda miner: miner.blink(),
    "set_pools": lambda miner: miner.set_pools(POOL),
    "set_web_pools": lambda miner: miner.set_web_pools(enabled=False),
}
NEEDS = {
    "set_power_limit": Feature.POWER_LIMIT,
    "restore_power_percent": Feature.RESTORE_POWER_PERCENT,
}

# After a certain refusal a command may be tried in other words, or with another token (protocol.md#b5, #d3).
# A token that is made of zeros, or of no numbers, is refused as well.
REFUSING = frozenset(ERRORS) | {
    "all_zero",
    "all_nan_text",
    "all_inf_text",
    "all_too_high",
    "odd_texts",
}

ACKNOWLEDGEMENTS = (
    '{"STATUS":"S","When":1700000000,"Code":131,"Msg":"API command OK","Description":""}',
    '{"code":0,"when":1700000000,"msg":"ok","desc":"set.miner.service"}',
)

# All that differs when it is stopped is in these.
TELLS_STOP = frozenset({"summary", "status", "get.device.info", "get.miner.status"})

# Sent to find out whether one may write; they change nothing.
HARMLESS = frozenset({"status", "set.miner.report"})
# Tried where the first harmless command is unknown; they set what is set already.
HARMLESS_NEXT = frozenset({"set.system.led", "set.system.webpools"})

# A foreign profile is like one of the profiles above: it meets a sample of the failures.
SAMPLE = frozenset(
    {
        "close",
        "truncate",
        "stall_midway",
        "no_fields",
        "string_numbers",
        "error_14",
        "error_135",
        "error_136",
        "error_minus_2",
        "error_minus_4",
        "applied_no_answer",
        "answered_not_applied",
    }
)
# They share dialect and port with a setup that meets all; values of theirs alone are tested elsewhere.
SAMPLED_READS = {
    "v204_m30sp",
    "v205_m56s",
    "v3_m7bs over 4433",
    "v3_m7bs, written over 4028",
}
SAMPLED_WRITES = {
    "v204_m30sp",
    "v205_m56s",
    "v2c_m60s over 4433",
    "v3_m64_bad over 4433",
}


RELATED = {
    "v204_m30sp",
    "v205_m56s",
    "v3_m64_bad over 4433",
    "v3_m7bs, written over 4028",
}
"""Each speaks as another one does, so that more than the sample is for the long run."""


TWINS_OF_READS = frozenset(
    {
        *("error_23", "error_24", "error_45", "error_137", "error_999"),
        *("all_inf", "all_inf_text", "string_inf"),
    }
)
"""To a read these are like `error_132`, and like the same with NaN: for the long run."""
OF_FILES = frozenset(BINARY)
"""They spoil only a log or an image, in commands/test_files.py; that they do nothing here is for the long run."""
SPARED_BY_WRITES = frozenset(
    fault
    for fault, (_, spoil) in PAYLOAD.items()
    if all(spoil(answer) == answer for answer in ACKNOWLEDGEMENTS)
)
"""They find nothing to spoil in the answer of a write: the reads meet them, the writes in the long run."""


def every_cell(
    sampled: set[str], twins: frozenset[str] = frozenset()
) -> pytest.MarkDecorator:
    """Return the setups and failures to meet; with scripts/test --fuzz a profile has no sample."""
    cells = [
        pytest.param(
            name,
            fault,
            marks=[pytest.mark.long]
            if fault not in SAMPLE and (fault in twins or name in RELATED)
            else [],
        )
        for name, setup in SETUPS.items()
        for fault in FAILURES
        if setup.v3 or not (fault in FRAMES or fault.startswith("error_minus"))
        if fault in SAMPLE
        or (setup.profile in PROFILES and ("FUZZ" in os.environ or name not in sampled))
    ]
    return pytest.mark.parametrize(("name", "fault"), cells)


@pytest.fixture(autouse=True)
async def quick(monkeypatch: pytest.MonkeyPatch, skip_waiting: None) -> None:
    """The client computes each key once, and the miners tick as rarely as they may."""
    monkeypatch.setattr(simulator_miner, "TICK_S", DEADLINE)
    monkeypatch.setattr(client_auth, "md5_crypt_digest", _client_crypt)
    # The client never closes its half.
    monkeypatch.setattr(simulator_server, "HALF_CLOSE_S", 0)


_client_crypt = cache(client_auth.md5_crypt_digest)


@dataclass(frozen=True)
class Clean:
    """What a miner says while all is well; its time stands still, so it never changes."""

    values: dict[str, Any]
    failed: frozenset[Section]
    reported: dict[str, set[Any]]
    """The same values, as any client reads them: over 4433 and over 4028."""
    reads: tuple[str, ...]
    """The commands that were asked for them."""
    identifies: frozenset[str]
    """Those of them that a connection begins with."""


@dataclass(frozen=True)
class Bench:
    """One simulated miner and one client."""

    name: str
    state: str
    sim: SimulatedMiner
    miner: Miner
    clean: Clean

    async def connect(self) -> Miner:
        """Connect as an owner does who knows the miner."""
        return await _connect(self.sim, SETUPS[self.name])


_clean: dict[tuple[str, str], Clean] = {}


async def clean_of(name: str, state: str) -> Clean:
    """Read a miner that is well, once for all tests."""
    key = name, state
    if key not in _clean:
        setup = SETUPS[name]
        async with _simulator(name, state) as sim:
            miner = await _connect(sim, setup)
            identifies = frozenset(command.name for command in sim.commands)
            polled = await miner.read()
            await miner.close()
            reads = tuple(dict.fromkeys(command.name for command in sim.commands))
            assert complete(polled, state), (name, polled.failed)
            values = flat(polled)
            reported = {path: {value} for path, value in values.items()}
            if setup.v3:
                other = await _connect(sim, replace(setup, v3=False))
                for path, value in flat(await other.read()).items():
                    reported.setdefault(path, set()).add(value)
                await other.close()
        failed = frozenset(polled.failed)
        _clean[key] = Clean(values, failed, reported, reads, identifies)
    return _clean[key]


async def _connect(sim: SimulatedMiner, setup: Setup) -> Miner:
    """Connect to the ports of a setup."""
    return await connect(
        sim.host,
        sim.port,
        password=PASSWORD,
        mac=sim.mac,
        v3_port=sim.v3_port if setup.v3 else None,
        v3_password=setup.v3_password,
    )


def _simulator(name: str, state: str) -> SimulatedMiner:
    profile = SETUPS[name].profile
    sim = SimulatedMiner(
        profile,
        clock=ManualClock(),
        epoch=EPOCH,
        password=PASSWORD,
        v3_password=V3_PASSWORD,
        state=state,
    )
    sim.set_errors([110, 2010])
    return sim


@asynccontextmanager
async def bench(name: str, state: str = "stable") -> AsyncIterator[Bench]:
    """Start a miner and connect to it while it is well."""
    clean = await clean_of(name, state)
    async with _simulator(name, state) as sim:
        miner = await _connect(sim, SETUPS[name])
        try:
            yield Bench(name, state, sim, miner, clean)
        finally:
            await miner.close()


def complete(state: MinerState, was: str = "stable") -> bool:
    """Whether every section was read; older miners answer less while they are stopped."""
    if was == "stopped" and state.summary is None:
        return state.status is not None
    return not state.failed and all(
        getattr(state, section.value) is not None for section in Section
    )


def flat(state: MinerState) -> dict[str, Any]:
    """Every value of a state by its path, and those that are drawn from several of them."""
    drawn = (
        "mining",
        "power_mode",
        "power_limit",
        "temperature",
        "accepted_shares",
        "rejected_shares",
        "reject_rate",
    )
    result = {f"state.{name}": getattr(state, name) for name in drawn}
    for field in fields(state):
        if field.name not in ("read_at", "failed"):
            result |= _walk(field.name, getattr(state, field.name))
    return result


def _key(item: Board | Fault) -> int:
    """What tells a row from the others."""
    return item.slot if isinstance(item, Board) else item.code


def _walk(path: str, value: Any) -> dict[str, Any]:
    if is_dataclass(value):
        result = {}
        for field in fields(value):
            result |= _walk(f"{path}.{field.name}", getattr(value, field.name))
        return result
    if isinstance(value, tuple) and any(is_dataclass(item) for item in value):
        result = {f"{path}.count": len(value)}
        for number, item in enumerate(value):
            key = number if isinstance(item, Pool) else _key(item)
            result |= _walk(f"{path}.{key}", item)
        return result
    return {path: value}


# What a fault may change: only by what the miner says, and by the rules of docs/protocol.md.

LESS = frozenset(
    {
        "even_fields",
        "odd_fields",
        "no_fields",
        "all_null",
        "null_contents",
        "text_contents",
    }
)
NO_FLAG = LESS | {"no_flag", "odd_texts"}
NO_VERSION = LESS | {"error_14", "no_envelope", "odd_texts"}
REFUSED = frozenset({"btminer_down", "error_132"}) | {
    fault for fault in ERRORS if fault.startswith("error_minus")
}
SIMILAR = 0.2


def is_legitimate(
    table: Bench, fault: str, path: str, value: Any, *, is_new: bool
) -> bool:
    """Whether a value other than the clean one is what the faulty answer says."""
    reported = table.clean.reported
    part = path.rpartition(".")[2]
    if path == "state.power_limit" and value in reported["status.power_limit_set"]:
        return True  # the set limit, where no active one is reported
    if part == "reject_rate" and any(
        value == approx(known, abs=0.001) for known in reported[path]
    ):
        return True  # the miner's own rounded rate, where an answer lacks the counts (protocol.md#c14)
    if fault == "all_zero":
        # 0 is "no override" for a percentage (protocol.md#e5), "low" for a mode, no hashrate for activity.
        zeros = (0, (), PowerMode.LOW, Activity.STARTING)
        return value in zeros or (part in ("power_percent", "mining") and bool(value))
    if fault == "many_codes" and path.startswith("faults"):
        return path != "faults.count" or value <= MAX_FAULTS
    if fault == "many_boards" and path.startswith("boards"):
        return path != "boards.count" or value <= MAX_ROWS
    if fault == "odd_texts" and is_storable(value):
        return True
    if part in ("activity", "mining") and table.state == "stopped":
        # Without the flag the hashrate decides (protocol.md#c7).
        return fault in NO_FLAG
    if part == "activity":
        return fault in REFUSED and value is Activity.RESTARTING  # protocol.md#a4
    if fault in LESS:
        if part in ("hashrate", "power", "efficiency"):
            # Another window of time, or the quotient of two such (protocol.md#c14, #c3)
            return any(value == approx(known, rel=SIMILAR) for known in reported[path])
        if path == "psu.model":
            return (
                value == (PROFILES | FOREIGN)[SETUPS[table.name].profile].psu.name
            )  # protocol.md#c5
        if path.startswith("pools.") and part == "index":
            return path == f"pools.{value}.index"
        if part == "faults" and SETUPS[table.name].v3:
            return value == ()  # entries without a code are none
    has_new_model = is_new or fault == "odd_texts"
    if (
        has_new_model
        and part == "features"
        and all(value >= known for known in reported[path])
    ):
        return True  # without its model it may be cooled either way (protocol.md#g2)
    # Who gives a token is a WhatsMiner, if an old one (protocol.md#e7).
    if is_new and part in ("dialect", "features", "unreadable"):
        return fault in NO_VERSION
    return False


def is_storable(value: Any) -> bool:
    """Whether a value is an odd text without what made it odd."""
    if isinstance(value, tuple):
        return all(map(is_storable, value))
    return isinstance(value, str) and "\ufffd" in value and len(value) <= MAX_TEXT


def judge_state(
    table: Bench, fault: str, state: MinerState, where: str, *, is_new: bool
) -> list[str]:
    """Compare a state with the clean one: each value is the same, or not known."""
    reported = table.clean.reported
    return [
        f"{where}: {path} is {value!r}, not {reported.get(path)}"
        for path, value in flat(state).items()
        if value is not None
        and value not in reported.get(path, ())
        and not is_legitimate(table, fault, path, value, is_new=is_new)
    ]


async def attempt(action: Awaitable[Any], where: str) -> Any:
    """Do something in time; give back what comes of it, or the error."""
    try:
        async with asyncio.timeout(DEADLINE):
            return await action
    except WhatsminerError as err:
        return err
    except TimeoutError:
        return AssertionError(f"{where}: not within {DEADLINE} s")
    except Exception as err:  # noqa: BLE001 - any other is what this looks for
        return AssertionError(f"{where}: {err!r}")


async def recovers(table: Bench, where: str, *, is_unchanged: bool = True) -> list[str]:
    """After a fault the next poll is clean, and complete."""
    sim, miner, clean = table.sim, table.miner, table.clean
    sim.clear_failures()
    await sim.tick()
    state = await attempt(miner.read(), f"{where}, next poll")
    if isinstance(state, Exception):
        return [f"{where}: next poll: {state!r}"]
    wrong: list[str] = []
    if set(state.failed) - clean.failed:
        wrong.append(f"{where}: next poll failed in {dict(state.failed)}")
    if is_unchanged:
        now = flat(state)
        wrong += [
            f"{where}: next poll: {path} is {now.get(path)!r}, not {value!r}"
            for path, value in clean.values.items()
            if now.get(path) != value
        ]
    if miner.outdated and "odd_texts" not in where:  # its firmware had another name
        wrong.append(f"{where}: the miner counts as changed")
    return wrong


async def leaves_nothing(table: Bench, where: str) -> list[str]:
    """When the client closes no connection is left, and never were there two at once."""
    sim = table.sim
    await table.miner.close()
    try:
        # Some of its faults keep the miner itself waiting for a while.
        async with asyncio.timeout(5):
            while sim.open_connections or sim.open_v3_connections:
                await asyncio.sleep(0.5)
    except TimeoutError:
        left = sim.open_connections, sim.open_v3_connections
        return [f"{where}: connections left: {left}"]
    return []


def left_over() -> Counter[str]:
    """Tasks and timers of this loop."""
    loop: Any = asyncio.get_running_loop()
    timers = (handle for handle in loop._scheduled if not handle.cancelled())  # noqa: SLF001
    return Counter(
        [repr(task.get_coro()) for task in asyncio.all_tasks()]
        + [repr(handle._callback) for handle in timers]  # noqa: SLF001
    )


async def run_all(cases: Iterable[Awaitable[list[str]]]) -> None:
    """Run one case after the other, and report all that is wrong."""
    before = left_over()
    wrong: list[str] = []
    for case in cases:
        wrong += await case
    await asyncio.sleep(0)
    if left := left_over() - before:
        wrong.append(f"left behind: {left}")
    assert not wrong, "\n" + "\n".join(wrong)


# Reads


async def read_cases(
    name: str,
    fault: str,
    state: str,
    commands: tuple[str | None, ...],
) -> list[str]:
    """A fault of one command after the other, or of all: met by an old and by a new client."""
    wrong: list[str] = []
    where = f"{name}, {fault}, {state}"
    async with bench(name, state) as table:
        for command in commands:
            here = f"{where}, {command or 'everything'} broken"
            table.sim.inject(fault, command)
            found = await attempt(table.miner.read(), here)
            wrong += judge_outcome(table, fault, command, found, here)
            is_crucial = command in (None, *table.clean.identifies)
            if is_crucial:
                wrong += await newcomer(table, fault, command, f"{here}, new client")
            table.sim.clear_failures()
            if is_crucial or command is commands[-1]:
                wrong += await recovers(table, here)
            if command is None and is_clean(table, found):
                break  # the client sees through this fault
        wrong += await leaves_nothing(table, where)
    return wrong


async def newcomer(
    table: Bench, fault: str, command: str | None, where: str
) -> list[str]:
    """Connect and read."""
    found = miner = await attempt(table.connect(), where)
    if isinstance(miner, Miner):
        found = await attempt(miner.read(), where)
        await miner.close()
    return judge_outcome(table, fault, command, found, where, is_new=True)


def is_clean(table: Bench, found: Any) -> bool:
    """Whether a state is complete in spite of a fault."""
    return isinstance(found, MinerState) and flat(found) == table.clean.values


READ_ERRORS = (CannotConnectError, NoAnswerError, NotWhatsminerError)
CONNECT_ERRORS = (*READ_ERRORS, BtminerDownError, InvalidAnswerError)


def judge_outcome(
    table: Bench,
    fault: str,
    command: str | None,
    found: Any,
    where: str,
    *,
    is_new: bool = False,
) -> list[str]:
    """Data must be true; an error must be one of those, and come where nothing else can."""
    if isinstance(found, MinerState):
        return judge_state(table, fault, found, where, is_new=is_new)
    if isinstance(found, AssertionError):
        return [str(found)]
    if fault == "odd_texts" and isinstance(found, NoMacError):
        return []  # the boards have other serial numbers, and there is no MAC to compare
    costs_all = command in (None, *table.clean.identifies)
    if costs_all and isinstance(found, CONNECT_ERRORS if is_new else READ_ERRORS):
        return []
    return [f"{where}: {found!r}"]


@every_cell(SAMPLED_READS, TWINS_OF_READS | OF_FILES)
async def test_reads(name: str, fault: str) -> None:
    """A number would be shown that no miner said, or a miner would be lost for good."""
    runs: list[tuple[str, tuple[str | None, ...]]] = []
    for state in ("stable", "stopped"):
        commands: tuple[str | None, ...] = (None,)
        if not fault.startswith("refuse"):  # a port is closed for all
            commands += tuple(
                command
                for command in (await clean_of(name, state)).reads
                if state == "stable" or command in TELLS_STOP
            )
        runs.append((state, commands))
    await run_all([read_cases(name, fault, *run) for run in runs])


# Writes


@dataclass(frozen=True)
class CleanWrite:
    """What a write does while all is well."""

    sent: tuple[tuple[str, str], ...]
    applied: tuple[str, ...]
    is_answered: bool


_clean_writes: dict[tuple[str, str], CleanWrite | None] = {}


async def clean_write(name: str, write: str) -> CleanWrite | None:
    """Try a write once while all is well; None where the dialect does not have it."""
    key = name, write
    if key not in _clean_writes:
        _clean_writes[key] = None
        async with bench(name) as table:
            if NEEDS.get(write) in (None, *table.miner.info.features):
                result = await attempt(WRITES[write](table.miner), f"{name}, {write}")
                assert not isinstance(result, AssertionError), result
                _clean_writes[key] = CleanWrite(
                    sent(table.sim),
                    tuple(table.sim.applied),
                    not isinstance(result, UnknownOutcomeError),
                )
    return _clean_writes[key]


def sent(sim: SimulatedMiner) -> tuple[tuple[str, str], ...]:
    """The writes that the miner has received, with their parameters."""
    return tuple(
        (
            command.name,
            str({k: v for k, v in command.params.items() if k not in _varies(command)}),
        )
        for command in sim.commands
        if command.encrypted or command.name.startswith("set.")
    )


def _varies(command: Received) -> tuple[str, ...]:
    """What of a write is never twice the same: its time, and what is sealed with it (protocol.md#e4)."""
    sealed = command.name == "set.miner.pools"
    return ("ts", "account", "param") if sealed else ("ts", "account")


async def write_cases(
    name: str,
    fault: str,
    writes: Iterable[tuple[str, bool]],
) -> list[str]:
    """Writes while the miner answers them, or everything, with a fault."""
    wrong: list[str] = []
    async with bench(name) as table:
        sim, miner = table.sim, table.miner
        await miner.check_password()  # from now on there is a token
        for write, all_broken in writes:
            where = f"{name}, {fault}, {write}, {'all' if all_broken else 'it'} broken"
            clean = await clean_write(name, write)
            sim.commands.clear()
            sim.applied.clear()
            if clean is None:
                continue
            names = dict.fromkeys(command for command, _ in clean.sent)
            for command in [None] if all_broken else names:
                sim.inject(fault, command)
            result = await attempt(WRITES[write](miner), where)
            received = sent(sim)
            wrong += judge_write(table, fault, clean, result, received, where)
            sim.clear_failures()
            await sim.tick()
        wrong += await recovers(table, where, is_unchanged=False)
        wrong += await leaves_nothing(table, where)
    return wrong


def judge_write(
    table: Bench,
    fault: str,
    clean: CleanWrite,
    result: Any,
    received: tuple[tuple[str, str], ...],
    where: str,
) -> list[str]:
    """Never twice, and an unknown outcome exactly when it was received and not answered."""
    if isinstance(result, AssertionError):
        return [str(result)]
    wrong = []
    is_check = all(name in HARMLESS for name, _ in clean.sent)
    harmless = HARMLESS | HARMLESS_NEXT if is_check else HARMLESS
    applied = [name for name in table.sim.applied if name not in harmless]
    if not is_check:  # a refused command is followed by the check of the account
        received = tuple(
            takewhile(lambda entry: entry[0] != "set.miner.report", received)
        )
    counted = [entry for entry in received if entry[0] not in harmless]
    wanted = [entry for entry in clean.sent if entry[0] not in HARMLESS]
    if len(applied) > len(wanted):
        wrong.append(f"{where}: applied {applied}")
    if fault not in REFUSING and counted != wanted[: len(counted)]:
        wrong.append(f"{where}: received {counted}, not {wanted}")
    v3 = SETUPS[table.name].v3_password is not None
    readable = fault not in (UNREADABLE_4433 if v3 else UNREADABLE_4028)
    unknown = isinstance(result, UnknownOutcomeError)
    if unknown and (not counted or (readable and clean.is_answered)):
        wrong.append(f"{where}: {result!r} after {counted}")
    if not unknown and counted and not readable:
        wrong.append(f"{where}: {result!r} after {counted}")
    if isinstance(result, WhatsminerError) and not unknown and applied:
        wrong.append(f"{where}: {result!r}, but {applied} took effect")
    if not isinstance(result, WhatsminerError) and fault not in ERRORS:
        hoped = [name for name in clean.applied if name not in HARMLESS]
        # The LEDs may be in use by now, so that there is no write without effect to try.
        if applied != (
            [] if fault == "answered_not_applied" or result is False else hoped
        ):
            wrong.append(f"{where}: success, but {applied} took effect")
    return wrong


@every_cell(SAMPLED_WRITES, SPARED_BY_WRITES - TWINS_OF_READS | OF_FILES)
async def test_writes(name: str, fault: str) -> None:
    """A command would be sent twice, or be taken for done, or for lost, when it is not."""
    for write in WRITES:
        await clean_write(name, write)
    scopes = (True,) if fault in SPARED_BY_WRITES else (False, True)
    cases = [(write, scope) for scope in scopes for write in WRITES]
    await run_all([write_cases(name, fault, cases)])


# An answer to a write that is cut


@pytest.mark.parametrize("ending", ["truncate", "reset_midway"], ids=["FIN", "RST"])
@pytest.mark.parametrize("write", ["set_fast_boot", "set_pools"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in RELATED else [])
        for name in SETUPS
    ],
)
async def test_an_answer_cut_at_every_byte(
    name: str, write: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that the miner carried out would be reported as refused, or the other way round."""
    clean = await clean_write(name, write)
    assert clean
    (command, _), *_ = clean.sent
    whole, cut = 0, 0
    send = simulator_server.Listener._write  # noqa: SLF001 - where answers are sent

    async def send_a_part(
        self: Any, data: bytes, faults: frozenset[str], writer: asyncio.StreamWriter
    ) -> None:
        nonlocal whole
        if ending in faults:
            whole, data = len(data), data[:cut]
        await send(self, data, faults - {ending}, writer)

    monkeypatch.setattr(simulator_server.Listener, "_write", send_a_part)
    wrong: list[str] = []
    async with bench(name) as table:
        sim, miner = table.sim, table.miner
        await miner.check_password()
        while cut == 0 or cut < whole:
            sim.commands.clear()
            sim.applied.clear()
            sim.inject(ending, command)
            where = f"{name}, {write}, {ending} after {cut} of {whole} bytes"
            result = await attempt(WRITES[write](miner), where)
            sim.clear_failures()
            applied = [each for each in sim.applied if each not in HARMLESS]
            received = [each for each in sent(sim) if each[0] not in HARMLESS]
            if received != list(clean.sent):
                wrong.append(f"{where}: received {received}")
            if result is not None and not isinstance(result, UnknownOutcomeError):
                wrong.append(f"{where}: {result!r}, but {applied} took effect")
            if result is None and not applied:
                wrong.append(f"{where}: success, but nothing took effect")
            cut += 1
        wrong += await recovers(table, f"{name}, {write}", is_unchanged=False)
    assert whole > 20
    assert not wrong, "\n" + "\n".join(wrong)


# These are set as web pools and pools are; they differ from them in words alone.
LIKE_WEB_POOLS = {
    "factory_reset",
    "pre_power_on",
    "restore_settings",
    "set_coin_type",
    "set_custom_data",
    "set_fan_zero_speed",
    "set_fast_hash",
    "set_heat_mode",
    "set_hostname",
    "set_leds",
    "set_log_server",
    "set_network",
    "set_ntp_servers",
    "set_permission",
    "set_power",
    "set_power_off_cool",
    "set_random_delay",
    "set_ssh",
    "set_start_at_boot",
    "set_target_frequency",
    "set_temperature_offset",
    "set_time_zone",
    "set_upfreq_speed",
}
# More than one answer tells what became of these: commands/test_files.py has faults of their own.
ELSEWHERE = {"change_password", "download_logs", "update_firmware"}
SENDS_NOTHING = {"account", "has_password", "heat_modes", "range_of", "require"}


def test_the_matrix_is_whole() -> None:
    """A new profile, fault or command would not be tested here."""
    assert {setup.profile for setup in SETUPS.values()} == set(PROFILES | FOREIGN)
    commands = {name for name in vars(Commands) if not name.startswith("_")}
    assert commands - SENDS_NOTHING == set(WRITES) | LIKE_WEB_POOLS | ELSEWHERE
    for dialect in (V2Miner, V3Miner):
        assert not LIKE_WEB_POOLS & set(vars(dialect))
