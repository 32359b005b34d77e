"""Download of logs and installation of firmware: complete or not at all."""

import asyncio
import io
from pathlib import Path
from typing import Any, BinaryIO

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsminer.api import MAX_FIRMWARE, transport
from custom_components.whatsminer.const import DOMAIN
from custom_components.whatsminer.coordinator import WhatsminerCoordinator
from custom_components.whatsminer.services import transfer as files
from simulator import SimulatedMiner, make_image

from .conftest import Act, RaceClock, Show, until

VERSION = "20260401.12.REL"
every_way = pytest.mark.parametrize("profile", ["v1_m20s", "v205_m50", "v2c_m60s"])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, clock: RaceClock) -> None:
    """Let the miner's time run fast, shorten the waits, and read an image in small pieces."""
    monkeypatch.setattr(
        "custom_components.whatsminer.services.follow_up.INTERVAL", 0.02
    )
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 1.0)
    monkeypatch.setattr(files, "PIECE", 300)
    clock.rate = 100
    clock.race()


@pytest.fixture(autouse=True)
def _folders(
    hass: HomeAssistant, coordinator: WhatsminerCoordinator, tmp_path: Path
) -> None:
    """Keep the configuration and readable files in one folder."""
    hass.config.config_dir = str(tmp_path / "config")
    (tmp_path / "config").mkdir()
    (tmp_path / "media").mkdir()
    hass.config.allowlist_external_dirs = {str(tmp_path / "media")}


async def refused(act: Act, action: str, **data: Any) -> str:
    """Call an action that must fail; return its key and its message."""
    with pytest.raises(HomeAssistantError) as error:
        await act(action, **data)
    assert "{" not in str(error.value)
    return f"{error.value.translation_key}: {error.value}"


# Logs


def kept(tmp_path: Path) -> list[str]:
    """Return the files in the integration's folder of the configuration."""
    return [path.name for path in (tmp_path / "config" / DOMAIN).iterdir()]


def content(path: Path | str) -> bytes:
    """Return the contents of a file."""
    return Path(path).read_bytes()


@every_way
async def test_a_log_is_what_the_miner_has(
    act: Act, miner: SimulatedMiner, tmp_path: Path
) -> None:
    """A user could not get the log, which is needed first to help with a faulty miner."""
    for _ in range(2):  # the second takes the place of the first
        response = await act("download_logs")
        path = Path(response["path"])
        assert path.parent == tmp_path / "config" / DOMAIN
        assert content(path) == miner.log
        assert response["size"] == len(miner.log)
    assert kept(tmp_path) == [f"{miner.mac.replace(':', '').lower()}.tgz"]


@every_way
@pytest.mark.parametrize("fault", ["cut_log", "stalled_log", "long_log", "huge_log"])
async def test_half_a_log_is_none(
    act: Act, miner: SimulatedMiner, tmp_path: Path, fault: str
) -> None:
    """A truncated log would look complete, or replace a good one."""
    miner.inject(fault)
    sentence = await refused(act, "download_logs")
    assert sentence.split(":")[0] in ("log_incomplete", "invalid_answer")
    assert kept(tmp_path) == []
    miner.clear_failures()
    await act("download_logs")
    [name] = kept(tmp_path)
    miner.inject(fault)
    await refused(act, "download_logs")
    assert (tmp_path / "config" / DOMAIN / name).read_bytes() == miner.log
    assert kept(tmp_path) == [name]


async def test_a_log_that_cannot_be_kept(act: Act, tmp_path: Path) -> None:
    """A full disk would look like a failure of the miner."""
    (tmp_path / "config" / DOMAIN).write_text("no folder")
    assert (await refused(act, "download_logs")).startswith("log_not_kept")


async def test_two_simultaneous_downloads(
    act: Act, miner: SimulatedMiner, tmp_path: Path
) -> None:
    """Two automations would write into one file."""
    first, second = await asyncio.gather(act("download_logs"), act("download_logs"))
    assert first == second
    assert content(first["path"]) == miner.log
    assert len(kept(tmp_path)) == 1


# Firmware


@pytest.fixture
def install(act: Act, miner: SimulatedMiner, tmp_path: Path) -> Act:
    """Install an image; the default is one for this miner."""
    platform = miner.profile.platform

    async def run(image: bytes | None = None, **data: Any) -> Any:
        path = tmp_path / "media" / "image.bin"
        path.write_bytes(make_image(platform, VERSION) if image is None else image)
        call = {"path": str(path), "platform": platform, "confirm": True} | data
        return await act("update_firmware", **call)

    return run


async def fails(install: Act, *image: bytes, **data: Any) -> str:
    """Install an image that is refused; return the key and the message."""
    with pytest.raises(HomeAssistantError) as error:
        await install(*image, **data)
    assert "{" not in str(error.value)
    return f"{error.value.translation_key}: {error.value}"


@every_way
async def test_new_firmware_is_seen_running(
    hass: HomeAssistant,
    install: Act,
    miner: SimulatedMiner,
    entry: MockConfigEntry,
    state: Show,
    entity_id: Show,
) -> None:
    """A user would not notice that an update had no effect, nor when not to switch the miner off."""
    before = miner.profile.firmware
    shown: list[Any] = []
    entity = entity_id("update", "firmware")

    @callback
    def follow(event: Event[EventStateChangedData]) -> None:
        if new := event.data["new_state"]:
            of = new.attributes
            shown.append(
                (new.state, of.get("latest_version"), of.get("update_percentage"))
            )

    async_track_state_change_event(hass, entity, follow)
    seen: set[str] = set()

    async def watch() -> None:
        while True:
            if entry.state is ConfigEntryState.LOADED:
                seen.add(state("sensor", "status"))
            await asyncio.sleep(0.01)

    watching = hass.async_create_background_task(watch(), "watch")
    response = await install()
    assert response == {"version_before": before, "version_after": VERSION}
    assert miner.truth().firmware == VERSION
    assert miner.last_upload == make_image(miner.profile.platform, VERSION)
    assert "restarting" in seen
    await hass.async_block_till_done()
    image = "image.bin"
    sent = [of[2] for of in shown if of[:2] == ("on", image)]
    assert sent[0] == 0
    assert any(percent for percent in sent)
    assert sent[-1] is None  # the miner installs it and reboots
    assert shown[-1] == ("off", VERSION, None)
    assert entry.state is ConfigEntryState.LOADED
    watching.cancel()


@pytest.mark.parametrize("profile", ["v205_m50", "v2c_m60s"])
@pytest.mark.parametrize("fault", ["no_final_answer", "plain_ready"])
async def test_new_firmware_without_an_answer(
    install: Act, miner: SimulatedMiner, fault: str
) -> None:
    """An update without a final answer would look like a failure, although the version shows that it succeeded."""
    miner.inject(fault)
    assert (await install())["version_after"] == VERSION


@every_way
async def test_an_image_that_is_not_taken(
    install: Act, miner: SimulatedMiner, state: Show
) -> None:
    """The user would assume a version that is not running."""
    miner.inject("image_refused")
    assert (await fails(install)).startswith("firmware_refused")
    assert state("update", "firmware") == "off"
    miner.clear_failures()
    whole = make_image(miner.profile.platform, VERSION)
    assert (await fails(install, whole[:-1])).startswith("firmware_refused")
    miner.inject("old_version")
    sentence = await fails(install)
    assert sentence.startswith("firmware_unchanged")
    assert miner.profile.firmware in sentence


@every_way
async def test_an_upload_that_breaks_off(
    install: Act, miner: SimulatedMiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user would assume that the miner is fine after half an image; its state is unknown."""
    monkeypatch.setattr(
        "custom_components.whatsminer.services.follow_up.DEADLINE_REBOOT", 0.5
    )
    monkeypatch.setattr(files, "PIECE", 1 << 20)
    image = make_image(miner.profile.platform, VERSION, 4 << 20)
    miner.inject("cut_upload")
    assert (await fails(install, image)).startswith("firmware_not_seen")
    assert miner.truth().firmware == miner.profile.firmware
    announced = [c for c in miner.commands if "update_firmware" in c.name]
    assert len(announced) == 1


async def test_what_is_never_sent(
    install: Act, miner: SimulatedMiner, tmp_path: Path
) -> None:
    """A wrong file would make a miner unusable."""

    async def message(*image: bytes, **data: Any) -> str:
        with pytest.raises(ServiceValidationError) as error:
            await install(*image, **data)
        return f"{error.value.translation_key}: {error.value}"

    assert (await message(platform="H6OS")).startswith("wrong_platform")
    assert (await message(b"")).startswith("invalid_image_size")
    missing = tmp_path / "media" / "missing.bin"
    assert (await message(path=str(missing))).startswith("file_unreadable")
    assert (await message(path=str(tmp_path / "media"))).startswith("file_unreadable")
    secret = tmp_path / "config" / "secrets.yaml"
    secret.write_text("hidden")
    assert (await message(path=str(secret))).startswith("path_not_allowed")
    link = tmp_path / "media" / "link.bin"
    link.symlink_to(secret)
    assert (await message(path=str(link))).startswith("path_not_allowed")
    huge = tmp_path / "media" / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(MAX_FIRMWARE + 1)
    assert str(MAX_FIRMWARE) in await message(path=str(huge))
    assert "update_firmware" not in [command.name for command in miner.commands]
    # The platform may be written as one likes.
    assert (await install(platform="h616"))["version_after"] == VERSION


@every_way
async def test_an_image_on_a_disk_that_fails(
    install: Act, miner: SimulatedMiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unavailable network drive would look like an offline miner, and the file would stay open."""
    opened: list[BinaryIO] = []
    really_open = files.open_image

    class Failing(io.BytesIO):
        """Return the first piece, then fail."""

        begun = False

        def read(self, size: int | None = -1, /) -> bytes:
            if self.begun:
                raise OSError(5, "Input/output error")
            self.begun = True
            return super().read(size)

    def open_failing(path: str) -> tuple[BinaryIO, int]:
        file, size = really_open(path)
        opened.append(Failing(file.read()))
        file.close()
        return opened[-1], size

    monkeypatch.setattr(files, "open_image", open_failing)
    sentence = await fails(install)
    assert sentence.startswith("upload_broken")
    assert "Input/output error" in sentence
    assert [file.closed for file in opened] == [True]
    assert miner.truth().firmware == miner.profile.firmware


async def test_a_download_that_is_given_up(
    hass: HomeAssistant, act: Act, miner: SimulatedMiner, tmp_path: Path
) -> None:
    """A stopped script would leave half of a file behind."""
    miner.inject("stalled_log")
    task = hass.async_create_task(act("download_logs"))
    await until(lambda: any("download" in command.name for command in miner.commands))
    await asyncio.sleep(0.1)
    assert kept(tmp_path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept(tmp_path) == []
