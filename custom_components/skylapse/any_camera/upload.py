"""Delivery: frames leave the spool oldest first, until the processor has them for good.

No network, a full processor and a key that it does not know are waited out with growing, jittered pauses; a
frame that alone is refused waits alone, which is told as long as it does. What breaks off goes on where it
broke off. What has no processor to go to stays.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from .tus import Door, Transfer

if TYPE_CHECKING:
    from ..data import SkylapseConfigEntry

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
REFUSED_PAUSE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Refusal:
    """Why a frame waits alone, and until when."""

    reason: str
    until: datetime


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
        self._hass = hass
        self._entry = entry
        self._spool = spool
        self._changed = changed
        self._failures = 0
        self._obstacle: str | None = None
        """What is in the way of all frames."""
        self._said_to_wait = False
        """Whether the log says that all frames wait, and not yet that one arrived."""
        self._refusals: dict[int, _Refusal] = {}
        """By frame, the newest last; each stands until its frame has left the spool."""
        self._others_arrive = False
        """Whether a frame was delivered since one was refused for the first time."""
        self._said: str | None = None
        self._transfer: Transfer | None = None
        self._errand = Errand(hass, entry, "skylapse delivery", self._deliver)

    @property
    def problem(self) -> str | None:
        """Why frames do not reach the processor, None while they do."""
        if self._obstacle is not None or not self._refusals:
            return self._obstacle
        reason, count = next(reversed(self._refusals.values())).reason, len(self._refusals)
        if not self._others_arrive:
            return reason
        return f"{count} {'frame waits' if count == 1 else 'frames wait'} while others arrive: {reason}"

    @callback
    def async_poke(self) -> None:
        """Say that there is something to deliver; after failures the pause goes on."""
        if not self._failures:
            self._errand.async_ask()

    @callback
    def async_flush(self) -> None:
        """Try everything again now, whatever failed before."""
        self._failures = 0
        now = dt_util.utcnow()
        self._refusals = {seq: replace(each, until=now) for seq, each in self._refusals.items()}
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
            self._refusals = {seq: each for seq, each in self._refusals.items() if self._spool.holds(seq)}
            later = {seq: each.until for seq, each in self._refusals.items() if each.until > now}
            record = self._spool.oldest(later)
            if record is None:
                self._failures = 0
                self._tell(None)
                return min(later.values(), default=None)
            self._spool.under_way = record.seq
            try:
                await self._deliver_one(record)
            except (SpoolError, UploadError) as error:
                self._failures += 1
                self._tell(str(error))
                return dt_util.utcnow() + self._pause()
            finally:
                self._spool.under_way = None

    async def _deliver_one(self, record: FrameRecord) -> None:
        """Deliver one frame, or give it up; raise what is in the way of all of them."""
        if self._transfer is None or self._transfer.record != record:
            self._transfer = Transfer(record=record)
        data, session = self._entry.data, async_get_clientsession(self._hass)
        door = Door(session=session, url=data[CONF_PROCESSOR_URL], key=data[CONF_PROCESSOR_KEY])
        try:
            await self._transfer.async_send(door, await self._spool.async_read(record))
        except DamagedFrameError as error:
            await self._spool.async_drop(record, str(error))
            self._changed(record.camera)
            return
        except UploadQuarantinedError as error:
            LOGGER.warning("Frame %s was put aside: %s", record.name, error)
        except UploadRefusedError as error:
            self._refuse(record, str(error))
            return
        except UploadKeyError:
            self._entry.async_start_reauth(self._hass)
            raise
        await self._spool.async_delivered(record)
        self._failures = 0
        self._refusals.pop(record.seq, None)
        self._others_arrive = True
        if self._said_to_wait:
            self._said_to_wait = False
            LOGGER.info("Frames of Home Assistant's cameras reach the processor again")
        self._tell(None)
        self._changed(record.camera)

    def _refuse(self, record: FrameRecord, reason: str) -> None:
        """Let a frame wait alone for a while; a reason is logged once, however many frames it keeps."""
        if reason not in {each.reason for each in self._refusals.values()}:
            LOGGER.warning("Frame %s waits in the spool: %s", record.name, reason)
        if self._refusals.pop(record.seq, None) is None:
            self._others_arrive = False
        self._refusals[record.seq] = _Refusal(reason=reason, until=dt_util.utcnow() + REFUSED_PAUSE)
        self._tell(None)

    def _pause(self) -> timedelta:
        longest_s = min(FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE_S)
        return timedelta(seconds=longest_s * random.uniform(0.5, 1.0))  # noqa: S311 no secret

    def _tell(self, obstacle: str | None) -> None:
        """Remember what is in the way of all frames; log it once as long as it stays so."""
        if obstacle is not None and obstacle != self._obstacle:
            LOGGER.warning("Frames of Home Assistant's cameras wait in the spool: %s", obstacle)
            self._said_to_wait = True
        self._obstacle = obstacle
        if self._said != self.problem:
            self._said = self.problem
            self._changed(None)
