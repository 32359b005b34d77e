"""Logs (protocol.md#d7) and firmware images (protocol.md#d6): whole, bounded, or an error that says why."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from custom_components.whatsminer.api import (
    CommandRefusedError,
    InvalidAnswerError,
    NoAnswerError,
    UnknownOutcomeError,
    UnsupportedCommandError,
    WriteApiDisabledError,
    redact,
    transport,
)
from simulator import ManualClock, SimulatedMiner, make_image

from .conftest import (
    SETUPS,
    V3,
    WAIT,
    Client,
    Setup,
    Start,
    every_setup,
    every_way,
    pieces,
    sent,
)

pytestmark = pytest.mark.usefixtures("client_sockets")


# Logs (protocol.md#d7)


class File:
    """What is written somewhere else than here."""

    def __init__(self) -> None:
        """Begin empty."""
        self.data = b""

    async def write(self, chunk: bytes) -> None:
        """Take some bytes."""
        await asyncio.sleep(0)
        self.data += chunk


@every_setup
@pytest.mark.parametrize(
    "fault", [None, "one_segment", "plain_ready", "bytewise", "newline", "nul"]
)
async def test_the_log_comes_whole(
    start: Start, client: Client, setup: Setup, fault: str | None
) -> None:
    """The archive could not be opened."""
    sim = await start(setup)
    miner = await client(sim, setup)
    if fault:
        sim.inject(fault, "get.log.download" if setup.v3 else "download_logs")
    file = File()
    size = await miner.download_logs(file.write)
    assert file.data == sim.log
    assert size == len(sim.log)
    assert (await miner.read()).failed == {}
    assert max(sim.most_open_connections, sim.most_open_v3_connections) <= 1


@pytest.mark.usefixtures("skip_waiting")
@every_way
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("cut_log", NoAnswerError),
        ("stalled_log", NoAnswerError),
        ("long_log", NoAnswerError),
        ("reset_midway", NoAnswerError),
        ("silent", NoAnswerError),
        ("close", NoAnswerError),
        ("huge_log", InvalidAnswerError),
        ("wordy_log", InvalidAnswerError),
        ("garbage", InvalidAnswerError),
    ],
)
async def test_half_a_log_is_no_log(
    start: Start,
    client: Client,
    name: str,
    fault: str,
    error: type[Exception],
) -> None:
    """A torso would be taken for the log; or the disk be filled by what never ends."""
    setup = SETUPS[name]
    sim = await start(setup)
    miner = await client(sim, setup)
    sim.inject(fault, "get.log.download" if setup.v3 else "download_logs")
    file = File()
    with pytest.raises(error):
        await miner.download_logs(file.write)
    assert sim.log.startswith(file.data)
    assert len(file.data) < len(sim.log) or fault == "long_log"
    if error is InvalidAnswerError:
        assert file.data == b""
    sim.clear_failures()
    assert (await miner.read()).failed == {}
    assert await miner.download_logs(File().write) == len(sim.log)


@every_setup
async def test_an_odd_log_is_what_the_miner_says(
    start: Start, client: Client, setup: Setup
) -> None:
    """No more is written than was said, and nothing is written of nothing."""
    sim = await start(setup)
    miner = await client(sim, setup)
    command = "get.log.download" if setup.v3 else "download_logs"
    for fault in ("short_log", "empty_log"):
        file = File()
        sim.inject(fault, command)
        assert await miner.download_logs(file.write) == len(file.data) < len(sim.log)
        assert sim.log.startswith(file.data)
        sim.clear_failures()
        assert (await miner.read()).failed == {}


@pytest.mark.parametrize("name", ["2.0.5", "3.x"])
async def test_a_log_stops_where_its_taker_does(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A full disk is reported as what it is, a limit is heeded, and no socket is left open."""
    sim = await start(SETUPS[name])
    miner = await client(sim, SETUPS[name])

    async def full(chunk: bytes) -> None:
        raise OSError("no space left")

    async def late(chunk: bytes) -> None:
        raise TimeoutError("of the disk")

    with pytest.raises(OSError, match="no space left"):
        await miner.download_logs(full)
    with pytest.raises(TimeoutError, match="of the disk"):
        await miner.download_logs(late)
    monkeypatch.setattr(redact, "MAX_LOG", 1000)
    with pytest.raises(InvalidAnswerError, match="longer than 1000"):
        await miner.download_logs(full)
    assert (await miner.read()).failed == {}


@pytest.mark.parametrize("name", ["2.0.5", "3.x"])
async def test_a_log_has_a_deadline(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A taker that never ends would hold the miner for ever."""
    monkeypatch.setattr(transport, "TRANSFER_TIMEOUT", 0.2)
    sim = await start(SETUPS[name])
    miner = await client(sim, SETUPS[name])

    async def endless(chunk: bytes) -> None:
        await asyncio.Event().wait()

    with pytest.raises(NoAnswerError, match="in time"):
        await miner.download_logs(endless)
    assert (await miner.read()).failed == {}


@pytest.mark.parametrize(
    ("code", "error"), [(45, WriteApiDisabledError), (14, UnsupportedCommandError)]
)
async def test_a_log_may_be_refused(
    start: Start, client: Client, code: int, error: type[Exception]
) -> None:
    """The user would not learn that the API switch is in the way."""
    setup = SETUPS["2.0.5"]
    sim = await start(setup)
    miner = await client(sim, setup)
    sim.inject(f"error_{code}", "download_logs")
    with pytest.raises(error):
        await miner.download_logs(File().write)


# Firmware (protocol.md#d6)


def image_for(sim: SimulatedMiner, size: int = 200_000) -> bytes:
    """A newer firmware for the platform of a simulated miner."""
    return make_image(sim.profile.platform, "20301224.11.Rel", size)


UPDATE = {True: "set.system.update_firmware", False: "update_firmware"}


@every_setup
@pytest.mark.parametrize("fault", [None, "plain_ready", "bytewise"])
async def test_a_firmware_is_installed(
    start: Start, client: Client, clock: ManualClock, setup: Setup, fault: str | None
) -> None:
    """The miner would stay as it was, or be left with half of it."""
    sim = await start(setup)
    miner = await client(sim, setup)
    image = image_for(sim)
    if fault:
        sim.inject(fault, UPDATE[setup.words is V3])
    progress: list[int] = []
    await miner.update_firmware(pieces(image, 70_000), len(image), progress.append)
    assert sim.last_upload == image
    assert progress == sorted(set(progress))
    assert progress[-1] == len(image)
    clock.advance(WAIT)
    await sim.tick()
    state = await miner.read()
    assert state.info.firmware == "20301224.11.Rel"
    assert miner.outdated


@every_way
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("image_refused", CommandRefusedError),
        ("cut_upload", UnknownOutcomeError),
        ("stalled_upload", UnknownOutcomeError),
        ("no_final_answer", UnknownOutcomeError),
        ("silent", NoAnswerError),
        ("close", NoAnswerError),
        ("garbage", InvalidAnswerError),
    ],
)
async def test_what_became_of_an_image_is_said(
    start: Start,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fault: str,
    error: type[Exception],
) -> None:
    """A refusal is none when it is not known; and nothing is sent a second time."""
    setup = SETUPS[name]
    for limit in ("ANSWER_TIMEOUT", "INSTALL_TIMEOUT"):
        monkeypatch.setattr(transport, limit, 0.4)
    sim = await start(setup)
    miner = await client(sim, setup)
    image = image_for(sim, 8 << 20)
    sim.inject(fault, UPDATE[setup.words is V3])
    with pytest.raises(error):
        await miner.update_firmware(pieces(image, 1 << 20), len(image))
    assert sent(sim) == [UPDATE[setup.words is V3]]
    assert (sim.last_upload == image) is (fault in ("image_refused", "no_final_answer"))


@pytest.mark.parametrize(
    ("name", "fault", "error"),
    [
        ("1.x", "error_14", UnsupportedCommandError),
        ("2.0.5", "error_45", WriteApiDisabledError),
        ("2.2", "error_45", WriteApiDisabledError),
        ("3.x by the admin", "error_45", WriteApiDisabledError),
        ("3.x", "error_minus_4", CommandRefusedError),
    ],
)
async def test_a_refused_image_is_not_even_read(
    start: Start, client: Client, name: str, fault: str, error: type[Exception]
) -> None:
    """A miner that does not let us in would get a hundred megabytes for nothing."""
    setup = SETUPS[name]
    sim = await start(setup)
    miner = await client(sim, setup)
    sim.inject(fault, UPDATE[setup.words is V3])

    async def untouched() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    with pytest.raises(error):
        await miner.update_firmware(untouched(), 1000)
    assert sim.last_upload is None


@every_setup
@pytest.mark.parametrize("difference", [-1, 1])
async def test_an_image_of_another_size_is_not_installed(
    start: Start, client: Client, setup: Setup, difference: int
) -> None:
    """A file that grows or shrinks while it is sent would be installed in part."""
    sim = await start(setup)
    miner = await client(sim, setup)
    image = image_for(sim)
    with pytest.raises(ValueError, match="the image does not have"):
        await miner.update_firmware(pieces(image, 70_000), len(image) + difference)
    await sim.tick()
    assert UPDATE[setup.words is V3] not in sim.applied
    assert (await miner.read()).info.firmware == sim.truth().firmware


@pytest.mark.parametrize("name", ["2.0.5", "3.x"])
async def test_an_image_that_cannot_be_read_is_told_as_that(
    start: Start, client: Client, name: str
) -> None:
    """A lost disk would be taken for a lost miner."""
    sim = await start(SETUPS[name])
    miner = await client(sim, SETUPS[name])

    async def lost() -> AsyncIterator[bytes]:
        yield b"x" * 100
        raise OSError("no such file any more")

    with pytest.raises(OSError, match="no such file"):
        await miner.update_firmware(lost(), 1000)
    assert UPDATE[name == "3.x"] not in sim.applied


@pytest.mark.parametrize("name", ["2.0.5", "3.x"])
async def test_an_image_has_a_deadline(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A file on a share that hangs would hold the miner for ever."""
    monkeypatch.setattr(transport, "TRANSFER_TIMEOUT", 0.2)
    sim = await start(SETUPS[name])
    miner = await client(sim, SETUPS[name])

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 100
        await asyncio.Event().wait()

    with pytest.raises(UnknownOutcomeError, match="100 of 1000 bytes in time"):
        await miner.update_firmware(endless(), 1000)


async def test_a_stale_token_costs_no_image(start: Start, client: Client) -> None:
    """After a reboot by hand the first update would fail."""
    setup = SETUPS["2.0.5"]
    sim = await start(setup)
    miner = await client(sim, setup)
    await miner.set_led_auto()
    sim.forget_tokens()
    image = image_for(sim)
    await miner.update_firmware(pieces(image), len(image))
    assert sim.last_upload == image
    assert sent(sim) == ["set_led", "update_firmware", "update_firmware"]
