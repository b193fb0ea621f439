"""Pinning a processor: its address and the key that belongs there, tried before they are kept."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from yarl import URL

from .const import CONF_PROCESSOR_KEY, CONF_PROCESSOR_URL
from .errors import ProcessorError, ProcessorKeyError
from .processor import ProcessorClient


async def async_pin(
    hass: HomeAssistant, asked: dict[str, Any], announced: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the data that pins a processor, verified, or what is wrong with it, by field.

    Address and key are pinned together: a key never goes to an address that is merely announced later.
    Without a key nothing is pinned, and nothing is wrong.
    """
    key = (asked.get(CONF_PROCESSOR_KEY) or "").strip()
    url = (asked.get(CONF_PROCESSOR_URL) or announced).strip()
    if not key:
        return {}, {}
    if not url:
        return {}, {CONF_PROCESSOR_URL: "processor_unknown"}
    if not _is_http(url):
        return {}, {CONF_PROCESSOR_URL: "invalid_url"}
    try:
        await ProcessorClient(async_get_clientsession(hass), url, key).check()
    except ProcessorKeyError:
        return {}, {CONF_PROCESSOR_KEY: "invalid_key"}
    except ProcessorError:
        return {}, {CONF_PROCESSOR_URL: "cannot_connect"}
    return {CONF_PROCESSOR_URL: url, CONF_PROCESSOR_KEY: key}, {}


def _is_http(url: str) -> bool:
    try:
        parsed = URL(url)
    except ValueError:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)
