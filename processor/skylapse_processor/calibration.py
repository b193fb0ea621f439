"""Reading of what was calibrated: lens.json, tone.json, a flat field, a .cube file.

The first two are what `skylapse-bridge calibrate` writes; a lens may also tell what no chessboard shows,
taken from a profile of the lens: `vignetting` (v1, v2, v3), `red_scale` and `blue_scale` (how much larger red
and blue are drawn than green), `colour_matrix` (three rows of three). Every file has limits, and every error
names the file and what is wrong.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from skylapse_protocol.tone import FULL_SCALE

from . import decode, tone
from .errors import CalibrationError, PictureError, unreadable
from .frames import ExposureFacts, SourceFrame
from .recipe.calibrated import NOTHING, Calibration
from .recipe.cube import parse
from .recipe.optics import LensModel, Matrix
from .recipe.vignette import FlatField, flat_field, is_even

_JSON_BYTES = 1_000_000
_CUBE_BYTES = 32_000_000
_FLAT_BYTES = 64_000_000
_MOST_BEND = 10.0
_MOST_TERMS = 3
_MOST_POINTS = 4096
_SCALES = (0.98, 1.02)
_FLAT_SIDE = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationFiles:
    """Where the files of one camera lie; null for what there is none of."""

    lens: Path | None = None
    tone: Path | None = None
    flat: Path | None = None
    lut: Path | None = None

    def as_json(self) -> dict[str, str]:
        """Return the files that there are as JSON values."""
        found = {kind: getattr(self, kind) for kind in KINDS}
        return {kind: str(path) for kind, path in found.items() if path is not None}

    @classmethod
    def of(cls, value: Mapping[str, str], folder: Path | None = None) -> "CalibrationFiles":
        """Return the files of such an object; relative ones count from `folder`."""
        paths = {kind: Path(value[kind]) for kind in KINDS if kind in value}
        return cls(**{kind: folder / path if folder else path for kind, path in paths.items()})


NO_CALIBRATION: Mapping[str, CalibrationFiles] = MappingProxyType({})

KINDS = tuple(field.name for field in fields(CalibrationFiles))
"""What may be calibrated, as the configuration and the options of `render` name it."""


def load(files: CalibrationFiles, curve: str) -> Calibration:
    """Return what lens, flat field and .cube file say; raise CalibrationError naming the file.

    `curve` is that of the camera's pictures: the flat field has it, too.
    """
    if files.lens is None and files.flat is None and files.lut is None:
        return NOTHING
    return Calibration(
        lens=_lens(files.lens) if files.lens is not None else None,
        flat=_flat(files.flat, curve) if files.flat is not None else None,
        cube=parse(_text(files.lut, _CUBE_BYTES), str(files.lut)) if files.lut is not None else None,
    )


def retold(frames: Sequence[SourceFrame], file: Path | None) -> tuple[SourceFrame, ...]:
    """Return the frames with the measured tone curve instead of their sensor's; as they are without a file.

    What ingest measured of them went by the sensor's curve, and is measured anew where it is needed.
    """
    if file is None:
        return tuple(frames)
    curve = _curve(file)
    return tuple(
        replace(
            frame,
            facts=replace(frame.facts or ExposureFacts(), tone_curve=curve),
            measured=None,
            size=frame.size or ((frame.measured.width, frame.measured.height) if frame.measured else None),
        )
        for frame in frames
    )


def curve_of(frames: Sequence[SourceFrame]) -> str:
    """Return the tone curve that most frames have."""
    curves = [frame.facts.tone_curve if frame.facts else tone.SRGB for frame in frames]
    return max(set(curves), key=curves.count) if curves else tone.SRGB


def _lens(file: Path) -> LensModel:
    value = _object(file)
    sides = {name: _number(value, name, file, 2, 30_000) for name in ("width", "height")}
    focal = {name: _number(value, name, file, 1, 1e6) for name in ("fx", "fy")}
    centre = {name: _number(value, name, file, -30_000, 60_000) for name in ("cx", "cy")}
    bends = {
        name: _number(value, name, file, -_MOST_BEND, _MOST_BEND, 0.0)
        for name in ("k1", "k2", "p1", "p2", "k3")
    }
    scales = {name: _number(value, name, file, *_SCALES, 1.0) for name in ("red_scale", "blue_scale")}
    terms = _numbers(value.get("vignetting", []), "vignetting", file)
    if len(terms) > _MOST_TERMS:
        raise CalibrationError(f"{file}: vignetting has more than {_MOST_TERMS} terms")
    return LensModel(
        width=round(sides["width"]),
        height=round(sides["height"]),
        **focal,
        **centre,
        **bends,
        **scales,
        vignetting=terms,
        colour_matrix=_matrix(value["colour_matrix"], file) if value.get("colour_matrix") else None,
    )


def _matrix(rows: object, file: Path) -> Matrix:
    if not isinstance(rows, list) or len(rows) != 3:
        raise CalibrationError(f"{file}: colour_matrix is no list of three rows")
    found = [_numbers(row, "colour_matrix", file) for row in rows]
    if any(len(row) != 3 for row in found):
        raise CalibrationError(f"{file}: colour_matrix has rows that are no three numbers")
    red, green, blue = ((row[0], row[1], row[2]) for row in found)
    return red, green, blue


def _curve(file: Path) -> str:
    """Return the id of the tone curve in a file."""
    points = _object(file).get("points")
    if not isinstance(points, list) or not 2 <= len(points) <= _MOST_POINTS:
        raise CalibrationError(f"{file}: points are no list of 2 to {_MOST_POINTS} pairs")
    pairs = [_numbers(pair, "points", file) for pair in points]
    if any(len(pair) != 2 for pair in pairs):
        raise CalibrationError(f"{file}: points are no pairs of linear light and code")
    table = np.array(pairs)
    if (np.diff(table, axis=0) <= 0).any():
        raise CalibrationError(f"{file}: points do not rise, both in light and in code")
    if table.min() < 0 or table.max() > FULL_SCALE or table[-1].min() < FULL_SCALE:
        raise CalibrationError(f"{file}: points are not from 0 to {FULL_SCALE:.0f}, the last of them white")
    return tone.measured(pairs)


def _flat(file: Path, curve: str) -> FlatField:
    try:
        if file.stat().st_size > _FLAT_BYTES:
            raise CalibrationError(f"{file}: has more than {_FLAT_BYTES // 1_000_000} MB")
        data = file.read_bytes()
        shape = decode.look(data, file.name)
        scale = min(1.0, _FLAT_SIDE / max(shape.width, shape.height))
        cover = (math.ceil(shape.width * scale), math.ceil(shape.height * scale))
        pixels = decode.decode(data, file.name, cover=cover, shape=shape)
    except OSError as error:
        raise CalibrationError(f"{file}: cannot be read ({unreadable(error)})") from error
    except PictureError as error:
        raise CalibrationError(f"{file}: {error.why}") from error
    if pixels.max(axis=2).mean() > 250:
        raise CalibrationError(f"{file}: is white: a flat field must not be overexposed")
    light = tone.linear_table(curve).astype(np.float32)[pixels]
    if not is_even(light):
        raise CalibrationError(f"{file}: shows something, and not the even light of a white sheet")
    return flat_field(light)


def _object(file: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(_text(file, _JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"{file}: is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise CalibrationError(f"{file}: is no JSON object")
    return value


def _text(file: Path, most: int) -> str:
    try:
        if file.stat().st_size > most:
            raise CalibrationError(f"{file}: has more than {most / 1e6:g} MB")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{file}: cannot be read ({unreadable(error)})") from error


def _number(
    value: Mapping[str, Any], name: str, file: Path, low: float, high: float, default: float | None = None
) -> float:
    if name not in value and default is not None:
        return default
    if name not in value:
        raise CalibrationError(f"{file}: {name} is missing")
    (number,) = _numbers([value[name]], name, file)
    if not low <= number <= high:
        raise CalibrationError(f"{file}: {name} is not from {low:g} to {high:g}")
    return number


def _numbers(values: object, name: str, file: Path) -> tuple[float, ...]:
    numbers: Sequence[Any] = values if isinstance(values, list) else [values]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise CalibrationError(f"{file}: {name} holds something that is no number")
    return tuple(float(number) for number in numbers)
