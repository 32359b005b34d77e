"""A call for heat, and what the heat may cost, permit the thermostat to heat."""

from typing import Any

import pytest

from tests.blueprints.conftest import World

from .conftest import Room, Thermostat

QUICK = {"thermostat_minimum_run": 0, "thermostat_minimum_stop": 5}
HEAT = {
    "fixed_price": 0.30,
    "hashprice_sensor": "sensor.hashprice",
    "heat_source": "fuel",
    "heat_price": 0.10,
    "heat_efficiency": 1.0,
    "heat_share": 100,
    "thermostat_extra_cost": 0.05,
}


@pytest.mark.parametrize(
    ("options", "yes", "no"),
    [
        pytest.param(
            {**QUICK, "thermostat_call": "binary_sensor.demand"},
            ("binary_sensor.demand", "on", {}),
            ("binary_sensor.demand", "off", {}),
            id="demand",
        ),
        pytest.param(
            {**QUICK, "thermostat_call": "climate.boiler"},
            ("climate.boiler", "heat", {"hvac_action": "heating"}),
            ("climate.boiler", "heat", {"hvac_action": "idle"}),
            id="another thermostat",
        ),
        pytest.param(
            {**QUICK, "thermostat_call": "climate.simple"},
            ("climate.simple", "heat", {}),
            ("climate.simple", "unavailable", {}),
            id="without an action",
        ),
    ],
)
async def test_call_for_heat(
    world: World,
    room: Room,
    thermostat: Thermostat,
    yes: tuple[str, str, dict[str, Any]],
    no: tuple[str, str, dict[str, Any]],
) -> None:
    """The miner would heat although the real heating needs none, or never."""
    await world.set(yes[0], yes[1], **yes[2])
    await thermostat.heat(25)
    await world.let_pass(minutes=4)
    assert world.runs
    await world.set(no[0], no[1], **no[2])
    await world.let_pass(minutes=4)
    assert thermostat.status == "no_demand"
    assert not world.runs
    await world.set(yes[0], yes[1], **yes[2])
    await world.let_pass(minutes=6)
    assert world.runs


@pytest.mark.parametrize("options", [{**QUICK, **HEAT}])
async def test_price(world: World, room: Room, thermostat: Thermostat) -> None:
    """Comfort would cost more than the user allows, or end where nothing is known."""
    await thermostat.heat(25)
    await world.let_pass(minutes=4)
    assert world.runs  # an unknown hashprice stops no heating
    # 24 W per TH/s: 0.30 EUR/kWh less what the hashes of a kWh earn, less 0.10 for the gas.
    await world.set("sensor.hashprice", 0.02, unit_of_measurement="EUR/TH/day")
    await world.let_pass(minutes=4)
    assert thermostat.status == "too_expensive"
    assert not world.runs
    await world.set("sensor.hashprice", 0.2, unit_of_measurement="EUR/TH/day")
    await world.let_pass(minutes=6)
    assert world.runs
