"""What a miner can be commanded, and what of it can be read back: one decision for all dialects.

Pure tables and one function. Letters in brackets are sections of docs/protocol.md.
"""

from collections.abc import Mapping
from dataclasses import replace
import re
from typing import NamedTuple

from .catalog import features_of
from .models import Cooling, Dialect, Feature, MinerInfo
from .parse import cooling_of

_UNREADABLE_ON_4028 = frozenset(
    {
        Feature.FAN_ZERO_SPEED,
        Feature.HEAT_MODE,
        Feature.LOG_SERVER,
        Feature.POWER_OFF_COOL,
        Feature.START_AT_BOOT,
        Feature.TEMPERATURE_OFFSET,
        Feature.TIME_ZONE,
        Feature.WEB_POOLS,
    }
)
_UNREADABLE: dict[Dialect, frozenset[Feature]] = {
    Dialect.V1: _UNREADABLE_ON_4028
    | {
        Feature.FAST_BOOT,
        Feature.HOSTNAME,
        Feature.NETWORK,
        Feature.POWER_PERCENT,
        Feature.SSH,
        Feature.TARGET_FREQUENCY,
    },
    Dialect.V2: _UNREADABLE_ON_4028 | {Feature.POWER_PERCENT, Feature.UPFREQ_SPEED},
    Dialect.V2_2: _UNREADABLE_ON_4028 | {Feature.POWER},
    Dialect.V3: frozenset({Feature.START_AT_BOOT}),
}
"""The first guess (C, protocol.md#d1, #d4, #e5): a fresh answer that has the field decides."""

_WRITABLE_SINCE = {(Dialect.V3, Feature.FAST_HASH): (3, 0, 2)}
_READABLE_SINCE = {
    (Dialect.V2, Feature.TARGET_FREQUENCY): (2, 0, 5),
    (Dialect.V3, Feature.POWER): (3, 0, 3),
}


class Capabilities(NamedTuple):
    """What a miner can do for its owner."""

    features: frozenset[Feature]
    unreadable: frozenset[Feature]


def version_tuple(api_version: str | None) -> tuple[int, ...]:
    """Return `2.0.5` as numbers; nothing where there are none."""
    return tuple(int(number) for number in re.findall(r"\d{1,9}", api_version or ""))


def capabilities(
    dialect: Dialect,
    api_version: str | None = None,
    cooling: Cooling | None = None,
) -> Capabilities:
    """Return the features of a miner, and those of them that it does not report.

    An unknown version of API 3 counts as the newest, one of 2.0.x as the oldest.
    """
    version = version_tuple(api_version)
    if not version and dialect is Dialect.V3:
        version = (3, 999)

    def later(since: Mapping[tuple[Dialect, Feature], tuple[int, ...]]) -> set[Feature]:
        return {
            feature
            for (known, feature), first in since.items()
            if known is dialect and version < first
        }

    features = features_of(dialect, cooling) - later(_WRITABLE_SINCE)
    unreadable = _UNREADABLE[dialect] | later(_READABLE_SINCE)
    return Capabilities(features, features_of(dialect) & unreadable)


def with_capabilities(info: MinerInfo) -> MinerInfo:
    """Return who a miner is with what it can do, by its dialect, version and model."""
    cooling = cooling_of(info.model)
    can = capabilities(info.dialect, info.api_version, cooling)
    return replace(info, cooling=cooling, **can._asdict())
