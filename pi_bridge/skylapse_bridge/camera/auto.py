"""The driver `auto`: the first camera of this machine that answers.

What was found is tried in the order of `discovery.SEARCHED`: a camera module before a USB camera. The one
that answered is kept as long as it answers, so that a camera that was only slow to start does not change
places with another; when it is lost it is tried first, and the others after it.
"""

from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CameraError, CameraLostError
from skylapse_protocol.messages import CameraInfo

from . import discovery
from .discovery import Found
from .factory import CameraConfig, CameraIdentity, driver_options
from .factory import make_camera as make_camera_of
from .port import Camera, CapturedFrame, CaptureSettings, FocusFigure, SmallFrame

OPTIONS: dict[Any, Any] = {}
"""Whoever wants to set something names the driver."""


class AutoCamera:
    """Whichever camera answered, behind the port."""

    def __init__(self, identity: CameraIdentity, clock: Clock) -> None:
        self._identity = identity
        self._clock = clock
        self._chosen: Found | None = None
        self._camera: Camera | None = None

    def start(self, bookmark: str | None = None) -> None:
        """Start the camera that answered last, else the first that answers; raise CameraLostError."""
        self.stop()
        tried = []
        for found in self._candidates():
            try:
                self._camera = self._started(found, bookmark)
            except CameraError as error:
                tried.append(f"{' '.join(filter(None, (found.driver, found.address)))}: {error}")
            else:
                self._chosen = found
                return
        raise CameraLostError(
            f"camera {self._identity.id}: none answers: {'; '.join(tried) or 'none was found'}"
        )

    def stop(self) -> None:
        """Stop the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.stop()

    def capabilities(self) -> CameraInfo:
        """Return what the camera that answered is and can do; `driver` is its own."""
        return self._running().capabilities()

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Meter."""
        return self._running().meter(settings)

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Take a picture."""
        return self._running().capture(settings)

    def preview(self) -> bytes:
        """Return what the camera sees."""
        return self._running().preview()

    def focus(self, dioptre: float | None) -> float:
        """Focus."""
        return self._running().focus(dioptre)

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Return how sharp the picture is."""
        return self._running().focus_figure(settings)

    def _candidates(self) -> list[Found]:
        """Return what may answer, the camera that answered last before all others."""
        last, others = self._chosen, discovery.discover()
        return others if last is None else [last, *(found for found in others if found != last)]

    def _started(self, found: Found, bookmark: str | None) -> Camera:
        """Return a camera that is started and answers; raise CameraError."""
        if found.problem is not None:
            raise CameraError(found.problem)
        options = vol.Schema(driver_options(found.driver))(dict(found.options))
        config = CameraConfig(
            id=self._identity.id, name=self._identity.name, driver=found.driver, options=options
        )
        camera = make_camera_of(self._identity.bridge, config, self._clock)
        try:
            camera.start(bookmark)
            camera.capabilities()
        except CameraError:
            camera.stop()
            raise
        return camera

    def _running(self) -> Camera:
        if self._camera is None:
            raise CameraLostError(f"camera {self._identity.id} is not started")
        return self._camera


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> AutoCamera:  # noqa: ARG001 there is nothing to set
    """Return the camera; which one it is turns out when it is started."""
    return AutoCamera(identity, clock)
