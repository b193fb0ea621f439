"""Actions for a camera: capture, meter, focus, set_mode. They answer with what the bridge replies."""

from typing import Any

import probatio
from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.helpers import config_validation as cv

from ..entity import failed, translated
from ..errors import CommandError
from ..links import frame_path, signed
from ..media_id import FrameId
from ..protocol.codec import read
from ..protocol.errors import ProtocolError
from ..protocol.messages import Reading
from ..protocol.records import read_record
from .base import (
    ATTR_CAMERA,
    camera_of,
    coordinator_of,
    entry_of,
    limit_s,
    present_camera_of,
    profile_named,
    whole,
    within,
)

MODES = ("deployed", "live")

_SWEEP_S = 120.0
"""A camera moves its lens step by step and judges each by a picture."""
_AVERAGING_S = 60.0

CAPTURE_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_CAMERA): cv.string,
        probatio.Optional("profile"): cv.string,
        probatio.Optional("ev"): within(-10, 10),
        probatio.Inclusive("exposure_us", "exposure"): whole(1, 600_000_000),
        probatio.Inclusive("gain", "exposure"): within(0.1, 1000),
        probatio.Exclusive("colour_temperature_k", "colour"): whole(1000, 20_000),
        probatio.Exclusive("colour_gains", "colour"): probatio.All(
            [within(0.1, 32)], probatio.Length(min=2, max=2)
        ),
        probatio.Optional("focus_dioptre"): within(0, 50),
        probatio.Optional("average"): whole(1, 64),
        probatio.Optional("raw"): cv.boolean,
        probatio.Optional("jpeg_quality"): whole(1, 100),
        probatio.Optional("test_id"): cv.string,
    }
)
METER_SCHEMA = probatio.Schema(
    {probatio.Required(ATTR_CAMERA): cv.string, probatio.Optional("profile"): cv.string}
)
FOCUS_SCHEMA = probatio.Schema(
    {probatio.Required(ATTR_CAMERA): cv.string, probatio.Optional("dioptre"): within(0, 50)}
)
SET_MODE_SCHEMA = probatio.Schema(
    {probatio.Required(ATTR_CAMERA): cv.string, probatio.Required("mode"): probatio.In(MODES)}
)


async def async_capture(call: ServiceCall) -> ServiceResponse:
    """Take one frame with these settings; the next one is production's again.

    Its picture is there once the bridge has delivered it.
    """
    coordinator = coordinator_of(call.hass)
    camera = str(camera_of(call, coordinator).name)
    answer = await _command(call, "capture", _exposing_s(call.data))
    if "record" in answer:
        try:
            frame = read_record(answer["record"]).name
            answer["media_content_id"] = FrameId(frame=frame).uri
            answer["picture"] = signed(coordinator, frame_path(frame, "picture.jpg"))
        except ProtocolError as error:
            raise failed("refused", who=camera, reason=str(error)) from error
    return answer


async def async_meter(call: ServiceCall) -> ServiceResponse:
    """Measure the light and answer with the reading."""
    camera = str(camera_of(call, coordinator_of(call.hass)).name)
    answer = await _command(call, "meter")
    try:
        read(Reading, answer.get("reading"), "reading")
    except ProtocolError as error:
        raise failed("refused", who=camera, reason=str(error)) from error
    return answer


async def async_focus(call: ServiceCall) -> ServiceResponse:
    """Set the camera's infinity, or have it looked for."""
    return await _command(call, "focus", 0.0 if "dioptre" in call.data else _SWEEP_S)


async def async_set_mode(call: ServiceCall) -> ServiceResponse:
    """Have the camera follow its plan, or show what is in front of it."""
    return await _command(call, "set_mode")


async def _command(call: ServiceCall, name: str, longer_s: float = 0.0) -> dict[str, Any]:
    """Have a camera do what the call says, and return what it replies."""
    coordinator = coordinator_of(call.hass)
    camera = present_camera_of(call, coordinator)
    args = {key: value for key, value in call.data.items() if key != ATTR_CAMERA}
    if "profile" in args:
        args["profile"] = str(profile_named(entry_of(call.hass), args["profile"]).unique_id)
    try:
        return await coordinator.async_command_camera(camera, name, args, limit_s(coordinator) + longer_s)
    except CommandError as error:
        raise translated(error, str(camera.name)) from error


def _exposing_s(data: dict[str, Any]) -> float:
    """Return how long the exposures of a capture may take beyond an ordinary reply."""
    count = int(data.get("average", 1))
    if "exposure_us" in data:
        return float(data["exposure_us"]) / 1e6 * count
    return _AVERAGING_S if count > 1 else 0.0
