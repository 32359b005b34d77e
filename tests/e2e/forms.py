"""The forms of the blueprints as somebody fills them in; for the tests and for the pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from demo_config import MINERS

from .house import House

NAME = MINERS[0].name
SLUG = MINERS[0].slug


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form: what is filled in, made from the device of the miner, and what it then shows."""

    fill: Callable[[str], dict[str, Any]]
    shown: tuple[str, ...]

    async def inputs(self, house: House) -> dict[str, Any]:
        """What the automation says."""
        return self.fill(await house.device_id(NAME))


FORMS = {
    "weekly_pause": Form(
        fill=lambda miner: {
            "miners": [miner],
            "weekdays": ["mon", "tue", "wed", "thu", "fri"],
            "pause_at": "08:00:00",
            "resume_at": "13:00:00",
            "last_day": "2027-05-31",
        },
        shown=(NAME, "Monday", "Friday"),
    ),
    "electricity_price": Form(
        fill=lambda miner: {
            "miners": [miner],
            "source": "price_limits",
        },
        shown=(NAME, "Price limits"),
    ),
    "heating": Form(
        fill=lambda miner: {
            "miners": [miner],
            "temperature": "input_number.living_room_temperature",
            "target": 21,
            "lock_out": 28,
            "quiet_from": "22:00:00",
            "quiet_to": "06:30:00",
        },
        shown=(NAME, "Living room temperature"),
    ),
    "grid_call": Form(
        fill=lambda miner: {"miners": [miner], "signal": "input_boolean.grid_call"},
        shown=(NAME, "Grid call"),
    ),
    "watchdog": Form(
        fill=lambda miner: {
            "hashrate": f"sensor.{SLUG}_hashrate",
            "lowest_hashrate": 60,
            "restart_button": f"button.{SLUG}_restart_mining_process",
            "reboot_button": f"button.{SLUG}_reboot",
            "pool": f"sensor.{SLUG}_pool",
        },
        shown=("Hashrate", "Restart mining process", "Reboot"),
    ),
}
