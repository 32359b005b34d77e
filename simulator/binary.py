"""Images of firmware, and logs: the bytes that follow an answer (protocol.md#d6, #d7 and E of docs/protocol.md).

A real image is opaque. An image for the simulator begins with one line that says for which
platform it is, which version it brings, and how long it is; anything may follow:

    whatsminer H616 20260401.12.REL 4096

What the simulated miner makes of it is the awkward part of what the page leaves open:

| What comes                            | Final answer       | Then                             |
|---------------------------------------|--------------------|----------------------------------|
| a whole image for its platform        | `Updated`          | it reboots with the new version  |
| a whole image for another platform    | `Updated`, as well | it reboots with the old version  |
| no image, or one of another length    | an error           | nothing                          |
| a length of 0, or above LARGEST_IMAGE | an error           | nothing; not a byte is read      |
| fewer bytes than were announced       | none: it closes    | nothing                          |
"""

from dataclasses import dataclass
import gzip
import io
from random import Random
import tarfile

LARGEST_IMAGE = 1 << 26
LOG_SIZE = 32000
LIE = 16
HUGE_LOG = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Image:
    """The header of an image."""

    platform: str
    version: str


def make_image(platform: str, version: str, size: int = 4096) -> bytes:
    """Return an image that a simulated miner of that platform accepts."""
    head = f"whatsminer {platform} {version} {size}\n".encode()
    if size < len(head):
        raise ValueError(f"An image needs at least {len(head)} bytes")
    return head + Random(size).randbytes(size - len(head))


def read_image(data: bytes) -> Image | None:
    """Return the header of an image, or None if the data is not a complete image."""
    words = data.partition(b"\n")[0].decode("ascii", "replace").split(" ")
    if len(words) != 4 or words[0] != "whatsminer" or words[3] != str(len(data)):
        return None
    return Image(words[1], words[2])


def make_log(title: str, seed: int) -> bytes:
    """Return an archive with one log, always the same for one miner."""
    lines = f"{title}\n".encode() + Random(seed).randbytes(LOG_SIZE).hex().encode()
    archive = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=archive, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as file,
    ):
        entry = tarfile.TarInfo("miner.log")
        entry.size = len(lines)
        file.addfile(entry, io.BytesIO(lines))
    return archive.getvalue()


def reported_length(log: bytes, failures: frozenset[str]) -> str:
    """Return the reported length of a log, which an injected failure can make wrong."""
    if "wordy_log" in failures:
        return "unknown"
    if "empty_log" in failures:
        return "0"
    length = len(log)
    if "long_log" in failures:
        length += LIE
    if "short_log" in failures:
        length -= LIE
    if "huge_log" in failures:
        length = HUGE_LOG
    return str(length)


def log_to_send(log: bytes, failures: frozenset[str]) -> bytes:
    """Return the bytes of a log to send; an injected failure can leave some out."""
    if "empty_log" in failures:
        return b""
    return log[: len(log) // 2] if failures & {"cut_log", "stalled_log"} else log
