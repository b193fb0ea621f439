"""Profiles: what the photographer wants, the six built-in ones, and how one extends another.

A field that is None is taken from the profile that is extended, and from `DEFAULTS` where none is. A profile
that extends another for one season is what the other one means on the days of that season, under the other
one's id: films go on through the year. `compiling.py` resolves all that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, Self

from ..protocol.errors import ProtocolError
from ..protocol.snapshot import MOST_BRACKETED, Region
from .curves import Points
from .errors import ProfileError
from .seasons import Season

MeteringMode = Literal["centre", "spot", "matrix", "regions"]
METERING: tuple[MeteringMode, ...] = ("centre", "spot", "matrix", "regions")
BalanceMode = Literal["auto", "fixed", "adaptive"]
WHITE_BALANCE: tuple[BalanceMode, ...] = ("auto", "fixed", "adaptive")
FocusMode = Literal["infinity", "fixed"]
FOCUS: tuple[FocusMode, ...] = ("infinity", "fixed")
CUSTOM_CURVE = "custom"

Changes = Mapping[str, Any]
"""Some fields of a profile, as JSON values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileSpec:
    """A profile as it is kept: None stands for "as in the profile that is extended"."""

    id: str
    name: str
    extends: str | None = None
    season: Season | None = None
    """Only for a variant: the season in which it is what the extended profile means."""
    metering: MeteringMode | None = None
    regions: tuple[Region, ...] | None = None
    """Drawn regions, for metering by regions."""
    ev: float | None = None
    """Exposure compensation, in stops."""
    white_balance: BalanceMode | None = None
    kelvin: int | None = None
    curve: str | None = None
    """Name of a curve of `CURVES` or `custom`, for adaptive white balance."""
    curve_points: Points | None = None
    """Lux and kelvin of a custom curve."""
    night_ev: float | None = None
    """Stops added at 0.5 lux and below, fading to none at 400 lux."""
    max_exposure_s: float | None = None
    """Longest exposure; 0 leaves it to sensor and interval."""
    max_gain: float | None = None
    """Largest gain; 0 leaves it to the sensor."""
    jpeg_quality: int | None = None
    bracket_ev: tuple[float, ...] | None = None
    """Stops away from the metered exposure, the middle first; only the middle is no bracket."""
    average: int | None = None
    """Exposures that one frame is the mean of."""
    focus: FocusMode | None = None
    focus_dioptre: float | None = None
    """For fixed focus."""
    focus_bracket: tuple[float, ...] | None = None
    """Dioptres away from the focus, the middle first; only the middle is no bracket."""
    raw: bool | None = None
    """A DNG is kept beside each JPEG."""
    schedule_overrides: Mapping[str, Changes] | None = None
    """What is otherwise within the windows of a schedule, by its id."""

    @classmethod
    def read(cls, profile_id: str, name: str, data: Mapping[str, Any]) -> Self:
        """Read a profile from what a subentry keeps; fields that it lacks, or that are empty, are None.

        Raise ProfileError for lists that cannot be read.
        """
        known = {field.name for field in fields(cls)} - {"id", "name"}
        given = {key: data[key] for key in known & data.keys() if data[key] not in (None, [], {}, "")}
        return cls(
            id=profile_id,
            name=name,
            **{key: _READERS[key](value) if key in _READERS else value for key, value in given.items()},
        )

    def write(self) -> dict[str, Any]:
        """Return what a subentry keeps: JSON values of the fields that are not None, id and name left out."""
        return {
            key: _WRITERS[key](value) if key in _WRITERS else value for key, value in self.given().items()
        }

    def given(self) -> dict[str, Any]:
        """Return the fields that are not None, id and name left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            key: value for key, value in values.items() if value is not None and key not in ("id", "name")
        }


CHANGEABLE = frozenset(
    field.name
    for field in fields(ProfileSpec)
    if field.name not in ("id", "name", "extends", "season", "schedule_overrides")
)
"""Fields that a schedule's override or an arm of an A/B test may change."""

_IMPLIED: tuple[tuple[str, str, str], ...] = (
    ("regions", "metering", "regions"),
    ("kelvin", "white_balance", "fixed"),
    ("curve", "white_balance", "adaptive"),
    ("curve_points", "white_balance", "adaptive"),
    ("curve_points", "curve", CUSTOM_CURVE),
    ("focus_dioptre", "focus", "fixed"),
)
"""A figure that is changed, and the mode that it belongs to: a figure without its mode is no change."""


def changed(spec: ProfileSpec, changes: Changes) -> ProfileSpec:
    """Return a profile with some fields changed; raise ProfileError for fields that it has not."""
    if unknown := changes.keys() - CHANGEABLE:
        raise ProfileError("change_unknown", field=", ".join(sorted(unknown)))
    implied = {mode: value for figure, mode, value in _IMPLIED if figure in changes}
    return replace(spec, **ProfileSpec.read(spec.id, spec.name, {**implied, **changes}).given())


def _regions(rows: Any) -> tuple[Region, ...]:
    try:
        return tuple(Region(**{key: float(value) for key, value in row.items()}) for row in rows)
    except (AttributeError, ProtocolError, TypeError, ValueError) as error:
        raise ProfileError("region_range") from error


def _points(rows: Any) -> Points:
    try:
        return tuple(sorted((float(row["lux"]), float(row["kelvin"])) for row in rows))
    except (KeyError, TypeError, ValueError) as error:
        raise ProfileError("curve_points", most="30") from error


_TYPED = str.maketrans({",": ".", "\N{MINUS SIGN}": "-"})


def _figure(typed: Any) -> float:
    """Read a figure that somebody may have typed, with the comma and the minus sign of a language."""
    return float(typed.translate(_TYPED) if isinstance(typed, str) else typed)


def _bracket(key: str, widest: float) -> Callable[[Any], tuple[float, ...]]:
    """Return a reader of offsets that puts the middle first, whether or not it is named."""

    def read(offsets: Any) -> tuple[float, ...]:
        try:
            others = sorted({_figure(offset) for offset in offsets} - {0.0})
        except (TypeError, ValueError) as error:
            raise ProfileError(key) from error
        if len(others) >= MOST_BRACKETED or not all(abs(offset) <= widest for offset in others):
            raise ProfileError(key)
        return (0.0, *others)

    return read


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "regions": _regions,
        "curve_points": _points,
        "kelvin": int,
        "jpeg_quality": int,
        "average": int,
        "bracket_ev": _bracket("bracket_range", 10.0),
        "focus_bracket": _bracket("focus_bracket_range", 20.0),
    }
)
_WRITERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "regions": lambda regions: [
            {key: getattr(region, key) for key in ("left", "top", "right", "bottom", "weight")}
            for region in regions
        ],
        "curve_points": lambda points: [{"lux": lux, "kelvin": kelvin} for lux, kelvin in points],
        "bracket_ev": list,
        "focus_bracket": list,
        "schedule_overrides": lambda overrides: {key: dict(value) for key, value in overrides.items()},
    }
)

DEFAULTS = ProfileSpec(
    id="default",
    name="",
    metering="matrix",
    regions=(),
    ev=0.0,
    white_balance="auto",
    kelvin=5500,
    curve="balanced",
    curve_points=(),
    night_ev=-1.5,
    max_exposure_s=0.0,
    max_gain=0.0,
    jpeg_quality=92,
    bracket_ev=(),
    average=1,
    focus="infinity",
    focus_dioptre=0.0,
    focus_bracket=(),
    raw=False,
    schedule_overrides=MappingProxyType({}),
)
"""What is meant where no profile says it: every field but those of a variant."""

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
