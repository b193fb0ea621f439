"""How the processor fares: what it tells of itself and of each camera, on MQTT and over HTTP."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from skylapse_protocol import SCHEMA_MAX, SCHEMA_MIN
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import ProcessorAnnounce, ProcessorHealth, StoreState

from .bridges import Bridges
from .clock import Clock
from .config import Config
from .dispatch import Dispatch
from .errors import StoreError
from .results import sunset
from .store.files import Room, room
from .store.results import Evening, ResultQuery
from .store.store import Store


class Status:
    """Answers how things stand."""

    def __init__(
        self,
        config: Config,
        store: Store,
        dispatch: Dispatch,
        bridges: Bridges,
        clock: Clock,
        *,
        software: str,
        boot_id: str,
    ) -> None:
        self._config = config
        self._catalogue = store.frames
        self._films = store.films
        self._results = store.results
        self._watches = store.watches
        self._disk = store.disk
        self._layout = store.layout
        self._dispatch = dispatch
        self._bridges = bridges
        self._clock = clock
        self._software = software
        self._boot_id = boot_id
        self.film_of_today: Callable[[CameraName], str | None] = lambda _camera: None
        self._started_at: datetime | None = None

    def start(self) -> None:
        """Begin to count the uptime."""
        self._started_at = self._clock()

    async def announce(self, base_url: str) -> ProcessorAnnounce:
        """Return how the processor introduces itself; its store then bears the same name and start."""
        await asyncio.to_thread(self._disk.mark, f"{self._config.processor} {self._boot_id}")
        space = await asyncio.to_thread(self._space)
        return ProcessorAnnounce(
            processor=self._config.processor,
            name=self._config.name,
            software=self._software,
            schema_min=SCHEMA_MIN,
            schema_max=SCHEMA_MAX,
            boot_id=self._boot_id,
            base_url=base_url,
            library_revision=await asyncio.to_thread(self._films.revision),
            queue_depth=await self._dispatch.depth(),
            storage_used_bytes=await asyncio.to_thread(self._used_bytes),
            storage_free_bytes=space.free_bytes,
        )

    async def health(self) -> ProcessorHealth:
        """Return how the processor fares."""
        now = self._clock()
        space = await asyncio.to_thread(self._space)
        films, _bytes = await asyncio.to_thread(self._films.count)
        current = self._dispatch.current()
        return ProcessorHealth(
            at=now,
            uptime_s=(now - self._started_at).total_seconds() if self._started_at else 0.0,
            queue_depth=await self._dispatch.depth(),
            current_job=current.id if current else None,
            current_job_percent=current.percent if current else None,
            films=films,
            frames=await asyncio.to_thread(self._frame_count),
            storage_used_bytes=await asyncio.to_thread(self._used_bytes),
            storage_free_bytes=space.free_bytes,
            storage_total_bytes=space.total_bytes,
        )

    def store_state(self, camera: CameraName) -> StoreState:
        """Return what the processor has of a camera."""
        until = self._bridges.believable(camera)
        totals = self._catalogue.totals(camera, until)
        newest = self._catalogue.newest(camera, until)
        lens, faults = self._watches.lens(camera)
        day = totals.last_day
        evening = self._results.evenings(camera, 1, day=day) if day else ()
        keograms = self._results.list(ResultQuery(camera=camera, day=day, kind="keogram"), 1) if day else ()
        return StoreState(
            day=totals.last_day,
            frames_today=totals.frames_last_day,
            frames=totals.frames + totals.gone + self._catalogue.quarantined().get(camera, 0),
            last_frame=str(newest.name) if newest is not None else None,
            lens=lens,
            lens_faults=faults,
            bad_today=totals.bad_last_day,
            sunset_score=_score(evening[0]) if evening else None,
            keogram=keograms[0].id if keograms else None,
            film_of_today=self.film_of_today(camera),
        )

    def stats(self) -> dict[str, Any]:
        """Return the counts of every camera: captured = stored + pending + dropped, as far as known."""
        quarantined = self._catalogue.quarantined()
        cameras = []
        for camera in sorted({*self._catalogue.cameras(), *self._bridges.cameras()}):
            counts = self._bridges.counts(camera)
            totals = self._catalogue.totals(camera)
            kept_aside = quarantined.get(camera, 0)
            cameras.append(
                {
                    "camera": str(camera),
                    "captured": counts.captured if counts else None,
                    "stored": totals.frames + totals.gone + kept_aside,
                    "pending": counts.pending if counts else None,
                    "dropped": counts.dropped if counts else None,
                    "quarantined": kept_aside,
                    "bad": totals.bad,
                    "bytes": totals.bytes,
                }
            )
        films, film_bytes = self._films.count()
        space = self._space()
        return {
            "cameras": cameras,
            "films": {"count": films, "bytes": film_bytes},
            "storage": {"free_bytes": space.free_bytes, "total_bytes": space.total_bytes},
        }

    def well(self) -> dict[str, Any]:
        """Return whether the processor can do its work; raise StoreError where it cannot."""
        self._catalogue.is_empty()
        try:
            self._disk.check(0)
        except StoreError as error:
            return {"status": "degraded", "detail": str(error), "software": self._software}
        return {"status": "ok", "software": self._software}

    def _space(self) -> Room:
        return room(self._layout.root)

    def _frame_count(self) -> int:
        return self._catalogue.totals().frames

    def _used_bytes(self) -> int:
        _films, film_bytes = self._films.count()
        return film_bytes + self._catalogue.totals().bytes


def _score(evening: Evening) -> float | None:
    return sunset.told(evening.score, evening.details["evenings_before"])
