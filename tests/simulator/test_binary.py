"""Images and logs: the bytes that follow an answer on both ports, whole and cut (protocol.md#d6, #d7 and E)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
import io
import json
from pathlib import Path
import tarfile
from typing import Any

import pytest

from simulator import PROFILES, ManualClock, Phase, SimulatedMiner, Timing, make_image
from simulator.binary import LARGEST_IMAGE, read_image
from simulator.failures import BINARY

from .conftest import V3, Connect, Make, Writer, ask

NEW = "20260401.12.REL"
QUICK = Timing(idle_s=0.3)
UPDATE_V3 = "set.system.update_firmware"
LOG_V3 = "get.log.download"
JSON = json.JSONDecoder()

# Two ways to the same miner
PORTS = ("4028", "4433")


class Line:
    """A connection to either port that stays open after the answer."""

    def __init__(self, miner: SimulatedMiner, port: str) -> None:
        """Store the address."""
        self.miner = miner
        self.port = port
        self.owner = Writer(miner)
        self.client = V3(miner, "super", "super")
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self.sealed = False
        self.length = ""
        self.rest = b""

    async def ask(self, command: str) -> Any:
        """Send the command; return the answer: the object of 4028, code and text of 4433."""
        if self.port == "4433":
            await self.client.connect()
            self.reader, self.writer = self.client.reader, self.client.writer
            read = command == LOG_V3
            self.client.send(
                json.dumps({"cmd": command}) if read else self.client.request(command)
            )
            return await self.answer()
        request = await self.owner.request(command)
        self.reader, self.writer = await asyncio.open_connection(
            self.miner.host, self.miner.port
        )
        self.writer.write(request)
        return await self.answer()

    async def answer(self) -> Any:
        """Return one answer; keep the bytes that follow it."""
        async with asyncio.timeout(5):
            if self.port == "4433":
                answer = json.loads(await self.client.frame())
                return answer["code"], answer["msg"]
            while True:
                text = self.rest.lstrip(b"\0\n").decode("latin-1")
                with suppress(ValueError):
                    answer, end = JSON.raw_decode(text)
                    break
                chunk = await self.reader.read(1000)
                if not chunk:
                    raise EOFError
                self.rest += chunk
        self.rest = text[end:].encode("latin-1")
        answer, self.sealed = self.owner.opened(answer)
        return answer["Code"], answer["Msg"]

    async def exactly(self, count: int) -> bytes:
        """Return a number of bytes."""
        async with asyncio.timeout(5):
            missing = count - len(self.rest)
            more = await self.reader.readexactly(missing) if missing > 0 else b""
        data = self.rest + more
        self.rest = data[count:]
        return data[:count]

    async def remaining(self) -> bytes | None:
        """Return the bytes until the miner closes; None if it does not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                return self.rest + await self.reader.read()
        return None

    def put(self, image: bytes, size: int | None = None) -> None:
        """Send an image or other data as an image."""
        length = len(image) if size is None else size
        self.writer.write(length.to_bytes(4, "little") + image)

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


Open = Callable[..., Awaitable[Line]]


@pytest.fixture
async def line() -> AsyncIterator[Open]:
    """Return a function that opens connections; close them at the end."""
    lines: list[Line] = []

    async def open_line(miner: SimulatedMiner, port: str, command: str) -> Line:
        found = Line(miner, port)
        code, msg = await found.ask(command)
        lines.append(found)
        if "log" in command:
            assert code in (0, 131)
            (length,) = msg.values()
            assert list(msg) == ["logfilelen" if port == "4028" else "logsize"]
            # A string, on both ports
            assert isinstance(length, str)
            found.length = length
        else:
            assert (code, msg) in ((0, "ready"), (131, "ready"))
        return found

    yield open_line
    for each in lines:
        await each.close()


def update_of(port: str) -> str:
    """Return the command of a port."""
    return "update_firmware" if port == "4028" else UPDATE_V3


def log_of(port: str) -> str:
    """Return the command of a port."""
    return "download_logs" if port == "4028" else LOG_V3


def ways() -> list[tuple[str, str]]:
    """Return every profile with each of its ports."""
    return [
        (name, port)
        for name, profile in PROFILES.items()
        for port in PORTS
        if port == "4028" or profile.v3
    ]


async def version(miner: SimulatedMiner) -> str:
    """Return the running firmware."""
    await miner.tick()
    version_: str = (await ask(miner, "get_version"))["Msg"]["fw_ver"]
    return version_


# Firmware


@pytest.mark.parametrize(("profile", "port"), ways())
async def test_update(
    make: Make, line: Open, clock: ManualClock, profile: str, port: str
) -> None:
    """If it failed: an update could not be tested without a miner."""
    miner = await make(profile)
    before = await version(miner)
    image = make_image(miner.profile.platform, NEW, 200_000)
    upload = await line(miner, port, update_of(port))
    assert upload.sealed is (port == "4028")
    upload.put(image)
    assert await upload.answer() in ((131, "Updated"), (0, "ok"))
    assert miner.last_upload == image
    assert miner.applied == [update_of(port)]
    # Not before it has restarted
    assert await version(miner) == before
    clock.advance(2)
    await miner.tick()
    assert miner.truth().phase is Phase.OFF_BOARD
    with pytest.raises(ConnectionRefusedError):
        await ask(miner, "status")
    clock.advance(62)
    assert await version(miner) == miner.truth().firmware == NEW
    status = json.dumps(await ask(miner, "status"))
    assert NEW in status
    if miner.profile.v3:
        assert miner.v3_truth().firmware == NEW
    # A reset of the owner's settings does not take it back
    miner.machine.factory_reset()
    clock.advance(70)
    assert await version(miner) == NEW


@pytest.mark.parametrize("port", PORTS)
async def test_the_bytes_of_an_update_in_pieces(
    make: Make, line: Open, port: str
) -> None:
    """If it failed: an image in several segments would be refused."""
    miner = await make("v2c_m60s")
    upload = await line(miner, port, update_of(port))
    image = make_image("H616", NEW, 600)
    for letter in len(image).to_bytes(4, "little") + image:
        upload.writer.write(bytes((letter,)))
        await asyncio.sleep(0)
    assert await upload.answer() in ((131, "Updated"), (0, "ok"))
    assert miner.last_upload == image


@pytest.mark.parametrize("port", PORTS)
async def test_image_for_another_platform(
    make: Make, line: Open, clock: ManualClock, port: str
) -> None:
    """If it failed: a client that does not read the version after an update would not be noticed."""
    miner = await make("v2c_m60s")
    before = await version(miner)
    upload = await line(miner, port, update_of(port))
    upload.put(make_image("H6OS", NEW))
    assert await upload.answer() in ((131, "Updated"), (0, "ok"))
    assert miner.applied == []
    clock.advance(2)
    assert miner.truth().phase is Phase.OFF_BOARD
    clock.advance(62)
    assert await version(miner) == before


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    ("image", "size"),
    [
        (b"not an image", None),
        (b"", None),
        (make_image("H616", NEW)[:-1], None),
        (make_image("H616", NEW) + b"x", None),
        # The length is smaller than what comes
        (make_image("H616", NEW), 4000),
        # The length is in the other order of bytes
        (make_image("H616", NEW, 0x1000), 0x00100000 << 8),
        (b"", LARGEST_IMAGE + 1),
    ],
)
async def test_no_image(
    make: Make,
    line: Open,
    clock: ManualClock,
    port: str,
    image: bytes,
    size: int | None,
) -> None:
    """If it failed: an image of a wrong size would be accepted, or stop the simulator."""
    miner = await make("v2c_m60s", timing=QUICK)
    before = await version(miner)
    upload = await line(miner, port, update_of(port))
    upload.put(image, size)
    assert await upload.answer() in ((132, "API command ERROR"), (-1, "failed"))
    clock.advance(5)
    assert miner.truth().phase is Phase.STABLE
    assert await version(miner) == before
    assert miner.applied == []


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("leaves", [False, True])
async def test_image_that_is_cut(
    make: Make, line: Open, clock: ManualClock, port: str, leaves: bool
) -> None:
    """If it failed: half of an image would be installed, or keep the miner waiting forever."""
    miner = await make("v2c_m60s", timing=QUICK)
    before = await version(miner)
    upload = await line(miner, port, update_of(port))
    image = make_image("H616", NEW, 50_000)
    upload.put(image[:30_000], len(image))
    if leaves:
        upload.writer.write_eof()
    async with asyncio.timeout(2):
        with suppress(ConnectionResetError):
            assert await upload.reader.read() == b""
    assert miner.last_upload is None
    clock.advance(100)
    assert miner.truth().phase is Phase.STABLE
    assert await version(miner) == before


@pytest.mark.parametrize("port", PORTS)
async def test_nothing_comes_after_ready(make: Make, line: Open, port: str) -> None:
    """If it failed: a client that sends no image would keep a connection forever."""
    miner = await make("v2c_m60s", timing=QUICK)
    upload = await line(miner, port, update_of(port))
    assert await upload.remaining() in (b"", b"\n")
    assert miner.truth().phase is Phase.STABLE


async def test_the_connection_goes_on_after_a_refused_image(
    make: Make, line: Open
) -> None:
    """If it failed: a client of 4433 would need a new connection."""
    miner = await make("v2c_m60s")
    upload = await line(miner, "4433", UPDATE_V3)
    upload.put(b"not an image")
    assert await upload.answer() == (-1, "failed")
    assert await upload.client.read("get.fan.setting")


@pytest.mark.parametrize("port", PORTS)
async def test_a_reboot_ends_an_update(
    make: Make, line: Open, clock: ManualClock, port: str
) -> None:
    """If it failed: an upload would survive a reboot."""
    miner = await make("v2c_m60s")
    before = await version(miner)
    upload = await line(miner, port, update_of(port))
    upload.put(make_image("H616", NEW)[:1000], 4096)
    await asyncio.sleep(0.05)
    miner.machine.reboot()
    clock.advance(3)
    await miner.tick()
    assert await upload.remaining() in (b"", b"\n")
    clock.advance(60)
    assert await version(miner) == before


@pytest.mark.parametrize("port", PORTS)
async def test_who_may_update(
    make: Make, line: Open, v3: Connect, writer: type[Writer], port: str
) -> None:
    """If it failed: a client without the password could install firmware."""
    miner = await make("v2c_m60s", api_switch=False)
    if port == "4028":
        assert (await writer(miner)("update_firmware"))["Code"] == 45
        assert (await writer(miner, "wrong")("update_firmware"))["Code"] == 23
        assert (await ask(miner, "update_firmware"))["Msg"] == "invalid data"
        assert (await writer(miner)("download_logs"))["Code"] == 45
    else:
        assert (await (await v3(miner)).write(UPDATE_V3))[0] == -4
        miner.api_switch = True
        assert (await (await v3(miner, password="no")).write(UPDATE_V3))[0] == -4


def test_images() -> None:
    """If it failed: a test could not create an image, or any file would be accepted."""
    image = make_image("H616", NEW, 1000)
    assert len(image) == 1000
    found = read_image(image)
    assert found
    assert (found.platform, found.version) == ("H616", NEW)
    assert read_image(b"\xff\xfe" * 500) is None
    with pytest.raises(ValueError, match="at least"):
        make_image("H616", NEW, 10)


# Logs


@pytest.mark.parametrize(("profile", "port"), ways())
async def test_log(make: Make, line: Open, profile: str, port: str) -> None:
    """If it failed: the download of a log could not be tested without a miner."""
    miner = await make(profile)
    download = await line(miner, port, log_of(port))
    assert download.sealed is (port == "4028")
    log = await download.exactly(int(download.length))
    assert log == miner.log
    with tarfile.open(fileobj=io.BytesIO(log)) as archive:
        file = archive.extractfile("miner.log")
        assert file
        text = file.read().decode()
    assert miner.mac in text.splitlines()[0]
    assert miner.truth().firmware in text.splitlines()[0]
    if port == "4028":
        assert await download.remaining() == b""
    else:
        assert await download.client.read("get.fan.setting")


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("failure", BINARY)
async def test_other_commands_are_spared(make: Make, port: str, failure: str) -> None:
    """If it failed: a failure for images and logs would break other answers."""
    miner = await make("v2c_m60s")
    miner.inject(failure)
    if port == "4028":
        assert (await Writer(miner)("set_led", param="auto"))["Code"] == 131
        assert (await ask(miner, "status"))["Code"] == 131
    else:
        client = await V3(miner, "super", "super").connect()
        for _ in range(2):
            assert await client.write("set.system.led", "auto") == (0, "ok")
            assert await client.read("get.fan.setting")
        await client.close()


@pytest.mark.parametrize("port", PORTS)
async def test_first_bytes_with_the_answer(make: Make, line: Open, port: str) -> None:
    """If it failed: a client that discards the bytes after the answer would not be noticed."""
    miner = await make("v2c_m60s")
    miner.inject("one_segment")
    download = Line(miner, port)
    # One segment: all of it is there before anything else is
    if port == "4028":
        request = await download.owner.request("download_logs")
        reader, writer_ = await asyncio.open_connection(miner.host, miner.port)
        writer_.write(request)
        first = await reader.read(65536)
        assert first.index(b"}") < first.index(b"\x1f\x8b")
        writer_.close()
    found = await line(miner, port, log_of(port))
    assert await found.exactly(int(found.length)) == miner.log


# Failures


@pytest.mark.parametrize("command", ["update_firmware", "download_logs"])
async def test_plain_answers_before_the_bytes(
    make: Make, line: Open, command: str
) -> None:
    """If it failed: a client that expects an envelope here would not be noticed."""
    miner = await make("v205_m50")
    miner.inject("plain_ready")
    found = await line(miner, "4028", command)
    assert not found.sealed
    if command == "download_logs":
        assert await found.exactly(int(found.length)) == miner.log
    else:
        found.put(make_image("H616", NEW))
        assert await found.answer() == (131, "Updated")


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    ("failure", "reported", "sent", "ends"),
    [
        ("cut_log", 1, 0.5, True),
        ("stalled_log", 1, 0.5, False),
        ("long_log", 1, 1, None),
        ("short_log", 1, 1, None),
        ("huge_log", 100_000, 1, None),
        ("empty_log", 0, 0, None),
        ("wordy_log", None, 1, None),
    ],
)
async def test_logs_that_are_not_what_they_say(
    make: Make,
    line: Open,
    port: str,
    failure: str,
    reported: float | None,
    sent: float,
    ends: bool | None,
) -> None:
    """If it failed: a client that trusts every length would not be noticed."""
    miner = await make("v2c_m60s")
    size = len(miner.log)
    miner.inject(failure)
    download = await line(miner, port, log_of(port))
    assert miner.log.startswith(await download.exactly(int(size * sent)))
    rest = await download.remaining()
    # Only 4433 stays open
    assert (rest == b"") is ((port == "4028") if ends is None else ends)
    if reported is None:
        assert download.length == "unknown"
        return
    lie = {"long_log": 16, "short_log": -16}.get(failure, 0)
    length = int(download.length)
    assert length == (
        0xFFFFFFFF if failure == "huge_log" else int(size * reported) + lie
    )


@pytest.mark.parametrize("port", PORTS)
async def test_upload_that_the_miner_ends(
    make: Make, line: Open, clock: ManualClock, port: str
) -> None:
    """If it failed: a client would send a whole image before it sees the refusal."""
    miner = await make("v2c_m60s")
    before = await version(miner)
    miner.inject("cut_upload")
    upload = await line(miner, port, update_of(port))
    upload.put(make_image("H616", NEW, 50_000))
    with pytest.raises((EOFError, ConnectionResetError)):
        await upload.answer()
    clock.advance(100)
    assert await version(miner) == before


@pytest.mark.parametrize("port", PORTS)
async def test_upload_that_the_miner_does_not_read(
    make: Make, line: Open, port: str
) -> None:
    """If it failed: a client without a deadline for sending would not be noticed."""
    miner = await make("v2c_m60s")
    miner.inject("stalled_upload")
    upload = await line(miner, port, update_of(port))
    upload.put(make_image("H616", NEW, 40_000_000))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await upload.writer.drain()
    assert miner.last_upload is None
    upload.writer.transport.abort()


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("failure", ["no_final_answer", "applied_no_answer"])
async def test_update_without_a_final_answer(
    make: Make, line: Open, clock: ManualClock, port: str, failure: str
) -> None:
    """If it failed: a client could report a successful update as failed."""
    miner = await make("v2c_m60s")
    miner.inject(failure)
    upload = await line(miner, port, update_of(port))
    upload.put(make_image("H616", NEW))
    assert await upload.remaining() in (b"", b"\n")
    clock.advance(70)
    assert await version(miner) == NEW


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    ("failure", "taken", "reboots"),
    [
        ("image_refused", False, 0),
        ("old_version", True, 1),
        ("answered_not_applied", True, 0),
    ],
)
async def test_update_that_changes_nothing(
    make: Make,
    line: Open,
    clock: ManualClock,
    port: str,
    failure: str,
    taken: bool,
    reboots: int,
) -> None:
    """If it failed: a client that trusts the final answer would not be noticed."""
    miner = await make("v2c_m60s")
    before = await version(miner)
    miner.inject(failure)
    upload = await line(miner, port, update_of(port))
    upload.put(make_image("H616", NEW))
    assert ((await upload.answer())[0] in (0, 131)) is taken
    clock.advance(70)
    assert await version(miner) == before
    assert miner.machine.reboots == reboots
    assert miner.applied == []


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("failure", ["close", "reset", "truncate", "garbage"])
async def test_failures_of_every_answer_are_met_here_too(
    make: Make, line: Open, port: str, failure: str
) -> None:
    """If it failed: bytes would follow an invalid answer."""
    miner = await make("v2c_m60s")
    for command in (update_of(port), log_of(port)):
        miner.clear_failures()
        miner.inject(failure, command)
        found = Line(miner, port)
        with pytest.raises((EOFError, OSError, ValueError)):
            await found.ask(command)
        await found.close()
    assert miner.last_upload is None


@pytest.mark.parametrize("port", PORTS)
async def test_refused_downloads_and_updates(make: Make, port: str) -> None:
    """If it failed: the miner would send or expect bytes after a refusal."""
    miner = await make("v2c_m60s")
    for command in (update_of(port), log_of(port)):
        miner.inject("error_132" if port == "4028" else "error_minus_1", command)
        found = Line(miner, port)
        assert (await found.ask(command))[0] in (132, -1)
        if port == "4028":
            assert await found.remaining() in (b"", b"\n")
        else:
            assert await found.client.read("get.fan.setting")
        await found.close()


def test_every_binary_failure_has_a_test() -> None:
    """If it failed: a failure without effect could be added."""
    text = Path(__file__).read_text()
    for failure in BINARY:
        assert f'"{failure}"' in text
