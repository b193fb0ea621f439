"""The whole system on one machine: broker, processor, Home Assistant, and a bridge with two cameras."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from .broker import Broker
from .dashboard import make_dashboard
from .flows import add_mqtt, confirm_discovery, reconfigure_subentry
from .home_assistant import HomeAssistant
from .processes import Program, ProgramError, answers, free_port
from .sunset import Evening
from .waiting import until
from .watch import Watch

BRIDGE = "demo"
TWIN = "lake"
FOLDER = "pictures"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is shown."""

    folder: Path
    """Everything that the system writes; it is emptied first."""
    evening: Evening = field(default_factory=Evening)
    width: int = 1920
    height: int = 1080
    pictures: int = 240
    """How many pictures the folder camera replays."""


def console(name: str) -> str:
    """The path of a console script of this environment."""
    return str(Path(sys.executable).with_name(name))


class System:
    """Starts everything in its order and ends it in the opposite one."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.anchor = datetime.now(UTC)
        self.broker = Broker(plan.folder / "mosquitto")
        self.house = HomeAssistant(plan.folder / "home-assistant", place=plan.evening.place)
        self.watch = Watch(self.house)
        self.processor_port = free_port()
        self.processor_url = f"http://{LOOPBACK}:{self.processor_port}"
        self.processor = self._program(
            "processor", "skylapse-processor", "serve", "--config", "processor.yaml"
        )
        self.bridge = self._program("bridge", "skylapse-bridge", "run", "--config", "bridge.yaml")
        self._painter = self._program("pictures", "skylapse-bridge", *_twin_arguments(plan))
        self._say = say

    @property
    def programs(self) -> list[Program]:
        """Every program, in the order of their start."""
        return [self.broker.program, self._painter, self.processor, self.house.program, self.bridge]

    async def start(self) -> None:
        """Start the system up to its first picture."""
        self._make_folder()
        self.broker.start()
        self._say(f"Mosquitto answers on {LOOPBACK}:{self.broker.port}")
        self._painter.start()
        await self._start_processor()
        await self._start_house()
        await self._wait_for_pictures()
        await self._start_bridge()

    async def stop(self) -> None:
        """End everything that was started."""
        await self.watch.stop()
        self.bridge.stop()
        await self.house.stop()
        self.processor.stop()
        self._painter.stop()
        self.broker.stop()

    def check(self) -> None:
        """Raise ProgramError with its last words when a program has ended."""
        for needed in (self.broker.program, self.processor, self.house.program, self.bridge):
            if not needed.running:
                raise ProgramError(f"{needed.name} ended\n{needed.tail()}")

    def tails(self) -> str:
        """The last words of every program."""
        return "\n".join(each.tail() for each in self.programs)

    async def _start_processor(self) -> None:
        self._write("processor.yaml", self._processor_configuration())
        self.key_of("bridge")
        self.processor.start()
        await until(
            lambda: answers(self.processor_port) or self._died(self.processor),
            timeout_s=30,
            what="the processor",
        )
        self._say(f"the processor answers on {self.processor_url}")

    async def _start_house(self) -> None:
        self.house.prepare()
        await self.house.start()
        await self.house.onboard()
        self._say(f"Home Assistant answers on {self.house.url}")
        await add_mqtt(self.house, host=self.broker.host, port=self.broker.port)
        answers_given = {"processor_url": self.processor_url, "processor_key": self.key_of("home-assistant")}
        entry = await confirm_discovery(self.house, "skylapse", answers_given)
        around = self.plan.evening.around_min
        await reconfigure_subentry(
            self.house,
            entry,
            "schedule",
            "Sunset",
            offset_min=-around,
            duration_min=2 * around,
            interval_s=self.plan.evening.interval_s,
        )
        await self.watch.start()
        self._say(f"Skylapse is set up; its sunset lasts from {around:g} minutes before to {around:g} after")

    async def _wait_for_pictures(self) -> None:
        await until(
            lambda: not self._painter.running, timeout_s=180, what="the pictures of the folder camera"
        )
        if self._painter.exit_code:
            raise ProgramError(self._painter.tail())

    async def _start_bridge(self) -> None:
        self.anchor = datetime.now(UTC)
        self._write("bridge.yaml", self._bridge_configuration())
        self.bridge.start()
        await until(
            lambda: len(self.watch.heard.cameras) == 2 or self._died(self.bridge),
            timeout_s=30,
            what="both cameras",
        )
        path = await make_dashboard(self.house)
        self._say(f"two cameras photograph; dashboard {self.house.url}{path}")

    def key_of(self, client: str) -> str:
        """Make a key for a client of the processor; answer it, and keep it in a file of its own."""
        made = subprocess.run(
            [console("skylapse-processor"), "keys", "add", client, "--config", "processor.yaml"],
            cwd=self.plan.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ProgramError(f"no key for {client}: {made.stderr}")
        key = made.stdout.split()[-1]
        path = self.plan.folder / f"{client}.key"
        path.touch(mode=0o600)
        path.write_text(f"{key}\n", "utf-8")
        return key

    def _processor_configuration(self) -> dict[str, Any]:
        return {
            "store": {"path": "store"},
            "http": {"host": LOOPBACK, "port": self.processor_port, "base_url": self.processor_url},
            "mqtt": {"host": self.broker.host, "port": self.broker.port},
        }

    def _bridge_configuration(self) -> dict[str, Any]:
        place = self.plan.evening.place
        return {
            "bridge": BRIDGE,
            "name": "Demo",
            "clock": self.plan.evening.clock(self.anchor),
            "mqtt": {"host": self.broker.host, "port": self.broker.port},
            "processor": {"url": self.processor_url, "key_file": "bridge.key"},
            "spool": {"path": "spool"},
            "cameras": {
                TWIN: {
                    "driver": "twin",
                    "name": "Lake",
                    "width": self.plan.width,
                    "height": self.plan.height,
                    "latitude": place.latitude,
                    "longitude": place.longitude,
                },
                FOLDER: {"driver": "folder", "name": "Pictures", "path": "pictures"},
            },
        }

    def _make_folder(self) -> None:
        shutil.rmtree(self.plan.folder, ignore_errors=True)
        self.plan.folder.mkdir(parents=True)

    def _write(self, name: str, words: dict[str, Any]) -> None:
        (self.plan.folder / name).write_text(yaml.safe_dump(words, sort_keys=False), "utf-8")

    def _program(self, name: str, script: str, *arguments: str) -> Program:
        folder = self.plan.folder
        return Program(name, [console(script), *arguments], log_path=folder / f"{name}.log", folder=folder)

    def _died(self, needed: Program) -> bool:
        if not needed.running:
            raise ProgramError(f"{needed.name} ended\n{needed.tail()}")
        return False


def _twin_arguments(plan: Plan) -> list[str]:
    """The pictures of the folder camera: the same evening, another landscape, a smaller camera."""
    evening = plan.evening
    step_s = 2 * evening.around_min * 60 / plan.pictures
    start = evening.ends_at - timedelta(minutes=2 * evening.around_min)
    return [
        *("twin", "--out", "pictures", "--frames", str(plan.pictures), "--size", "1280x720", "--seed", "7"),
        *("--start", start.isoformat(), "--interval", f"{step_s:g}", "--sensor", "imx219"),
        *("--latitude", str(evening.place.latitude), "--longitude", str(evening.place.longitude)),
    ]
