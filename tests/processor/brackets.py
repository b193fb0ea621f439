"""Brackets of the computed camera: one moment photographed several times, with records and the true light."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skylapse_bridge.twin.truth import exif, record
from skylapse_bridge.twin.twin import Photograph
from skylapse_bridge.twin.write import Sequence as TwinSequence
from skylapse_bridge.twin.write import twin_of, wishes

Light = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """One bracket and what is true about it."""

    light: Light
    """What fell on the sensor, on the scale of the leader: 1 is its white."""
    scene_ev: float
    """What clouds and shadow do."""
    names: tuple[str, ...]


def write_brackets(
    folder: Path,
    sequence: TwinSequence,
    *,
    ev: Sequence[float] = (0.0, -2.0, 2.0),
    records: bool = True,
    apart_s: float = 0.0,
) -> list[Bracket]:
    """Photograph each moment of a sequence with several exposures, `apart_s` between them."""
    folder.mkdir(parents=True, exist_ok=True)
    twin = twin_of(sequence)
    made = []
    number = 0
    for at, wish in zip(sequence.moments(), wishes(sequence, twin), strict=True):
        names = []
        leader: Photograph | None = None
        for place, stops in enumerate(ev):
            number += 1
            moment = at + timedelta(seconds=place * apart_s)
            asked = replace(wish, exposure_us=wish.exposure_us * 2.0**stops)
            photograph = twin.photograph(moment, asked)
            leader = leader or photograph
            name = f"{number:04d}.jpg"
            jpeg = photograph.jpeg(quality=sequence.quality, exif=exif(photograph, twin.sensor))
            (folder / name).write_bytes(jpeg)
            facts: dict[str, Any] = record(photograph, twin.sensor, jpeg)
            stamp = moment + timedelta(seconds=0.3 * place)
            facts |= {"bracket_ev": stops, "place": place, "captured_at": stamp.isoformat()}
            if records:
                (folder / name).with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
            names.append(name)
        assert leader is not None
        view = leader.view
        made.append(
            Bracket(
                light=seen_by(leader, twin.sensor.response()),
                scene_ev=view.cloud_ev + view.shadow_ev,
                names=tuple(names),
            )
        )
    return made


def seen_by(photograph: Photograph, response: float) -> Light:
    """Return the true light of a photograph in its own linear scale, unclipped."""
    light: Light = photograph.light * np.float32(response * photograph.delivered.total)
    return light
