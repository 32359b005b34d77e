"""The one place that turns errors of the client into sentences of Home Assistant.

The key of each error class is in the translations, under `exceptions` and under `config.error`.
"""

import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_translations

from .api import InvalidValueError, WhatsminerError
from .const import DOMAIN


def placeholders(error: WhatsminerError, host: str) -> dict[str, str]:
    """Return what the sentence of an error names."""
    return {"host": host, **error.named}


def markdown(text: str) -> str:
    """Return text of the miner as it is shown in Markdown: no link, picture or list."""
    return re.sub(r"([\\`*_\[\]<>#|~!])", r"\\\1", " ".join(text.split()))


def markdown_placeholders(error: WhatsminerError, host: str) -> dict[str, Any]:
    """Return the placeholders of a sentence that is shown in Markdown."""
    return {key: markdown(text) for key, text in placeholders(error, host).items()}


def translated[E: HomeAssistantError](
    cls: type[E], error: WhatsminerError, host: str
) -> E:
    """Return an exception of Home Assistant with the sentence for an error of the client."""
    return cls(
        translation_domain=DOMAIN,
        translation_key=error.key,
        translation_placeholders=placeholders(error, host),
    )


async def async_sentence(hass: HomeAssistant, error: HomeAssistantError) -> str:
    """Return the sentence of an error in the language of Home Assistant."""
    key = f"component.{error.translation_domain}.exceptions.{error.translation_key}.message"
    texts = await async_get_translations(
        hass, hass.config.language, "exceptions", [DOMAIN]
    )
    if text := texts.get(key):
        return text.format(**error.translation_placeholders or {})
    return str(error)


def invalid(key: str, **named: str) -> ServiceValidationError:
    """Return the error of an impossible request; the sentence of that key says what is possible."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=named
    )


def not_sent(error: InvalidValueError, name: str) -> ServiceValidationError:
    """Return the error of a request that no miner would understand; nothing was sent."""
    return invalid(f"invalid_{error.key}", name=name, **error.named)


def failed(key: str, **named: str) -> HomeAssistantError:
    """Return the error of a request that failed; the sentence of that key says what to do."""
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=named
    )
