"""dashboards/: every entity that a card names exists in a home that has such miners and prices."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
import re
from typing import Any

from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import yaml

from custom_components.whatsminer.const import (
    CONF_ACCOUNT,
    CONF_HASHPRICE,
    CONF_PRICE_SENSOR,
    CONF_V3_PASSWORD,
    CONF_V3_PORT,
    DOMAIN,
)
from simulator import SimulatedMiner

ROOT = Path(__file__).parents[2]
PRICE = "sensor.electricity_price"
# What the views call the miners.
MINERS = {"v205_m50": "CA:01:14:00:00:A4", "v2c_m60s": "CA:01:14:00:00:B7"}
VIEWS = ["miner", "fleet"]
# An entity alone, or in a template; and not the action button.press.
ENTITY = re.compile(
    r"(?:^|states\(')((?:binary_sensor|button|number|select|sensor|switch)\.(?!press$)\w+)"
)
# What comes with Home Assistant; anything else would have to be installed.
BUILT_IN = {
    *("button", "distribution", "entities", "entity", "gauge", "heading"),
    *("history-graph", "markdown", "sections", "tile"),
}


def view(name: str) -> dict[str, Any]:
    """A view as Home Assistant reads it."""
    content: dict[str, Any] = yaml.safe_load(
        (ROOT / "dashboards" / f"{name}.yaml").read_text()
    )
    return content


def entities(part: Any) -> Iterator[str]:
    """All entities that something names, at any depth, also in a template."""
    match part:
        case dict():
            for value in part.values():
                yield from entities(value)
        case list():
            for value in part:
                yield from entities(value)
        case str():
            yield from ENTITY.findall(part)


def cards(part: Any) -> Iterator[str]:
    """The types of all cards, badges and views; a feature of a card is none."""
    match part:
        case dict():
            if "type" in part:
                yield part["type"]
            for key, value in part.items():
                if key != "features":
                    yield from cards(value)
        case list():
            for value in part:
                yield from cards(value)


@pytest.fixture
async def home(hass: HomeAssistant) -> AsyncIterator[HomeAssistant]:
    """A home with both miners and a price of electricity."""
    hass.states.async_set(PRICE, "0.25", {"unit_of_measurement": "EUR/kWh"})
    async with AsyncExitStack() as stack:
        for profile, mac in MINERS.items():
            miner = await stack.enter_async_context(
                SimulatedMiner(profile, mac=mac, password="admin")
            )
            data = {
                CONF_HOST: miner.host,
                CONF_PORT: miner.port,
                CONF_V3_PORT: miner.v3_port or 1,
                CONF_PASSWORD: "admin",
            }
            if miner.v3_port:
                data |= {CONF_ACCOUNT: "super", CONF_V3_PASSWORD: "super"}
            entry = MockConfigEntry(
                domain=DOMAIN,
                unique_id=mac.lower(),
                data=data,
                options={CONF_PRICE_SENSOR: PRICE, CONF_HASHPRICE: 0.05},
            )
            entry.add_to_hass(hass)
            assert await hass.config_entries.async_setup(entry.entry_id)
            await hass.async_block_till_done()
        yield hass
        for entry in hass.config_entries.async_entries(DOMAIN):
            await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("name", VIEWS)
async def test_entities_exist(home: HomeAssistant, name: str) -> None:
    """Who puts a view in must not find cards that say that their entity is not there."""
    named = set(entities(view(name)))
    assert len(named) > 15
    assert {entity for entity in named if home.states.get(entity) is None} == set()


@pytest.mark.parametrize("name", VIEWS)
def test_built_in_cards_only(name: str) -> None:
    """A card of somebody else's would be an error message for everybody who has not got it."""
    assert set(cards(view(name))) <= BUILT_IN
