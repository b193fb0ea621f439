"""What is deployed: one snapshot and one plan a camera, one list of orders for the processor.

Pure: configuration and place in, messages out. Only the ledger is written to; it says which versions are new.

A profile is deployed as it is meant in the season of the day: the day of the window that rules now, so that a
night is not cut in two, else the local date. What does not fit into one message is not deployed: a plan is
shortened until it fits, a snapshot stays as it was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from ..protocol import topics
from ..protocol.errors import SizeError
from ..protocol.messages import CameraState, Order, Orders
from ..protocol.snapshot import Experiment, Plan, Snapshot, SunTable, Variant, active_window
from .compiling import compile_profile, resolve
from .ledger import Ledger, digest_of
from .plan import PLAN_SPAN, Place, compile_plan, compile_sun, shortened
from .profiles import ProfileSpec
from .schedules import ScheduleSpec
from .seasons import Season, season_of
from .wishes import NO_WISH, Wish, brightened, wished_schedules

FULL_HOURS = int(PLAN_SPAN.total_seconds()) // 3600
_STEP_HOURS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """All that the user decided."""

    profiles: Mapping[str, ProfileSpec]
    """As they are kept."""
    left_out: frozenset[str] = frozenset()
    """Profiles that cannot be compiled."""
    schedules: tuple[ScheduleSpec, ...]
    unusable_schedules: tuple[ScheduleSpec, ...] = ()
    """Schedules that yield no window, since they name a profile that is gone or cannot be compiled."""
    place: Place
    faults: tuple[str, ...] = ()
    """What is left out and why, a line for the log each."""

    @property
    def usable(self) -> list[str]:
        """Ids of the profiles that can be compiled."""
        return sorted(self.profiles.keys() - self.left_out)

    def missed_by(self, schedules: Iterable[ScheduleSpec], ledger: Ledger) -> list[str]:
        """Return the names of the profiles of schedules that cannot be used.

        What is gone is called as it was when it was deployed last, by its id where it never was.
        """
        missed = {profile for schedule in schedules for profile in schedule.profiles}.difference(self.usable)
        return [self._name_of(each, ledger) for each in sorted(missed)]

    def _name_of(self, profile: str, ledger: Ledger) -> str:
        if profile in self.profiles:
            return self.profiles[profile].name
        editions = ledger.editions(f"profile/{profile}")
        return str(editions[-1].content.get("name", profile)) if editions else profile


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """What one camera is to hold."""

    snapshot: Snapshot | None
    """Null where it does not fit into one message."""
    plan: Plan | None
    """Null where not even the next hours fit into one message."""
    plan_hours: int = FULL_HOURS
    """How far the plan reaches."""


def stamp_profiles(configuration: Configuration, ledger: Ledger, now: datetime) -> None:
    """Give every profile its version: a new one, kept with its content, where the user changed it."""
    for profile_id in configuration.usable:
        spec = configuration.profiles[profile_id]
        ledger.edit(f"profile/{profile_id}", {"name": spec.name, "data": spec.write()}, now)


def compile_camera(
    configuration: Configuration,
    camera: str,
    now: datetime,
    ledger: Ledger,
    state: CameraState | None,
    experiments: tuple[Experiment, ...] = (),
    wish: Wish = NO_WISH,
) -> Deployment:
    """Return what a camera (`<bridge>/<camera>`) is to hold at `now`, a moment on its bridge's clock.

    A wish changes what production does; the arms of an A/B test stay as they were compiled.
    """
    schedules = wished_schedules(configuration.schedules, wish, configuration.usable)
    configuration = replace(configuration, schedules=schedules)
    sun = compile_sun(configuration.place, now)
    whole = compile_plan(configuration.schedules, camera, configuration.place, sun, 0, now)
    plan, hours = _plan(whole, sun, camera, now, ledger, state)
    season = season_at(whole, configuration.place, now)
    return Deployment(
        snapshot=_snapshot(configuration, camera, now, ledger, state, season, experiments, wish),
        plan=plan,
        plan_hours=hours,
    )


def season_at(plan: Plan, place: Place, now: datetime) -> Season:
    """Return the season that profiles are meant for at a moment."""
    window = active_window(plan, now)
    if window is None:
        return season_on(place, now)
    return season_of(date.fromisoformat(window.day), place.latitude)


def season_on(place: Place, now: datetime) -> Season:
    """Return the season of the local date at a moment."""
    return season_of(now.astimezone(ZoneInfo(place.time_zone)).date(), place.latitude)


def compile_orders(
    configuration: Configuration, cameras: Iterable[str], ledger: Ledger, now: datetime
) -> Orders:
    """Return what the processor is to make of every camera's windows."""
    orders = tuple(
        Order(
            camera=camera,
            schedule=schedule.id,
            schedule_name=schedule.name,
            recipe=schedule.recipe,
            size=schedule.size,
            also_sizes=tuple(size for size in schedule.also_sizes if size != schedule.size),
            codec=schedule.codec,
            rate=schedule.rate,
            retention_days=schedule.keep_days or None,
        )
        for camera in sorted(cameras)
        for schedule in configuration.schedules
        if schedule.film and schedule.covers(camera)
    )
    return Orders(revision=ledger.stamp("orders", orders, now).version, orders=orders)


def _snapshot(
    configuration: Configuration,
    camera: str,
    now: datetime,
    ledger: Ledger,
    state: CameraState | None,
    season: Season,
    experiments: tuple[Experiment, ...],
    wish: Wish,
) -> Snapshot | None:
    specs = configuration.profiles
    versions = {each: ledger.version(f"profile/{each}") or 1 for each in configuration.usable}
    profiles = tuple(
        brightened(compile_profile(specs, each, versions[each], season=season), wish) for each in versions
    )
    variants = tuple(
        Variant(
            schedule=schedule.id,
            profile=brightened(
                compile_profile(specs, each, versions[each], season=season, changes=overrides[schedule.id]),
                wish,
            ),
        )
        for each in versions
        if (overrides := resolve(specs, each, season).schedule_overrides)
        for schedule in configuration.schedules
        if schedule.id in overrides and each in schedule.profiles and schedule.covers(camera)
    )
    content = (profiles, variants, experiments)
    seen = (state.snapshot_version or 0) if state else 0
    subject = f"snapshot/{camera}"
    stamp = ledger.propose(subject, content, now, seen)
    snapshot = Snapshot(
        id=digest_of(content),
        version=stamp.version,
        created_at=stamp.made_at,
        profiles=profiles,
        variants=variants,
        experiments=experiments,
    )
    if not _fits(topics.SNAPSHOT, snapshot):
        return None
    ledger.keep(subject, stamp)
    return snapshot


def _plan(
    whole: Plan, sun: SunTable, camera: str, now: datetime, ledger: Ledger, state: CameraState | None
) -> tuple[Plan | None, int]:
    """Return the longest plan that fits into one message, with the hours that it reaches."""
    seen = (state.plan_revision or 0) if state else 0
    for hours in range(FULL_HOURS, -1, -_STEP_HOURS):
        plan = shortened(whole, sun, hours)
        stamp = ledger.propose(f"plan/{camera}", plan, now, seen)
        stamped = replace(plan, revision=stamp.version, created_at=stamp.made_at)
        if _fits(topics.PLAN, stamped):
            ledger.keep(f"plan/{camera}", stamp)
            return stamped, hours
    return None, 0


def _fits[M](row: topics.Topic[M], message: M) -> bool:
    try:
        topics.encode(row, message)
    except SizeError:
        return False
    return True
