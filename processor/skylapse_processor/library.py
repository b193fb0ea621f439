"""Films: promoted out of renders, pinned, named, linked, deleted, and told of on MQTT."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import Film, Order

from .errors import FilmError, NotFoundError, RequestError
from .files import make_folder, sync_folder
from .jobs import RenderSpec
from .promotion import MadeFilm, cross_out, read_back, write_down
from .store.films import StoredFilm
from .store.store import Store

_log = logging.getLogger(__name__)

Change = Literal["added", "changed", "removed"]

_MAX_TEXT = 200
_LONGEST_NAME = 80


class Library:
    """All films."""

    def __init__(self, store: Store, tell: Callable[[Film], None]) -> None:
        self._films = store.films
        self._layout = store.layout
        self._tell = tell

    async def find(self, film: str) -> StoredFilm:
        """Return a film; raise NotFoundError where there is none."""
        found = await asyncio.to_thread(self._films.find, film)
        if found is None:
            raise NotFoundError(f"there is no film {film}")
        return found

    async def promote(self, made: Sequence[MadeFilm], folder: Path) -> None:
        """Move finished films and their pictures into place, durably, and announce them.

        Their rows come together, or none does. What is to be done is written down in `folder` first: if a
        kill or a full disk comes in between, `resume` does the rest.
        """
        await asyncio.to_thread(write_down, folder, made)
        for each in made:
            await asyncio.to_thread(self._move, each)
        await self._put(made)

    async def resume(self, folder: Path) -> bool:
        """Do the rest of what is written down in a folder; tell whether films have come of it.

        Of what can never be whole any more nothing is left. Raises OSError or StoreError where the rest
        cannot be done now: then it stays written down.
        """
        made: tuple[MadeFilm, ...] = ()
        try:
            made = await self._newest(await asyncio.to_thread(read_back, folder))
            for each in made:
                await asyncio.to_thread(self._move_the_rest, each)
        except FileNotFoundError:
            return False
        except (FilmError, ValueError, LookupError, TypeError, ProtocolError) as error:
            _log.warning("%s: what was left there is made anew (%s)", folder.name, error)
            for each in made:
                if await asyncio.to_thread(self._films.find, each.film.id) is None:
                    await asyncio.to_thread(self._unlink, each.film)
            made = ()
        if not made:
            await asyncio.to_thread(cross_out, folder)
            return False
        await self._put(made)
        return True

    async def _newest(self, made: Sequence[MadeFilm]) -> tuple[MadeFilm, ...]:
        """Return the films that were not made anew since."""
        known = [await asyncio.to_thread(self._films.find, each.film.id) for each in made]
        return tuple(
            each
            for each, film in zip(made, known, strict=True)
            if film is None or film.created_at <= each.film.created_at
        )

    async def _put(self, made: Sequence[MadeFilm]) -> None:
        """Catalogue films that are in their places, and announce them."""
        known = [await asyncio.to_thread(self._films.find, each.film.id) for each in made]
        stored = await asyncio.wrap_future(self._films.put([each.film for each in made]))
        for film, before in zip(stored, known, strict=True):
            self._tell(film_message(film, "added" if before is None else "changed"))

    async def change(self, film: str, changes: Mapping[str, object]) -> StoredFilm:
        """Pin, name or link a film; raise RequestError for a field that cannot be changed so."""
        await self.find(film)
        values = {name: _checked(name, value) for name, value in changes.items()}
        if not values:
            raise RequestError("", "give at least one of pinned, title, link")
        changed = await asyncio.wrap_future(self._films.change(film, values))
        if changed is None:
            raise NotFoundError(f"there is no film {film}")
        self._tell(film_message(changed, "changed"))
        return changed

    async def delete(self, film: str) -> None:
        """Delete a film; a pinned one is refused."""
        found = await self.find(film)
        if found.pinned:
            raise RequestError("pinned", f"film {film} is pinned; unpin it before it is deleted")
        await asyncio.wrap_future(self._films.remove(film))
        await asyncio.to_thread(self._unlink, found)
        self._tell(film_message(found, "removed"))

    def video(self, film: StoredFilm) -> Path:
        """Return where a film lies."""
        return self._layout.film(film.camera, film.day, film.id)

    def poster(self, film: StoredFilm) -> Path:
        """Return where a film's poster lies."""
        return self._layout.poster(film.camera, film.day, film.id)

    def thumb(self, film: StoredFilm) -> Path:
        """Return where a film's thumbnail lies."""
        return self._layout.film_thumb(film.camera, film.day, film.id)

    def preview(self, film: StoredFilm) -> Path:
        """Return where a film's small moving picture lies."""
        return self._layout.preview(film.camera, film.day, film.id)

    def _move(self, made: MadeFilm) -> None:
        target = self.video(made.film)
        make_folder(target.parent, self._layout.root)
        for source, final in self._moves(made):
            source.replace(final)
        sync_folder(target.parent)

    def _move_the_rest(self, made: MadeFilm) -> None:
        """Move what still lies in the attempt's folder; raise FilmError where the film is not whole then."""
        target = self.video(made.film)
        make_folder(target.parent, self._layout.root)
        for source, final in self._moves(made):
            if source.exists():
                source.replace(final)
            elif not final.exists():
                raise FilmError(f"{source.name} is gone")
        if target.stat().st_ino != made.inode:
            raise FilmError(f"{target.name} is another film")
        sync_folder(target.parent)

    def _moves(self, made: MadeFilm) -> Iterator[tuple[Path, Path]]:
        film = made.film
        finals = (self.poster(film), self.thumb(film), self.preview(film), self.video(film))
        for source, final in zip(made.files, finals, strict=True):
            if source is not None:
                yield source, final

    def _unlink(self, film: StoredFilm) -> None:
        for path in (self.video(film), self.poster(film), self.thumb(film), self.preview(film)):
            path.unlink(missing_ok=True)


def film_message(film: StoredFilm, change: Change) -> Film:
    """Return what MQTT and HTTP say of a film; its addresses change with its content."""
    base = f"/api/v1/films/{film.id}"
    return Film(
        id=film.id,
        change=change,
        camera=str(film.camera),
        day=film.day,
        window=film.window,
        schedule=film.schedule,
        profile=film.profile,
        recipe=film.recipe,
        title=film.title,
        frames=film.frames,
        skipped=film.skipped,
        duration_s=film.duration_s,
        rate=film.rate,
        width=film.width,
        height=film.height,
        bytes=film.bytes,
        codec=film.codec,
        flicker_mev=film.flicker_mev,
        created_at=film.created_at,
        pinned=film.pinned,
        link=film.link,
        poster=f"{base}/poster?v={film.content}",
        thumb=f"{base}/thumb?v={film.content}",
        video=f"{base}/video?v={film.content}",
        preview=f"{base}/preview?v={film.content}" if film.preview else None,
    )


def content_of(video: Path) -> str:
    """Return the first digits of a video's digest."""
    with video.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def schedule_name(orders: Sequence[Order], spec: RenderSpec, remembered: str) -> str:
    """Return what people call the schedule of a film, on one line; what is remembered where no order says."""
    named = (
        order.schedule_name
        for order in orders
        if order.schedule == spec.schedule and order.camera == str(spec.camera)
    )
    words = " ".join((next(named, "") or remembered).split())
    return "".join(letter for letter in words if letter.isprintable())[:_LONGEST_NAME]


def title_of(camera: str, spec: RenderSpec, schedule: str = "") -> str:
    """Return a title for people: camera, day, schedule and profile, as far as they are known.

    Where nobody says what the schedule is called, its id tells.
    """
    schedule = schedule or (spec.schedule or "").replace("_", " ").replace("-", " ").capitalize()
    return " · ".join(part for part in (camera, spec.day, schedule, spec.profile) if part)


def _checked(name: str, value: object) -> object:
    if name == "pinned":
        if not isinstance(value, bool):
            raise RequestError(name, "is neither true nor false")
        return int(value)
    if name not in ("title", "link"):
        raise RequestError(name[:40], "cannot be changed; known are pinned, title and link")
    if value is None and name == "link":
        return None
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= _MAX_TEXT or not value.isprintable():
        raise RequestError(name, f"is no text of 1 to {_MAX_TEXT} printable characters")
    return value.strip()
