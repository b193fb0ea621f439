"""The last frame of a camera: the bridge's preview, else the newest that is stored."""

from .coordinator import SkylapseCoordinator
from .facts import CameraFacts, Subject
from .protocol.errors import IdentifierError
from .protocol.identifiers import FrameName


async def async_last_frame(coordinator: SkylapseCoordinator, subject: Subject) -> bytes | None:
    """Return the last frame, a JPEG, None where there is none; raise ProcessorError."""
    camera = coordinator.system.cameras.get(subject.id)
    if camera is None:
        return None
    if camera.preview is not None:
        return camera.preview
    stored = stored_frame(camera)
    if coordinator.client is None or stored is None:
        return None
    return await coordinator.client.frame_picture(stored)


def stored_frame(camera: CameraFacts) -> FrameName | None:
    """Return the newest stored frame's name, None where there is none that can be asked for."""
    if camera.store is None or camera.store.last_frame is None:
        return None
    try:
        return FrameName.parse(camera.store.last_frame)
    except IdentifierError:
        return None
