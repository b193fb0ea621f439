"""The calendar: every window, past and to come, an event each, with its cameras."""

from datetime import datetime, timedelta
from typing import override

from homeassistant.components.calendar import CalendarEntity, CalendarEntityDescription, CalendarEvent
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.util import dt as dt_util

from .brain.almanac import Occasion, occasions
from .configuration import read_place
from .const import DOMAIN
from .data import SkylapseConfigEntry
from .specs import Specs

PARALLEL_UPDATES = 0

WINDOWS = CalendarEntityDescription(key="windows", translation_key="windows")


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the calendar."""
    async_add_entities([WindowCalendar(entry.runtime_data.specs)])


class WindowCalendar(CalendarEntity):
    """The windows of all schedules. It shows what is planned, and needs no bridge for that."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, specs: Specs) -> None:
        """Remember the room of schedules."""
        self.specs = specs
        self.entity_description = WINDOWS
        self._shown: CalendarEvent | None = None
        self._attr_unique_id = f"{DOMAIN}_{WINDOWS.key}"

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the room of schedules."""
        await super().async_added_to_hass()
        self.async_on_remove(self.specs.async_listen(self._changed))
        self._shown = self._in_view()

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """The window that rules now, else the next one."""
        return self._shown

    @callback
    def _changed(self) -> None:
        shown = self._in_view()
        if shown != self._shown:
            self._shown = shown
            self.async_write_ha_state()

    def _in_view(self) -> CalendarEvent | None:
        window = self.specs.in_view
        if window is None:
            return None
        schedule = self.specs.schedules[window.schedule]
        covered = [str(camera.name) for camera in self.specs.cameras if schedule.covers(str(camera.name))]
        return self._event(
            Occasion(
                window=window.id,
                schedule=window.schedule,
                starts_at=window.starts_at,
                ends_at=window.ends_at,
                interval_s=window.interval_s,
                cameras=tuple(sorted(covered)),
            )
        )

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the windows that touch a span, from the day on that the entry was made."""
        ended = {
            str(camera.name): camera.state.ended_windows if camera.state is not None else ()
            for camera in self.specs.cameras
        }
        created_at = min(self.specs.entry.created_at, dt_util.utcnow())
        found = await hass.async_add_executor_job(
            occasions,
            self.specs.effective,
            ended,
            read_place(hass),
            dt_util.as_utc(start_date),
            dt_util.as_utc(end_date),
            dt_util.as_utc(dt_util.start_of_local_day(dt_util.as_local(created_at))),
        )
        return [self._event(each) for each in found]

    def _event(self, occasion: Occasion) -> CalendarEvent:
        schedule = self.specs.schedules.get(occasion.schedule)
        names = {str(camera.name): camera.info.name for camera in self.specs.cameras if camera.info}
        lines = [names.get(camera, camera) for camera in occasion.cameras]
        if occasion.captured:
            lines = [
                f"{name}: {occasion.captured[camera]} {self._word('captured_frames')}"
                for camera, name in zip(occasion.cameras, lines, strict=True)
            ]
        if occasion.interval_s is not None:
            lines.append(f"{self._word('every')} {occasion.interval_s:g} s")
        return CalendarEvent(
            start=occasion.starts_at,
            end=_shown_end(occasion),
            summary=schedule.name if schedule is not None else occasion.schedule,
            description="\n".join(lines),
            location=", ".join(names.get(camera, camera) for camera in occasion.cameras),
            uid=occasion.window,
        )

    def _word(self, key: str) -> str:
        words = async_get_cached_translations(self.hass, self.hass.config.language, "common", DOMAIN)
        return words.get(f"component.{DOMAIN}.common.{key}", key)


def _shown_end(occasion: Occasion) -> datetime:
    """Return an end that clocks do not show before the start.

    Calendars compare what clocks show: within the hour that autumn repeats, a window may end before it began.
    """
    starts, ends = (
        dt_util.as_local(moment).replace(tzinfo=None) for moment in (occasion.starts_at, occasion.ends_at)
    )
    return occasion.ends_at + max(starts - ends, timedelta(0))
