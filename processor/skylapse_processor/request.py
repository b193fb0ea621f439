"""What a render is asked for and what it answers, as values and as JSON (`job.json`)."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from skylapse_protocol.codec import format_time, parse_time, read, write
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.sizes import LeftOut

from . import recipe
from .calibration import CalibrationFiles
from .decode_scale import Box
from .encode_codecs import CODECS, ENCODERS, MAX_THREADS, THREADS
from .encode_sizes import Print
from .errors import NoPicturesError, RequestError
from .frames import ExposureFacts, SourceFrame
from .measure import Measurement
from .recipe.calibrated import NOTHING, Calibration
from .recipe.parameters import Changes

DEFAULT_RATE = 30.0
MAX_RATE = 60.0
"""Of a film."""
MAX_ASKED_RATE = 240.0
"""As orders allow: above MAX_RATE, a film shows every n-th frame."""
MIN_RATE = 0.1
FEWEST_CELLS, MOST_CELLS = 2, 9
"""Cameras of a grid."""
MAX_SIDE = 8192
PACES: Mapping[str, tuple[float, float, str]] = {
    "rate": (MIN_RATE, MAX_ASKED_RATE, "frames a second"),
    "length_s": (0.1, 86_400.0, "seconds"),
    "speed_up": (1.0, 1_000_000.0, "times"),
}
"""How fast a film may be asked to run: from, to, and what is counted."""
SIZES: Mapping[str, tuple[int, int] | None] = {
    "source": None,
    "480p": (854, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
    "4k": (3840, 2160),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One camera of a grid."""

    name: str
    frames: tuple[SourceFrame, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    """Files that were found unusable before, with the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderRequest:
    """One film to be made, by at most one of rate, length_s and speed_up; else 30 frames a second."""

    frames: tuple[SourceFrame, ...]
    output: Path
    recipe: str = recipe.DEFAULT
    parameters: Changes = field(default_factory=dict)
    """Changed parameters by step; see `recipe.steps_of`."""
    size: str = "1080p"
    """A name in SIZES; the film fits into it and is never larger than its pictures."""
    also_sizes: tuple[str, ...] = ()
    """Further sizes, made of the same decoded pictures: film.mp4 has film-720p.mp4 beside it."""
    codec: str = "h264"
    """A name in CODECS."""
    encoder: str = "software"
    """A name in ENCODERS; software where the named hardware does not work."""
    threads: int = THREADS
    """How many an encoder may use."""
    rate: float | None = None
    """Frames a second."""
    length_s: float | None = None
    speed_up: float | None = None
    """How many seconds of the day one second of film shows; needs capture times."""
    poster: Path | None = None
    thumbnail: Path | None = None
    preview: Path | None = None
    """A small moving picture, a .webp."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Written into the file: title, camera, day …"""
    camera: str = ""
    """What people call the camera; empty where nobody says."""
    time_zone: str = ""
    """Name of the one in which the camera stands; empty where nobody says."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Files that were found unusable before, with the reason; repeated in the result."""
    noticed: tuple[tuple[str, str], ...] = ()
    """Files beside the pictures that say nothing, with the reason; repeated in the result."""
    files: CalibrationFiles = field(default_factory=CalibrationFiles)
    """What was calibrated of the camera."""
    calibration: Calibration = NOTHING
    """What these files say, once they have been read; not in `job.json`."""
    cells: tuple[Cell, ...] = ()
    """Of a grid, whose film is made of their frames; none for the film of one camera."""
    stretch: tuple[int, int] | None = None
    """First frame of the film that is encoded and first that is not any more, pixel for pixel as in the whole
    film; null for all of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlsoMade:
    """The same film at another size that was asked for."""

    size: str
    file: str
    bytes: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmResult:
    """A finished film."""

    frames: int
    skipped: tuple[tuple[str, str], ...]
    """Files that are not in the film, with the reason."""
    adapted: tuple[tuple[str, str], ...]
    """Files of another size than most, with what was done."""
    duration_s: float
    bytes: int
    width: int
    height: int
    rate: float
    flicker_mev: float
    """rms over frames of the high-pass of log2 of the linear mean luminance, in mEV."""
    levelled_by: str
    """records, exif, pictures or nothing."""
    seconds: float
    peak_rss_mb: float
    noticed: tuple[tuple[str, str], ...] = ()
    """Files beside the pictures that say nothing, with the reason."""
    log_means: tuple[float, ...] = ()
    """Of a stretch: log2 of the linear mean luminance of each frame, NaN where it fades."""
    codec: str = "h264"
    encoder: str = "libx264"
    """What coded it, as FFmpeg calls it."""
    also: tuple[AlsoMade, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values; files as objects with file and reason."""
        answer = asdict(self)
        means = answer.pop("log_means")
        if means:
            answer["log_means"] = [None if math.isnan(mean) else round(mean, 6) for mean in means]
        for name in ("skipped", "adapted", "noticed"):
            answer[name] = [{"file": file, "reason": reason} for file, reason in answer[name]]
        return answer


def check(request: RenderRequest) -> None:
    """Raise RequestError or NoPicturesError for a request that cannot be fulfilled."""
    if not request.frames:
        reasons = "".join(f"; {file}: {why}" for file, why in request.skipped[:3])
        raise NoPicturesError(f"{request.output.name}: no pictures to make a film of{reasons}")
    _check_names(request)
    _check_among(request)
    chosen = [name for name in PACES if getattr(request, name) is not None]
    if len(chosen) > 1:
        raise RequestError(chosen[1], f"cannot be asked for together with {chosen[0]}")
    for name in chosen:
        (low, high, unit), value = PACES[name], getattr(request, name)
        if not low <= value <= high:
            raise RequestError(name, f"{value:g} is not from {low:g} to {high:.0f} {unit}")
    kinds = {step.kind for step in recipe.steps_of(request.recipe, request.parameters)}
    for kind, change in request.parameters.items():
        other = recipe.STEPS[kind].of
        if change is not False and other and other not in kinds:
            raise RequestError(f"parameters.{kind}", f"changes nothing: it needs the step {other}")
    for kind, names in _NEEDED.items():
        known = [name for name in names if getattr(request.files, name) is not None]
        if request.parameters.get(kind) not in (None, False) and not known:
            raise RequestError(
                f"parameters.{kind}",
                f"changes nothing: it needs {' or '.join(names)} of this camera "
                f"(render {' or '.join(f'--{name}' for name in names)})",
            )
    if request.stretch is not None and not 0 <= request.stretch[0] < request.stretch[1]:
        raise RequestError("stretch", "is no first frame and a later one")


_NEEDED = {"lut": ("lut",), "correct": ("lens", "flat")}
"""Steps that do nothing without a file of the camera's calibration: who asks for one is told."""


def _check_among(request: RenderRequest) -> None:
    """Raise RequestError for a size, codec or encoder that nobody knows, or for no thread to work with."""
    for name, values, known in (
        ("size", (request.size,), SIZES),
        ("also_sizes", request.also_sizes, SIZES),
        ("codec", (request.codec,), CODECS),
        ("encoder", (request.encoder,), ENCODERS),
    ):
        for value in values:
            if value not in known:
                raise RequestError(name, f"{value!r} is none of {', '.join(known)}")
    if not 1 <= request.threads <= MAX_THREADS:
        raise RequestError("threads", f"{request.threads} is not from 1 to {MAX_THREADS}")


def _check_names(request: RenderRequest) -> None:
    """Raise RequestError for names that do not say what is in the file, or that two files would share."""
    if request.output.name.lower() == ".mp4":
        raise RequestError("output", f"{request.output} is no name for a film: it is an ending alone")
    if request.output.suffix.lower() != ".mp4":
        raise RequestError("output", f"{request.output} is no name for a film: it ends in .mp4")
    if request.output.is_dir():
        raise RequestError("output", f"{request.output} is a folder")
    for field_name, path, suffixes in (
        ("poster", request.poster, (".jpg", ".jpeg")),
        ("thumbnail", request.thumbnail, (".jpg", ".jpeg")),
        ("preview", request.preview, (".webp",)),
    ):
        if path is not None and path.suffix.lower() not in suffixes:
            raise RequestError(field_name, f"{path} is no name for it: it ends in {suffixes[0]}")
        if path is not None and path.is_dir():
            raise RequestError(field_name, f"{path} is a folder")
    pictures = [path.resolve() for path in (request.poster, request.thumbnail) if path is not None]
    if len(set(pictures)) < len(pictures):
        raise RequestError("thumbnail", f"{request.thumbnail} is the poster's name already")


def prints(request: RenderRequest, width: int, height: int) -> tuple[tuple[Print, ...], tuple[LeftOut, ...]]:
    """Return the films that pictures of this size make, and the sizes that would only repeat one of them."""
    (own, *others), left_out = distinct((request.size, *request.also_sizes), width, height)
    return (
        Print(size=own, box=film_box(own, width, height), output=request.output),
        *(
            Print(size=size, box=film_box(size, width, height), output=beside(request.output, size))
            for size in others
        ),
    ), left_out


def distinct(sizes: Sequence[str], width: int, height: int) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """Return the sizes that films of such pictures differ in, and those that would repeat one before them."""
    made: dict[Box, str] = {}
    left_out = []
    for size in sizes:
        box = film_box(size, width, height)
        if box not in made:
            made[box] = size
        elif box == film_box("source", width, height):
            left_out.append(LeftOut(size=size, why=f"the pictures are no larger than {width} × {height}"))
        else:
            left_out.append(LeftOut(size=size, why=f"{made[box]} is the same"))
    return tuple(made.values()), tuple(left_out)


def at_size(request: RenderRequest, size: str) -> RenderRequest:
    """Return the request for one of the further sizes alone."""
    places = (request.poster, request.thumbnail, request.preview)
    poster, thumbnail, preview = (None if path is None else beside(path, size) for path in places)
    return replace(
        request,
        size=size,
        also_sizes=(),
        output=beside(request.output, size),
        poster=poster,
        thumbnail=thumbnail,
        preview=preview,
    )


def beside(path: Path, size: str) -> Path:
    """Return where what belongs to another size of a film lies."""
    return path.with_name(f"{path.stem}-{size}{path.suffix}")


def pace(request: RenderRequest, frames: tuple[SourceFrame, ...]) -> tuple[Fraction, int]:
    """Return frames a second, and n where every n-th of these is shown: a film has 60 a second at most."""
    count = len(frames)
    if request.length_s is not None:
        wanted = count / request.length_s
    elif request.speed_up is not None:
        wanted = _taken_per_s(frames) * request.speed_up
    else:
        wanted = request.rate or DEFAULT_RATE
    every = max(1, -int(-wanted // MAX_RATE))
    rate = min(MAX_RATE, max(MIN_RATE, wanted / every))
    return Fraction(rate).limit_denominator(1001), every


def film_box(size: str, width: int, height: int) -> Box:
    """Return even sides in the picture's shape that fit the named size (turned for portraits)."""
    limit = SIZES[size] or (MAX_SIDE, MAX_SIDE)
    across, along = limit if width >= height else limit[::-1]
    scale = min(1.0, across / width, along / height)
    return Box(width=_even(width * scale), height=_even(height * scale))


def to_json(request: RenderRequest) -> dict[str, Any]:
    """Return a request as JSON values: what `job.json` holds."""
    return {
        "frames": [_frame_to_json(frame) for frame in request.frames],
        "output": str(request.output),
        "recipe": request.recipe,
        "parameters": dict(request.parameters),
        "size": request.size,
        "also_sizes": list(request.also_sizes),
        "codec": request.codec,
        "encoder": request.encoder,
        "threads": request.threads,
        "rate": request.rate,
        "length_s": request.length_s,
        "speed_up": request.speed_up,
        "poster": str(request.poster) if request.poster else None,
        "thumbnail": str(request.thumbnail) if request.thumbnail else None,
        "preview": str(request.preview) if request.preview else None,
        "metadata": dict(request.metadata),
        "camera": request.camera,
        "time_zone": request.time_zone,
        "skipped": [list(pair) for pair in request.skipped],
        "noticed": [list(pair) for pair in request.noticed],
        "calibration": request.files.as_json(),
        "stretch": list(request.stretch) if request.stretch else None,
        "cells": [
            {"name": cell.name, "frames": [_frame_to_json(frame) for frame in cell.frames]}
            for cell in request.cells
        ],
    }


def from_json(text: str) -> RenderRequest:
    """Return the request in a job file; raise RequestError naming the field that does not fit."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise RequestError("", f"is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise RequestError("", "is no object")
    try:
        return RenderRequest(
            frames=tuple(_frame_from_json(frame) for frame in value["frames"]),
            output=Path(value["output"]),
            recipe=value.get("recipe", recipe.DEFAULT),
            parameters=value.get("parameters") or {},
            size=value.get("size", "1080p"),
            also_sizes=tuple(str(size) for size in value.get("also_sizes") or ()),
            codec=value.get("codec", "h264"),
            encoder=value.get("encoder", "software"),
            threads=int(value.get("threads", THREADS)),
            rate=_maybe(float, value.get("rate")),
            length_s=_maybe(float, value.get("length_s")),
            speed_up=_maybe(float, value.get("speed_up")),
            poster=_maybe(Path, value.get("poster")),
            thumbnail=_maybe(Path, value.get("thumbnail")),
            preview=_maybe(Path, value.get("preview")),
            metadata={str(name): str(word) for name, word in (value.get("metadata") or {}).items()},
            camera=str(value.get("camera") or ""),
            time_zone=str(value.get("time_zone") or ""),
            skipped=tuple((str(file), str(why)) for file, why in value.get("skipped") or ()),
            noticed=tuple((str(file), str(why)) for file, why in value.get("noticed") or ()),
            files=CalibrationFiles.of(value.get("calibration") or {}),
            stretch=_maybe(_stretch, value.get("stretch")),
            cells=tuple(_cell(cell) for cell in value.get("cells") or ()),
        )
    except KeyError as error:
        raise RequestError(str(error.args[0]), "is missing") from error
    except ProtocolError as error:
        raise RequestError(f"frames.{error.field}", error.why) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise RequestError("", f"does not fit ({error})") from error


def _maybe(kind: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else kind(value)


def _cell(value: Mapping[str, Any]) -> Cell:
    frames = tuple(_frame_from_json(frame) for frame in value["frames"])
    return Cell(name=str(value["name"]), frames=frames)


def _stretch(value: Sequence[Any]) -> tuple[int, int]:
    first, past = value
    return int(first), int(past)


def _frame_to_json(frame: SourceFrame) -> dict[str, Any]:
    measured = write(frame.measured) if frame.measured else None
    if measured:
        del measured["thumbnail"]
    return {
        "path": str(frame.path),
        "name": frame.name,
        "captured_at": format_time(frame.captured_at) if frame.captured_at else None,
        "facts": write(frame.facts) if frame.facts else None,
        "measured": measured,
        "size": list(frame.size) if frame.size else None,
        "record": dict(frame.record),
    }


def _frame_from_json(value: Mapping[str, Any]) -> SourceFrame:
    facts, measured, size = value.get("facts"), value.get("measured"), value.get("size")
    return SourceFrame(
        path=Path(value["path"]),
        name=str(value.get("name") or Path(value["path"]).name),
        captured_at=parse_time(value["captured_at"]) if value.get("captured_at") else None,
        facts=read(ExposureFacts, facts, "job", "facts") if facts else None,
        measured=read(Measurement, measured, "job", "measured") if measured else None,
        size=(int(size[0]), int(size[1])) if size else None,
        record=dict(value.get("record") or {}),
    )


def _taken_per_s(frames: tuple[SourceFrame, ...]) -> float:
    """Return how many frames were taken a second, from the first with a capture time to the last."""
    known = [(number, frame.captured_at) for number, frame in enumerate(frames) if frame.captured_at]
    if known:
        (first, begun), (last, ended) = known[0], known[-1]
        if (span_s := (ended - begun).total_seconds()) > 0:
            return (last - first) / span_s
    raise RequestError("speed_up", "needs pictures with capture times")


def _even(length: float) -> int:
    return max(2, 2 * int(length / 2 + 1e-6))
