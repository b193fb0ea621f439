"""What libcamera's tuning file says of a Raspberry Pi camera, and the small changes that films need. Pure.

A tuning file is JSON: version 2 holds `algorithms`, a list of objects with one key each; version 1 the same
objects under their names. Three things in it matter here.

`rpi.contrast` is the tone curve: pairs of (linear, encoded) on a 16-bit scale. Most files let it be
stretched from frame to frame (`ce_enable`), which no control can stop: so the file is handed to libcamera
with that switched off. Boards differ in their curves for one sensor (the imx708 has 33 points on a Pi 4 and
53 others on a Pi 5); a curve that the contract does not know could not be taken back to linear light when a
film is levelled, so it is replaced by one that the contract knows.

`rpi.lux` is what the sensor shows of a known light. `rpi.awb` holds `ct_curve`: for rising colour
temperatures how much red and blue the sensor sees of a grey, relative to green; the gains are the inverses.
"""

from bisect import bisect_right
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from skylapse_protocol.tone import CURVES

from .port import LuxReference

USUAL_CURVE = "imx477"
"""Given to sensors that have no curve of their own in the contract."""

_BALANCES = ("rpi.awb", "rpi.nn.awb")

ColourCurve = tuple[tuple[float, float, float], ...]
"""Points (kelvin, red, blue), rising in kelvin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """A tuning file as it is used."""

    data: Mapping[str, Any] = field(repr=False)
    """The whole file for libcamera, with a tone curve that is known and stands still."""
    tone_curve: str | None = None
    """Id in `skylapse_protocol.tone.CURVES`; None where the file has no tone curve."""
    lux_reference: LuxReference | None = None
    colour_curve: ColourCurve = ()


def read_tuning(data: Mapping[str, Any], sensor: str | None) -> Tuning:
    """Return what a tuning file says; raise ValueError where it is none."""
    data = deepcopy(dict(data))
    try:
        tone_curve = _still_curve(data, sensor)
        lux, balance = _algorithm(data, "rpi.lux"), _balance(data)
        return Tuning(
            data=data,
            tone_curve=tone_curve,
            lux_reference=_lux_reference(lux) if lux else None,
            colour_curve=_colour_curve(balance.get("ct_curve", ())) if balance else (),
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"it is no tuning file: {type(error).__name__} {error}") from error


def colour_gains(curve: ColourCurve, kelvin: float) -> tuple[float, float] | None:
    """Return the gains of red and blue for a colour temperature, None without a curve; its ends reach on."""
    if not curve:
        return None
    right = bisect_right([point[0] for point in curve], kelvin)
    if right in (0, len(curve)):
        _, red, blue = curve[0 if right == 0 else -1]
    else:
        (below, *low), (above, *high) = curve[right - 1], curve[right]
        share = (kelvin - below) / (above - below)
        red, blue = (one + share * (other - one) for one, other in zip(low, high, strict=True))
    return 1.0 / red, 1.0 / blue


def _still_curve(data: Mapping[str, Any], sensor: str | None) -> str | None:
    """Switch the adaptive contrast off and make the tone curve one that is known; return its id."""
    contrast = _algorithm(data, "rpi.contrast")
    if not contrast:
        return None
    contrast["ce_enable"] = 0
    written = tuple(_points(contrast["gamma_curve"], 2))
    known = sensor if sensor is not None and sensor in CURVES else USUAL_CURVE
    if written != CURVES[known]:
        contrast["gamma_curve"] = [round(value) for point in CURVES[known] for value in point]
    return known


def _balance(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the algorithm of the white balance that is in use."""
    found = [balance for name in _BALANCES if (balance := _algorithm(data, name))]
    return next((balance for balance in found if balance.get("enabled", True)), found[0] if found else None)


def _lux_reference(lux: Mapping[str, Any]) -> LuxReference:
    return LuxReference(
        exposure_us=round(lux["reference_shutter_speed"]),
        gain=float(lux["reference_gain"]),
        lux=float(lux["reference_lux"]),
        level=float(lux["reference_Y"]),
    )


def _colour_curve(numbers: Any) -> ColourCurve:
    return tuple((kelvin, red, blue) for kelvin, red, blue in _points(numbers, 3))


def _algorithm(data: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return the settings of an algorithm, in the file itself, None where the file has none."""
    if data.get("version", 1) == 1:
        return data.get(name)
    return next((entry[name] for entry in data["algorithms"] if name in entry), None)


def _points(numbers: Any, width: int) -> list[tuple[float, ...]]:
    """Return a flat list of numbers as points."""
    values = iter([float(number) for number in numbers])
    return list(zip(*[values] * width, strict=True))
