"""Download the log of a miner, and upload firmware images, as files."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
import errno
import os
from pathlib import Path
import re
from typing import Any, BinaryIO

from homeassistant.core import HomeAssistant

from ..api import CommandRefusedError, NoAnswerError, UnsupportedCommandError
from ..const import DOMAIN, LOGGER
from ..coordinator import WhatsminerCoordinator
from ..exceptions import failed, invalid
from ..runtime import WhatsminerData

PIECE = 1 << 16
"""Bytes of an image that are read per step."""


async def async_download_log(coordinator: WhatsminerCoordinator) -> dict[str, Any]:
    """Save the miner's log in our folder of the configuration; it replaces the previous one."""
    hass, name = coordinator.hass, coordinator.config_entry.title
    # Only hexadecimal digits: what a miner reports must never become a path.
    mac = re.sub(r"[^0-9a-f]", "", coordinator.config_entry.unique_id or "")
    path = Path(hass.config.path(DOMAIN, f"{mac or 'miner'}.tgz"))
    try:
        async with coordinator.one_file, _whole_file(hass, path) as file:

            async def write(piece: bytes) -> None:
                await hass.async_add_executor_job(file.write, piece)

            size = await coordinator.miner.download_logs(write)
    except NoAnswerError as err:
        raise failed("log_incomplete", name=name) from err
    except OSError as err:
        raise failed(
            "log_not_kept", name=name, path=str(path), reason=_reason(err)
        ) from err
    return {"path": str(path), "size": size}


@asynccontextmanager
async def _whole_file(hass: HomeAssistant, path: Path) -> AsyncGenerator[BinaryIO]:
    """Open a file that replaces the previous one when complete, and is deleted otherwise."""
    run = hass.async_add_executor_job
    part = path.with_suffix(".part")

    def create() -> BinaryIO:
        path.parent.mkdir(exist_ok=True)
        return part.open("wb")

    def keep() -> None:
        file.close()
        part.replace(path)

    def drop() -> None:
        file.close()
        part.unlink(missing_ok=True)

    file = await run(create)
    try:
        yield file
        await run(keep)
    except BaseException:
        await run(drop)
        raise


async def async_send_image(
    coordinator: WhatsminerCoordinator, path: str, platform: str
) -> None:
    """Upload an image; raise unless it is made for the miner's platform."""
    hass, miner = coordinator.hass, coordinator.miner
    name, info = coordinator.config_entry.title, miner.info
    if info.platform and info.platform.upper() != platform.upper():
        raise invalid(
            "wrong_platform", name=name, platform=platform, actual=info.platform
        )
    if not await hass.async_add_executor_job(hass.config.is_allowed_path, path):
        raise invalid("path_not_allowed", path=path)
    try:
        file, size = await hass.async_add_executor_job(open_image, path)
    except OSError as err:
        raise invalid("file_unreadable", path=path, reason=_reason(err)) from err
    LOGGER.info("%s: installing %s, %s bytes, over %s", name, path, size, info.firmware)
    runtime: WhatsminerData = coordinator.config_entry.runtime_data
    progress = runtime.installation.start(Path(path).name, size)

    async def pieces() -> AsyncGenerator[bytes]:
        while piece := await hass.async_add_executor_job(file.read, PIECE):
            yield piece

    try:
        await miner.update_firmware(pieces(), size, progress)
    except UnsupportedCommandError:
        raise
    except CommandRefusedError as err:
        raise failed(
            "firmware_refused",
            name=name,
            code=str(err.code),
            message=err.message,
        ) from err
    except OSError as err:
        raise failed(
            "upload_broken", name=name, path=path, reason=_reason(err)
        ) from err
    finally:
        await hass.async_add_executor_job(file.close)


def _reason(err: OSError) -> str:
    """Return the operating system's own word for an error."""
    return err.strerror or os.strerror(err.errno or errno.EIO)


def open_image(path: str) -> tuple[BinaryIO, int]:
    """Open a file, and return it with its size; raise if it is not a regular file."""
    if not Path(path).is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    file = Path(path).open("rb")
    return file, os.fstat(file.fileno()).st_size
