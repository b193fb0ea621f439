"""What repairs there are, time that passes, and moments as a form says them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol.messages import ProcessorAnnounce

MINUTE_S = 60.0


def issues(hass: HomeAssistant) -> set[str]:
    """Return the repairs that are told."""
    return {issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN}


def places(hass: HomeAssistant, issue: str) -> dict[str, str]:
    """Return what stands in the places of a repair's words."""
    found = ir.async_get(hass).async_get_issue(DOMAIN, issue)
    assert found is not None
    assert found.translation_placeholders is not None
    return found.translation_placeholders


async def pass_time(hass: HomeAssistant, seconds: float) -> None:
    """Let timers run that end within so many seconds from now."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done(wait_background_tasks=True)


def moved_to(url: str, **changes: Any) -> ProcessorAnnounce:
    """Return the announce of a processor at an address."""
    announce = ProcessorAnnounce(
        processor="house",
        name="House",
        software="0.1.0",
        schema_min=1,
        schema_max=1,
        boot_id="b",
        base_url=url,
    )
    return replace(announce, **changes)


def local(moment: datetime) -> str:
    """Return a moment as a form sends it."""
    return dt_util.as_local(moment).strftime("%Y-%m-%d %H:%M:%S")


def noon(days: int) -> datetime:
    """Return noon in so many days: a form can say any time but those that come twice in autumn."""
    return (dt_util.utcnow() + timedelta(days=days)).replace(hour=12, minute=0, second=0, microsecond=0)
