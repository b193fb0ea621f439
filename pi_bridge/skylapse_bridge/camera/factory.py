"""The table of camera drivers; each is imported when a configuration names it.

A driver module holds two things: `OPTIONS`, a voluptuous schema (a dict) of what may stand in the
configuration beside `id`, `name` and `driver`, and `make_camera(identity, options, clock)`, which answers a
`Camera` and opens nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any

from skylapse_bridge.clock import Clock

from .port import Camera

DRIVERS: Mapping[str, str] = MappingProxyType(
    {name: f".{name}" for name in ("auto", "folder", "http", "picamera", "stream", "twin", "v4l2")}
)
"""Name of a driver and its module in this package."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraIdentity:
    """What a camera is called."""

    bridge: str
    id: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraConfig:
    """One camera of the configuration."""

    id: str
    name: str
    driver: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the driver itself is told, already checked by its `OPTIONS`."""


def driver_options(driver: str) -> dict[Any, Any]:
    """Return the schema of a driver's own options."""
    return dict(import_module(DRIVERS[driver], __package__).OPTIONS)


def make_camera(bridge: str, config: CameraConfig, clock: Clock) -> Camera:
    """Return the camera that the configuration describes; `start` opens it."""
    module = import_module(DRIVERS[config.driver], __package__)
    identity = CameraIdentity(bridge=bridge, id=config.id, name=config.name)
    camera: Camera = module.make_camera(identity, config.options, clock)
    return camera
