"""The actions for what is seldom done: each on every firmware that has it, and refused in words."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.maintenance import ACTIONS
from simulator import SimulatedMiner

from .conftest import PASSWORD, RaceClock

type Act = Callable[..., Awaitable[dict[str, Any] | None]]
type Call = Callable[..., Awaitable[None]]
type Show = Callable[[str, str], str]

MOVED = "192.168.2.16"
"""An address that the simulated miner is given; it answers there, too."""


@dataclass(frozen=True)
class Setup:
    """A simulated miner, and over which port it is commanded."""

    profile: str
    v3: bool = False


SETUPS = {
    "1.x": Setup("v1_m20s"),
    "2.0": Setup("v205_m50"),
    "2.0 liquid": Setup("v205_m56s"),
    "2.2": Setup("v2c_m60s"),
    "3.x": Setup("v2c_m60s", v3=True),
}
EVERY = frozenset({"1.x", "2.0", "2.0 liquid", "2.2", "3.x"})
ONLY_3 = frozenset({"3.x"})


@dataclass(frozen=True)
class Case:
    """One call, which firmware can do it, and what the miner is like then."""

    data: dict[str, Any]
    on: frozenset[str]
    effect: Callable[[SimulatedMiner], bool]
    wrong: dict[str, Any] = field(default_factory=dict)
    """What makes no sense to a miner that can do it."""
    says: str = ""
    """Part of the sentence then."""


POOLS = [
    {"url": "stratum+tcp://p1.example:3333", "user": "Private_1", "password": "Hush_1"},
    {"url": "stratum+tcp://p2.example:3333", "user": "Private_2"},
]
STATIC = {
    "dhcp": False,
    "address": MOVED,
    "netmask": "255.255.255.0",
    "gateway": "192.168.2.1",
    "dns": ["192.168.2.1"],
}
SURE = {"confirm": True}

CASES = {
    "set_pools": Case(
        {"pools": POOLS},
        EVERY,
        lambda s: (
            [(p.url, p.user, p.password) for p in s.truth().settings.pools]
            == [(p["url"], p["user"], p.get("password", "")) for p in POOLS]
        ),
        {"pools": POOLS * 2},
        "between 1 and 3",
    ),
    "set_power": Case(
        {"power": 3000},
        frozenset({"2.2", "3.x"}),
        lambda s: s.truth().settings.power_set_w == 3000,
        {"power": 100_000},
        "between 1 and 99999",
    ),
    "set_coin_type": Case(
        {"coin": "BCH"},
        ONLY_3,
        lambda s: s.truth().settings.coin_type == "BCH",
        {"coin": "DOGE"},
        "SHA256",
    ),
    "set_random_delay": Case(
        {"start": 10, "stop": 20},
        ONLY_3,
        lambda s: s.truth().settings.time_randomized == (10, 20),
        {"start": 0, "stop": 121},
        "between 0 and 120",
    ),
    "set_led": Case(
        {"patterns": [{"color": "red", "period": 400}, {"color": "green"}]},
        EVERY,
        lambda s: len(s.machine.leds) == 2,
        {"patterns": [{"color": "red", "duration": 60_001}]},
        "between 0 and 60000",
    ),
    "set_hostname": Case(
        {"hostname": "garage-1"},
        EVERY,
        lambda s: s.truth().settings.hostname == "garage-1",
        {"hostname": "garage.1"},
        "hostname",
    ),
    "set_time_zone": Case(
        {"timezone": "CET-1CEST", "zone_name": "Europe/Berlin"},
        EVERY,
        lambda s: s.truth().settings.zonename == "Europe/Berlin",
        {"timezone": "Europe/Berlin", "zone_name": "CET"},
        "time zone",
    ),
    "set_ntp_servers": Case(
        {"servers": ["pool.ntp.org", "192.168.2.1"]},
        ONLY_3,
        lambda s: s.truth().settings.ntp_servers == ("pool.ntp.org", "192.168.2.1"),
        {"servers": []},
        "between 1 and 4",
    ),
    "set_log_server": Case(
        {"address": "192.168.2.5", "port": 514, "protocol": "tcp"},
        EVERY,
        lambda s: getattr(s.truth().settings.log_server, "proto", None) == "tcp",
        {"address": "192.168.2.5", "port": 0},
        "between 1 and 65535",
    ),
    "set_custom_data": Case(
        {"key": "msg3", "value": "shelf 7"},
        frozenset({"2.2", "3.x"}),
        lambda s: s.truth().settings.custom["msg3"] == "shelf 7",
        {"key": "msg3", "value": "x" * 128},
        "127 bytes",
    ),
    "set_permission": Case(
        {"user": "user1", "commands": ["set.system.led"]},
        ONLY_3,
        lambda s: s.v3_permissions["user1"] == {"set.system.led"},
        {"user": "super", "commands": []},
        "user1",
    ),
    "set_ssh": Case(
        {"enabled": True, **SURE},
        frozenset({"1.x"}),
        lambda s: s.truth().settings.ssh,
    ),
    "change_password": Case(
        {"new_password": "Other_2"},
        EVERY,
        lambda s: (s.v3_passwords["super"] if s.v3_port else s.password) == "Other_2",
        {"new_password": "Hidden&2"},
        "letters, digits, underscores",
    ),
    "set_network": Case(
        {**STATIC, **SURE},
        EVERY,
        lambda s: getattr(s.machine.network, "ip", None) == MOVED,
        {**STATIC, **SURE, "gateway": "192.168.3.1"},
        "neighbour",
    ),
    "restore_settings": Case(
        SURE, ONLY_3, lambda s: s.truth().settings.fast_boot is False
    ),
    "factory_reset": Case(
        SURE, EVERY, lambda s: not s.api_switch and s.machine.resets == 1
    ),
}
OWN_TESTS = {"preheat", "update_firmware", "download_logs", "get_data"}
every_case = pytest.mark.parametrize("name", CASES)
every_setup = pytest.mark.parametrize("setup", SETUPS)


def test_every_action_is_tried() -> None:
    """An action that nobody tried on a miner would fail in the hands of its first user."""
    assert {action.name for action in ACTIONS} == CASES.keys() | OWN_TESTS


@pytest.fixture
def setup() -> str:
    """The setup, for tests that need only one."""
    return "2.0"


@pytest.fixture
async def miner(setup: str, clock: RaceClock) -> AsyncGenerator[SimulatedMiner]:
    """A simulated miner whose time races."""
    how = SETUPS[setup]
    async with SimulatedMiner(
        how.profile,
        password=PASSWORD,
        v3_password=PASSWORD,
        v3_port=0 if how.v3 else None,
        clock=clock,
    ) as simulated:
        clock.rate = 300
        clock.race()
        yield simulated


@pytest.fixture(autouse=True)
async def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often for a miner that is away, and find it at its new address, too."""
    monkeypatch.setattr("custom_components.whatsminer.away.INTERVAL", 0.02)
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def connect_here(sock: Any, address: Any) -> None:
        host, *port = address
        if host.startswith("192.168.") and host != MOVED:
            raise OSError("no route")
        await connect(sock, ("127.0.0.1" if host == MOVED else host, *port))

    monkeypatch.setattr(loop, "sock_connect", connect_here)


@pytest.fixture
def act(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator, entry: MockConfigEntry
) -> Act:
    """Call an action for the miner, as a script does; returns the response if there is one."""
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)

    async def run(action: str, **data: Any) -> dict[str, Any] | None:
        answers = hass.services.supports_response(DOMAIN, action)
        response: Any = await hass.services.async_call(
            DOMAIN,
            action,
            {"device_id": device.id, **data},
            blocking=True,
            return_response=answers.value != "none",
        )
        return response

    return run


def writes(miner: SimulatedMiner) -> list[str]:
    """What was told to the miner since the log of it was cleared."""
    harmless = {"set.miner.report", "status"}
    return [
        command.name
        for command in miner.commands
        if (command.encrypted or command.name.startswith("set."))
        and command.name not in harmless
    ]


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for it; tests fail when it does not come."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@every_case
@every_setup
async def test_every_action_on_every_firmware(
    act: Act, miner: SimulatedMiner, setup: str, name: str
) -> None:
    """An action is said to have worked, and the miner is as before; or it is sent in vain."""
    case = CASES[name]
    miner.commands.clear()
    if setup not in case.on:
        with pytest.raises(ServiceValidationError) as refused:
            await act(name, **case.data)
        assert refused.value.translation_key == "not_supported"
        assert "Miner speaks API" in str(refused.value)
        assert not writes(miner)
        return
    assert not case.effect(miner) or name == "restore_settings"
    if name == "restore_settings":
        miner.machine.fast_boot = True
    await act(name, **case.data)
    await until(lambda: case.effect(miner))
    sent = writes(miner)
    assert len(sent) == len(set(sent)) or name == "set_led", "sent twice"
