"""What a kill or a power cut left behind in the spool, put in order before anything new comes."""

import logging
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from skylapse_protocol.records import FrameRecord

from .frame_files import pictures, record_in, remove_frame, sweep_files

_LOGGER = logging.getLogger(__name__)


class Shelves(Protocol):
    """The spool as it is put in order."""

    folder: Path

    def transaction(self) -> AbstractContextManager[Any]:
        """Change rows together or not at all."""

    def all(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""

    def complete(self, number: int, file: str, record: FrameRecord) -> None:
        """Commit a frame whose file is durable."""

    def forget_reserved(self, number: int) -> None:
        """Take back a reservation."""

    def delete(self, rows: list[tuple[int, str, int]]) -> None:
        """Delete delivered frames."""

    def drop(self, number: int, reason: str) -> None:
        """Give a frame up, counted."""


def recover(spool: Shelves) -> None:
    """Delete what is unfinished, adopt what is whole, drop what is gone."""
    sweep_files(spool.folder)
    for number, file in spool.all("SELECT id, file FROM frame WHERE state = 'reserved'"):
        if not (spool.folder / file).is_file() or not _adopt(spool, number, file):
            spool.forget_reserved(number)
    for number, file, state, size in spool.all(
        "SELECT id, file, state, bytes FROM frame WHERE state <> 'reserved'"
    ):
        if not (spool.folder / file).is_file():
            if state == "delivered":
                spool.delete([(number, file, size)])
            else:
                spool.drop(number, "its file is gone")
    known = {row[0] for row in spool.all("SELECT file FROM frame")}
    for path in list(pictures(spool.folder)):
        if str(path.relative_to(spool.folder)) not in known:
            _take_in(spool, path)


def _adopt(spool: Shelves, number: int, file: str) -> bool:
    """Complete a row from the file that was written for it."""
    record = record_in(spool.folder / file)
    if record is None:
        return False
    spool.complete(number, file, record)
    _LOGGER.info("frame %s was written but not committed before the bridge ended; it is adopted", number)
    return True


def _take_in(spool: Shelves, path: Path) -> None:
    """Give a file without a row one, unless its frame has a row: then a repair of its time left it over."""
    record = record_in(path)
    if record is None:
        _LOGGER.warning("%s holds no frame and is left alone", path)
        return
    if spool.all("SELECT 1 FROM frame WHERE spool = ? AND seq = ?", (record.spool, record.seq)):
        remove_frame(path)
        return
    file = str(path.relative_to(spool.folder))
    with spool.transaction() as database:
        number = database.execute(
            "INSERT INTO frame (camera, spool, seq, state, file) VALUES (?, ?, ?, 'reserved', ?)",
            (record.camera, record.spool, record.seq, file),
        ).lastrowid
    spool.complete(int(number or 0), file, record)
