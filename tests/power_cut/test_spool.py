"""A power cut in the middle of capture: what was announced is there, whole, when power is back.

The spool lies on an ext4 of its own in a file. The cut is the file system's own shutdown request (no journal
flush, nothing that was not synced survives), as its developers test it; the writer dies with it.
"""

import fcntl
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skylapse_bridge.frame_files import read_verified
from skylapse_bridge.spool import Limits, Spool

ROOT = Path(__file__).resolve().parents[2]
SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN of linux/fs.h."""
WITHOUT_FLUSH = struct.pack("I", 2)

WRITER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
if sys.argv[2] == "careless":
    os.fsync = lambda descriptor: None
from skylapse_bridge.spool import Limits, Spool
from tests.bridge.made import draft, picture
spool = Spool(Path(sys.argv[1]), Limits(max_bytes=10**9, min_free_bytes=1))
spool.open()
shot = picture(width=800, height=600)
while True:
    record = spool.add(draft(), shot)
    sys.stdout.write(f"{record.seq} {record.sha256}\\n")
    sys.stdout.flush()
"""


class Disk:
    """An ext4 in a file, mounted, whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "disk.img"
        self.mount = folder / "disk"

    def make(self) -> None:
        """Make the file system and mount it."""
        self.mount.mkdir()
        with self.image.open("wb") as image:
            image.truncate(96 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", str(self.image)], check=True)
        self.plug_in()

    def plug_in(self) -> None:
        """Give it power: mount it."""
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.mount)], check=True)

    def pull(self) -> None:
        """Cut the power: nothing that is not synced by now survives."""
        descriptor = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, WITHOUT_FLUSH)
        finally:
            os.close(descriptor)

    def unplug(self) -> None:
        """Unmount what is left."""
        subprocess.run(["umount", str(self.mount)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    one = Disk(tmp_path)
    one.make()
    yield one
    one.unplug()


def announced_until_the_cut(disk: Disk, manner: str, frames: int) -> dict[int, str]:
    """Let a program fill the spool, cut the power after so many frames; return what it announced."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(disk.mount / "spool"), manner, str(ROOT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert writer.stdout is not None
    heard = [writer.stdout.readline() for _ in range(frames)]
    disk.pull()
    writer.send_signal(signal.SIGKILL)
    heard += writer.stdout.readlines()
    writer.stdout.close()
    writer.wait()
    disk.unplug()
    disk.plug_in()
    return {int(seq): sha256 for seq, sha256 in (line.split() for line in heard if line.endswith("\n"))}


def whole_frames(disk: Disk) -> dict[int, str]:
    """Return the frames that a new start finds, each read and checked against its digest."""
    spool = Spool(disk.mount / "spool", Limits(max_bytes=10**9, min_free_bytes=1))
    spool.open()
    try:
        kept = spool.pending(100_000)
        assert all(read_verified(frame) for frame in kept)
        counts = spool.counts("west")
        assert counts.captured == counts.delivered + counts.pending + counts.dropped
        return {frame.record.seq: frame.record.sha256 for frame in kept}
    finally:
        spool.close()


def test_what_was_announced_survives_power_cuts(disk: Disk) -> None:
    announced: dict[int, str] = {}
    for frames in (1, 5, 17, 2, 30, 3, 9, 1, 12, 4):
        announced |= announced_until_the_cut(disk, "careful", frames)
        kept = whole_frames(disk)
        assert announced.items() <= kept.items()


def test_the_test_above_would_notice_a_spool_that_does_not_sync(disk: Disk) -> None:
    announced = announced_until_the_cut(disk, "careless", 20)
    left = [path for path in disk.mount.rglob("*.jpg") if path.stat().st_size > 0]

    assert len(left) < len(announced)
