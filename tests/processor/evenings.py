"""Evenings of which frames are missing."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from skylapse_processor.frames import ExposureFacts, SourceFrame
from skylapse_processor.recipe.plan import Curve, Plan, make

from .pictures import START, Evening


def planned(seen: Evening, *, told_by: str) -> Plan:
    """The plan of an evening, a frame each 30 s, whose light pictures, a meter or nothing tells."""
    frames = tuple(
        SourceFrame(
            path=Path(f"{number}.jpg"),
            name=f"{number}.jpg",
            captured_at=START + timedelta(seconds=30 * number),
            facts=ExposureFacts(
                exposure_us=1000 * 2.0**exposure_ev,
                gain=1.0,
                lux=500 * 2.0**light_ev if told_by == "lux" else None,
            ),
        )
        for number, (exposure_ev, light_ev) in enumerate(zip(seen.exposure_ev, seen.light_ev, strict=True))
    )
    plan = make(frames)
    return replace(plan, log_mean=seen.light_ev + seen.exposure_ev) if told_by == "pictures" else plan


def without(plan: Plan, first: int, missing: int) -> Plan:
    """The plan of what is left when these frames are missing."""
    rest = make(tuple(np.delete(np.array(plan.frames, dtype=object), range(first, first + missing))))
    return replace(rest, log_mean=np.delete(plan.log_mean, range(first, first + missing)))


def shown(plan: Plan, seen: Evening) -> Curve:
    """How bright the film is, in EV."""
    taken = [int(frame.name.removesuffix(".jpg")) for frame in plan.frames]
    film: Curve = (seen.light_ev + seen.exposure_ev)[taken] + plan.gain_ev[:, 1]
    return film
