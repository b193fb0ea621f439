"""What somebody may ask for: a film, as the arguments of a command or the body of `POST /renders`.

`camera`, or `cameras` for two to nine side by side on one time axis, then what it is made of:
`day`, or `window` (with `day`, where the window's name comes back every
day), or `from` and `to` (RFC 3339, on the bridge's clock); `profile`, `recipe`, `size`; and at most one of
`rate` (frames a second), `length_s` and `speed_up` (times real time). `parameters` changes steps of the
recipe: `{"level": {"sigma_frames": 40}, "overlay": {"text": "{time}"}, "deflicker": false}`.
`also_sizes` are further sizes of the same film, `codec` is h264, h265 or av1; with `dry_run` nothing is made,
and the answer is what the film would be.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from skylapse_protocol.codec import parse_time
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import CameraName, parse_day

from .encode_codecs import CODECS, H264
from .errors import RequestError
from .jobs import RenderSpec
from .recipe import DEFAULT, RECIPES, STEPS, steps_of
from .request import FEWEST_CELLS, MAX_ASKED_RATE, MIN_RATE, MOST_CELLS, SIZES
from .store.rows import Batch

FIELDS = (
    "camera",
    "cameras",
    "day",
    "window",
    "from",
    "to",
    "profile",
    "recipe",
    "size",
    "rate",
    "length_s",
    "speed_up",
    "also_sizes",
    "codec",
    "parameters",
)
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmWish:
    """A film that somebody asks for, checked."""

    camera: CameraName
    day: str | None = None
    window: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    profile: str | None = None
    recipe: str = "clean"
    size: str = "1080p"
    rate: float | None = None
    length_s: float | None = None
    speed_up: float | None = None
    also_sizes: tuple[str, ...] = ()
    codec: str = "h264"
    parameters: dict[str, Any] = field(default_factory=dict)
    cameras: tuple[str, ...] = ()
    """Of a grid."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "FilmWish":
        """Check arguments; raise RequestError naming the one that does not fit."""
        for name in values:
            if name not in FIELDS:
                raise RequestError(name[:40], f"is not known; known are {', '.join(FIELDS)}")
        cameras = _cameras(values)
        wish = cls(
            camera=_camera(cameras[0] if cameras else values.get("camera")),
            cameras=cameras,
            day=_day(values.get("day")),
            window=_word(values, "window"),
            from_at=_time(values, "from"),
            to_at=_time(values, "to"),
            profile=_word(values, "profile"),
            recipe=_one_of(values, "recipe", DEFAULT, sorted(RECIPES)),
            size=_one_of(values, "size", "1080p", list(SIZES)),
            rate=_number(values, "rate", MIN_RATE, MAX_ASKED_RATE),
            length_s=_number(values, "length_s", 0.1, 86400),
            speed_up=_number(values, "speed_up", 1, 1_000_000),
            also_sizes=_some_of(values, "also_sizes", list(SIZES)),
            codec=_one_of(values, "codec", H264.codec, list(CODECS)),
            parameters={} if values.get("parameters") is None else values["parameters"],
        )
        wish.check()
        return wish

    def check(self) -> None:
        """Raise RequestError where fields that are right one by one do not go together."""
        if (self.from_at is None) != (self.to_at is None):
            raise RequestError("to" if self.to_at is None else "from", "is missing: a span has two ends")
        if self.from_at is not None and self.to_at is not None and self.from_at >= self.to_at:
            raise RequestError("to", "is not after from")
        if self.day is None and self.window is None and self.from_at is None:
            raise RequestError("day", "is missing: give day, window, or from and to")
        if sum(pace is not None for pace in (self.rate, self.length_s, self.speed_up)) > 1:
            raise RequestError("rate", "give one of rate, length_s and speed_up")
        steps = steps_of(self.recipe, self.parameters)
        alone = [step.kind for step in steps if STEPS[step.kind].alone]
        if self.cameras and alone:
            steps_named = "" if alone == [self.recipe] else f" with {', '.join(alone)}"
            raise RequestError(
                "recipe", f"{self.recipe}{steps_named} is for one camera, not for several side by side"
            )

    @property
    def where(self) -> str:
        """Say in which frames a film was looked for."""
        ends = (self.from_at, self.to_at)
        span = " to ".join(end.isoformat() for end in ends if end is not None)
        said = (
            self.day and f"of {self.day}",
            span and f"from {span}",
            self.window and f"in window {self.window}",
            self.profile and f"of profile {self.profile}",
        )
        return " ".join(filter(None, said))

    def spec(self, batches: Sequence[Batch]) -> RenderSpec:
        """Return the film that frames make, the newest last; raise RequestError where there are none."""
        if not batches:
            field = next(name for name in ("window", "profile", "from_at", "day") if getattr(self, name))
            raise RequestError(field.removesuffix("_at"), f"{self.camera} has no stored frame {self.where}")
        window = self.window
        if window is None and self.from_at is None:
            window = _shared({batch.window for batch in batches})
        return RenderSpec(
            camera=self.camera,
            day=self.day or batches[-1].day,
            window=window,
            schedule=_shared({batch.schedule for batch in batches}),
            profile=self.profile or _shared({batch.profile for batch in batches}),
            from_at=self.from_at,
            to_at=self.to_at,
            recipe=self.recipe,
            size=self.size,
            rate=self.rate,
            length_s=self.length_s,
            speed_up=self.speed_up,
            also_sizes=self.also_sizes,
            codec=self.codec,
            parameters=self.parameters,
            cameras=self.cameras,
        )


def read_wish(values: Mapping[str, Any]) -> tuple[FilmWish, bool]:
    """Return the film that is asked for, and whether it is only to be predicted (`dry_run`)."""
    dry = values.get("dry_run", False)
    if not isinstance(dry, bool):
        raise RequestError("dry_run", "is neither true nor false")
    return FilmWish.read({name: value for name, value in values.items() if name != "dry_run"}), dry


def _shared(words: set[str | None]) -> str | None:
    """Return the one word that all frames share: the film of a day with one window is that window's film."""
    return words.pop() if len(words) == 1 else None


def _camera(value: object) -> CameraName:
    if not isinstance(value, str):
        raise RequestError("camera", "is missing: give <bridge>/<camera>")
    try:
        return CameraName.parse(value)
    except ProtocolError as error:
        raise RequestError("camera", error.why) from error


def _cameras(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cameras of a grid; none where one camera is asked for."""
    value = values.get("cameras")
    if value is None:
        return ()
    if values.get("camera") is not None:
        raise RequestError("cameras", "cannot be asked for together with camera")
    if not isinstance(value, list) or len({str(each) for each in value}) != len(value):
        raise RequestError("cameras", "is no list of different cameras")
    if not FEWEST_CELLS <= len(value) <= MOST_CELLS:
        raise RequestError("cameras", f"are {len(value)}; a grid has {FEWEST_CELLS} to {MOST_CELLS}")
    for name in ("also_sizes", "window", "profile"):
        if values.get(name):
            raise RequestError(name, "is nothing that a grid has")
    return tuple(str(_camera(each)) for each in value)


def _day(value: object) -> str | None:
    if value is None:
        return None
    try:
        return parse_day(value if isinstance(value, str) else repr(value))
    except ProtocolError as error:
        raise RequestError("day", error.why) from error


def _time(values: Mapping[str, Any], name: str) -> datetime | None:
    value = values.get(name)
    if value is None:
        return None
    try:
        return parse_time(value)
    except (ValueError, TypeError) as error:
        raise RequestError(name, "is no time in RFC 3339 with an offset") from error


def _word(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _WORD.match(value):
        raise RequestError(name, "is no id ([a-z0-9][a-z0-9_-]{0,62})")
    return value


def _one_of(values: Mapping[str, Any], name: str, default: str, known: Sequence[str]) -> str:
    value = values.get(name) or default
    if value not in known:
        raise RequestError(name, f"is none of {', '.join(known)}")
    return str(value)


def _some_of(values: Mapping[str, Any], name: str, known: Sequence[str]) -> tuple[str, ...]:
    value = values.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(each in known for each in value):
        raise RequestError(name, f"is no list of {', '.join(known)}")
    return tuple(dict.fromkeys(value))


def _number(values: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RequestError(name, f"is no number from {low:g} to {high:g}")
    return float(value)
