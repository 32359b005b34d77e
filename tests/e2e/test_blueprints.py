"""A person makes an automation with a blueprint, without a line of YAML."""

from demo_config import MINERS, PRICES
from playwright.async_api import expect
import pytest

from .forms import FORMS
from .house import House, until
from .pages import Person

NAME = MINERS[0].name
SLUG = MINERS[0].slug


async def automation(house: House) -> str | None:
    """The entity of the only automation that runs."""
    for state in await house.home.get("/api/states"):
        if state["entity_id"].startswith("automation."):
            return str(state["entity_id"])
    return None


async def test_filled_in_and_at_work(house: House, person: Person) -> None:
    """Who fills in the form and saves must have a miner that stops when electricity is expensive."""
    # Below anything that the tariff ever says: it is expensive at any time.
    limits = {"limit_stop_above": 0.002, "limit_resume_below": 0.001}
    more = {"power_target": {"restarts_allowed": True}, "plan": {"shortest_run": 0}}
    await house.set_options(NAME, {"economics": PRICES, "limits": limits, **more})
    await house.until_state(f"sensor.{SLUG}_status", "mining")
    await person.open_blueprint("electricity price")
    await person.pick(person.input("Miners"), "Select a device", NAME)
    await person.save()
    await until(lambda: automation(house), "the automation is there")
    await until(lambda: not house.miner.truth().mining, "the miner stopped")
    await house.until_state(f"select.{SLUG}_power_source", "price_limits")

    await person.page.goto("/config/automation/dashboard")
    await expect(
        person.page.get_by_role("row", name="WhatsMiner - electricity price")
    ).to_be_visible()


@pytest.mark.parametrize("blueprint", FORMS)
async def test_every_form_opens_filled_in(
    house: House, person: Person, blueprint: str
) -> None:
    """Who comes back to change something must find in the form what was filled in."""
    form = FORMS[blueprint]
    await person.open_filled_in(blueprint, await form.inputs(house))
    for text in form.shown:
        await expect(person.form).to_contain_text(text)
    await expect(person.page.get_by_text("Configuration error")).to_have_count(0)
    await person.sees_it_fits()
