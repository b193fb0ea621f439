"""The whole system on one machine: broker, processor, Home Assistant, and a bridge with two cameras."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .dashboard import make_dashboard
from .flows import add_mqtt, confirm_discovery, reconfigure_subentry
from .home_assistant import HomeAssistant
from .processes import Program, ProgramError
from .rig import Rig, died
from .store import Store
from .sunset import Evening
from .waiting import until
from .watch import Watch

BRIDGE = "demo"
TWIN = "lake"
FOLDER = "pictures"
PICTURES = "pictures"
STORE_CLIENT = "demo"
_PICTURES_S = 600.0
_CAMERAS_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is shown."""

    folder: Path
    """Everything that the system writes; it is emptied first."""
    evening: Evening = field(default_factory=Evening)
    width: int = 1920
    height: int = 1080
    own_pictures: Path | None = None
    """A folder of pictures that the folder camera replays, one a tick, instead of those made for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """Where all frames are."""

    captured: int
    stored: int
    pending: int
    dropped: int
    skipped: int = 0
    """Frames that were due and not taken; they are on no side of the balance."""

    def __str__(self) -> str:
        frames = "frame" if self.captured == 1 else "frames"
        skipped = f"; {self.skipped} due but not taken" if self.skipped else ""
        return (
            f"{self.captured} {frames} captured = {self.stored} stored + {self.pending} pending"
            f" + {self.dropped} dropped{skipped}"
        )


class System:
    """Starts everything in its order and ends it in the opposite one."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.evening = plan.evening
        """As fast as this machine keeps up with, once that is known."""
        self.anchor = datetime.now(UTC)
        self.rig = Rig(plan.folder, bridge=BRIDGE)
        self.house = HomeAssistant(plan.folder / "home-assistant", place=plan.evening.place)
        self.watch = Watch(self.house)
        self.store = Store(self.rig.url)
        self._painter = self.rig.console("pictures", "skylapse-bridge", *_twin_arguments(plan))
        self._say = say

    @property
    def programs(self) -> list[Program]:
        """Every program, in the order of their start."""
        return [
            self.rig.broker.program,
            self._painter,
            self.rig.processor,
            self.house.program,
            self.rig.bridge,
        ]

    async def start(self) -> None:
        """Start the system up to its first picture."""
        shutil.rmtree(self.plan.folder, ignore_errors=True)
        self.plan.folder.mkdir(parents=True)
        self.rig.broker.start()
        self._say(f"Mosquitto answers on {self.rig.broker.host}:{self.rig.broker.port}")
        if self.plan.own_pictures is None:
            self._painter.start()
        self.rig.start_processor()
        await self.store.start(self.rig.key_of(STORE_CLIENT))
        self._say(f"the processor answers on {self.rig.url}")
        await self._start_house()
        await self._wait_for_pictures()
        await self._start_bridge()

    async def stop(self) -> None:
        """End everything that was started."""
        await self.watch.stop()
        await self.store.stop()
        self.rig.bridge.stop()
        await self.house.stop()
        self._painter.stop()
        self.rig.stop()

    @property
    def doors(self) -> str:
        """Where to look, and what opens it."""
        sign_in = self.house.sign_in
        key_file = self.rig.key_file(STORE_CLIENT)
        return (
            f"Home Assistant: {self.house.url}, sign in as {sign_in.username} with the password"
            f" {sign_in.password}. Gallery: {self.rig.url}, opened by the key in {key_file}"
        )

    def check(self) -> None:
        """Raise ProgramError with its last words when a program has ended for good."""
        self.house.start_if_it_asks()
        for needed in (self.rig.broker.program, self.rig.processor, self.house.program, self.rig.bridge):
            died(needed)

    async def balance(self) -> Balance | None:
        """Where all frames are; None while bridge and processor count differently.

        What is stored comes from the processor's catalogue, the rest from the bridge's spool.
        """
        heard = self.watch.heard
        stored = sum([await self.store.stored(camera) for camera in heard.cameras])
        now = Balance(
            captured=heard.captured,
            stored=stored,
            pending=heard.pending,
            dropped=heard.dropped,
            skipped=heard.skipped,
        )
        return now if now.captured == now.stored + now.pending + now.dropped else None

    def tails(self) -> str:
        """The last words of every program."""
        return "\n".join(each.tail() for each in self.programs)

    async def _start_house(self) -> None:
        self.house.prepare()
        self._say("starting Home Assistant for the first time, up to a minute")
        await self.house.start()
        await self.house.onboard()
        self._say(f"Home Assistant answers on {self.house.url}")
        await add_mqtt(self.house, host=self.rig.broker.host, port=self.rig.broker.port)
        own = {"processor_key": self.rig.key_of("home-assistant")}
        entry = await confirm_discovery(self.house, "skylapse", own)
        evening = self.plan.evening
        window = {"offset_min": -evening.around_min, "duration_min": 2 * evening.around_min}
        changes: dict[str, Any] = {**window, "interval_s": evening.interval_s}
        await reconfigure_subentry(self.house, entry, "schedule", "Sunset", **changes)
        await self.watch.start()
        self._say(f"Skylapse is set up, with a sunset of ± {evening.around_min:g} minutes")

    async def _wait_for_pictures(self) -> None:
        if self._painter.running:
            self._say("waiting for the pictures that the folder camera is to show")
        await until(
            lambda: not self._painter.running, timeout_s=_PICTURES_S, what="the folder camera's pictures"
        )
        if self._painter.exit_code:
            raise ProgramError(self._painter.tail())
        self.evening = self.plan.evening.at_pace(_seconds_a_picture(self.plan.folder / "pictures"))
        if self.evening.rate < self.plan.evening.rate:
            self._say(f"this machine keeps up with {self.evening.rate:.0f} times the speed of life")

    async def _start_bridge(self) -> None:
        self.anchor = datetime.now(UTC)
        self.rig.start_bridge(self._cameras(), clock=self.evening.clock(self.anchor))
        heard = self.watch.heard
        await until(
            lambda: len(heard.cameras) == 2 or died(self.rig.bridge),
            timeout_s=_CAMERAS_S,
            what="both cameras",
        )
        path = await make_dashboard(self.house)
        self._say(f"two cameras photograph; dashboard {self.house.url}{path}")

    def _cameras(self) -> list[dict[str, Any]]:
        place = self.plan.evening.place
        twin = {
            "id": TWIN,
            "driver": "twin",
            "name": "Lake",
            "width": self.plan.width,
            "height": self.plan.height,
            "latitude": place.latitude,
            "longitude": place.longitude,
        }
        own = self.plan.own_pictures
        shown = {"path": str(own)} if own else {"path": PICTURES, "take": "due"}
        return [twin, {"id": FOLDER, "driver": "folder", "name": "Pictures", **shown}]


def _twin_arguments(plan: Plan) -> list[str]:
    """The pictures of the folder camera: the same evening tick by tick, another landscape, smaller."""
    evening = plan.evening
    first, count = evening.moments
    return [
        *("twin", "--out", PICTURES, "--frames", str(count), "--size", "1280x720", "--seed", "7"),
        *("--start", first.isoformat(), "--interval", f"{evening.interval_s:g}", "--sensor", "imx219"),
        *("--latitude", str(evening.place.latitude), "--longitude", str(evening.place.longitude)),
    ]


def _seconds_a_picture(folder: Path) -> float:
    """How long each of these pictures took to be made; 0 where fewer than two were."""
    made = sorted(path.stat().st_mtime for path in folder.glob("*.jpg"))
    return (made[-1] - made[0]) / (len(made) - 1) if len(made) > 1 else 0.0
