"""What is to become films, written down before the first of its files is moved.

Files and rows cannot change in one step. So an attempt that is about to become films says in its own folder
which file goes where and what the rows will be; whoever finds that after a kill carries it to its end, and
what is not whole any more counts for nothing.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skylapse_protocol.codec import read, write

from .files import sync_file, sync_folder, write_durably
from .store.films import StoredFilm

RECORD = "promotion.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeFilm:
    """A finished film that is not in its place yet, and what belongs to it."""

    film: StoredFilm
    video: Path
    poster: Path
    thumb: Path
    preview: Path | None = None
    inode: int | None = None
    """Of the video, once it is written down: wherever it is moved, it is known again by that."""

    @property
    def files(self) -> tuple[Path | None, ...]:
        """Poster, thumbnail, preview and video: whoever moves them in this order shows no film without."""
        return self.poster, self.thumb, self.preview, self.video


def write_down(folder: Path, made: Sequence[MadeFilm]) -> None:
    """Write down, durably, what is about to become films; all their files are on disk then."""
    folders = {folder, folder.parent}
    for path in _files(made):
        sync_file(path)
        folders.add(path.parent)
    words = [
        {
            "film": write(each.film),
            **{name: str(getattr(each, name)) for name in ("video", "poster", "thumb")},
            "preview": str(each.preview) if each.preview else None,
            "inode": each.video.stat().st_ino,
        }
        for each in made
    ]
    write_durably(folder / RECORD, json.dumps(words).encode())
    for each in folders:
        sync_folder(each)


def read_back(folder: Path) -> tuple[MadeFilm, ...]:
    """Return what was written down in a folder.

    Raises OSError where there is nothing, ValueError, LookupError, TypeError or ProtocolError where it cannot
    be understood.
    """
    return tuple(
        MadeFilm(
            film=read(StoredFilm, each["film"], "promotion"),
            video=Path(each["video"]),
            poster=Path(each["poster"]),
            thumb=Path(each["thumb"]),
            preview=Path(each["preview"]) if each["preview"] else None,
            inode=each["inode"],
        )
        for each in json.loads((folder / RECORD).read_bytes())
    )


def is_left(folder: Path) -> bool:
    """Tell whether something is written down in a folder that is still to be done."""
    return (folder / RECORD).exists()


def cross_out(folder: Path) -> None:
    """Note that nothing of what was written down in a folder is left to be done."""
    (folder / RECORD).unlink(missing_ok=True)


def _files(made: Sequence[MadeFilm]) -> Iterator[Path]:
    yield from (path for each in made for path in each.files if path is not None)
