"""The driver of the Raspberry Pi's cameras: picamera2 and libcamera, from the system's packages.

One configuration runs from `start` to `stop`: the main stream in full resolution (YUV420, as JPEG wants
it), a small one for previews, and the raw one where the camera has it. `pursuit.py` decides which frame
shows what was asked for, `session.py` gets it, `tuning.py` reads the sensor's facts, `planes.py` the
pixels. Metering takes single pixels of the main stream, for the small one is a mean in which clipped pixels
hide.

A bridge with two different sensors runs them without changed tuning files: libcamera takes one file a
process.
"""

import gc
import inspect
import io
import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import voluptuous as vol
from PIL import Image

from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import parse_id
from skylapse_protocol.messages import CameraInfo

from .averaging import BAND_ROWS, Averager, require_memory
from .discovery import Found
from .factory import CameraIdentity
from .picture import encode_preview, fit
from .planes import Bytes, bands_of, grey_of, image_of, sampled
from .port import PREVIEW_SIDE_PX, SMALL_SIDE_PX, CapturedFrame, CaptureSettings, FocusFigure, SmallFrame
from .pursuit import Controls, controls_for, lens_controls
from .session import Session, Shot, now_ns, within
from .sharpness import figure
from .tuning import Tuning, read_tuning

_LOGGER = logging.getLogger(__name__)

_SIDE = vol.All(int, vol.Range(min=64, max=16384))

OPTIONS = {
    # Which camera: its number, or what its sensor is called.
    vol.Exclusive("camera", "which"): vol.All(int, vol.Range(min=0, max=15)),
    vol.Exclusive("sensor", "which"): vol.All(str, vol.Length(min=1)),
    # A tuning file of one's own: a path, or a name in libcamera's folder.
    vol.Optional("tuning_file"): vol.All(str, vol.Length(min=1)),
    # The size of the pictures; the sensor's own where it is left out.
    vol.Inclusive("width", "size"): _SIDE,
    vol.Inclusive("height", "size"): _SIDE,
    vol.Optional("hflip", default=False): bool,
    vol.Optional("vflip", default=False): bool,
    # Where the lens stands after the start, in dioptres.
    vol.Optional("focus"): vol.All(vol.Coerce(float), vol.Range(min=0.0, max=20.0)),
    # Raw pictures can be asked for.
    vol.Optional("raw", default=True): bool,
}

_BUFFERS = 2
"""One is exposed, one waits; more only lengthen the way of a control."""

_FOCUS_PX = 1024
_FOCUS_PATIENCE_S = 15.0
_OPEN_PATIENCE_S = 15.0
_USB = "/usb"
_BIT_DEPTH = re.compile(r"(?:S[RGB]{4}|R)(\d+)(?:_CSI2P)?")


def found() -> list[Found]:
    """Return the cameras that libcamera sees; those at USB ports belong to the driver `v4l2`."""
    return [
        Found(driver="picamera", address=camera["Id"], name=camera["Model"], options={"camera": number})
        for number, camera in enumerate(_cameras(_library()))
        if _USB not in camera["Id"]
    ]


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> "PicameraCamera":
    """Return the camera that the configuration describes."""
    return PicameraCamera(identity, vol.Schema(OPTIONS)(dict(options)), clock)


class PicameraCamera:
    """One camera at a ribbon cable; fills the port `Camera`."""

    def __init__(self, identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> None:
        self._identity = identity
        self._options = options
        self._clock = clock
        self._session: Session | None = None
        self._tuning: Tuning | None = None
        self._model = ""
        self._controls: Controls = {}
        self._dioptre: float | None = None

    def start(self, bookmark: str | None = None) -> None:  # noqa: ARG002 the port's signature
        """Open, configure and start the camera; one that was left behind is closed first."""
        self.stop()
        library = _library()
        cameras = _cameras(library)
        number, self._model = _choose(cameras, self._options)
        self._tuning = tuning = _load_tuning(library, self._model, self._options.get("tuning_file"))
        picamera = within(lambda: _open(library, number, tuning, cameras), _OPEN_PATIENCE_S)
        self._session = session = Session(picamera)
        try:
            self._begin(session)
        except CameraError:
            self.stop()
            raise
        self._controls, self._dioptre = {}, self._options.get("focus")

    def stop(self) -> None:
        """Close the camera; raise CameraLostError where it hangs, so that only a new process helps."""
        session = self._session
        if session is not None:
            session.close()
        self._session = None

    def capabilities(self) -> CameraInfo:
        """Return what the camera's controls and streams say."""
        session = self._running()
        limits = session.limits
        width, height = session.picamera.camera_config["main"]["size"]
        exposure, gain = limits.exposure_us or (None, None), limits.gain or (None, None)
        return CameraInfo(
            id=self._identity.id,
            name=self._identity.name,
            model=self._model,
            driver="picamera",
            width=width,
            height=height,
            min_exposure_us=exposure[0],
            max_exposure_us=exposure[1],
            min_gain=gain[0],
            max_gain=gain[1],
            controls_exposure=limits.controls_exposure,
            controls_colour=limits.controls_colour,
            brackets=limits.controls_exposure,
            focus=limits.dioptre is not None,
            max_dioptre=limits.dioptre[1] if limits.dioptre else None,
            raw=_has_raw(session),
            sensor=_sensor(self._model),
        )

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Return single pixels of a whole frame with these settings."""
        session = self._running()
        with session.shot(self._wanted(session, settings)) as shot:
            age_us = (now_ns() - shot.delivered.began_ns) / 1000
            return self._small(shot, self._clock.now() - timedelta(microseconds=age_us))

    def _small(self, shot: Shot, seen_at: datetime) -> SmallFrame:
        """Return single pixels of a frame."""
        small = sampled(*_pixels(shot, "main"), SMALL_SIDE_PX)
        delivered, tuning = shot.delivered, self._tuning
        return SmallFrame(
            width=small.shape[1],
            height=small.shape[0],
            rgb=small.tobytes(),
            tone_curve=(tuning and tuning.tone_curve) or "srgb",
            exposure_us=delivered.exposure_us,
            gain=delivered.gain,
            lux_reference=tuning.lux_reference if tuning else None,
            colour_temperature_k=delivered.colour_temperature_k,
            seen_at=seen_at,
            focus_dioptre=delivered.dioptre,
        )

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Take one picture, or the mean of several."""
        called_ns = now_ns()
        session = self._running()
        size = session.picamera.camera_config["main"]["size"]
        if settings.average > 1:
            require_memory(size)
        wanted = self._wanted(session, settings)
        with session.shot(wanted, not_before_ns=called_ns, at_once=True) as shot:
            delivered = shot.delivered
            age_ns = now_ns() - delivered.began_ns
            captured_at = self._clock.now() - timedelta(microseconds=age_ns / 1000)
            monotonic_ns = self._clock.monotonic_ns() - age_ns
            small = self._small(shot, captured_at)
            raw = _dng(shot) if settings.raw and _has_raw(session) else None
            averager = self._averager(shot) if settings.average > 1 else None
            jpeg = _jpeg(session, shot, settings.jpeg_quality) if averager is None else b""
        if averager is not None:
            jpeg = _average(session, wanted, settings, delivered.began_ns, averager)
        return CapturedFrame(
            jpeg=jpeg,
            width=size[0],
            height=size[1],
            captured_at=captured_at,
            monotonic_ns=monotonic_ns,
            exposure_us=delivered.exposure_us,
            analogue_gain=delivered.analogue_gain,
            digital_gain=delivered.digital_gain,
            colour_gains=delivered.colour_gains,
            colour_temperature_k=delivered.colour_temperature_k,
            lux=delivered.lux,
            focus_dioptre=delivered.dioptre,
            sensor=_sensor(self._model),
            tone_curve=self._tuning.tone_curve if self._tuning else None,
            sensor_temperature_c=delivered.sensor_temperature_c,
            averaged=settings.average,
            raw=raw,
            small=small,
        )

    def preview(self) -> bytes:
        """Return the small stream, with the settings in force."""
        session = self._running()
        with session.shot(self._controls) as shot:
            image = image_of(*_pixels(shot, "lores"))
        return encode_preview(image.resize(fit(image.size, PREVIEW_SIDE_PX), Image.Resampling.BILINEAR))

    def focus(self, dioptre: float | None) -> float:
        """Set the lens, or let the camera's own autofocus find its place and keep it there."""
        session = self._running()
        reach = session.limits.dioptre
        if reach is None:
            raise UnsupportedError(f"camera {self._identity.id}: the lens of the {self._model} does not move")
        if dioptre is None:
            if "AfTrigger" not in session.limits.names:
                raise UnsupportedError(f"camera {self._identity.id}: the {self._model} has no autofocus")
            dioptre = session.autofocus(_FOCUS_PATIENCE_S)
        wanted = self._controls | lens_controls(dioptre, reach)
        with session.shot(wanted) as shot:
            self._controls, self._dioptre = wanted, wanted["LensPosition"]
            return dioptre if shot.delivered.dioptre is None else shot.delivered.dioptre

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Return how sharp the middle of the picture is, pixel for pixel."""
        session = self._running()
        wanted = self._wanted(session, settings)
        with session.shot(wanted, not_before_ns=now_ns(), at_once=True) as shot:
            sharpness = figure(grey_of(*_pixels(shot, "main"), _FOCUS_PX))
            delivered = shot.delivered
        if delivered.dioptre is None:
            raise UnsupportedError(f"camera {self._identity.id}: the lens of the {self._model} does not move")
        return FocusFigure(
            figure=sharpness, dioptre=delivered.dioptre, temperature_c=delivered.sensor_temperature_c
        )

    def _averager(self, first: Shot) -> Averager:
        """Return the mean of one exposure so far."""
        averager = Averager(self._tuning.tone_curve if self._tuning else None)
        _add(averager, first)
        return averager

    def _wanted(self, session: Session, settings: CaptureSettings) -> Controls:
        """Return the controls for settings; the lens stays where it was last put."""
        curve = self._tuning.colour_curve if self._tuning else ()
        wanted = controls_for(settings, session.limits, curve)
        if session.limits.dioptre and self._dioptre is not None and "LensPosition" not in wanted:
            wanted |= lens_controls(self._dioptre, session.limits.dioptre)
        self._controls, self._dioptre = wanted, wanted.get("LensPosition", self._dioptre)
        return wanted

    def _running(self) -> Session:
        if self._session is None:
            raise CameraLostError(f"camera {self._identity.id} is not started")
        return self._session

    def _begin(self, session: Session) -> None:
        """Configure and start the camera; where memory does not reach, without raw pictures."""
        picamera, raw = session.picamera, self._options["raw"]
        without = (lambda: self._configuration(picamera, raw=False)) if raw else None
        session.start(lambda: self._configuration(picamera, raw=raw), without)

    def _configuration(self, picamera: Any, *, raw: bool) -> Any:
        """Return the one configuration: everything at once, never switched.

        The sensor is read in full, whatever the size of the pictures, so that this never changes what is
        seen. The picamera2 of Debian 11 can be told so by the raw stream alone.
        """
        from libcamera import Transform

        options, full = self._options, picamera.sensor_resolution
        size = (options.get("width", full[0]), options.get("height", full[1]))
        lores = tuple(side - side % 2 for side in fit(size, PREVIEW_SIDE_PX))
        return picamera.create_still_configuration(
            main={"format": "YUV420", "size": size},
            lores={"format": "YUV420", "size": lores},
            raw={"size": full} if raw else None,
            transform=Transform(hflip=options["hflip"], vflip=options["vflip"]),
            buffer_count=_BUFFERS,
            queue=False,
            **_sensor_mode(picamera),
        )


def _library() -> Any:
    """Return the class `Picamera2`; raise CameraError where the system has none."""
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise CameraError(
            f"picamera2 is missing ({error}): sudo apt install python3-picamera2, and install the bridge "
            "with pipx install --system-site-packages"
        ) from error
    return Picamera2


def _cameras(library: Any) -> list[dict[str, Any]]:
    """Return what libcamera tells of its cameras, by their numbers; it looks anew while none is open.

    Closed cameras keep libcamera's list of cameras alive until the garbage that they are is collected.
    """

    def look() -> list[dict[str, Any]]:
        manager = library._cm  # noqa: SLF001 nothing else in picamera2 looks for cameras anew
        if not manager.cameras:
            gc.collect()
            manager.reset()
        return list(library.global_camera_info())

    return within(look, _OPEN_PATIENCE_S)


def _choose(cameras: list[dict[str, Any]], options: Mapping[str, Any]) -> tuple[int, str]:
    """Return number and model of the camera that is meant; raise CameraLostError where it is not there."""
    there = ", ".join(f"{number}: {camera['Model']}" for number, camera in enumerate(cameras)) or "none"
    sensor = options.get("sensor")
    for number, camera in enumerate(cameras):
        model = str(camera["Model"])
        if number == options.get("camera", 0) if sensor is None else _sensor(model) == _sensor(sensor):
            return number, model
    meant = f"sensor {sensor}" if sensor else f"number {options.get('camera', 0)}"
    raise CameraLostError(f"libcamera sees no camera with {meant}; there are: {there}")


def _load_tuning(library: Any, model: str, name: str | None) -> Tuning | None:
    """Return the camera's tuning file; None where libcamera has none, as for cameras of other makers."""
    path = Path(name or f"{model}.json")
    try:
        if path.is_absolute():
            return read_tuning(json.loads(path.read_text("utf-8")), _sensor(model))
        return read_tuning(library.load_tuning_file(path.name), _sensor(model))
    except (OSError, ValueError, RuntimeError) as error:
        if name is not None:
            raise CameraError(f"the tuning file {name} cannot be used: {error}") from error
        _LOGGER.info("the %s has no tuning file (%s): its tone curve is unknown", model, error)
        return None


def _open(library: Any, number: int, tuning: Tuning | None, cameras: list[dict[str, Any]]) -> Any:
    """Open a camera. libcamera reads tuning files when it looks for cameras, so it looks again."""
    models = {camera["Model"] for camera in cameras if _USB not in camera["Id"]}
    if tuning is None or len(models) > 1:
        return library(number)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(tuning.data, file)
        file.flush()
        os.environ["LIBCAMERA_RPI_TUNING_FILE"] = file.name
        _cameras(library)
        return library(number, tuning=file.name)


def _sensor_mode(picamera: Any) -> dict[str, Any]:
    """Return the argument that has the sensor read in full; nothing where picamera2 does not know it."""
    if "sensor" not in inspect.signature(picamera.create_still_configuration).parameters:
        return {}
    mode = {"output_size": picamera.sensor_resolution}
    depth = _BIT_DEPTH.fullmatch(str(picamera.sensor_format))
    return {"sensor": mode | {"bit_depth": int(depth[1])} if depth else mode}


def _sensor(model: str) -> str | None:
    """Return the sensor of a model: imx708 of imx708_wide_noir; None for what no id can be."""
    try:
        return parse_id(model.lower().split("_")[0], "sensor")
    except ProtocolError:
        return None


def _pixels(shot: Shot, stream: str) -> tuple[Bytes, str, tuple[int, int]]:
    """Return a stream's picture with its format and size."""
    facts = shot.request.config[stream]
    return shot.request.make_array(stream), facts["format"], facts["size"]


def _average(
    session: Session, wanted: Controls, settings: CaptureSettings, began_ns: int, averager: Averager
) -> bytes:
    """Add the exposures after the first, evenly over the time, and return their mean as JPEG."""
    step_ns = round(settings.over_s * 1e9 / settings.average)
    for number in range(1, settings.average):
        with session.shot(wanted, not_before_ns=began_ns + number * step_ns) as shot:
            _add(averager, shot)
    buffer = io.BytesIO()
    Image.fromarray(averager.mean()).save(buffer, "JPEG", quality=settings.jpeg_quality)
    return buffer.getvalue()


def _add(averager: Averager, shot: Shot) -> None:
    """Add a frame band by band: a whole picture in RGB would take more memory than the sums."""
    array, pixel_format, size = _pixels(shot, "main")
    averager.add_bands(bands_of(array, pixel_format, size, BAND_ROWS), size)


def _has_raw(session: Session) -> bool:
    return session.picamera.camera_config["raw"] is not None


def _jpeg(session: Session, shot: Shot, quality: int) -> bytes:
    """Return the frame as picamera2 encodes it."""
    session.picamera.options["quality"] = quality
    buffer = io.BytesIO()
    shot.request.save("main", buffer, format="jpeg")
    return buffer.getvalue()


def _dng(shot: Shot) -> bytes:
    buffer = io.BytesIO()
    shot.request.save_dng(buffer)
    return buffer.getvalue()
