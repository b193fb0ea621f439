"""What only a person can put right: facts in, troubles out. Pure.

A trouble counts once it has been so for a while (`grace_s`), and is over as soon as it is not so any more.
What swings about a limit would come and go: what stands already is over only well beyond the limit.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .facts import BridgeFacts, CameraFacts, Kind, ProcessorFacts, System
from .protocol import SCHEMA_MAX, SCHEMA_MIN

type Places = dict[str, str]

MINUTE_S = 60.0
CLOCK_OFF_S = 2.0
"""Bridges know how far their clock is off to half a second where no time server sets it."""
CLOCK_RIGHT_S = 1.0
LEAST_FREE_BYTES = 1_000_000_000
"""Twice what a bridge leaves free unless it is told otherwise; it stops photographing at that."""
LEAST_FREE_SHARE = 0.05
LEAST_STORAGE_SHARE = 0.08
"""The processor takes in no more frames when 5 % are left."""
ENOUGH_AGAIN = 1.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """The system as a whole, seen from the processor's place."""

    system: System
    connected: bool
    """Whether the broker is there."""
    pinned: str | None
    """The address that the processor's key belongs to, None where no key is known."""
    is_lost: bool = False
    """Whether nobody answered there when it was last tried."""
    is_unshared: bool = False
    """Whether the processor runs on this machine, and its folder is not among those of the media browser."""

    @property
    def processor(self) -> ProcessorFacts:
        """What is known of the processor."""
        return self.system.processor


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble[F]:
    """One trouble: what it is called, and how facts tell of it."""

    key: str
    find: Callable[[F, bool], Places | None]
    """Facts, and whether it is told of already; returns the places in its words, None where all is well."""
    grace_s: float = 0.0
    is_fixable: bool = False
    is_severe: bool = False
    """Whether frames are lost by it, sooner or later."""


def _apart(facts: BridgeFacts | ProcessorFacts) -> Places | None:
    """Two programs that share no version of the messages cannot talk: say which side is older.

    An announce that cannot be read is reason enough, whatever else its sender understands.
    """
    announce = facts.stranger or facts.announce
    if announce is None:
        return None
    is_apart = announce.schema_max < SCHEMA_MIN or announce.schema_min > SCHEMA_MAX
    if facts.stranger is None and not is_apart:
        return None
    return {
        "name": announce.name,
        "low": str(announce.schema_min),
        "high": str(announce.schema_max),
        "own": own_schemas(),
        "side": announce.name if announce.schema_max < SCHEMA_MIN else "Skylapse",
    }


def own_schemas() -> str:
    """Return which schemas of messages are understood here: one, or the first and the last."""
    return " – ".join(str(each) for each in sorted({SCHEMA_MIN, SCHEMA_MAX}))


def _name(bridge: BridgeFacts) -> Places:
    return {"name": bridge.announce.name if bridge.announce else bridge.id}


def _clock_unset(bridge: BridgeFacts, _stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    is_so = bridge.online and bridge.health is not None and not bridge.health.clock_synced
    return _name(bridge) if is_so and bridge.clock is None else None


def _clock_off(bridge: BridgeFacts, stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    if not bridge.online or bridge.health is None or bridge.clock is not None:
        return None
    offset_s = abs(bridge.health.clock_offset_s or 0.0)
    return _name(bridge) if offset_s > (CLOCK_RIGHT_S if stands else CLOCK_OFF_S) else None


def _disk_full(bridge: BridgeFacts, stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    health = bridge.health
    if not bridge.online or health is None or health.disk_free_bytes is None:
        return None
    least = max(LEAST_FREE_BYTES, LEAST_FREE_SHARE * (health.disk_total_bytes or 0))
    return _name(bridge) if health.disk_free_bytes < least * (ENOUGH_AGAIN if stands else 1) else None


def _focus_drifted(camera: CameraFacts, _stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    """A lens that moved since its infinity was found stays unsharp until it is found again."""
    focus = camera.state.focus if camera.state else None
    return {"camera": str(camera.name)} if focus is not None and focus.drifted else None


def _disobeys(camera: CameraFacts, _stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    """The bridge makes up for a limit that it learns; what it says for long it could not make up for."""
    problem = camera.state.settings_problem if camera.state else None
    return {"camera": str(camera.name), "reason": problem} if problem is not None else None


def _storage_full(whole: Whole, stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    health, announce = whole.processor.health, whole.processor.announce
    if not whole.processor.online or health is None or announce is None or not health.storage_total_bytes:
        return None
    share = health.storage_free_bytes / health.storage_total_bytes
    is_so = share < LEAST_STORAGE_SHARE * (ENOUGH_AGAIN if stands else 1)
    return {"name": announce.name} if is_so else None


def _missing(whole: Whole, _stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    """Frames wait, and there is no processor to take them."""
    if whole.processor.online or not whole.connected:
        return None
    waiting = sorted(
        _name(bridge)["name"]
        for bridge in whole.system.bridges.values()
        if bridge.online and bridge.health is not None and bridge.health.spool_frames
    )
    return {"bridges": ", ".join(waiting)} if waiting else None


def _keyless(whole: Whole, _stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    announce = whole.processor.announce
    if announce is None or not whole.processor.online or whole.pinned is not None:
        return None
    return {"name": announce.name, "url": announce.base_url}


def _moved(whole: Whole, _stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    """A processor that cannot be reached where its key is pinned, and announces another address, moved.

    Another address alone says little: bridges may reach it elsewhere than Home Assistant does.
    """
    announce, pinned = whole.processor.announce, whole.pinned
    if announce is None or pinned is None or not whole.is_lost:
        return None
    if announce.base_url.rstrip("/") == pinned.rstrip("/"):
        return None
    return {"pinned": pinned, "announced": announce.base_url}


def _unshared(whole: Whole, _stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    announce = whole.processor.announce
    is_so = whole.processor.online and whole.is_unshared
    return {"name": announce.name} if announce is not None and is_so else None


def _nothing_heard(whole: Whole, _stands: bool) -> Places | None:  # noqa: FBT001 the shape of all that find
    is_heard = any(bridge.announce or bridge.stranger for bridge in whole.system.bridges.values())
    return {} if whole.connected and not is_heard else None


BRIDGE_TROUBLES: tuple[Trouble[BridgeFacts], ...] = (
    Trouble(key="contract_apart", find=lambda bridge, _: _apart(bridge)),
    Trouble(key="clock_unset", find=_clock_unset, grace_s=15 * MINUTE_S),
    Trouble(key="clock_off", find=_clock_off, grace_s=5 * MINUTE_S),
    Trouble(key="disk_almost_full", find=_disk_full, grace_s=MINUTE_S, is_severe=True),
)
CAMERA_TROUBLES: tuple[Trouble[CameraFacts], ...] = (
    Trouble(key="focus_drifted", find=_focus_drifted, is_fixable=True),
    Trouble(key="settings_not_followed", find=_disobeys, grace_s=10 * MINUTE_S),
)
PROCESSOR_TROUBLES: tuple[Trouble[Whole], ...] = (
    Trouble(key="contract_apart", find=lambda whole, _: _apart(whole.processor)),
    Trouble(key="storage_almost_full", find=_storage_full, grace_s=MINUTE_S, is_severe=True),
    Trouble(key="processor_missing", find=_missing, grace_s=30 * MINUTE_S, is_severe=True),
    Trouble(key="processor_key_missing", find=_keyless, grace_s=10 * MINUTE_S, is_fixable=True),
    Trouble(key="processor_moved", find=_moved, is_fixable=True),
    Trouble(key="media_not_shared", find=_unshared, grace_s=10 * MINUTE_S),
    Trouble(key="nothing_heard", find=_nothing_heard, grace_s=15 * MINUTE_S),
)
TROUBLES: dict[Kind, tuple[Trouble[BridgeFacts] | Trouble[CameraFacts] | Trouble[Whole], ...]] = {
    "bridge": BRIDGE_TROUBLES,
    "camera": CAMERA_TROUBLES,
    "processor": PROCESSOR_TROUBLES,
}
"""What may be wrong with each kind of subject; what concerns the system is looked for with the processor."""
