"""Profiles made ready for execution: bases resolved, seasons and schedules applied, curves as tables."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from ..protocol.errors import ProtocolError
from ..protocol.snapshot import Metering, Profile, WhiteBalance
from .curves import CURVES, compile_curve
from .errors import ProfileError
from .profiles import CUSTOM_CURVE, DEFAULTS, ProfileSpec, changed
from .seasons import SEASONS, Season

Specs = Mapping[str, ProfileSpec]

_NIGHT_LUX, _DAY_LUX = 0.5, 400.0


def resolve(specs: Specs, profile_id: str, season: Season | None = None) -> ProfileSpec:
    """Return a profile with every field filled in, as it is meant in a season.

    Overrides for schedules add up along the way; the extending profile's win. Raise ProfileError for a
    missing base or a circle.
    """
    resolved = DEFAULTS
    overrides: dict[str, dict[str, Any]] = {}
    for spec in reversed(_chain(specs, profile_id, season)):
        resolved = replace(resolved, **spec.given())
        for schedule, changes in (spec.schedule_overrides or {}).items():
            overrides[schedule] = {**overrides.get(schedule, {}), **changes}
    return replace(
        resolved,
        id=profile_id,
        name=specs[profile_id].name,
        extends=None,
        season=None,
        schedule_overrides=MappingProxyType(overrides),
    )


def compile_profile(
    specs: Specs,
    profile_id: str,
    version: int,
    *,
    season: Season | None = None,
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> Profile:
    """Return a profile ready for execution, with some fields changed; raise ProfileError otherwise."""
    spec = changed(resolve(specs, profile_id, season), changes)
    if spec.metering == "regions" and not spec.regions:
        raise ProfileError("no_region")
    try:
        return Profile(
            id=spec.id,
            name=spec.name,
            version=version,
            metering=Metering(mode=_filled(spec.metering), regions=_filled(spec.regions)),
            ev=_filled(spec.ev),
            ev_table=((_NIGHT_LUX, _filled(spec.night_ev)), (_DAY_LUX, 0.0)),
            white_balance=_white_balance(spec),
            max_exposure_us=round(spec.max_exposure_s * 1e6) if spec.max_exposure_s else None,
            max_gain=spec.max_gain or None,
            jpeg_quality=_filled(spec.jpeg_quality),
            bracket_ev=_offsets(spec.bracket_ev),
            average=_filled(spec.average),
            focus_dioptre=spec.focus_dioptre if spec.focus == "fixed" else None,
            focus_bracket=_offsets(spec.focus_bracket),
            raw=_filled(spec.raw),
        )
    except ProtocolError as error:
        raise ProfileError("profile_figures", field=error.field, why=error.why) from error


def check_profile(specs: Specs, profile_id: str) -> None:
    """Raise ProfileError unless a profile can be compiled for every season and schedule that it names."""
    spec = specs[profile_id]
    if spec.season is not None:
        _check_season(specs, spec)
    for season in (None, *SEASONS):
        overrides = resolve(specs, profile_id, season).schedule_overrides or {}
        for changes in ({}, *overrides.values()):
            compile_profile(specs, profile_id, 0, season=season, changes=changes)


def check_change(specs: Specs, spec: ProfileSpec) -> None:
    """Raise ProfileError where a profile as it is to be, or another one because of it, cannot be compiled.

    Others that could not be compiled before are no reason: they are put right one by one.
    """
    changed_specs = {**specs, spec.id: spec}
    check_profile(changed_specs, spec.id)
    for each in specs:
        if each != spec.id and _is_sound(specs, each):
            check_profile(changed_specs, each)


def _is_sound(specs: Specs, profile_id: str) -> bool:
    try:
        check_profile(specs, profile_id)
    except ProfileError:
        return False
    return True


def _check_season(specs: Specs, spec: ProfileSpec) -> None:
    base = specs.get(spec.extends or "")
    if base is None or base.season is not None:
        raise ProfileError("season_base")
    first = _variant(specs, base.id, spec.season)
    if first is not None and first.id != spec.id:
        raise ProfileError("season_taken", profile=first.name)


def _chain(specs: Specs, profile_id: str, season: Season | None) -> list[ProfileSpec]:
    """Return a profile and those that it extends, nearest first, variants of the season before their base."""
    chain: list[ProfileSpec] = []
    wanted: str | None = profile_id
    while wanted:
        if wanted not in specs:
            raise ProfileError("profile_base_unknown", profile=profile_id, base=wanted)
        spec = specs[wanted]
        if spec in chain:
            raise ProfileError("profile_circle", profile=profile_id, base=wanted)
        if spec.season is not None:
            season = None
        elif (variant := _variant(specs, wanted, season)) is not None:
            chain.append(variant)
        chain.append(spec)
        wanted = spec.extends
    return chain


def _variant(specs: Specs, base: str, season: Season | None) -> ProfileSpec | None:
    """Return what a profile is in a season; of several the first counts."""
    if season is None:
        return None
    return next((spec for spec in specs.values() if spec.extends == base and spec.season == season), None)


def _white_balance(spec: ProfileSpec) -> WhiteBalance:
    if spec.white_balance == "fixed":
        return WhiteBalance(mode="fixed", kelvin=spec.kelvin)
    if spec.white_balance == "adaptive":
        return WhiteBalance(mode="adaptive", table=compile_curve(_curve_points(spec)))
    return WhiteBalance(mode="auto")


def _curve_points(spec: ProfileSpec) -> Any:
    if spec.curve == CUSTOM_CURVE:
        return spec.curve_points
    points = CURVES.get(str(spec.curve))
    if points is None:
        raise ProfileError("curve_unknown", curve=str(spec.curve))
    return points


def _offsets(bracket: tuple[float, ...] | None) -> tuple[float, ...]:
    """Return a bracket as it is executed: one that has only its middle is none."""
    return bracket if bracket is not None and len(bracket) > 1 else ()


def _filled[T](value: T | None) -> T:
    """Return a field of a resolved profile, typed as what it is: `DEFAULTS` fills in every one."""
    return cast("T", value)
