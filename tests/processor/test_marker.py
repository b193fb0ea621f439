"""The mark in the store: whoever sees its folder elsewhere knows whose it is, and since which start."""

from pathlib import Path

from skylapse_processor.store.files import Disk
from skylapse_processor.store.layout import Layout
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .conftest import serving, write_config
from .listener import Listener


async def test_the_store_bears_the_name_and_start_that_are_announced(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    marker = tmp_path / "processor/store/.skylapse-processor"

    starts: set[str] = set()

    def announced() -> str | None:
        told = listener.on("skylapse/processor/announce")
        return told[-1]["boot_id"] if told and told[-1]["boot_id"] not in starts else None

    for _ in range(2):
        async with serving(write_config(tmp_path / "processor", broker)):
            start = await until(announced, what="the announce of this start")
            assert marker.read_text("utf-8") == f"main {start}\n"
            starts.add(start)


def disk_in(folder: Path) -> Disk:
    """The disk of a store in a folder."""
    made = Disk(Layout(root=folder, state=folder), min_free_percent=0, warn_free_percent=0, ballast_mb=0)
    made.start(fresh=True)
    return made


def test_a_store_that_is_not_mounted_is_not_marked(tmp_path: Path) -> None:
    disk = disk_in(tmp_path)
    (tmp_path / ".skylapse-store").unlink()
    disk.mark("main 1")
    assert not (tmp_path / ".skylapse-processor").exists()


def test_a_store_that_cannot_be_marked_works_on(tmp_path: Path) -> None:
    disk = disk_in(tmp_path)
    disk.mark("main 1")
    written = (tmp_path / ".skylapse-processor").stat().st_mtime_ns
    disk.mark("main 1")
    assert (tmp_path / ".skylapse-processor").stat().st_mtime_ns == written, "nothing new, nothing written"
    (tmp_path / ".skylapse-processor.tmp").mkdir()
    disk.mark("main 2")
    assert (tmp_path / ".skylapse-processor").read_text("utf-8") == "main 1\n"
