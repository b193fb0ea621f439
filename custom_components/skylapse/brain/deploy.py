"""What is deployed: one snapshot and one plan a camera, one list of orders for the processor.

Pure: configuration and place in, messages out. Only the ledger is written to; it says which versions are new.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ..protocol.messages import CameraState, Order, Orders
from ..protocol.snapshot import Plan, Snapshot
from .ledger import Ledger, digest_of
from .plan import Place, compile_plan, compile_sun
from .profiles import ProfileSpec, compile_profile
from .schedules import ScheduleSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """All that the user decided."""

    profiles: Mapping[str, ProfileSpec]
    schedules: tuple[ScheduleSpec, ...]
    place: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """What one camera is to hold."""

    snapshot: Snapshot
    plan: Plan


def compile_camera(
    configuration: Configuration, camera: str, now: datetime, ledger: Ledger, state: CameraState | None
) -> Deployment:
    """Return what a camera (`<bridge>/<camera>`) is to hold at `now`, a moment on its bridge's clock."""
    return Deployment(
        snapshot=_snapshot(configuration, camera, now, ledger, state),
        plan=_plan(configuration, camera, now, ledger, state),
    )


def compile_orders(
    configuration: Configuration, cameras: Iterable[str], ledger: Ledger, now: datetime
) -> Orders:
    """Return what the processor is to make of every camera's windows."""
    orders = tuple(
        Order(
            camera=camera,
            schedule=schedule.id,
            recipe=schedule.recipe,
            size=schedule.size,
            rate=schedule.rate,
            retention_days=schedule.keep_days or None,
        )
        for camera in sorted(cameras)
        for schedule in configuration.schedules
        if schedule.film and schedule.covers(camera)
    )
    return Orders(revision=ledger.stamp("orders", orders, now).version, orders=orders)


def _snapshot(
    configuration: Configuration, camera: str, now: datetime, ledger: Ledger, state: CameraState | None
) -> Snapshot:
    profiles = []
    for profile_id in sorted(configuration.profiles):
        profile = compile_profile(configuration.profiles, profile_id, version=0)
        version = ledger.stamp(f"profile/{profile_id}", profile, now).version
        profiles.append(replace(profile, version=version))
    seen = (state.snapshot_version or 0) if state else 0
    stamp = ledger.stamp(f"snapshot/{camera}", profiles, now, seen)
    return Snapshot(
        id=digest_of(profiles), version=stamp.version, created_at=stamp.made_at, profiles=tuple(profiles)
    )


def _plan(
    configuration: Configuration, camera: str, now: datetime, ledger: Ledger, state: CameraState | None
) -> Plan:
    sun = compile_sun(configuration.place, now)
    plan = compile_plan(configuration.schedules, camera, configuration.place, sun, 0, now)
    seen = (state.plan_revision or 0) if state else 0
    stamp = ledger.stamp(f"plan/{camera}", plan, now, seen)
    return replace(plan, revision=stamp.version, created_at=stamp.made_at)
