"""Days of a computed camera, small and few, for the tests of detectors."""

import copy
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skylapse_bridge.twin.faults import INFINITY_DIOPTRE, Faults
from skylapse_bridge.twin.ramp import exposure_ev, split
from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sensor import SENSORS
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Twin, Wish
from skylapse_bridge.twin.weather import Weather
from skylapse_processor.decode import look
from skylapse_processor.measure import measure_pixels, small
from skylapse_processor.watch.camera import Watch
from skylapse_processor.watch.facts import Facts
from skylapse_processor.watch.glance import Glance, glance

PLACE = Place(latitude_deg=35.0)
START = datetime(2026, 4, 11, tzinfo=UTC)
NOON = START + timedelta(days=3, hours=12)
"""Of the day after those that `taught` has seen."""
SENSOR = SENSORS["imx519"]

Codes = NDArray[np.uint8]


def scene(*, seed: int, place: Place, clouds: float) -> Scene:
    """A view, and its weather."""
    weather = Weather(seed=seed, clouds=clouds)
    return Scene(width=288, height=162, seed=seed, place=place, weather=weather)


_SCENE = scene(seed=12, place=PLACE, clouds=0.9)


def pixels_at(
    at: datetime, view: Scene = _SCENE, *, over_ev: float = 0.0, **faults: Any
) -> tuple[Codes, Facts]:
    """The picture of one moment with what is wrong with it, and the facts of its record."""
    wanted = exposure_ev(SENSOR, view.expected_ev(at)) + over_ev
    asked = split(SENSOR, wanted, 15.0)
    focus = INFINITY_DIOPTRE if "drift_dioptre" in faults else None
    twin = Twin(scene=view, sensor=SENSOR, faults=Faults(**faults), wobble_ev=0.0066)
    taken = twin.photograph(at, Wish(exposure_us=asked.exposure_us, gain=asked.gain, focus_dioptre=focus))
    delivered = taken.delivered
    exposed_ev = np.log2(delivered.exposure_us * delivered.analogue_gain * delivered.digital_gain)
    facts = Facts(captured_at=at, exposure_ev=float(exposed_ev), elevation_deg=taken.view.sun_elevation_deg)
    return taken.rgb(), facts


def glance_at(pixels: Codes) -> Glance:
    """What ingest takes from a picture that came as a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=92)
    shape = look(buffer.getvalue(), "picture")
    decoded = small(buffer.getvalue(), "picture", shape)
    curve = SENSOR.tone_curve
    return glance(decoded, measure_pixels(decoded, shape, tone_curve=curve), curve)


def see(
    watch: Watch, at: datetime, view: Scene = _SCENE, *, elevation_deg: float | None = None, **faults: Any
) -> str:
    """Show a watch the picture of a moment; return the verdict."""
    pixels, facts = pixels_at(at, view, **faults)
    if elevation_deg is not None:
        facts = replace(facts, elevation_deg=elevation_deg)
    return watch.see(glance_at(pixels), facts).kind


@cache
def _taught() -> tuple[Watch, tuple[str, ...]]:
    watch, verdicts = Watch(), []
    for day in range(3):
        for number in range(60):
            at = START + timedelta(days=day, hours=4, minutes=18 * number)
            verdicts.append(see(watch, at))
    return watch, tuple(verdicts)


def taught() -> Watch:
    """A watch over the camera that has seen three days of changing weather, from night to night."""
    return copy.deepcopy(_taught()[0])


def verdicts_of_taught() -> tuple[str, ...]:
    """What was said of those days, in which nothing was wrong."""
    return _taught()[1]
