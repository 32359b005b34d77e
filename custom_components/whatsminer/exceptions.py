"""The one place that turns errors of the client into sentences of Home Assistant.

Each error class has one translation key; the same keys stand under `exceptions` and under
`config.error` in the translations.
"""

import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_translations

from .api import (
    AccountRefusedError,
    BtminerDownError,
    CannotConnectError,
    CommandRefusedError,
    InvalidAnswerError,
    InvalidValueError,
    NoAnswerError,
    NoMacError,
    NoPasswordError,
    NotWhatsminerError,
    PortClosedError,
    TokenRejectedError,
    TokenTableFullError,
    UnknownOutcomeError,
    UnsupportedCommandError,
    WhatsminerError,
    WriteApiDisabledError,
    WrongMinerError,
    WrongPasswordError,
)
from .const import DOMAIN

# A class stands before its base class.
_KEYS: tuple[tuple[type[WhatsminerError], str], ...] = (
    (PortClosedError, "port_closed"),
    (CannotConnectError, "cannot_connect"),
    (NoAnswerError, "no_answer"),
    (InvalidAnswerError, "invalid_answer"),
    (NotWhatsminerError, "not_whatsminer"),
    (BtminerDownError, "btminer_down"),
    (NoMacError, "no_mac"),
    (UnknownOutcomeError, "unknown_outcome"),
    (WrongMinerError, "wrong_miner"),
    (UnsupportedCommandError, "unsupported_command"),
    (CommandRefusedError, "command_refused"),
    (NoPasswordError, "no_password"),
    (WrongPasswordError, "wrong_password"),
    (AccountRefusedError, "account_refused"),
    (WriteApiDisabledError, "write_api_disabled"),
    (TokenTableFullError, "token_table_full"),
    (TokenRejectedError, "token_rejected"),
)


def translation_key(error: WhatsminerError) -> str:
    """The key of the sentence that says what to do about an error."""
    return next((key for cls, key in _KEYS if isinstance(error, cls)), "unknown")


def placeholders(error: WhatsminerError, host: str) -> dict[str, str]:
    """What the sentences may name."""
    values = {"host": host}
    if isinstance(error, CommandRefusedError):
        values |= {
            "command": error.command,
            "code": str(error.code),
            "message": error.message,
        }
    elif isinstance(error, PortClosedError):
        values["port"] = str(error.port)
    elif isinstance(error, TokenTableFullError):
        values["seconds"] = f"{error.retry_after:.0f}"
    elif isinstance(error, AccountRefusedError):
        values["account"] = error.account
    elif isinstance(error, WrongMinerError):
        values |= {"expected": error.expected.upper(), "found": error.found.upper()}
    return values


def markdown(text: str) -> str:
    """Return text of the miner as it is shown in Markdown: no link, picture or list."""
    return re.sub(r"([\\`*_\[\]<>#|~!])", r"\\\1", " ".join(text.split()))


def markdown_placeholders(error: WhatsminerError, host: str) -> dict[str, Any]:
    """Return the placeholders of a sentence that is shown in Markdown."""
    return {key: markdown(text) for key, text in placeholders(error, host).items()}


def translated[E: HomeAssistantError](
    cls: type[E], error: WhatsminerError, host: str
) -> E:
    """An exception of Home Assistant with the sentence for an error of the client."""
    return cls(
        translation_domain=DOMAIN,
        translation_key=translation_key(error),
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
    """Return the error of a request that makes no sense; the sentence of that key says what does."""
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
