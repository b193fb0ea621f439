"""A running picamera2: frames with the controls that were asked for, and a way back when it falls silent.

The camera runs all the time in one configuration. Frames that nobody waits for go back to the camera at
once, so a frame that comes is a new one. Nothing here waits for ever: a call of picamera2 that does not
return is left behind on a thread of its own, and the session is lost.
"""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from skylapse_bridge.errors import CameraError, CameraLostError

from .pursuit import (
    MOST_AFTER_START,
    MOST_FRAMES,
    Controls,
    Delivered,
    Habit,
    Limits,
    Pursuit,
    delivered_of,
    is_better_restarted,
    limits_of,
)

_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")

_PATIENCE_S = 8.0
"""A camera that delivers frames does so in less, beside the exposure; the largest give two a second."""

_FOREIGN = (RuntimeError, ValueError, KeyError, OSError)
"""What picamera2 raises over a frame."""

_NO_MEMORY = (os.strerror(errno.ENOMEM), "allocate")
_MORE_MEMORY = (
    "photograph smaller (`width`, `height`), leave out raw pictures (`raw: false`), or give cameras more in "
    "/boot/firmware/config.txt: dtoverlay=vc4-kms-v3d,cma-256, which needs 1 GB in all, or cma-128"
)

_LENS = ("AfMode", "LensPosition")
_FIXED: Mapping[str, Any] = MappingProxyType({"Sharpness": 1.0})
"""The same for all pictures; picamera2's configuration for stills fixes the noise reduction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """A frame in the hands of the caller, whose buffer goes back to the camera afterwards."""

    request: Any
    delivered: Delivered


class Session:
    """One opened `Picamera2`; `start` configures it."""

    def __init__(self, picamera: Any) -> None:
        self._picamera = picamera
        self.limits = Limits()
        self._fixed: Controls = {}
        self._habit = Habit()
        self._in_force: Controls | None = None
        self._lost = False

    @property
    def picamera(self) -> Any:
        """The `Picamera2`; raise CameraLostError once it was given up."""
        if self._lost:
            raise CameraLostError("the camera is closed")
        return self._picamera

    def start(self, configuration: Callable[[], Any], smaller: Callable[[], Any] | None = None) -> None:
        """Configure and start the camera, and prove that it delivers.

        Where memory does not reach, the `smaller` configuration is taken; raise CameraError where that does
        not reach either.
        """
        try:
            self._start(configuration)
        except CameraLostError as error:
            if not _lacks_memory(error):
                raise
            if smaller is None:
                raise CameraError(
                    f"{error}: the memory for cameras does not reach; {_MORE_MEMORY}"
                ) from error
            _LOGGER.warning("%s: the memory for cameras does not reach; the camera makes do with less", error)
            self.start(smaller)

    def _start(self, configuration: Callable[[], Any]) -> None:
        self._within(lambda: self._picamera.configure(configuration()))
        controls = self._picamera.camera_controls
        self.limits = limits_of(controls)
        self._fixed = {name: value for name, value in _FIXED.items() if name in controls}
        self._begin({})
        self._in_force = None
        self._within(self._next(0).release)

    def close(self) -> None:
        """Close the camera; raise CameraLostError where it does not let itself be closed."""
        self._lost = True
        self._within(self._picamera.cancel_all_and_flush)
        self._within(self._picamera.close)

    @contextmanager
    def shot(self, wanted: Controls, *, not_before_ns: int = 0, at_once: bool = False) -> Iterator[Shot]:
        """Give a frame with these controls whose exposure begins not before this moment of CLOCK_MONOTONIC.

        Without such a moment any frame with these controls will do, also one that is being exposed.
        `at_once`: a long exposure under way is ended for it.
        """
        longest_us = max(wanted.get("ExposureTime") or 0, (self._in_force or {}).get("ExposureTime") or 0)
        most_frames = MOST_FRAMES
        if is_better_restarted(wanted, self._in_force, fresh=at_once):
            self._restart(wanted)
            most_frames = MOST_AFTER_START
        elif wanted and wanted != self._in_force:
            self._within(lambda: self.picamera.set_controls(wanted))
            self._in_force = wanted
        pursuit = Pursuit(
            wanted, self.limits, self._habit, not_before_ns=not_before_ns, most_frames=most_frames
        )
        request, delivered = self._pursue(pursuit, longest_us)
        self._habit = pursuit.habit
        try:
            yield Shot(request=request, delivered=delivered)
        except _FOREIGN as error:
            raise CameraError(f"a frame cannot be read: {type(error).__name__}: {error}") from error
        finally:
            self._within(request.release)

    def autofocus(self, patience_s: float) -> float:
        """Let the camera's own autofocus run once; return where the lens stands, in dioptres."""
        if self._in_force is not None:
            self._in_force = {name: value for name, value in self._in_force.items() if name not in _LENS}
        try:
            if not within(lambda: self.picamera.autofocus_cycle(wait=patience_s), 2 * patience_s):
                raise CameraError("the camera's autofocus found nothing")
        except TimeoutError as error:
            self._within(self.picamera.cancel_all_and_flush)
            raise CameraError(f"autofocus found nothing within {patience_s:.0f} s") from error
        request = self._next(0)
        try:
            return float(request.get_metadata().get("LensPosition", 0.0))
        finally:
            self._within(request.release)

    def _pursue(self, pursuit: Pursuit, longest_us: int) -> tuple[Any, Delivered]:
        """Return the frame that was asked for."""
        while True:
            request = self._next(longest_us)
            try:
                delivered = delivered_of(request.get_metadata())
                taken = pursuit.takes(delivered)
            except _FOREIGN as error:
                self._within(request.release)
                raise CameraError(f"a frame says nothing: {type(error).__name__}: {error}") from error
            if taken:
                return request, delivered
            self._within(request.release)

    def _next(self, longest_us: int) -> Any:
        """Return the next frame; a camera that fell silent is stopped and started, once."""
        patience_s = _PATIENCE_S + longest_us / 1e6
        try:
            return self._await(patience_s)
        except TimeoutError:
            _LOGGER.warning("the camera delivered nothing for %.0f s; it is started anew", patience_s)
        self._revive()
        try:
            return self._await(patience_s)
        except TimeoutError as error:
            self._within(self.picamera.cancel_all_and_flush)
            self._lost = True
            raise CameraLostError("the camera delivers nothing, also after it was started anew") from error

    def _await(self, patience_s: float) -> Any:
        """Return the next frame; raise TimeoutError where none comes."""
        return within(lambda: self.picamera.capture_request(wait=patience_s), 2 * patience_s)

    def _revive(self) -> None:
        """Stop and start with a new event loop; `stop` would wait for ever for one that has died."""
        self._within(self.picamera.cancel_all_and_flush)
        self._within(self.picamera.stop_preview)
        self._restart(self._in_force or {})

    def _restart(self, wanted: Controls) -> None:
        """Stop and start in the same configuration, so that the first frame obeys."""
        self._within(self.picamera.stop)
        self._begin(wanted)

    def _begin(self, wanted: Controls) -> None:
        self._within(lambda: self.picamera.set_controls(self._fixed | wanted))
        self._within(self.picamera.start)
        self._in_force = wanted

    def _within(self, work: Callable[[], object]) -> None:
        """Do what may never return; raise CameraLostError where it did not."""
        within(work, _PATIENCE_S)


def within(work: Callable[[], T], patience_s: float) -> T:
    """Return what `work` returns; leave it behind where that takes longer, and raise CameraLostError.

    Whatever picamera2 raises becomes a CameraLostError too; CameraError and TimeoutError stay what they are.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 raised again by whoever waits
            errors.append(error)

    thread = threading.Thread(target=run, name="camera call", daemon=True)
    thread.start()
    thread.join(patience_s)
    if errors and isinstance(errors[0], CameraError | TimeoutError):
        raise errors[0]
    if errors:
        raise CameraLostError(f"the camera failed: {type(errors[0]).__name__}: {errors[0]}") from errors[0]
    if not results:
        raise CameraLostError(f"the camera hangs: a call did not return within {patience_s:.0f} s")
    return results[0]


def _lacks_memory(error: CameraLostError) -> bool:
    """Tell whether memory was what lacked: libcamera says so in words, picamera2 by the system's error."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.ENOMEM:
        return True
    return isinstance(cause, MemoryError | RuntimeError) and any(word in str(cause) for word in _NO_MEMORY)


def now_ns() -> int:
    """Return the moment on the clock of `SensorTimestamp`."""
    return time.monotonic_ns()
