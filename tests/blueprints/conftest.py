"""Home Assistant as the integration's tests have it."""

from tests.integration.conftest import (
    _custom_integrations,
    _short_listening,
    bridge,
    entry,
    entry_data,
    loaded,
    mqtt,
    processor,
    processor_server,
    pytest_collection_modifyitems,
)

__all__ = [
    "_custom_integrations",
    "_short_listening",
    "bridge",
    "entry",
    "entry_data",
    "loaded",
    "mqtt",
    "processor",
    "processor_server",
    "pytest_collection_modifyitems",
]
