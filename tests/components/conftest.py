"""A Home Assistant with one simulated miner, whose time only moves when a test moves it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
import logging
import time
from typing import Any
from unittest.mock import PropertyMock, patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.core import HomeAssistant, SupportsResponse
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.device_registry import format_mac
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.syrupy import HomeAssistantSnapshotExtension
from syrupy.assertion import SnapshotAssertion

from custom_components.whatsminer.api.v2 import crypto as auth
from custom_components.whatsminer.api.v3 import protocol as v3
from custom_components.whatsminer.const import (
    CONF_ACCOUNT,
    CONF_FIXED_PRICE,
    CONF_HASHPRICE,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
    SCAN_INTERVAL,
)
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.money.profile import Window, poll_of
from simulator import SimulatedMiner

type Act = Callable[..., Awaitable[Any]]
"""Call an action of the integration and return its response."""
type Call = Callable[..., Awaitable[None]]
"""Call an action of an entity, by platform and key."""
type Find = Callable[[str, str], str]
"""Return the entity ID of a platform and key."""
type Show = Callable[[str, str], str]
"""Return the state of a platform and key."""
type Poll = Callable[[], Awaitable[None]]
"""Let one poll interval pass."""
type Done = Callable[[Awaitable[object]], Awaitable[None]]
"""Wait for a command while time stands still."""

PASSWORD = "Secret_1"
COMMON_WORDS = {"user1", "wrong", "changed"}


LONGEST_STEP = 0.1
"""Real seconds that one reading of a racing clock may take: a busy machine is no leap of the miner's time."""


class RaceClock:
    """Stands still, is moved by hand, or races: some simulated seconds in a real one."""

    def __init__(self) -> None:
        """Stand still."""
        self._now = 0.0
        self._read: float | None = None
        self.rate = 100.0

    def __call__(self) -> float:
        """Read the clock."""
        if self._read is not None:
            now = time.monotonic()
            self._now += min(now - self._read, LONGEST_STEP) * self.rate
            self._read = now
        return self._now

    def advance(self, seconds: float) -> None:
        """Move by hand."""
        self._now += seconds

    def race(self) -> None:
        """Let time fly."""
        self._read = time.monotonic()

    def stop(self) -> None:
        """Stand still again."""
        self()
        self._read = None


@pytest.fixture(autouse=True)
def _integration(
    socket_enabled: None, enable_custom_integrations: None
) -> Generator[None]:
    """Load the integration, allow loopback sockets, and re-read quickly after a command."""
    package = "custom_components.whatsminer"
    with (
        patch(f"{package}.commander.READ_BACK_INTERVAL", 0.02),
        patch(f"{package}.power.executor.POLL_INTERVAL", 0.02),
        patch(f"{package}.controls.QUIET_TIME", 0.0),
    ):
        yield


@pytest.fixture(autouse=True)
def secrets(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Generator[set[str]]:
    """Every password, key, sign and token of a test; none may be in any log, at any level.

    Everybody who gets a log file to help can read it.
    """
    caplog.set_level(logging.DEBUG, "custom_components.whatsminer")
    secrets = {PASSWORD}

    def derive(password: str, challenge: dict[str, Any]) -> auth.Token:
        token = auth.derive_token(password, challenge)
        secrets.update({password, token.sign, token.aes_key.hex(), str(token.aes_key)})
        return token

    def make(command: str, password: str, salt: str, ts: int) -> str:
        token = v3.make_token(command, password, salt, ts)
        secrets.update({password, token})
        return token

    api = "custom_components.whatsminer.api"
    monkeypatch.setattr(f"{api}.v2.miner.derive_token", derive)
    monkeypatch.setattr(f"{api}.v3.miner.make_token", make)
    yield secrets
    # A factory password is the account's name, and a word like any other.
    log = "\n".join(
        caplog.handler.format(record)
        for phase in ("setup", "call")
        for record in caplog.get_records(phase)
    )
    leaked = {secret for secret in secrets - COMMON_WORDS if secret in log}
    assert not leaked, "secrets in the log"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Snapshots in Home Assistant's form, in the folder `snapshots`."""
    return snapshot.use_extension(HomeAssistantSnapshotExtension)


@pytest.fixture
def clock() -> RaceClock:
    """The clock of the simulated miner."""
    return RaceClock()


@pytest.fixture
def profile() -> str:
    """The profile of the simulated miner, for tests that need only one."""
    return "v205_m50"


@pytest.fixture
def v3_port() -> int | None:
    """Any port for API 3 where the miner has it; None closes it, and leaves API 2 to speak."""
    return 0


@pytest.fixture
async def miner(
    profile: str, clock: RaceClock, v3_port: int | None
) -> AsyncGenerator[SimulatedMiner]:
    """A simulated miner."""
    async with SimulatedMiner(
        profile,
        password=PASSWORD,
        v3_password=PASSWORD,
        v3_port=v3_port,
        clock=clock,
    ) as simulated:
        yield simulated


@pytest.fixture
def password() -> str | None:
    """The password that the entry has."""
    return PASSWORD


@pytest.fixture
def address(miner: SimulatedMiner, unused_tcp_port: int) -> dict[str, Any]:
    """Where the miner is; a port that is closed stands for the one it does not have."""
    return {
        CONF_HOST: miner.host,
        CONF_PORT: miner.port,
        CONF_V3_PORT: miner.v3_port or unused_tcp_port,
    }


@pytest.fixture
def credentials(miner: SimulatedMiner, password: str | None) -> dict[str, Any]:
    """What the second step of the form asks for."""
    if miner.v3_port is None:
        return {} if password is None else {CONF_PASSWORD: password}
    account = {CONF_ACCOUNT: "super"}
    return account if password is None else {**account, CONF_V3_PASSWORD: password}


@pytest.fixture
def entry(
    hass: HomeAssistant,
    miner: SimulatedMiner,
    address: dict[str, Any],
    credentials: dict[str, Any],
) -> MockConfigEntry:
    """The config entry of the simulated miner, not yet set up."""
    data = {**address, **credentials}
    entry = MockConfigEntry(
        domain=DOMAIN, unique_id=format_mac(miner.mac), title="Miner", data=data
    )
    entry.add_to_hass(hass)
    return entry


@pytest.fixture
async def coordinator(
    hass: HomeAssistant, entry: MockConfigEntry
) -> WhatsminerCoordinator:
    """The integration, set up with the simulated miner."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    found: WhatsminerCoordinator = entry.runtime_data.coordinator
    return found


@pytest.fixture
def entity_registry_enabled_by_default() -> Generator[None]:
    """Enable every entity."""
    with (
        patch(
            "homeassistant.helpers.entity.Entity.entity_registry_enabled_default",
            new_callable=PropertyMock(return_value=True),
        ),
    ):
        yield


@pytest.fixture
def entity_id(hass: HomeAssistant, entry: MockConfigEntry) -> Find:
    """Find an entity by platform and key, as the contract of names says."""

    def find(platform: str, key: str) -> str:
        found = er.async_get(hass).async_get_entity_id(
            platform, DOMAIN, f"{entry.unique_id}_{key}"
        )
        assert found, f"no {platform} {key}"
        return found

    return find


@pytest.fixture
def state(hass: HomeAssistant, entity_id: Find) -> Show:
    """Read the state of an entity by platform and key."""

    def read(platform: str, key: str) -> str:
        found = hass.states.get(entity_id(platform, key))
        assert found, f"{platform} {key} has no state"
        return found.state

    return read


def sent(miner: SimulatedMiner, *names: str) -> int:
    """How often commands have reached the miner."""
    return sum(command.name in names for command in miner.commands)


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until a condition holds; fail if it never does."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def issue(
    hass: HomeAssistant, kind: str, entry: ConfigEntry[Any]
) -> ir.IssueEntry | None:
    """The open issue of an entry."""
    return ir.async_get(hass).async_get_issue(DOMAIN, f"{kind}_{entry.entry_id}")


@contextmanager
def later(minutes: float) -> Generator[None]:
    """Let the clocks of the decisions about power show a later time."""
    utcnow, monotonic = dt_util.utcnow, time.monotonic
    power = "custom_components.whatsminer.power"
    with (
        patch(
            "homeassistant.util.dt.utcnow",
            lambda: utcnow() + timedelta(minutes=minutes),
        ),
        patch(f"{power}.executor.monotonic", lambda: monotonic() + minutes * 60),
        patch(f"{power}.target.monotonic", lambda: monotonic() + minutes * 60),
    ):
        yield


@pytest.fixture
def device_id(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator, entry: MockConfigEntry
) -> str:
    """The device of the miner."""
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return device.id


@pytest.fixture
def act(hass: HomeAssistant, device_id: str) -> Act:
    """Call an action of the integration, as a script does, and return its response."""

    async def run(action: str, **data: Any) -> Any:
        answers = hass.services.supports_response(DOMAIN, action)
        return await hass.services.async_call(
            DOMAIN,
            action,
            {"device_id": device_id, **data},
            blocking=True,
            return_response=answers is not SupportsResponse.NONE,
        )

    return run


@pytest.fixture
def poll(hass: HomeAssistant) -> Poll:
    """Let one poll interval pass."""

    async def run() -> None:
        async_fire_time_changed(hass, dt_util.utcnow() + SCAN_INTERVAL * 1.1)
        await hass.async_block_till_done(wait_background_tasks=True)

    return run


async def in_steps(
    command: Awaitable[object],
    freezer: FrozenDateTimeFactory,
    seconds: float,
    clock: RaceClock,
    miner_seconds: float,
) -> None:
    """Wait for a command while the clock of the home and that of the miner move in steps."""
    task = asyncio.ensure_future(command)
    while not task.done():
        freezer.tick(seconds)
        clock.advance(miner_seconds)
        await asyncio.sleep(0)
    await task


@pytest.fixture
def done(freezer: FrozenDateTimeFactory, clock: RaceClock) -> Done:
    """Wait for a command: time stands still, so let it pass in small steps."""

    async def run(command: Awaitable[object]) -> None:
        await in_steps(command, freezer, 0.05, clock, 1)

    return run


@pytest.fixture
def call(hass: HomeAssistant, entity_id: Find) -> Call:
    """Call an action of an entity and wait for it, as an automation does."""

    async def run(platform: str, key: str, action: str, **data: object) -> None:
        await hass.services.async_call(
            platform,
            action,
            {"entity_id": entity_id(platform, key), **data},
            blocking=True,
        )

    return run


# Two miners, for what concerns several


@pytest.fixture
async def two_miners(clock: RaceClock) -> AsyncGenerator[list[SimulatedMiner]]:
    """Two simulated miners of two firmware generations, both at 100 percent."""
    async with AsyncExitStack() as stack:
        miners = [
            await stack.enter_async_context(
                SimulatedMiner(
                    profile,
                    seed=seed,
                    password=PASSWORD,
                    v3_password=PASSWORD,
                    v3_port=0,
                    clock=clock,
                )
            )
            for seed, profile in enumerate(("v205_m50", "v3_m7bs"))
        ]
        for miner in miners:
            miner.machine.set_percent(100, gentle=False)
        clock.advance(600)
        yield miners


@pytest.fixture
def money() -> dict[str, Any]:
    """What both miners cost and earn."""
    return {CONF_FIXED_PRICE: 0.1, CONF_HASHPRICE: 0.05}


@pytest.fixture
async def two_entries(
    hass: HomeAssistant,
    two_miners: list[SimulatedMiner],
    unused_tcp_port: int,
    money: dict[str, Any],
) -> list[MockConfigEntry]:
    """The entries of both miners, set up."""
    found = []
    for number, miner in enumerate(two_miners):
        entry = MockConfigEntry(
            domain=DOMAIN,
            unique_id=format_mac(miner.mac),
            title=f"Miner {number}",
            data={
                CONF_HOST: miner.host,
                CONF_PORT: miner.port,
                CONF_PASSWORD: PASSWORD,
                CONF_V3_PORT: miner.v3_port or unused_tcp_port,
                CONF_ACCOUNT: "super",
                CONF_V3_PASSWORD: PASSWORD,
            },
            options=money,
        )
        entry.add_to_hass(hass)
        found.append(entry)
    assert await hass.config_entries.async_setup(found[0].entry_id)
    await hass.async_block_till_done()
    return found


@pytest.fixture
def two_learned(two_entries: list[MockConfigEntry]) -> list[MockConfigEntry]:
    """Let the profiles of both miners be known: the second one loses less at low power."""
    for entry, exponent in zip(two_entries, (0.9, 0.7), strict=True):
        runtime = entry.runtime_data
        state, store = runtime.coordinator.data, runtime.coordinator.store
        base = poll_of(state, None, store.tuned_power).base
        for percent in (40, 60, 80, 100) * 5:
            watts = state.summary.power * percent / 100
            ths = state.summary.hashrate * (percent / 100) ** exponent
            runtime.learning.profile.learn(Window(0.0, percent, watts, ths, base))
    return two_entries
