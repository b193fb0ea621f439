"""The processor's store where Home Assistant sees it as a folder: files are then served from there.

Which folder that is, is told by a file in it that names the processor and its present start. A copy, a backup
or the store of another processor names another, and nothing is read from it.
"""

import os
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from homeassistant.core import HomeAssistant

from ..protocol.messages import ProcessorAnnounce
from .files import MediaFile

MARKER = ".skylapse-processor"
LOOK_AGAIN_S = 60.0
"""Network storage may be mounted later than the processor starts."""

_MAX_FOLDERS = 200
_MAX_MARKER_BYTES = 500


class SharedStore:
    """Finds files of the processor in Home Assistant's media folders."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Have found nothing yet."""
        self._hass = hass
        self._root: Path | None = None
        self._sought: tuple[str, float] | None = None
        """Which marker was looked for in vain, and until when that holds."""

    async def async_find(self, processor: ProcessorAnnounce | None, file: MediaFile) -> Path | None:
        """Return where a file of the processor lies here; None where its store, or the file, is not here."""
        if processor is None or not file.stored:
            return None
        return await self._hass.async_add_executor_job(self._find, _marker(processor), file)

    async def async_root(self, processor: ProcessorAnnounce) -> Path | None:
        """Return the folder in which the processor's store is seen here, None where it is not."""
        return await self._hass.async_add_executor_job(self._find_root, _marker(processor))

    def _find(self, marker: str, file: MediaFile) -> Path | None:
        root = self._find_root(marker)
        if root is None:
            return None
        for stored in file.stored:
            try:
                path = (root / stored).resolve(strict=True)
                is_it = path.is_file() and file.bytes in (None, path.stat().st_size)
            except OSError:
                continue
            if is_it and path.is_relative_to(root.resolve()):
                return path
        return None

    def _find_root(self, marker: str) -> Path | None:
        if self._root is not None and _is_marked(self._root, marker):
            return self._root
        now = time.monotonic()
        if self._sought is not None and self._sought[0] == marker and now < self._sought[1]:
            return None
        self._root = next((each for each in self._folders() if _is_marked(each, marker)), None)
        self._sought = (marker, now + LOOK_AGAIN_S) if self._root is None else None
        return self._root

    def _folders(self) -> Iterator[Path]:
        """Go through the media folders and what lies up to two folders deep in them."""
        top = [Path(folder) for folder in self._hass.config.media_dirs.values()]
        below = list(_inside(top))
        return chain(top, below, islice(_inside(below), _MAX_FOLDERS))


def _marker(processor: ProcessorAnnounce) -> str:
    return f"{processor.processor} {processor.boot_id}"


def _inside(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                found = [Path(each.path) for each in islice(entries, _MAX_FOLDERS) if each.is_dir()]
        except OSError:
            continue
        yield from found


def _is_marked(folder: Path, marker: str) -> bool:
    try:
        with (folder / MARKER).open("rb") as file:
            return file.read(_MAX_MARKER_BYTES).decode(errors="replace").strip() == marker
    except OSError:
        return False
