"""Delivery: frames leave the spool oldest first, until the processor has them for good.

No network, a full processor and a key that it does not know are waited out with growing, jittered pauses; a
frame that alone is refused waits alone. What has no processor to go to stays.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util import dt as dt_util

from ..const import CONF_PROCESSOR_KEY, CONF_PROCESSOR_URL, LOGGER
from ..errors import (
    DamagedFrameError,
    SpoolError,
    UploadError,
    UploadKeyError,
    UploadQuarantinedError,
    UploadRefusedError,
)
from ..protocol.records import FrameRecord
from .errand import Errand
from .spool import Spool
from .tus import async_send

if TYPE_CHECKING:
    from ..data import SkylapseConfigEntry

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
REFUSED_PAUSE = timedelta(minutes=5)


class Uploader:
    """Delivers what is in the spool to the processor that the entry is connected to."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SkylapseConfigEntry,
        spool: Spool,
        changed: Callable[[str | None], None],
    ) -> None:
        """Remember whom to serve; `changed` hears of a camera whose counts changed, None of the problem."""
        self.problem: str | None = None
        """Why frames do not reach the processor, None while they do."""
        self._hass = hass
        self._entry = entry
        self._spool = spool
        self._changed = changed
        self._failures = 0
        self._refused: dict[int, datetime] = {}
        self._errand = Errand(hass, entry, "skylapse delivery", self._deliver)

    @callback
    def async_poke(self) -> None:
        """Say that there is something to deliver; after failures the pause goes on."""
        if not self._failures:
            self._errand.async_ask()

    @callback
    def async_flush(self) -> None:
        """Try everything again now, whatever failed before."""
        self._failures = 0
        self._refused.clear()
        self._errand.async_ask()

    @callback
    def async_stop(self) -> None:
        """Stop; frames under way stay in the spool."""
        self._errand.async_stop()

    async def _deliver(self) -> datetime | None:
        """Deliver until nothing is left or something is in the way; return when to try again."""
        if CONF_PROCESSOR_KEY not in self._entry.data:
            self._tell("Home Assistant has no key of a processor")
            return None
        while True:
            now = dt_util.utcnow()
            self._refused = {seq: until for seq, until in self._refused.items() if until > now}
            record = self._spool.oldest(self._refused)
            if record is None:
                self._failures = 0
                return min(self._refused.values(), default=None)
            self._spool.under_way = record.seq
            try:
                await self._deliver_one(record)
            except (SpoolError, UploadError) as error:
                self._failures += 1
                self._tell(str(error))
                return now + self._pause()
            finally:
                self._spool.under_way = None

    async def _deliver_one(self, record: FrameRecord) -> None:
        """Deliver one frame, or give it up; raise what is in the way of all of them."""
        data = self._entry.data
        try:
            content = await self._spool.async_read(record)
            await async_send(
                async_get_clientsession(self._hass),
                data[CONF_PROCESSOR_URL],
                data[CONF_PROCESSOR_KEY],
                record,
                content,
            )
        except DamagedFrameError as error:
            await self._spool.async_drop(record, str(error))
            self._changed(record.camera)
            return
        except UploadQuarantinedError as error:
            LOGGER.warning("Frame %s was put aside: %s", record.name, error)
        except UploadRefusedError as error:
            self._refused[record.seq] = dt_util.utcnow() + REFUSED_PAUSE
            self._tell(str(error))
            return
        except UploadKeyError:
            self._entry.async_start_reauth(self._hass)
            raise
        await self._spool.async_delivered(record)
        self._failures = 0
        self._tell(None)
        self._changed(record.camera)

    def _pause(self) -> timedelta:
        longest_s = min(FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE_S)
        return timedelta(seconds=longest_s * random.uniform(0.5, 1.0))  # noqa: S311 no secret

    def _tell(self, problem: str | None) -> None:
        """Remember why frames do not arrive; log it once, and once that they do again."""
        if problem == self.problem:
            return
        if problem is not None:
            LOGGER.warning("Frames of Home Assistant's cameras wait in the spool: %s", problem)
        else:
            LOGGER.info("Frames of Home Assistant's cameras reach the processor again")
        self.problem = problem
        self._changed(None)
