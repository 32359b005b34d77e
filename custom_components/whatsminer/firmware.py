"""The firmware image that is being installed on a miner, and how much of it is sent."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

from homeassistant.core import CALLBACK_TYPE


class Installation:
    """The installation of one miner, until its new firmware reports back."""

    def __init__(self) -> None:
        """Begin with none."""
        self.image: str | None = None
        """The name of the file."""
        self.percent: int | None = None
        """How much is sent; None while the miner installs it and reboots."""
        self._listeners: list[CALLBACK_TYPE] = []

    def on_change(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call a listener whenever the progress changes; return the function that removes it."""
        self._listeners.append(listener)
        return partial(self._listeners.remove, listener)

    def start(self, image: str, size: int) -> Callable[[int], None]:
        """Show that an image is being sent; return a function that takes the bytes sent so far."""

        def progress(sent: int) -> None:
            self._show(image, 100 * sent // size if sent < size else None)

        progress(0)
        return progress

    @contextmanager
    def ending(self) -> Generator[None]:
        """Show no installation after this context."""
        try:
            yield
        finally:
            self._show(None, None)

    def _show(self, image: str | None, percent: int | None) -> None:
        if (self.image, self.percent) != (image, percent):
            self.image, self.percent = image, percent
            for listener in self._listeners:
                listener()
