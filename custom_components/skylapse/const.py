"""Names that several rooms of the integration share."""

import logging
from typing import Final

from homeassistant.const import Platform

DOMAIN: Final = "skylapse"
LOGGER = logging.getLogger(__package__)

CONF_ROOT: Final = "root"
CONF_PROCESSOR_URL: Final = "processor_url"
CONF_PROCESSOR_KEY: Final = "processor_key"

SUBENTRY_SCHEDULE: Final = "schedule"
SUBENTRY_PROFILE: Final = "profile"
SUBENTRY_SOURCE: Final = "source"
SUBENTRY_AB_TEST: Final = "ab_test"

PLATFORMS: Final = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CALENDAR,
    Platform.CAMERA,
    Platform.EVENT,
    Platform.IMAGE,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.TIME,
    Platform.UPDATE,
)

CONF_APP: Final = "app"
"""Slug of the app that address and key of the processor came from."""

CONF_REPLY_LIMIT_S: Final = "reply_limit_s"
CONF_LINK_HOURS: Final = "link_hours"
DEFAULT_REPLY_LIMIT_S: Final = 15
DEFAULT_LINK_HOURS: Final = 24
