"""Setting up, unloading, devices that come and go."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.const import DOMAIN
from tests.integration.speakers import Bridge, Processor


async def test_devices_come_without_a_click(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.tell_all()
    await processor.tell_all()
    registry = dr.async_get(hass)
    roof = registry.async_get_device_by_identifier((DOMAIN, "roof"), loaded.entry_id)
    west = registry.async_get_child_device_by_identifier((DOMAIN, "roof/west"), loaded.entry_id)
    assert roof is not None
    assert (roof.name, roof.hw_version, roof.sw_version) == ("Roof", "Raspberry Pi 4", "0.1.0")
    assert west is not None
    assert west.parent_device_id == roof.id
    assert registry.async_get_device_by_identifier((DOMAIN, "processor"), loaded.entry_id) is not None
    assert loaded.state is ConfigEntryState.LOADED
