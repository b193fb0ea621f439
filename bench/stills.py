"""Stills: what brackets become (radiance, ghosts, flicker beside exposure fusion), how sharp stacks are."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_bridge.twin.faults import Faults
from skylapse_bridge.twin.write import Sequence
from skylapse_processor import decode, tone
from skylapse_processor.frames import read_folder
from skylapse_processor.recipe import plan as plans
from skylapse_processor.recipe.groups import grouped
from skylapse_processor.recipe.layer import Latent, Size
from skylapse_processor.recipe.level import level
from skylapse_processor.recipe.merge import GHOST_SIGMAS, hdr
from skylapse_processor.recipe.smooth import flicker_mev
from skylapse_processor.stack import Stack
from tests.processor.brackets import Bracket, write_brackets
from tests.processor.test_focus_stack import SIZE as STACKED
from tests.processor.test_focus_stack import parts, sharpness, write_sharp, write_stacks

from .figures import Figure
from .score import log_means, pictures

CURVE = "imx519"
SIZE = (480, 270)
FRAMES = 60
STACKS = 12
_CLIPPED = 253
_GHOSTED = 0.1

_HIGHLIGHTS = (0.4, 0.7)
"""Levelled light that the tone map bends."""

Light = NDArray[np.float32]


def run(work: Path) -> list[Figure]:
    """Measure HDR and focus stacks on the twin."""
    return [*radiance(work), *ghosts(work), *films(work), *tones(work), *stacks(work)]


def _sequence(frames: int, **how: object) -> Sequence:
    settings = {"width": SIZE[0], "height": SIZE[1], "interval_s": 15.0, **how}
    return Sequence(frames=frames, **settings)  # type: ignore[arg-type]


_EVENING = _sequence(FRAMES, exposure="reactive")


def radiance(work: Path) -> list[Figure]:
    """Measure merged light against the light that was there, where any picture of the bracket saw it."""
    true = write_brackets(work / "radiance", _sequence(6, interval_s=300.0, exposure="smooth"))
    errors = []
    for bracket, seen in zip(true, _merged(work / "radiance"), strict=True):
        known = (0.25 * bracket.light < 0.95).all(axis=0) & (4 * bracket.light > 0.002).all(axis=0)
        errors.append(np.abs(seen / bracket.light - 1)[:, known].ravel())
    error = np.concatenate(errors)
    return [
        Figure(figure="HDR: median error of radiance", value=_percent(np.median(error)), unit="%", bound=3.0),
        Figure(
            figure="HDR: error of radiance that 9 of 10 keep",
            value=_percent(np.quantile(error, 0.9)),
            unit="%",
        ),
    ]


def ghosts(work: Path) -> list[Figure]:
    """Measure what is left of clouds and wind that move a lot between the pictures of a bracket."""
    sequence = _sequence(6, interval_s=300.0, exposure="smooth", wobble_ev=0.0, faults=Faults(shake_px=6.0))
    true = write_brackets(work / "ghosts", sequence, apart_s=20.0)
    left, before = (
        float(np.mean([_wrong(bracket, seen) for bracket, seen in zip(true, shown, strict=True)]))
        for shown in (_merged(work / "ghosts"), _merged(work / "ghosts", ghost_sigmas=0.0))
    )
    return [
        Figure(
            figure="HDR: area off by 10 % where all moves for 20 s",
            value=_percent(left),
            unit="%",
            bound=_percent(0.5 * before),
            peer="the same without ghosts suppressed",
            peer_value=_percent(before),
        )
    ]


def _wrong(bracket: Bracket, seen: Light) -> float:
    """Return the share of the picture, smoothed over its grain, that is not what the middle saw."""
    inside = (bracket.light < 0.9).all(axis=0) & (bracket.light > 0.005).all(axis=0)
    blurred, true = (cv2.blur(light[1], (5, 5)) for light in (seen, bracket.light))
    return float((np.abs(blurred / true - 1) > _GHOSTED)[inside].mean())


def _merged(folder: Path, ghost_sigmas: float = GHOST_SIGMAS) -> list[Light]:
    """Return the radiance of each bracket on the scale of its middle, levelling left out."""
    plan = hdr(plans.make(grouped(read_folder(folder).frames, ["hdr"]).leaders), ghost_sigmas=ghost_sigmas)

    def latent(number: int, _size: Size) -> Latent:
        source = plan.frames[number]
        pixels = decode.decode(source.path.read_bytes(), source.name)
        tables = np.stack([tone.linear_table(CURVE)] * 3).astype(np.float32)
        return Latent(codes=[np.ascontiguousarray(pixels[..., each]) for each in range(3)], tables=tables)

    stack = Stack(latent, len(plan.frames), SIZE, plan.layers)
    found = []
    for number in range(stack.count):
        found.append(stack.picture(number).light)
        stack.forget(number)
    return found


def films(work: Path) -> list[Figure]:
    """Measure the film of brackets beside exposure fusion of each bracket for itself (Mertens)."""
    true = write_brackets(work / "brackets", _EVENING)
    scene_ev = np.array([each.scene_ev for each in true])
    film = work / "hdr.mp4"
    _render(work / "brackets", film, "hdr")
    fused = _fused(work / "brackets", true)
    peer = flicker_mev(np.log2(fused) - scene_ev)
    shown = [float((picture.max(axis=2) >= _CLIPPED).mean()) for picture in pictures(film)]
    taken = [
        float((_pixels(work / "brackets" / each.names[0]).max(axis=2) >= _CLIPPED).mean()) for each in true
    ]
    return [
        Figure(
            figure=f"HDR: flicker of {FRAMES} brackets with records",
            value=round(flicker_mev(log_means(film, CURVE) - scene_ev), 2),
            unit="mEV",
            bound=2.0,
            peer="createMergeMertens of levelled pictures",
            peer_value=round(peer, 2),
        ),
        Figure(
            figure="HDR: clipped share of the film",
            value=round(100 * float(np.mean(shown)), 3),
            unit="%",
            bound=round(20 * float(np.mean(taken)), 3),
            peer="of the middle pictures",
            peer_value=round(100 * float(np.mean(taken)), 3),
        ),
    ]


def tones(work: Path) -> list[Figure]:
    """Measure by how much the same light is shown differently from frame to frame, beside OpenCV's Drago.

    Drago's tone map is given the true light of each bracket, levelled, and no grain.
    """
    true = write_brackets(work / "tones", _EVENING)
    _render(work / "tones", work / "tones.mp4", "hdr")
    plan = level(plans.make(grouped(read_folder(work / "tones").frames, ["hdr"]).leaders))
    lights = [
        np.moveaxis(each.light * np.float32(2.0**gain_ev), 0, 2)
        for each, gain_ev in zip(true, plan.gain_ev[:, 1], strict=True)
    ]
    table = tone.linear_table(CURVE)
    peer = cv2.createTonemapDrago(gamma=1.0)
    theirs = (np.asarray(peer.process(light[..., ::-1]))[..., ::-1] for light in lights)
    return [
        Figure(
            figure="tone map: the same highlights shown differently, frame to frame",
            value=_unlike(lights, (table[shown] for shown in pictures(work / "tones.mp4"))),
            unit="mEV",
            bound=3.0,
            peer="createTonemapDrago",
            peer_value=_unlike(lights, theirs),
        )
    ]


def _unlike(lights: list[Light], shown: Iterable[NDArray[Any]]) -> float:
    """Return the flicker of what highlights are shown as, by what they are."""
    brighter = []
    for light, seen in zip(lights, shown, strict=True):
        bright, as_shown = light @ tone.LUMINANCE, np.maximum(seen @ tone.LUMINANCE, 1e-4)
        where = (bright > _HIGHLIGHTS[0]) & (bright < _HIGHLIGHTS[1])
        brighter.append(np.log2(as_shown[where] / bright[where]).mean())
    return round(flicker_mev(np.array(brighter)), 2)


def _fused(folder: Path, true: list[Bracket]) -> list[float]:
    """Return the mean light of each bracket as Mertens's fusion shows it, levelled as its leader is."""
    merge, table = cv2.createMergeMertens(), tone.linear_table(CURVE)
    plan = level(plans.make(grouped(read_folder(folder).frames, ["hdr"]).leaders))
    means = []
    for bracket, gain_ev in zip(true, plan.gain_ev[:, 1], strict=True):
        levelled = np.rint(255 * tone.encode(CURVE, table * 2.0**gain_ev)).astype(np.uint8)
        fused = merge.process([levelled[_pixels(folder / name)] for name in bracket.names])
        codes = np.clip(np.asarray(fused) * 255 + 0.5, 0, 255).astype(np.uint8)
        means.append(float(tone.LUMINANCE @ table[codes].mean(axis=(0, 1))))
    return means


def stacks(work: Path) -> list[Figure]:
    """Measure stacks of two depths beside pictures in which both are in focus."""
    scene = write_stacks(work / "stacks", STACKS)
    write_sharp(work / "sharp", work / "stacks", scene)
    for folder, recipe in (("stacks", "focus"), ("sharp", "clean")):
        _render(work / folder, work / f"{folder}.mp4", recipe)
    _render(work / "stacks", work / "single.mp4", "clean")
    stacked, sharp, single = (list(pictures(work / f"{name}.mp4")) for name in ("stacks", "sharp", "single"))
    figures = []
    for name, where in parts().items():
        true = float(np.mean([sharpness(picture, where) for picture in sharp]))
        values = [
            np.mean([sharpness(picture, where) for picture in each]) / true for each in (stacked, single)
        ]
        figures.append(
            Figure(
                figure=f"focus stack: sharpness, {name}, all in focus is 1",
                value=round(float(values[0]), 3),
                unit="share",
                bound=0.95,
                better="above",
                peer="one picture of the bracket",
                peer_value=round(float(values[1]), 3),
            )
        )
    off = [np.mean((one.astype(np.float32) - two) ** 2) for one, two in zip(stacked, sharp, strict=True)]
    alone = [np.mean((one.astype(np.float32) - two) ** 2) for one, two in zip(single, sharp, strict=True)]
    figures.append(
        Figure(
            figure=f"focus stack: PSNR of {STACKED[0]} × {STACKED[1]} to all in focus",
            value=round(float(10 * np.log10(255**2 / np.mean(off))), 1),
            unit="dB",
            bound=34.0,
            better="above",
            peer="one picture of the bracket",
            peer_value=round(float(10 * np.log10(255**2 / np.mean(alone))), 1),
        )
    )
    return figures


def _render(folder: Path, film: Path, recipe: str) -> None:
    program = [sys.executable, "-m", "skylapse_processor", "render", str(folder), "-o", str(film)]
    done = subprocess.run(
        [*program, "--recipe", recipe, "--json"], check=True, capture_output=True, text=True
    )
    if json.loads(done.stdout)["skipped"]:
        raise SystemExit(f"bench: {recipe}: pictures were left out")


def _pixels(file: Path) -> NDArray[np.uint8]:
    return decode.decode(file.read_bytes(), file.name)


def _percent(share: float) -> float:
    return round(100 * float(share), 2)
