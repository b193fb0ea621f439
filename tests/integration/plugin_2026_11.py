"""Lets pytest-homeassistant-custom-component 0.13.375, made for 2026.10, run on Home Assistant 2026.11 too.

Loaded with `-p tests.integration.plugin_2026_11`, thus before the plugin that it prepares for. Importing
homeassistant first also puts probatio in voluptuous' place and httpx2 in httpx', as Home Assistant does.
"""

import homeassistant  # noqa: F401  (for its aliases)
from homeassistant.components import logger
from homeassistant.components.mqtt import models

if not hasattr(logger, "_clear_logger_overwrites"):
    from homeassistant.components.logger import helpers

    logger._clear_logger_overwrites = helpers._clear_logger_overwrites  # type: ignore[attr-defined]

if hasattr(models, "SubscriptionID"):
    find = models.SubscriptionID.get_subscription_id

    def get_subscription_id(self: models.SubscriptionID, topic: str) -> int:
        """Return the id of a topic, also of one that went while others are subscribed to: 2026.11 raises."""
        return find(self, topic) if topic in self._registered_subscriptions else 1

    models.SubscriptionID.get_subscription_id = get_subscription_id  # type: ignore[method-assign]

import custom_components  # noqa: F401  (before the harness puts a package of the same name on the path)
