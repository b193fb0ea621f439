"""Plan and snapshot on disk, so that capture needs no network: `<state_dir>/cameras/<camera>/plan.json`.

The files hold the messages as they came. They may also be written by hand before the bridge starts.
"""

import logging
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.snapshot import Plan, Snapshot
from skylapse_protocol.topics import PLAN, SNAPSHOT, Topic, decode, encode

from .durable import make_folder, sync_folder, write_durably

_LOGGER = logging.getLogger(__name__)

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)

M = TypeVar("M", Plan, Snapshot)


def check_deployed(message: object) -> None:
    """Raise ProtocolError for a plan or a snapshot that a bridge cannot work with, though it can be read."""
    if isinstance(message, Plan):
        _check_plan(message)
    elif isinstance(message, Snapshot) and not message.profiles:
        raise ProtocolError("snapshot", "profiles", "names no profile")


def misfit(plan: Plan | None, snapshot: Snapshot | None, now: datetime) -> str | None:
    """Return what plan and snapshot do not fit each other in, or this machine, None where all is well.

    Windows that are over are left out. A plan without a snapshot only waits for one.
    """
    if plan is None:
        return None
    if not _is_zone(plan.time_zone):
        return f"the plan's time zone {plan.time_zone!r} is none that this machine knows"
    if snapshot is None:
        return None
    for window in plan.windows:
        for name in window.profiles if window.ends_at > now else ():
            if snapshot.profile(name, window.schedule) is None:
                asked = f"window {window.id} asks for profile {name}"
                return f"{asked}, which snapshot {snapshot.version} does not have"
    return None


@lru_cache(maxsize=8)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _check_plan(message: Plan) -> None:
    """Raise ProtocolError for a plan with times, elevations or names that cannot be reckoned with."""
    ids = Counter(window.id for window in message.windows)
    if doubles := [name for name, count in ids.items() if count > 1]:
        raise ProtocolError("plan", f"windows.{doubles[0]}", "stands there twice")
    for window in message.windows:
        if not _EARLIEST <= window.starts_at < window.ends_at <= _LATEST:
            raise ProtocolError("plan", f"windows.{window.id}", f"is not between {_EARLIEST} and {_LATEST}")
    if message.sun is not None and not all(-90 <= degree <= 90 for degree in message.sun.elevation_deg):
        raise ProtocolError("plan", "sun.elevation_deg", "is not between −90 and 90")


class Deployment:
    """What is deployed on one camera. Its methods block."""

    def __init__(self, state_dir: Path, bridge: str, camera: str) -> None:
        self._folder = state_dir / "cameras" / camera
        self._ids = {"bridge": bridge, "camera": camera}

    def load_plan(self) -> Plan | None:
        """Return the plan, None where there is none that can be read."""
        return self._load(PLAN, "plan.json")

    def load_snapshot(self) -> Snapshot | None:
        """Return the snapshot, None where there is none that can be read."""
        return self._load(SNAPSHOT, "snapshot.json")

    def keep_plan(self, plan: Plan | None, received: bytes = b"") -> None:
        """Keep a plan durably, as it was received if it was; None takes it away."""
        self._keep(PLAN, "plan.json", plan, received)

    def keep_snapshot(self, snapshot: Snapshot | None, received: bytes = b"") -> None:
        """Keep a snapshot durably, as it was received if it was; None takes it away."""
        self._keep(SNAPSHOT, "snapshot.json", snapshot, received)

    def _load(self, topic: Topic[M], name: str) -> M | None:
        path = self._folder / name
        try:
            message = decode(topic.name(**self._ids), path.read_bytes()).message
            check_deployed(message)
        except FileNotFoundError:
            return None
        except (OSError, ProtocolError) as error:
            _LOGGER.error("%s cannot be used: %s", path, error)  # noqa: TRY400 the message says it all
            return None
        return cast("M | None", message)

    def _keep(self, topic: Topic[M], name: str, message: M | None, received: bytes) -> None:
        """Write a file; a message that was just small enough may be too large when it is encoded anew."""
        make_folder(self._folder)
        path = self._folder / name
        if message is None:
            path.unlink(missing_ok=True)
            sync_folder(self._folder)
        else:
            write_durably(path, received or encode(topic, message))
