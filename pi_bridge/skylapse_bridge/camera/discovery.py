"""Which cameras this machine has: every driver that can look for its own is asked.

A driver module that can look has a function `found() -> list[Found]`. Drivers are imported when they are
asked; one that cannot be imported, or fails, is a row that says so rather than an error, for the others'
cameras are there all the same. Network cameras do not announce themselves: they are named in the
configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import voluptuous as vol

from skylapse_bridge.clock import RealClock
from skylapse_bridge.errors import CameraError
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import CameraInfo

from .factory import DRIVERS, CameraConfig, driver_options, make_camera

SEARCHED = ("picamera", "v4l2")
"""Drivers whose cameras can be found, the likeliest first; `auto` tries them in this order."""

_ID = "found"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A camera that a driver found, or what kept the driver from looking."""

    driver: str
    address: str
    """Where it is, as in `/dev/video0`; empty where nothing was found."""
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """What has to stand in the configuration beside `driver`."""
    problem: str | None = None
    """Why it cannot be used as it is; None where it can."""


def discover() -> list[Found]:
    """Return the cameras of this machine, and what kept a driver from looking for its own."""
    return [found for driver in SEARCHED for found in _ask(driver)]


def probe(found: Found) -> CameraInfo:
    """Start a camera that was found, and return what it can do; raise CameraError."""
    if found.problem is not None:
        raise CameraError(found.problem)
    try:
        options = vol.Schema(driver_options(found.driver))(dict(found.options))
    except vol.Invalid as error:
        raise CameraError(f"{found.name} cannot be configured: {error}") from error
    config = CameraConfig(id=_ID, name=found.name, driver=found.driver, options=options)
    camera = make_camera(_ID, config, RealClock())
    try:
        camera.start()
        return camera.capabilities()
    except ProtocolError as error:
        raise CameraError(f"{found.name} cannot be described: {error}") from error
    finally:
        camera.stop()


def _ask(driver: str) -> list[Found]:
    """Return what one driver finds; whatever goes wrong is told in a row."""
    try:
        module = import_module(DRIVERS[driver], __package__)
        return list(module.found())
    except Exception as error:  # noqa: BLE001 a library of the system may raise anything; the others are asked all the same
        words = str(error) if isinstance(error, CameraError) else f"{type(error).__name__}: {error}"
        return [Found(driver=driver, address="", name=driver, problem=words)]
