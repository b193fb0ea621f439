"""Broker, processor and bridge in one folder: all of Skylapse but Home Assistant."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .broker import Broker
from .processes import Program, ProgramError, answers, free_port
from .waiting import wait_until

LOOPBACK = "127.0.0.1"
_START_S = 30.0


def console(name: str) -> str:
    """The path of a console script of this environment."""
    return str(Path(sys.executable).with_name(name))


class Rig:
    """The three programs with their configurations; each is started, ended and started again by itself."""

    def __init__(self, folder: Path, *, bridge: str) -> None:
        self.folder = folder
        self.bridge_id = bridge
        self.broker = Broker(folder / "mosquitto")
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.processor = self.console(
            "processor", "skylapse-processor", "serve", "--config", "processor.yaml"
        )
        self.bridge = self.console("bridge", "skylapse-bridge", "run", "--config", "bridge.yaml")

    def console(self, name: str, script: str, *arguments: str) -> Program:
        """A program of Skylapse that runs in this folder."""
        return Program(
            name, [console(script), *arguments], log_path=self.folder / f"{name}.log", folder=self.folder
        )

    def start_processor(self) -> None:
        """Start the processor and wait until it answers."""
        words = {
            "store": {"path": "store"},
            "http": {"host": LOOPBACK, "port": self.port, "base_url": self.url},
            "mqtt": {"host": self.broker.host, "port": self.broker.port},
        }
        self._write("processor.yaml", words)
        if not (self.folder / "bridge.key").exists():
            self.key_of("bridge")
        self.processor.start()
        wait_until(
            lambda: answers(self.port) or died(self.processor), timeout_s=_START_S, what="the processor"
        )

    def start_bridge(
        self, cameras: Sequence[Mapping[str, Any]], *, clock: Mapping[str, Any] | None = None
    ) -> None:
        """Start the bridge with these cameras."""
        self._write("bridge.yaml", self._bridge_words(self.bridge_id, "bridge", cameras, clock))
        self.bridge.start()

    def start_another_bridge(
        self, bridge: str, cameras: Sequence[Mapping[str, Any]], *, clock: Mapping[str, Any] | None = None
    ) -> Program:
        """Start one more bridge at the same broker and processor, and answer it; who asked ends it."""
        self._write(f"{bridge}.yaml", self._bridge_words(bridge, bridge, cameras, clock))
        program = self.console(bridge, "skylapse-bridge", "run", "--config", f"{bridge}.yaml")
        program.start()
        return program

    def key_file(self, client: str) -> Path:
        """The file that holds a client's key."""
        return self.folder / f"{client}.key"

    def key_of(self, client: str) -> str:
        """Make a key for a client of the processor; answer it, and keep it in a file of its own."""
        path = self.key_file(client)
        made = subprocess.run(
            [
                console("skylapse-processor"),
                "keys",
                "add",
                client,
                "--out",
                path,
                "--config",
                "processor.yaml",
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ProgramError(f"no key for {client}: {made.stderr}")
        return path.read_text("utf-8").strip()

    def stop(self) -> None:
        """End what runs."""
        self.bridge.stop()
        self.processor.stop()
        self.broker.stop()

    def _bridge_words(
        self,
        bridge: str,
        state_dir: str,
        cameras: Sequence[Mapping[str, Any]],
        clock: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        words: dict[str, Any] = {
            "bridge": {"id": bridge, "name": bridge.capitalize()},
            "state_dir": state_dir,
            "mqtt": {"host": self.broker.host, "port": self.broker.port},
            "processor": {"url": self.url, "key_file": "bridge.key"},
            "cameras": list(cameras),
        }
        return words | ({"clock": dict(clock)} if clock is not None else {})

    def _write(self, name: str, words: dict[str, Any]) -> None:
        (self.folder / name).write_text(yaml.safe_dump(words, sort_keys=False), "utf-8")


def died(needed: Program) -> bool:
    """Raise ProgramError with the program's last words if it has ended."""
    if not needed.running:
        raise ProgramError(f"{needed.name} ended\n{needed.tail()}")
    return False
