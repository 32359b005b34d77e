"""The maintenance actions: each on every firmware that has it, and with a message when it is refused."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
import re
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_HOST, CONF_PASSWORD
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.api import transport
from custom_components.whatsminer.const import CONF_V3_PASSWORD, DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.services import device as maintenance
from custom_components.whatsminer.services.device import ACTIONS
from simulator import SimulatedMiner
from simulator.settings import Network

from .conftest import PASSWORD, Act, Call, RaceClock, Show, until

MOVED = "192.168.2.16"
"""The address that the actions set; the simulated miner also answers there."""


@dataclass(frozen=True)
class Setup:
    """A simulated miner, and the port for its commands."""

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
    """One call, the firmware that supports it, and the expected state of the miner."""

    data: dict[str, Any]
    on: frozenset[str]
    effect: Callable[[SimulatedMiner], bool]
    wrong: dict[str, Any] = field(default_factory=dict)
    """Data that the action must refuse."""
    says: str = ""
    """Part of the expected message."""


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
        "1 to 3 entries",
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
        "timezone",
    ),
    "set_ntp_servers": Case(
        {"servers": ["pool.ntp.org", "192.168.2.1"]},
        ONLY_3,
        lambda s: s.truth().settings.ntp_servers == ("pool.ntp.org", "192.168.2.1"),
        {"servers": []},
        "1 to 4 entries",
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
        "letters, digits and underscores",
    ),
    "set_network": Case(
        {**STATIC, **SURE},
        EVERY,
        lambda s: getattr(s.machine.network, "ip", None) == MOVED,
        {**STATIC, **SURE, "gateway": "192.168.3.1"},
        "another address",
    ),
    "restore_settings": Case(
        SURE, ONLY_3, lambda s: s.truth().settings.fast_boot is False
    ),
    "factory_reset": Case(
        SURE, EVERY, lambda s: not s.api_switch and s.machine.resets == 1
    ),
}
OWN_TESTS = {"preheat", "update_firmware", "download_logs", "get_data", "reset_profile"}
INTERRUPTING = ("change_password", "set_network", "restore_settings", "factory_reset")
"""After these the miner restarts, or is reached in another way."""
every_setup = pytest.mark.parametrize("setup", SETUPS)


def test_every_action_is_tried() -> None:
    """An untested action could fail for its first user."""
    assert {action.name for action in ACTIONS} == CASES.keys() | OWN_TESTS


@pytest.fixture
def setup() -> str:
    """Return the setup, for tests that need only one."""
    return "2.0"


@pytest.fixture
async def miner(setup: str, clock: RaceClock) -> AsyncGenerator[SimulatedMiner]:
    """Start a simulated miner whose time runs fast."""
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
async def _quick(monkeypatch: pytest.MonkeyPatch, miner: SimulatedMiner) -> None:
    """Search for an offline miner often, at the address that was set."""
    monkeypatch.setattr(
        "custom_components.whatsminer.services.follow_up.INTERVAL", 0.02
    )
    connect = transport.Line.connect

    async def connect_there(line: transport.Line, address: Any) -> None:
        host, port = address
        network = miner.machine.network
        if host != (network.ip if network else "127.0.0.1"):
            raise OSError("no route")
        await connect(line, ("127.0.0.1", port))

    monkeypatch.setattr(transport.Line, "connect", connect_there)


def writes(miner: SimulatedMiner) -> list[str]:
    """Return the writes that the miner received since the list was cleared."""
    harmless = {"set.miner.report", "status"}
    if any(command.name == "set.miner.report" for command in miner.commands):
        # A check of the account, which may try all that changes nothing (protocol.md#e2)
        harmless |= {"set.system.led", "set.system.webpools"}
    return [
        command.name
        for command in miner.commands
        if (command.encrypted or command.name.startswith("set."))
        and command.name not in harmless
    ]


async def assert_effect(act: Act, miner: SimulatedMiner, name: str) -> None:
    """Call an action and wait for its effect; fail if it is sent twice."""
    case = CASES[name]
    miner.commands.clear()
    assert not case.effect(miner) or name == "restore_settings", name
    await act(name, **case.data)
    await until(lambda: case.effect(miner))
    sent = writes(miner)
    assert len(sent) == len(set(sent)) or name == "set_led", f"{name} sent twice"


@every_setup
async def test_every_action_on_every_firmware(
    act: Act, miner: SimulatedMiner, setup: str
) -> None:
    """An action would be reported as successful without effect, or sent to a miner that does not support it."""
    for name, case in CASES.items():
        if setup not in case.on:
            miner.commands.clear()
            with pytest.raises(ServiceValidationError) as refused:
                await act(name, **case.data)
            assert refused.value.translation_key == "not_supported", name
            assert "Miner uses API" in str(refused.value), name
            assert not writes(miner), name
        elif name not in INTERRUPTING:
            await assert_effect(act, miner, name)


@pytest.mark.parametrize(
    ("setup", "name"),
    [
        (setup, name)
        for name in INTERRUPTING
        for setup in SETUPS
        if setup in CASES[name].on
    ],
)
async def test_actions_that_change_how_the_miner_is_reached(
    act: Act, miner: SimulatedMiner, name: str
) -> None:
    """A miner would be lost by an action that was meant to change one thing."""
    miner.machine.fast_boot = True
    await assert_effect(act, miner, name)


# Refusals


async def refused(act: Act, name: str, **data: Any) -> str:
    """Call an action that must fail; return its key and its complete message."""
    with pytest.raises(HomeAssistantError) as error:
        await act(name, **data)
    sentence = str(error.value)
    assert error.value.translation_key
    assert " " in sentence
    assert "{" not in sentence
    return f"{error.value.translation_key}: {sentence}"


@pytest.mark.parametrize("setup", ["3.x", "1.x"])
async def test_nonsense_is_refused_with_its_bounds(
    act: Act, miner: SimulatedMiner, setup: str
) -> None:
    """A user who enters a wrong gateway would lose the miner, or not see what is allowed."""
    miner.commands.clear()
    tried = 0
    for name, case in CASES.items():
        if setup in case.on and case.wrong:
            sentence = await refused(act, name, **case.wrong)
            assert re.match(r"invalid_\w+: Nothing was sent to Miner", sentence)
            assert case.says in sentence
            assert "Hidden" not in sentence
            tried += 1
    assert tried > 5
    assert not writes(miner)


@pytest.mark.parametrize("sure", [{}, {"confirm": False}])
async def test_what_is_dangerous_must_be_confirmed(
    act: Act, miner: SimulatedMiner, sure: dict[str, Any]
) -> None:
    """A wrong click would reset a miner, or make it unreachable."""
    data = {
        "set_network": {"dhcp": True},
        "set_ssh": {"enabled": True},
        "update_firmware": {"path": "/media/image", "platform": "H616"},
    }
    miner.commands.clear()
    messages = {
        action.name: await refused(
            act, action.name, **data.get(action.name, {}), **sure
        )
        for action in ACTIONS
        if action.confirm
    }
    assert messages.keys() == {
        "preheat",
        "set_ssh",
        "set_network",
        "restore_settings",
        "factory_reset",
        "update_firmware",
    }
    for name, sentence in messages.items():
        assert sentence.startswith(f"confirm_{name}: Nothing was sent. ")
        assert sentence.endswith("turn on Confirm (confirm: true)")
    assert not writes(miner)


@pytest.mark.parametrize("password", [None])
@pytest.mark.parametrize("setup", ["2.0", "3.x"])
async def test_without_a_password_nothing_is_sent(
    act: Act, miner: SimulatedMiner, setup: str
) -> None:
    """A user without a password would search for the reason in the miner."""
    for name, case in CASES.items():
        if setup in case.on:
            assert (await refused(act, name, **case.data)).startswith("no_password")
    assert not writes(miner)


async def test_what_the_miner_refuses_and_does_not_answer(
    act: Act, miner: SimulatedMiner
) -> None:
    """The user would not know whether the command succeeded, failed, or has an unknown result."""
    zone = CASES["set_time_zone"].data
    miner.refuse["set_zone"] = 132
    assert "refused the command set_zone" in await refused(act, "set_time_zone", **zone)
    miner.refuse["set_zone"] = 14
    assert "does not support" in await refused(act, "set_time_zone", **zone)
    miner.refuse.clear()
    miner.inject("applied_no_answer", "set_zone")
    sentence = await refused(act, "set_time_zone", **zone)
    assert sentence.startswith("unknown_outcome")  # 2.0 does not report its time zone
    assert writes(miner).count("set_zone") == 3
    miner.api_switch = False
    assert "API switch is off" in await refused(act, "set_time_zone", **zone)


async def test_what_can_be_read_back_is(
    act: Act, miner: SimulatedMiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user would not notice that the miner acknowledged the pools but still uses others."""
    monkeypatch.setattr(maintenance, "DEADLINE_FLAG", 0.1)
    pools = CASES["set_pools"].data
    miner.inject("answered_not_applied", "update_pools")
    assert (await refused(act, "set_pools", **pools)).startswith("not_confirmed")
    miner.clear_failures()
    miner.inject("applied_no_answer", "update_pools")
    await act("set_pools", **pools)  # the miner shows them
    assert CASES["set_pools"].effect(miner)
    assert writes(miner).count("update_pools") == 2


@pytest.mark.parametrize("setup", ["2.2", "3.x"])
async def test_custom_data_is_read_back(
    act: Act, miner: SimulatedMiner, setup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user would not notice that the miner did not save a note."""
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 0.5)
    command = "set.device.custom_data" if setup == "3.x" else "set_customer_msg"
    data = CASES["set_custom_data"].data
    miner.inject("answered_not_applied", command)
    assert (await refused(act, "set_custom_data", **data)).startswith("custom_data")
    miner.clear_failures()
    miner.inject("applied_no_answer", command)
    await act("set_custom_data", **data)
    assert CASES["set_custom_data"].effect(miner)


@pytest.mark.parametrize("setup", ["2.2", "3.x"])
async def test_set_power_ends_the_target(
    act: Act, call: Call, coordinator: WhatsminerCoordinator
) -> None:
    """A power target would overwrite the set power again and again; an invalid call would end the target."""
    target = coordinator.config_entry.runtime_data.power_target
    await call("number", "power_target", "set_value", value=2500)
    assert target.watts == 2500
    await refused(act, "set_power", power=0)
    assert target.watts == 2500
    await act("set_power", power=3000)
    await until(lambda: target.watts is None)


@pytest.mark.parametrize("setup", ["1.x", "2.0", "3.x"])
async def test_pools_of_a_stopped_miner(
    act: Act, miner: SimulatedMiner, call: Call
) -> None:
    """On old firmware, which does not report pools while stopped, a successful change would look like a failure."""
    await call("switch", "mining", "turn_off")
    await act("set_pools", **CASES["set_pools"].data)
    assert CASES["set_pools"].effect(miner)


async def test_leds_go_back_to_the_miner(act: Act, miner: SimulatedMiner) -> None:
    """The lights would blink forever."""
    await act("set_led", patterns={"color": "green"})
    assert miner.truth().led_auto is False
    await act("set_led")
    assert miner.truth().led_auto is True


@pytest.mark.parametrize("setup", ["2.0", "2.2", "3.x"])
async def test_a_miner_that_does_not_answer(
    act: Act, miner: SimulatedMiner, setup: str
) -> None:
    """The action would look successful although the miner is stopped."""
    miner.inject("refuse")
    await miner.tick()
    for name in ("set_pools", "get_data", "download_logs"):
        data = CASES["set_pools"].data if name == "set_pools" else {}
        data |= {"command": "summary"} if name == "get_data" else {}
        assert "No device responds at 127.0.0.1" in await refused(act, name, **data)


async def test_an_entry_that_is_not_loaded(
    hass: HomeAssistant, act: Act, entry: MockConfigEntry
) -> None:
    """An automation would fail without a reason after its miner was removed."""
    await hass.config_entries.async_unload(entry.entry_id)
    for action in ACTIONS:
        assert hass.services.has_service(DOMAIN, action.name)
    assert (await refused(act, "set_led")).startswith("not_loaded")


@pytest.mark.parametrize("setup", ["3.x"])
async def test_the_newest_call_counts(
    hass: HomeAssistant, act: Act, miner: SimulatedMiner
) -> None:
    """While the miner restarts, one of two automations would wrongly assume that its time zone is set."""
    miner.inject("refuse_4433")
    await miner.tick()
    early = hass.async_create_task(
        refused(act, "set_time_zone", timezone="UTC0", zone_name="UTC")
    )
    await asyncio.sleep(0.2)
    late = hass.async_create_task(act("set_time_zone", **CASES["set_time_zone"].data))
    assert (await early).startswith("overtaken")
    miner.clear_failures()
    await miner.tick()
    await late
    assert CASES["set_time_zone"].effect(miner)
    assert writes(miner).count("set.system.timezone") == 1


# Secrets


async def test_pools_and_passwords_are_shown_nowhere(
    act: Act,
    miner: SimulatedMiner,
    secrets: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A password would be in an error or a log that a user posts; the fixture reads the log."""
    monkeypatch.setattr(maintenance, "DEADLINE_FLAG", 0.1)
    hush = {"url": POOLS[0]["url"], "user": "Hush_user", "password": "Hush_pass"}
    secrets |= {"Hush_user", "Hush_pass", "Hush_new", "Hush new"}
    messages = [
        await refused(act, "set_pools", pools=[hush | {"url": "nowhere"}]),
        await refused(act, "set_pools", pools=[hush | {"password": "Hush_pass\n"}]),
        await refused(act, "change_password", new_password="Hush new"),
    ]
    miner.inject("answered_not_applied")
    messages += [
        await refused(act, "set_pools", pools=[hush]),
        await refused(act, "change_password", new_password="Hush_new"),
    ]
    miner.clear_failures()
    miner.refuse = {"update_pools": 132, "update_pwd": 132}
    messages += [
        await refused(act, "set_pools", pools=[hush]),
        await refused(act, "change_password", new_password="Hush_new"),
    ]
    for text in messages:
        assert "Hush" not in text


@pytest.mark.parametrize(
    "wrong", [{"more": 1}, {"user": None}, {"password": ["Hush_pass"]}]
)
async def test_a_wrong_form_shows_no_secret(act: Act, wrong: dict[str, Any]) -> None:
    """A secret would be in the error that the editor and traces of automations show."""
    pool = {"url": "Hush_url", "user": "Hush_user", "password": "Hush_pass"}
    with pytest.raises(probatio.Invalid) as error:
        await act("set_pools", pools=[pool | wrong])
    assert "Hush" not in f"{error.value!r} {error.value}"
    with pytest.raises(probatio.Invalid) as error:
        await act("change_password", new_password=["Hush_pass"])
    assert "Hush" not in f"{error.value!r} {error.value}"


@pytest.mark.parametrize("setup", ["2.0"])
async def test_an_entity_selects_its_miner(
    act: Act, miner: SimulatedMiner, entry: MockConfigEntry, hass: HomeAssistant
) -> None:
    """An action for two entities of one miner would be executed twice."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    chosen = [entity.entity_id for entity in entities[:2]]
    miner.commands.clear()
    answer = await act(
        "get_data", device_id=[], entity_id=chosen, command="get_version"
    )
    assert answer["Msg"]["fw_ver"] == miner.truth().firmware
    assert [command.name for command in miner.commands] == ["get_version"]


@pytest.mark.parametrize("setup", ["1.x", "2.0", "2.2", "3.x"])
async def test_raw_answers_without_what_is_private(
    act: Act, miner: SimulatedMiner, coordinator: WhatsminerCoordinator, setup: str
) -> None:
    """A response that a user shows to others would contain the pool account."""
    private = {pool.user for pool in miner.truth().pools}
    params: dict[str, Any] = {"get.miner.history": {"begin": "1", "end": "2"}}
    for command in coordinator.miner.data_commands:
        more = {"parameter": params[command]} if command in params else {}
        if command in ("devs", "devdetails") and setup in ("2.2", "3.x"):
            continue  # this firmware refuses them (protocol.md#a4)
        answer = await act("get_data", command=command, **more)
        assert answer
        assert not [user for user in private if user in str(answer)]
        if command == "summary":
            [row] = answer.get("SUMMARY") or [answer["Msg"]]
            assert row["Elapsed"] == pytest.approx(miner.truth().elapsed_s, abs=300)
    sentence = await refused(act, "get_data", command="update_pools")
    assert "not a read command" in sentence
    if setup == "3.x":
        # It is for the admin, whose password is not known, nor to be had by Reconfigure.
        sentence = await refused(act, "get_data", command="get_customer_msg")
        assert "not a read command" in sentence
        asked = await act("get_data", command="get.device.info", parameter="miner")
        assert asked["msg"].keys() == {"miner"}


# Passwords


@every_setup
async def test_a_new_password_holds(
    hass: HomeAssistant,
    act: Act,
    call: Call,
    entry: MockConfigEntry,
    coordinator: WhatsminerCoordinator,
    setup: str,
) -> None:
    """Home Assistant would lose access, immediately or at its next start."""
    await act("change_password", new_password="Other_2")
    key = CONF_V3_PASSWORD if setup == "3.x" else CONF_PASSWORD
    assert entry.data[key] == "Other_2"
    assert entry.runtime_data.coordinator is coordinator, "reloaded in vain"
    await call("switch", "fast_boot", "turn_on")
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    await call("switch", "fast_boot", "turn_off")
    assert not hass.config_entries.flow.async_progress_by_handler(DOMAIN)


@pytest.mark.parametrize("setup", ["2.0", "3.x"])
async def test_a_password_that_does_not_hold(
    act: Act, call: Call, miner: SimulatedMiner, entry: MockConfigEntry, setup: str
) -> None:
    """A password that the miner did not accept would replace the valid one."""
    before = dict(entry.data)
    command = "set.user.change_passwd" if setup == "3.x" else "update_pwd"
    miner.inject("answered_not_applied", command)
    message = await refused(act, "change_password", new_password="Other_2")
    assert message.startswith("password_unclear")
    assert dict(entry.data) == before
    await call("switch", "fast_boot", "turn_on")


# Reboots


@pytest.mark.parametrize("setup", ["2.0", "3.x"])
async def test_moved_miner_is_followed(
    hass: HomeAssistant,
    act: Act,
    call: Call,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    clock: RaceClock,
    state: Show,
) -> None:
    """Home Assistant would look for the miner at its old address."""
    clock.stop()
    clock.rate = 30
    clock.race()
    task = hass.async_create_task(act("set_network", **STATIC, **SURE))
    await until(lambda: any("net_config" in name for name in writes(miner)))
    async with asyncio.timeout(5):
        while state("sensor", "status") != "restarting":
            assert state("sensor", "status") != "unavailable"
            await miner.tick()
            await entry.runtime_data.coordinator.async_refresh()
            await asyncio.sleep(0.05)
    await task
    assert entry.data[CONF_HOST] == MOVED
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    await call("switch", "fast_boot", "turn_on")


@pytest.mark.parametrize("setup", ["1.x", "2.0", "2.2", "3.x"])
async def test_back_to_dhcp_at_the_same_address(
    act: Act, miner: SimulatedMiner, entry: MockConfigEntry
) -> None:
    """The action would fail when the router assigns the same address again."""
    before = miner.machine.reboots
    await act("set_network", dhcp=True, **SURE)
    assert miner.machine.reboots == before + 1
    assert entry.data[CONF_HOST] == "127.0.0.1"


async def test_network_that_is_not_taken(
    hass: HomeAssistant,
    act: Act,
    miner: SimulatedMiner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user would restart a miner that is reachable again with its previous settings."""
    monkeypatch.setattr(
        "custom_components.whatsminer.services.follow_up.DEADLINE_REBOOT", 4
    )
    fixed = Network(
        proto="static",
        ip=miner.host,
        netmask="255.0.0.0",
        gateway="127.0.0.1",
        dns="127.0.0.1",
    )
    miner.machine.change(network=fixed)
    miner.inject("answered_not_applied", "net_config")
    task = hass.async_create_task(refused(act, "set_network", dhcp=True, **SURE))
    await until(lambda: any("net_config" in name for name in writes(miner)))
    miner.machine.reboot()
    assert (await task).startswith("network_not_taken: Miner is online again")


@pytest.mark.parametrize(
    ("action", "data", "key"),
    [
        (
            "set_network",
            STATIC,
            "not_at_address: Miner does not respond at 192.168.2.16",
        ),
        ("set_network", {"dhcp": True}, "not_back: Miner was not found again"),
        ("factory_reset", {}, "not_back: Miner was not found again"),
    ],
)
async def test_a_miner_that_is_not_found_again(
    act: Act,
    miner: SimulatedMiner,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    data: dict[str, Any],
    key: str,
) -> None:
    """The entry would have an address without a miner, and the user would not be notified."""
    monkeypatch.setattr(
        "custom_components.whatsminer.services.follow_up.DEADLINE_REBOOT", 0.3
    )
    miner.inject("answered_not_applied")
    assert (await refused(act, action, **data, **SURE)).startswith(key)
    assert entry.data[CONF_HOST] == "127.0.0.1"


async def test_another_miner_at_the_new_address(
    act: Act, miner: SimulatedMiner, entry: MockConfigEntry
) -> None:
    """With two miners on one address, commands for one would reach the other."""
    miner.inject("answered_not_applied", "net_config")
    async with SimulatedMiner("v205_m50", port=0, seed=7, password=PASSWORD) as other:
        connect = transport.Line.connect

        async def connect_other(line: transport.Line, address: Any) -> None:
            there = address == (MOVED, miner.port)
            await connect(line, ("127.0.0.1", other.port) if there else address)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transport.Line, "connect", connect_other)
            message = await refused(act, "set_network", **STATIC, **SURE)
    assert message.startswith("wrong_miner")
    assert entry.data[CONF_HOST] == "127.0.0.1"


@pytest.mark.parametrize("setup", ["2.0", "3.x"])
async def test_what_is_left_after_a_factory_reset(
    act: Act,
    state: Show,
) -> None:
    """The user would only notice at the next command that the password has changed."""
    await act("factory_reset", **SURE)
    assert state("binary_sensor", "write_access") == "off"
    assert state("sensor", "power") != "unavailable"


@pytest.mark.parametrize("setup", ["2.0 liquid"])
async def test_preheating(act: Act, miner: SimulatedMiner, call: Call) -> None:
    """A user who preheats a hydro miner would not know when it is ready."""
    assert (await refused(act, "preheat", **SURE)).startswith("preheat_needs_stop")
    await call("switch", "mining", "turn_off")
    assert miner.truth().preheat is None
    stages = []
    async with asyncio.timeout(10):
        while not stages or stages[-1]["complete"] is not True:
            stages.append(await act("preheat", **SURE))
            await asyncio.sleep(0.02)
    assert stages[0] == {"stage": "waiting", "complete": False}
    assert stages[-1] == {"stage": "complete", "complete": True}


async def test_only_liquid_cooled_miners_are_preheated(act: Act) -> None:
    """An air-cooled miner would be reported as preheating."""
    assert (await refused(act, "preheat", **SURE)).startswith("not_supported")


# Several miners


async def test_several_miners_at_once(
    hass: HomeAssistant,
    act: Act,
    miner: SimulatedMiner,
    entry: MockConfigEntry,
    address: dict[str, Any],
) -> None:
    """One failing miner would stop the action for the others, or two miners would get the same address."""
    async with SimulatedMiner("v205_m50", seed=7, password=PASSWORD) as other:
        second = MockConfigEntry(
            domain=DOMAIN,
            unique_id=other.mac.lower(),
            title="Other",
            data={**address, "port": other.port, CONF_PASSWORD: PASSWORD},
        )
        second.add_to_hass(hass)
        assert await hass.config_entries.async_setup(second.entry_id)
        await hass.async_block_till_done()
        devices = [
            device.id
            for one in (entry, second)
            for device in dr.async_entries_for_config_entry(
                dr.async_get(hass), one.entry_id
            )
        ]
        answer = await act("get_data", device_id=devices, command="get_version")
        assert answer["miners"].keys() == {"Miner", "Other"}
        message = await refused(act, "set_network", device_id=devices, **STATIC, **SURE)
        assert message.startswith("one_miner_only")
        miner.refuse["set_zone"] = 132
        zone = CASES["set_time_zone"].data
        message = await refused(act, "set_time_zone", device_id=devices, **zone)
        assert message.startswith("command_refused")
        assert other.truth().settings.zonename == "Europe/Berlin"
        await hass.config_entries.async_unload(second.entry_id)
