"""Steps of a recipe for themselves, against what the twin knows: which frames, colours, a lens, a year."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skylapse_bridge.twin.write import Sequence
from skylapse_processor import recipe, tone
from skylapse_processor.frames import read_folder
from skylapse_processor.measure import measure
from skylapse_processor.recipe import plan as plans
from skylapse_processor.recipe.select import select
from skylapse_processor.recipe.smooth import flicker_mev, smooth

from . import inputs, sequences
from .figures import Figure
from .programs import ffmpeg
from .score import pictures

CURVE = "imx519"
SIZE = (480, 270)
CHARTED = (960, 540)
DUSK, SPOILED = 120, 12
HUNTED = 150
DAYS = range(32, 272, 4)
_SHADES = tone.linear_table(CURVE)
_LINES = (0.2, 0.4, 0.6, 0.8)
_KNOWN = 0.3
"""Of a line that is followed: others leave the picture."""
_LINE_PX, _REACH_PX, _ROWS = 2.0, 9, 15

Pixels = NDArray[np.uint8]
Curve = NDArray[np.float64]
Light = NDArray[np.float32]


def run(work: Path) -> list[Figure]:
    """Measure select, balance, correct and season."""
    return [*spoiled(work), *balanced(work), *corrected(work), *days(work)]


def spoiled(work: Path) -> list[Figure]:
    """Measure how many of the frames that a dusk's camera spoiled are those that `select` leaves out."""
    places = np.random.default_rng(3).choice(DUSK, SPOILED, replace=False).tolist()
    faults = {place: sequences.SPOILS[turn % 3] for turn, place in enumerate(places)}
    folder = sequences.spoiled(work / "spoiled", _sequence(DUSK), faults, burnt=set())
    frames = [
        replace(frame, measured=measure(frame.path.read_bytes(), frame.name))
        for frame in read_folder(folder).frames
    ]
    kept = select(plans.make(tuple(frames)), worst=SPOILED / DUSK).frames
    left_out = {int(frame.path.stem) - 1 for frame in frames} - {int(frame.path.stem) - 1 for frame in kept}
    words = _ffmpeg(folder, "blurdetect,metadata=print:key=lavfi.blur:file=-", "-f", "null", "-").decode()
    blur = np.array([float(value) for value in re.findall(r"lavfi\.blur=(\S+)", words)])
    blurred = set(np.argsort(blur)[-SPOILED:].tolist())
    return [
        Figure(
            figure=f"select: spoiled frames of a dusk among the {SPOILED} worst",
            value=round(len(left_out & set(places)) / SPOILED, 3),
            unit="share",
            bound=0.9,
            better="above",
            peer="ffmpeg blurdetect",
            peer_value=round(len(blurred & set(places)) / SPOILED, 3),
        )
    ]


def balanced(work: Path) -> list[Figure]:
    """Measure what is left of a white balance that hunts, and what of the sunset's own colours."""
    hunting = sequences.hunting(work / "hunting", _sequence(HUNTED))
    still = sequences.hunting(work / "still", _sequence(HUNTED), still=True)
    alone = inputs.without_records(hunting, work / "hunting-alone")
    true, seen = (_colours(_film(folder, folder / "raw.mp4", "raw")) for folder in (still, hunting))
    peer = _colours(_filtered(hunting, "grayworld", SIZE))
    figures = [Figure(figure="balance: colours jump as photographed", value=_jumps(seen - true), unit="mEV")]
    for facts, folder in (("records", hunting), ("pictures alone", alone)):
        made = _colours(_film(folder, folder / "balanced.mp4", "raw", "--set", "balance=on"))
        figures += [
            Figure(
                figure=f"balance: colours jump, by {facts}",
                value=_jumps(made - true),
                unit="mEV",
                bound=4.0,
                peer="ffmpeg grayworld",
                peer_value=_jumps(peer - true),
            ),
            Figure(
                figure=f"balance: colours of the sunset kept, by {facts}",
                value=_kept(made, true),
                unit="share",
                bound=0.85,
                better="above",
                peer="ffmpeg grayworld",
                peer_value=_kept(peer, true),
            ),
        ]
    return figures


def _colours(shown: Iterable[Pixels]) -> Curve:
    """Return log2 of what red and blue are to green in each frame's light, shape (n, 2)."""
    means = np.log2([_SHADES[each].mean(axis=(0, 1)) for each in shown])
    return np.asarray(means[:, ::2] - means[:, 1:2], dtype=np.float64)


def _jumps(colours: Curve) -> float:
    """Return the flicker of red and blue together."""
    return round(float(np.sqrt(np.mean([flicker_mev(each) ** 2 for each in colours.T]))), 2)


def _kept(colours: Curve, true: Curve) -> float:
    """Return the share of the slow change of the true colours that is there; too much counts as little."""
    place = np.arange(len(true), dtype=np.float64)
    slow, truly = (
        np.concatenate([smooth(place, each, 10.0) - each.mean() for each in both.T])
        for both in (colours, true)
    )
    return round(1.0 - abs(1.0 - float(truly @ slow / (truly @ truly))), 3)


def corrected(work: Path) -> list[Figure]:
    """Measure lines, fringes and corners of a chart that a lens drew, beside ffmpeg's own filters."""
    lens = sequences.lens_of(CHARTED)
    sequence = replace(_sequence(2), width=CHARTED[0], height=CHARTED[1])
    folder = sequences.through(work / "lens", sequence, lens, _chart)
    (work / "lens.json").write_text(json.dumps(asdict(lens)), encoding="utf-8")
    words = ("--set", "correct=on", "--lens", str(work / "lens.json"))
    ours, drawn = (
        next(_film(folder, work / f"{name}.mp4", "raw", *more))
        for name, more in (("drawn-straight", words), ("drawn", ()))
    )
    half2 = (CHARTED[0] ** 2 + CHARTED[1] ** 2) / 4 / lens.fx**2
    bend = f"lenscorrection=cx={lens.cx / CHARTED[0]}:cy={lens.cy / CHARTED[1]}:i=bilinear"
    bend += f":k1={lens.k1 * half2}:k2={lens.k2 * half2**2}"
    peer = next(_filtered(folder, f"format=gbrp,{bend},vignette=mode=backward:a=PI/8", CHARTED))
    before, made, theirs = (_of_chart(each) for each in (drawn, ours, peer))
    rows = (
        ("lines are bent by", "px", 0.5),
        ("red lies apart from blue by", "px rms", 0.3),
        ("corners are off by", "EV", 0.05),
    )
    return [
        Figure(
            figure=f"correct: {name}, drawn with {before[place]:.2f}",
            value=made[place],
            unit=unit,
            bound=bound,
            peer="ffmpeg lenscorrection, vignette at its best angle",
            peer_value=theirs[place],
        )
        for place, (name, unit, bound) in enumerate(rows)
    ]


def _chart(light: Light) -> Light:
    """Return a wall as bright as the scene, with dark lines."""
    _, rows, columns = light.shape
    across, down = np.arange(columns, dtype=np.float32)[None], np.arange(rows, dtype=np.float32)[:, None]
    left = np.ones((rows, columns), dtype=np.float32)
    for share in _LINES:
        left *= 1 - 0.9 * np.exp(-(((across - share * columns) / _LINE_PX) ** 2) / 2)
        left *= 1 - 0.9 * np.exp(-(((down - share * rows) / _LINE_PX) ** 2) / 2)
    return np.broadcast_to(light.mean() * left, light.shape).astype(np.float32)


def _of_chart(pixels: Pixels) -> tuple[float, float, float]:
    """Return how far lines bend, how far red lies from blue, and how much darker corners are."""
    light = _SHADES[pixels]
    bent, apart = [], []
    for plane in (light, light.transpose(1, 0, 2)):
        for line in _lines(plane[..., 1]):
            ways = [_followed(plane[..., channel], line) for channel in range(3)]
            if np.isfinite(ways[1]).mean() < _KNOWN:
                continue
            calm = _calm(ways[1])
            bent.append(calm.max() - calm.min())
            apart.append(ways[0] - ways[2])
    ground = light[..., 1]
    rows, columns = ground.shape
    near = (slice(rows // 100, rows // 12), slice(columns // 100, columns // 12))
    corners = [np.median(part[near]) for part in (ground, ground[::-1], ground[:, ::-1], ground[::-1, ::-1])]
    middle = np.median(ground[rows * 2 // 5 : rows * 3 // 5, columns * 2 // 5 : columns * 3 // 5])
    fringe = float(np.sqrt(np.nanmean(np.concatenate(apart) ** 2)))
    darker = float(np.max(np.abs(np.log2(np.maximum(corners, 1e-4) / middle))))
    return round(float(max(bent)), 2), round(fringe, 3), round(darker, 3)


def _calm(way: Curve) -> Curve:
    """Return the medians of a way, so many rows together: grain is no bend."""
    known = way[np.isfinite(way)]
    return np.median(known[: len(known) // _ROWS * _ROWS].reshape(-1, _ROWS), axis=1)


def _lines(plane: Curve) -> list[float]:
    """Return where upright lines cross the middle of a picture, those at the very edge left out."""
    row = plane[len(plane) // 2 - 3 : len(plane) // 2 + 4].mean(axis=0)
    dark = np.flatnonzero(row < 0.6 * np.median(row))
    groups = np.split(dark, np.flatnonzero(np.diff(dark) > 1) + 1)
    inside = (2 * _REACH_PX, len(row) - 2 * _REACH_PX)
    return [float(each.mean()) for each in groups if len(each) and inside[0] < each.mean() < inside[1]]


def _followed(plane: Curve, start: float) -> Curve:
    """Return where a line runs in each row, followed from the middle; NaN at crossings and beyond edges."""
    rows, columns = plane.shape
    way, usual = np.full(rows, np.nan), np.quantile(plane, 0.9, axis=1)
    for course in (range(rows // 2, rows), range(rows // 2 - 1, -1, -1)):
        at = start
        for row in course:
            first = round(at) - _REACH_PX
            if first < 0 or first + 2 * _REACH_PX >= columns:
                break
            part = plane[row, first : first + 2 * _REACH_PX + 1]
            ground = np.median(part)
            dark = np.clip(0.95 * ground - part, 0.0, None)
            if ground < 0.7 * usual[row] or dark.sum() < ground:
                continue
            at = first + float(dark @ np.arange(len(part)) / dark.sum())
            way[row] = at
    return way


def days(work: Path) -> list[Figure]:
    """Measure a season: how equal the sun stands from day to day, and how the weather flickers in it."""
    folder = sequences.year(work / "year", DAYS, SIZE)
    frames = read_folder(folder).frames
    step = recipe.steps_of("season", {"select": {"zone": "UTC"}})[0]
    chosen = select(plans.make(frames), **step.parameters).frames  # type: ignore[arg-type]
    clock = select(plans.make(frames), start="17:03", end="17:04", zone="UTC").frames
    sun, by_clock = (
        np.std(np.array([each.facts.sun_elevation_deg for each in taken if each.facts], dtype=np.float64))
        for taken in (chosen, clock)
    )
    picked = work / "picked"
    picked.mkdir()
    for number, frame in enumerate(chosen, start=1):
        os.link(frame.path, picked / f"{number:04d}.jpg")
    shown = _film(folder, work / "season.mp4", "season", "--set", "select.zone=UTC")
    photographed, mixed = (
        flicker_mev(_brightness(_filtered(picked, chain, SIZE)))
        for chain in ("null", "tmix=frames=3,deflicker")
    )
    return [
        Figure(
            figure=f"season: how unequal the sun stands on {len(chosen)} days, a frame in six minutes",
            value=round(float(sun), 2),
            unit="° rms",
            bound=0.6,
            peer="a frame a day by the clock",
            peer_value=round(float(by_clock), 2),
        ),
        Figure(
            figure=f"season: flicker from day to day, photographed with {photographed:.0f}",
            value=round(flicker_mev(_brightness(shown)), 1),
            unit="mEV",
            bound=12.0,
            peer="ffmpeg tmix=3, deflicker",
            peer_value=round(mixed, 1),
        ),
    ]


def _brightness(shown: Iterable[Pixels]) -> Curve:
    """Return log2 of the mean light of each frame."""
    means: Curve = np.log2([tone.LUMINANCE @ _SHADES[each].mean(axis=(0, 1)) for each in shown])
    return means


def _sequence(frames: int) -> Sequence:
    return Sequence(frames=frames, width=SIZE[0], height=SIZE[1], seed=4, exposure="smooth")


def _film(folder: Path, film: Path, recipe_name: str, *more: str) -> Iterator[Pixels]:
    """Make a film as it was asked for; return its frames."""
    program = [sys.executable, "-m", "skylapse_processor", "render", str(folder), "-o", str(film), "--json"]
    subprocess.run([*program, "--recipe", recipe_name, *more], check=True, stdout=subprocess.DEVNULL)
    return pictures(film)


def _filtered(folder: Path, chain: str, size: tuple[int, int]) -> Iterator[Pixels]:
    """Return what ffmpeg makes of the pictures of a folder."""
    raw = _ffmpeg(folder, f"{chain},format=rgb24", "-f", "rawvideo", "-")
    return iter(np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3))


def _ffmpeg(folder: Path, chain: str, *output: str) -> bytes:
    command = [ffmpeg(), "-v", "error", "-framerate", "30", "-i", str(folder / "%04d.jpg"), "-vf", chain]
    return subprocess.run([*command, *output], check=True, stdout=subprocess.PIPE).stdout
