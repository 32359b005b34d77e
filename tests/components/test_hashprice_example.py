"""docs/setup.md: the example of a hashprice gives one that the integration takes."""

from pathlib import Path
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import yaml as yaml_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.const import CONF_HASHPRICE_SENSOR
from simulator import SimulatedMiner

from .conftest import Find

PAGE = Path(__file__).parents[2] / "docs" / "setup.md"
STATISTICS = SimpleNamespace(
    miners_revenue_usd=45_000_000, market_price_usd=100_000, hash_rate=1e12
)
"""As the web service reports them; its hashrate is in GH/s."""


async def test_hashprice_example(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    miner: SimulatedMiner,
    entity_id: Find,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A revenue that is wrong by a factor stops miners that earn, or lets others run."""
    service: Any = ModuleType("blockchain")
    service.statistics = SimpleNamespace(get=lambda: STATISTICS)
    service.exchangerates = SimpleNamespace(
        get_ticker=lambda: {"EUR": SimpleNamespace(p15min=80_000)}
    )
    monkeypatch.setitem(sys.modules, "blockchain", service)
    [text] = re.findall(
        r"^```yaml\n(sensor:.+?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    config = yaml_util.parse_yaml(text)
    assert isinstance(config, dict)
    for domain in ("sensor", "template"):
        assert await async_setup_component(hass, domain, config)
        await hass.async_block_till_done()
    hashprice = hass.states.get("sensor.hashprice")
    assert hashprice
    assert hashprice.state == "36.0"
    hass.config_entries.async_update_entry(
        entry, options={CONF_HASHPRICE_SENSOR: "sensor.hashprice"}
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    revenue = hass.states.get(entity_id("sensor", "revenue_per_hour"))
    assert revenue
    assert revenue.attributes["unit_of_measurement"] == "EUR/h"
    earned = miner.truth().hashrate_ths / 1000 * 36 / 24
    assert float(revenue.state) == pytest.approx(earned, rel=0.02)
