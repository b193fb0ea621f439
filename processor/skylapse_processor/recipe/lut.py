"""A look out of a .cube file.

A film is linear light up to its last step, and a .cube file is about codes: the light is shown as `look.py`
would show it, looked up, and goes the same way back. What is above the film's white is white.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from skylapse_processor import tone

from .cube import Cube
from .layer import Layer, Picture
from .look import shoulder
from .plan import Plan

_STEPS = 65_536
_ROWS = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class LookedUp(Layer):
    """Pictures with the look of a cube."""

    cube: Cube
    white: float
    """What the look of the film takes for white."""
    curves: tuple[str, ...]
    """The tone curve of each frame of the plan."""

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Look one picture up."""
        picture = below[0]
        shown, back = _tables(self.curves[picture.frame], self.white)
        scale = np.float32((_STEPS - 1) / self.white**0.5)
        light = np.empty_like(picture.light)
        for top in range(0, light.shape[1], _ROWS):
            rows = slice(top, min(top + _ROWS, light.shape[1]))
            roots = np.sqrt(np.clip(picture.light[:, rows], 0.0, np.float32(self.white)))
            codes = self.cube(np.take(shown, (roots * scale).astype(np.intp), mode="clip"))
            light[:, rows] = np.take(back, (codes * np.float32(_STEPS - 1)).astype(np.intp), mode="clip")
        return replace(picture, light=light, number=number)


def lut(plan: Plan) -> Plan:
    """Return the plan with the look of the camera's .cube file; unchanged where it has none.

    The file is named in the configuration (`calibration`) or on the command line (`--lut`).
    """
    cube = plan.calibration.cube
    if cube is None:
        return plan
    layer = LookedUp(
        cube=cube,
        white=max(1.0, float(np.exp2(plan.gain_ev.max(initial=0.0)))),
        curves=tuple(frame.facts.tone_curve if frame.facts else tone.SRGB for frame in plan.frames),
    )
    return replace(plan, layers=(*plan.layers, layer))


@lru_cache(maxsize=4)
def _tables(curve: str, white: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the codes of light by its root, and the light of codes, as the look of the film has it."""
    light = np.linspace(0.0, 1.0, _STEPS) ** 2 * white
    shown = tone.encode(curve, shoulder(light, white))
    back = np.interp(np.linspace(0.0, 1.0, _STEPS), shown, light)
    return shown.astype(np.float32), back.astype(np.float32)
