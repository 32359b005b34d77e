"""Repair issues: each belongs to one config entry."""

from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN


@callback
def report_issue(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    kind: str,
    *,
    text: str | None = None,
    is_open: bool = True,
    is_fixable: bool = False,
    is_persistent: bool = False,
    severity: ir.IssueSeverity = ir.IssueSeverity.WARNING,
    **named: str,
) -> None:
    """Create an issue that the user must repair, or delete it; `named` is what its text names.

    Its text is that of its kind, unless several kinds share one.
    """
    if not is_open:
        delete_issues(hass, entry, kind)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(entry, kind),
        data={"entry_id": entry.entry_id} if is_fixable else None,
        is_fixable=is_fixable,
        is_persistent=is_persistent,
        severity=severity,
        translation_key=text or kind,
        translation_placeholders={
            "name": entry.title,
            "host": entry.data.get(CONF_HOST, ""),
            **named,
        },
    )


@callback
def delete_issues(hass: HomeAssistant, entry: ConfigEntry[Any], *kinds: str) -> None:
    """Delete the issues of these kinds."""
    for kind in kinds:
        ir.async_delete_issue(hass, DOMAIN, _issue_id(entry, kind))


def _issue_id(entry: ConfigEntry[Any], kind: str) -> str:
    return f"{kind}_{entry.entry_id}"
