"""Plan and snapshot of each camera on disk, so that capture needs no broker: `deployed/<camera>/plan.json`.

The files hold the messages as they came. One that cannot be read is told and set aside. Everything here
blocks.
"""

import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..const import LOGGER
from ..errors import SpoolError
from ..protocol import topics
from ..protocol.errors import ProtocolError
from ..protocol.snapshot import Plan, Snapshot
from .files import write_durably
from .records import BRIDGE
from .sequence import check_deployed

Kind = Literal["plan", "snapshot"]

_FOLDER = "deployed"
_ROWS: dict[Kind, topics.Topic[Any]] = {"plan": topics.PLAN, "snapshot": topics.SNAPSHOT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What was deployed last on a camera."""

    plan: Plan | None = None
    snapshot: Snapshot | None = None


def recall(folder: Path, cameras: Collection[str]) -> dict[str, Kept]:
    """Return what was deployed last on these cameras, and delete what others had."""
    for other in (folder / _FOLDER).glob("*"):
        if other.name not in cameras:
            shutil.rmtree(other, ignore_errors=True)
    return {camera: _recall(folder / _FOLDER / camera, camera) for camera in cameras}


def keep(folder: Path, camera: str, kind: Kind, payload: bytes) -> None:
    """Keep a message as it came, none where it is empty; raise SpoolError."""
    path = folder / _FOLDER / camera / f"{kind}.json"
    try:
        if not payload:
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_bytes() != payload:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, payload)
    except OSError as error:
        raise SpoolError(f"the {kind} cannot be kept over a restart: {error}") from error


def _recall(folder: Path, camera: str) -> Kept:
    plan, snapshot = (_read(folder / f"{kind}.json", row, camera) for kind, row in _ROWS.items())
    return Kept(
        plan=plan if isinstance(plan, Plan) else None,
        snapshot=snapshot if isinstance(snapshot, Snapshot) else None,
    )


def _read(path: Path, row: topics.Topic[Any], camera: str) -> Plan | Snapshot | None:
    """Return the message in a file, None where there is none that can be worked with."""
    try:
        return _check(topics.decode(row.name(bridge=BRIDGE, camera=camera), path.read_bytes()).message)
    except FileNotFoundError:
        return None
    except OSError as error:
        LOGGER.warning("The %s of camera %s cannot be read: %s", path.stem, camera, error)
        return None
    except ProtocolError as error:
        aside = path.with_suffix(".damaged")
        LOGGER.warning(
            "The %s of camera %s is damaged and is set aside as %s: %s", path.stem, camera, aside, error
        )
        with suppress(OSError):
            path.replace(aside)
        return None


def _check(message: object) -> Plan | Snapshot:
    """Return a message that can be worked with; raise ProtocolError."""
    if not isinstance(message, Plan | Snapshot):
        raise ProtocolError("deployed", "", "is empty")
    check_deployed(message)
    return message
