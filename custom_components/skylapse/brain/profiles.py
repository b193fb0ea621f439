"""Profiles: what the photographer wants, the six built-in ones, and how one extends another.

A field that is None is taken from the profile that is extended, and from `DEFAULTS` where none is. Compiling
resolves that and turns curves into tables: what is deployed knows neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from ..protocol.snapshot import Metering, Profile, WhiteBalance
from .curves import CURVES, compile_curve
from .errors import ProfileError

MeteringMode = Literal["centre", "spot", "matrix"]
BalanceMode = Literal["auto", "fixed", "adaptive"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileSpec:
    """A profile as it is kept: None stands for "as in the profile that is extended"."""

    id: str
    name: str
    extends: str | None = None
    metering: MeteringMode | None = None
    ev: float | None = None
    """Exposure compensation, in stops."""
    white_balance: BalanceMode | None = None
    kelvin: int | None = None
    curve: str | None = None
    """Name of a curve of `CURVES`, for adaptive white balance."""
    night_ev: float | None = None
    """Stops added at 0.5 lux and below, fading to none at 400 lux."""
    max_exposure_s: float | None = None
    """Longest exposure; 0 leaves it to sensor and interval."""
    max_gain: float | None = None
    """Largest gain; 0 leaves it to the sensor."""
    jpeg_quality: int | None = None

    @classmethod
    def read(cls, profile_id: str, name: str, data: Mapping[str, Any]) -> Self:
        """Read a profile from what a subentry keeps; fields that it lacks are None."""
        known = {field.name for field in fields(cls)} - {"id", "name"}
        return cls(id=profile_id, name=name, **{key: data[key] for key in known & data.keys()})

    def write(self) -> dict[str, Any]:
        """Return what a subentry keeps: the fields that are not None, id and name left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            key: value for key, value in values.items() if value is not None and key not in ("id", "name")
        }


DEFAULTS = ProfileSpec(
    id="default",
    name="",
    metering="matrix",
    ev=0.0,
    white_balance="auto",
    kelvin=5500,
    curve="balanced",
    night_ev=-1.5,
    max_exposure_s=0.0,
    max_gain=0.0,
    jpeg_quality=92,
)

PRODUCTION_PROFILE = "f"

BUILT_IN_PROFILES = (
    ProfileSpec(id="a", name="Center-weighted auto", metering="centre", ev=0.3, white_balance="auto"),
    ProfileSpec(id="b", name="Daylight fixed", metering="matrix", ev=0.0, white_balance="fixed", kelvin=5500),
    ProfileSpec(
        id="c",
        name="Conservative adaptive",
        metering="matrix",
        ev=-0.3,
        white_balance="adaptive",
        curve="conservative",
    ),
    ProfileSpec(
        id="d", name="Warm dramatic", metering="matrix", ev=0.0, white_balance="adaptive", curve="warm"
    ),
    ProfileSpec(
        id="e",
        name="Balanced adaptive",
        metering="matrix",
        ev=0.0,
        white_balance="adaptive",
        curve="balanced",
    ),
    ProfileSpec(id="f", name="Mountain spot", metering="spot", ev=0.7, white_balance="fixed", kelvin=5500),
)


def resolve(specs: Mapping[str, ProfileSpec], profile_id: str) -> ProfileSpec:
    """Return a profile with every field filled in; raise ProfileError for a missing base or a circle."""
    chain: list[ProfileSpec] = []
    wanted: str | None = profile_id
    while wanted:
        if wanted not in specs:
            raise ProfileError("profile_base_unknown", profile=profile_id, base=wanted)
        if any(spec.id == wanted for spec in chain):
            raise ProfileError("profile_circle", profile=profile_id, base=wanted)
        chain.append(specs[wanted])
        wanted = specs[wanted].extends
    resolved = DEFAULTS
    for spec in reversed(chain):
        resolved = replace(resolved, **spec.write())
    return replace(resolved, id=profile_id, name=specs[profile_id].name, extends=None)


def compile_profile(specs: Mapping[str, ProfileSpec], profile_id: str, version: int) -> Profile:
    """Return a profile ready for execution; raise ProfileError where it cannot be resolved."""
    spec = resolve(specs, profile_id)
    return Profile(
        id=spec.id,
        name=spec.name,
        version=version,
        metering=Metering(mode=spec.metering or "matrix"),
        ev=spec.ev or 0.0,
        ev_table=((0.5, spec.night_ev or 0.0), (400.0, 0.0)),
        white_balance=_white_balance(spec),
        max_exposure_us=round(spec.max_exposure_s * 1e6) if spec.max_exposure_s else None,
        max_gain=spec.max_gain or None,
        jpeg_quality=spec.jpeg_quality or 92,
    )


def _white_balance(spec: ProfileSpec) -> WhiteBalance:
    if spec.white_balance == "fixed":
        return WhiteBalance(mode="fixed", kelvin=spec.kelvin)
    if spec.white_balance == "adaptive":
        return WhiteBalance(mode="adaptive", table=compile_curve(CURVES[spec.curve or "balanced"]))
    return WhiteBalance(mode="auto")
