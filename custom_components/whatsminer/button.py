"""Buttons: restart btminer, reboot the control board, blink the LEDs, resume, reset the savings."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.button import (
    ButtonDeviceClass,
    ButtonEntity,
    ButtonEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Feature, MinerState, UnknownOutcomeError
from .commander import DEADLINE_REBOOT, DEADLINE_RESTART, Command
from .const import LOGGER
from .controls import rebooted, restarted
from .entity import add_offered
from .money.economics import RESET_SAVED, Market
from .runtime import EntryEntity, WhatsminerConfigEntry

# The client has one lock per miner; blinking must not keep a restart waiting.
PARALLEL_UPDATES = 0

BLINK_SECONDS = 20
END_SECONDS = 10
"""How long the end of an entry may wait for the LEDs."""


@dataclass(frozen=True, kw_only=True)
class WhatsminerButtonDescription(ButtonEntityDescription):
    """A button, and the command it sends in a state of the miner."""

    feature: Feature
    command_fn: Callable[[MinerState], Command]


IDENTIFY = "identify"
RESUME = ButtonEntityDescription(key="resume")
RESET_SAVINGS = ButtonEntityDescription(
    key="reset_savings",
    entity_category=EntityCategory.CONFIG,
)

BUTTONS: tuple[WhatsminerButtonDescription, ...] = (
    WhatsminerButtonDescription(
        key="restart_btminer",
        device_class=ButtonDeviceClass.RESTART,
        entity_category=EntityCategory.CONFIG,
        feature=Feature.RESTART,
        command_fn=lambda before: Command(
            key="restart_btminer",
            send=lambda miner: miner.restart_btminer(),
            done=restarted(before),
            deadline=DEADLINE_RESTART,
            interrupts=True,
        ),
    ),
    WhatsminerButtonDescription(
        key="reboot",
        device_class=ButtonDeviceClass.RESTART,
        entity_category=EntityCategory.CONFIG,
        feature=Feature.REBOOT,
        command_fn=lambda before: Command(
            key="reboot",
            send=lambda miner: miner.reboot(),
            done=rebooted(before),
            deadline=DEADLINE_REBOOT,
            interrupts=True,
        ),
    ),
    WhatsminerButtonDescription(
        key=IDENTIFY,
        device_class=ButtonDeviceClass.IDENTIFY,
        entity_category=EntityCategory.DIAGNOSTIC,
        feature=Feature.LED,
        command_fn=lambda _: Command(key=IDENTIFY, send=lambda miner: miner.blink()),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WhatsminerConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the buttons this miner can be commanded with."""
    data = entry.runtime_data
    can = data.coordinator.can
    buttons: list[EntryEntity] = [
        (IdentifyButton if description.key == IDENTIFY else WhatsminerButton)(
            data, description
        )
        for description in BUTTONS
        if can(description.feature)
    ]
    # A curtailment that is active can be seen and ended without a password, too.
    if can(Feature.MINING) or data.curtailment.state != "none":
        buttons.append(ResumeButton(data, RESUME))
    if Market(hass, entry.options).has_prices:
        buttons.append(ResetSavingsButton(data, RESET_SAVINGS))
    add_offered(async_add_entities, buttons)


class WhatsminerButton(EntryEntity, ButtonEntity):
    """Something the miner does once."""

    entity_description: WhatsminerButtonDescription

    @override
    async def async_press(self) -> None:
        await self._data.commander.async_command(
            self.entity_description.command_fn(self.coordinator.data)
        )


class ResumeButton(EntryEntity, ButtonEntity):
    """Ends the curtailment, and restores the previous settings."""

    @override
    async def async_press(self) -> None:
        await self._data.curtailment.async_resume()


class ResetSavingsButton(EntryEntity, ButtonEntity):
    """Lets the savings start again at 0."""

    _needs_miner = False

    @override
    async def async_press(self) -> None:
        entry_id = self.coordinator.config_entry.entry_id
        async_dispatcher_send(self.hass, RESET_SAVED.format(entry_id))


class IdentifyButton(WhatsminerButton):
    """Blinks both LEDs for a while, then leaves them to the miner again."""

    _lit = False
    _ending: asyncio.Task[None] | None = None

    @override
    async def async_press(self) -> None:
        """Light the LEDs and return; a press while they blink prolongs it."""
        was_lit, self._lit = self._lit, True
        try:
            await super().async_press()
        except HomeAssistantError as err:
            if not isinstance(err.__cause__, UnknownOutcomeError):
                self._lit = was_lit  # this one lit nothing
            raise
        finally:
            if self._ending:
                self._ending.cancel()
            self._ending = self.coordinator.start_task(
                self._async_end_later(), IDENTIFY
            )

    @override
    async def async_will_remove_from_hass(self) -> None:
        """End it while the miner can still be commanded."""
        if self._ending:
            self._ending.cancel()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._async_end()
        except (HomeAssistantError, TimeoutError) as err:
            self._warn(err)
        await super().async_will_remove_from_hass()

    async def _async_end_later(self) -> None:
        """Wait for the end of the blinking, and end it."""
        await asyncio.sleep(BLINK_SECONDS)
        try:
            await self._async_end()
        except HomeAssistantError as err:
            self._warn(err)

    def _warn(self, err: Exception) -> None:
        name = self.coordinator.name
        LOGGER.warning("%s: the LEDs may continue to blink: %r", name, err)

    async def _async_end(self) -> None:
        """Leave them to the miner, after a blink that is just being sent."""
        if self._lit and await self._data.commander.async_command(
            Command(key=IDENTIFY, send=lambda miner: miner.set_led_auto())
        ):
            self._lit = False
