"""What bridges say of themselves and their cameras, as last heard on MQTT."""

from datetime import datetime, timedelta

from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import BridgeAnnounce, CameraState, Counts

from .clock import Clock

AHEAD_AT_MOST = timedelta(days=1)
"""A frame from further ahead has its time from a clock that was wrong."""


class Bridges:
    """The last announce of each bridge and the last state of each camera."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._announces: dict[str, BridgeAnnounce] = {}
        self._states: dict[CameraName, CameraState] = {}

    def announced(self, bridge: str, announce: BridgeAnnounce | None) -> None:
        """Hear an announce; None means that the bridge is gone for good."""
        if announce is not None:
            self._announces[bridge] = announce
            return
        self._announces.pop(bridge, None)
        self._states = {camera: state for camera, state in self._states.items() if camera.bridge != bridge}

    def stated(self, camera: CameraName, state: CameraState | None) -> None:
        """Hear the state of a camera; None means that it is gone for good."""
        if state is None:
            self._states.pop(camera, None)
        else:
            self._states[camera] = state

    def cameras(self) -> tuple[CameraName, ...]:
        """Return every camera that is announced."""
        return tuple(
            CameraName(bridge=announce.bridge, camera=camera.id)
            for announce in self._announces.values()
            for camera in announce.cameras
        )

    def name(self, camera: CameraName) -> str:
        """Return what people call a camera; its id where nobody has said."""
        announce = self._announces.get(camera.bridge)
        named = [known.name for known in (announce.cameras if announce else ()) if known.id == camera.camera]
        return named[0] if named else str(camera)

    def believable(self, camera: CameraName) -> datetime:
        """Return up to when a frame of this camera may have been captured, on its bridge's clock."""
        now = self._clock()
        announce = self._announces.get(camera.bridge)
        simulated = announce.clock if announce else None
        if simulated is not None:
            now = simulated.start + (now - simulated.anchor) * simulated.rate
        return now + AHEAD_AT_MOST

    def counts(self, camera: CameraName) -> Counts | None:
        """Return what a camera's bridge has counted; None where it was not heard."""
        state = self._states.get(camera)
        return state.counts if state is not None else None
