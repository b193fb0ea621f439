"""Lets pytest-homeassistant-custom-component 0.13.375, made for 2026.10, run on Home Assistant 2026.11 too.

Loaded with `-p tests.integration.plugin_2026_11`, thus before the plugin that it prepares for. Importing
homeassistant first also puts probatio in voluptuous' place and httpx2 in httpx', as Home Assistant does.
"""

import homeassistant  # noqa: F401  (for its aliases)
from homeassistant.components import logger

if not hasattr(logger, "_clear_logger_overwrites"):
    from homeassistant.components.logger import helpers

    logger._clear_logger_overwrites = helpers._clear_logger_overwrites  # type: ignore[attr-defined]

import custom_components  # noqa: F401  (before the harness puts a package of the same name on the path)
