"""The record of a picture that Home Assistant took: what can be known of any camera. Pure."""

from dataclasses import dataclass
from datetime import datetime

from ..protocol.identifiers import HOME_ASSISTANT
from ..protocol.records import FrameRecord
from ..protocol.snapshot import Plan, Profile, Snapshot, Window, sun_elevation_at
from .pictures import Picture
from .sequence import Shot

BRIDGE = HOME_ASSISTANT


@dataclass(frozen=True, kw_only=True, slots=True)
class Purpose:
    """What a picture is taken for."""

    window: Window | None = None
    """None where somebody asked for it."""
    profile: Profile | None = None
    place: int | None = None
    """Place in the tick, from 0; None where it has one picture."""
    test_id: str | None = None


def purposes(shot: Shot) -> tuple[Purpose, ...]:
    """Return what the pictures of a tick are taken for, in their order."""
    alone = len(shot.profiles) == 1
    return tuple(
        Purpose(window=shot.window, profile=profile, place=None if alone else place)
        for place, profile in enumerate(shot.profiles)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A picture, and when it was taken by all the clocks."""

    picture: Picture
    at: datetime
    day: str
    """The local date."""
    monotonic_ns: int
    boot_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """What was in force when a picture was taken."""

    plan: Plan | None = None
    snapshot: Snapshot | None = None


def make_record(
    camera: str, purpose: Purpose, taken: Taken, deployed: Deployed, *, spool: str, seq: int
) -> FrameRecord:
    """Return the record of a frame at its place in the spool."""
    window, plan, snapshot = purpose.window, deployed.plan, deployed.snapshot
    return FrameRecord(
        bridge=BRIDGE,
        camera=camera,
        spool=spool,
        seq=seq,
        boot_id=taken.boot_id,
        monotonic_ns=taken.monotonic_ns,
        clock_synced=True,
        captured_at=taken.at,
        day=window.day if window else taken.day,
        window=window.id if window else None,
        schedule=window.schedule if window else None,
        profile=purpose.profile.id if purpose.profile else None,
        snapshot_version=snapshot.version if snapshot else None,
        test_id=purpose.test_id,
        place=purpose.place,
        sun_elevation_deg=sun_elevation_at(plan, taken.at) if plan else None,
        width=taken.picture.width,
        height=taken.picture.height,
        bytes=len(taken.picture.jpeg),
        sha256=taken.picture.sha256,
    )
