"""What is alive while the entry is loaded."""

from dataclasses import dataclass

from homeassistant.config_entries import ConfigEntry

from .ab_testing import AbTester
from .any_camera.bridge import OwnBridge
from .camera_wishes import CameraWishes
from .coordinator import SkylapseCoordinator
from .deployer import Deployer
from .specs import Specs

type SkylapseConfigEntry = ConfigEntry[SkylapseData]


@dataclass(frozen=True, kw_only=True, slots=True)
class SkylapseData:
    """The rooms that actions, entities and the media source work with."""

    coordinator: SkylapseCoordinator
    deployer: Deployer
    ab_tester: AbTester
    wishes: CameraWishes
    own_bridge: OwnBridge
    specs: Specs
