"""What a loaded entry holds."""

from dataclasses import dataclass, field

from homeassistant.config_entries import ConfigEntry
from homeassistant.helpers.entity import EntityDescription

from .commander import Commander
from .coordinator import WhatsminerCoordinator
from .entity import WhatsminerEntity
from .faults import FaultLog
from .firmware import Installation
from .heat.heating import Heating
from .money.learning import Learning
from .money.planner import Planner
from .power.executor import PowerExecutor
from .power.external import External
from .power.follower import Follower
from .power.target import PowerTarget

type WhatsminerConfigEntry = ConfigEntry[WhatsminerData]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatsminerData:
    """One miner: who polls it, who commands it, and who decides about its power."""

    coordinator: WhatsminerCoordinator
    commander: Commander
    curtailment: PowerExecutor
    power_target: PowerTarget
    external: External
    follower: Follower
    fault_log: FaultLog
    learning: Learning
    planner: Planner
    heating: Heating | None
    """The thermostat, if a temperature sensor is chosen."""
    installation: Installation = field(default_factory=Installation)


class EntryEntity(WhatsminerEntity):
    """An entity that shows or sets what a loaded entry holds."""

    def __init__(self, data: WhatsminerData, description: EntityDescription) -> None:
        """Keep what the entry holds."""
        super().__init__(data.coordinator, description)
        self._data = data
