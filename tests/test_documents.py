"""What the documents tell people to type is typed here, and what they point to is there.

A page's `sh` blocks are run line by line in one folder, as a reader would; a block under a line that begins
with the name of a file is that file. Five things differ: the address of the repository becomes this clone, a
configuration is made to fit as soon as it is there, Mosquitto's clients speak to the tests' broker, servers
run beside the lines that follow and must end cleanly, and the lines in `RUN_ELSEWHERE` are run by what is
named there. A command that is published must be answered well. Blocks about the virtual camera are typed by
`tests/picamera`, in the environment that they need.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from skylapse_bridge.twin.write import Sequence, write_sequence
from tests.support.mosquitto import Broker
from tests.support.processes import Program, find_program, free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*/README.md")), ROOT / "protocol" / "PROTOCOL.md"]
PAGES += [ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", ROOT / "addon" / "DOCS.md"]
PAGES += sorted(ROOT.glob("docs/**/*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"^`([\w-]+\.(?:json|yaml))`[^\n]*:\n+```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")
REPOSITORY = "git+https://github.com/skylapse-ha/skylapse"

RUN_ELSEWHERE = {
    "make test": ".ci/run",
    "make lint": ".ci/run",
    "make demo": "tests/end_to_end",
    "make venv": ".ci/run",
    "make libcamera": ".ci/run",
}
SERVERS = {
    "skylapse-bridge run": "connected to the broker",
    "skylapse-processor serve": "connected to the broker",
    "skylapse-processor worker": " works for ",
    "dask scheduler": "Scheduler at:",
}
VIRTUAL_CAMERA = ".libcamera/bin/"
ANSWER_S = 120.0
INSTALL_S = 400.0


def commands(page: Path, *, virtual_camera: bool = False) -> Iterator[str]:
    """Yield the lines of a page's `sh` blocks, without what is said beside; one kind of blocks of two."""
    for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "sh" and (VIRTUAL_CAMERA in block) == virtual_camera:
            yield from (line for text in block.splitlines() if (line := text.split("  #")[0].strip()))


class Reader:
    """Somebody who types what a page says, in an empty folder beside a broker."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder = folder
        self.servers: list[Program] = []
        (folder / ".venv").symlink_to(Path(sys.prefix))
        (folder / ".libcamera").symlink_to(ROOT / ".libcamera")
        bins = [folder / "bin", Path(sys.prefix, "bin"), ROOT / ".tools" / "bin"]
        self.environment = {
            **os.environ,
            "PATH": ":".join([*map(str, bins), os.environ["PATH"]]),
            "PIPX_HOME": str(folder / "pipx"),
            "PIPX_BIN_DIR": str(folder / "bin"),
        }
        self.broker = broker
        self.fitting = {
            "bridge.yaml": self._fit_bridge,
            "processor.yaml": self._fit_processor,
            "twin.yaml": self._fit_twin,
            "virtual.yaml": self._fit_broker,
        }
        for client in ("mosquitto_pub", "mosquitto_sub"):
            (folder / client).write_text(f"-h {broker.host}\n-p {broker.port}\n", encoding="utf-8")
        (folder / "processor-key").write_text("00" * 32, encoding="utf-8")
        (folder / "processor-key").chmod(0o600)
        write_sequence(folder / "photos", Sequence(frames=3, width=320, height=180))

    def _fit_bridge(self, words: dict[str, Any]) -> None:
        """Put this machine's places into the example of a bridge."""
        words["state_dir"] = "state"
        words["mqtt"] = {"host": self.broker.host, "port": self.broker.port}
        words["processor"] = {"url": "http://127.0.0.1:9", "key_file": "processor-key"}
        words["cameras"][0]["path"] = "photos"

    def _fit_broker(self, words: dict[str, Any]) -> None:
        """Put this machine's broker into a configuration."""
        words["mqtt"] = {"host": self.broker.host, "port": self.broker.port}

    def _fit_twin(self, words: dict[str, Any]) -> None:
        """Let it be noon before the computed camera: who follows a page does it by daylight."""
        self._fit_broker(words)
        now = datetime.now(UTC)
        words["cameras"][0]["longitude"] = round(15.0 * (12.0 - now.hour - now.minute / 60.0), 2)

    def _fit_processor(self, words: dict[str, Any]) -> None:
        """Put this machine's places into the example of a processor."""
        words["store"]["path"] = "store"
        words["http"]["port"] = free_port()
        words["mqtt"] = {"host": self.broker.host, "port": self.broker.port}

    def follow(self, page: Path, *, virtual_camera: bool = False) -> None:
        """Write a page's files, and type what it says to type."""
        for name, text in FILE.findall(page.read_text(encoding="utf-8")):
            (self.folder / name).write_text(text, encoding="utf-8")
        self.fit()
        for command in commands(page, virtual_camera=virtual_camera):
            if command not in RUN_ELSEWHERE:
                self.type(command)

    def fit(self) -> None:
        """Make the configurations fit that are there now, each of them once, as a reader's editor does."""
        for path in self.folder.glob("*.yaml"):
            fit = self.fitting.pop(path.name, None)
            if fit is not None:
                words = yaml.safe_load(path.read_text(encoding="utf-8"))
                fit(words)
                path.write_text(yaml.safe_dump(words), encoding="utf-8")

    def type(self, command: str) -> None:
        """Run one line; a server goes on running."""
        command = re.sub(rf"skylapse(\[\w+\]) @ {re.escape(REPOSITORY)}", rf"{ROOT}\1", command)
        words = shlex.split(command)
        for name, ready in SERVERS.items():
            if " ".join([Path(words[0]).name, *words[1:2]]) == name:
                self._serve(words, ready)
                return
        asked = re.search(r"-t (\S+)/command -m (\{.*\})", " ".join(words))
        answer = self._listen(asked[1]) if asked else None
        # Mosquitto's clients read their options from here; other programs keep their own settings.
        more = {"XDG_CONFIG_HOME": str(self.folder)} if words[0].startswith("mosquitto_") else {}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if asked and answer:
            reply = json.loads(answer.communicate(timeout=ANSWER_S)[0])
            assert (reply["id"], reply["ok"]) == (json.loads(asked[2])["id"], True), reply
        self.fit()

    def _listen(self, camera: str) -> "subprocess.Popen[str]":
        """Return a client that hears the next reply of a camera; it hears by now that its bridge is there."""
        place = ["-V", "5", "-h", self.broker.host, "-p", str(self.broker.port)]
        topics = ["-t", f"{camera.rpartition('/')[0]}/availability", "-t", f"{camera}/reply"]
        client = subprocess.Popen(
            [find_program("mosquitto_sub"), *place, *topics, "-C", "2", "-W", str(round(ANSWER_S))],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert client.stdout is not None
        assert client.stdout.readline() == "online\n"
        return client

    def _serve(self, words: list[str], ready: str) -> None:
        server = Program(
            f"server{len(self.servers)}",
            words,
            log_path=self.folder / f"server{len(self.servers)}.log",
            environment=self.environment,
            folder=self.folder,
        )
        self.servers.append(server)
        server.start()
        wait_until(lambda: ready in server.log() or not server.running, what=" ".join(words))
        assert server.running, server.log()

    def leave(self) -> list[int]:
        """End the servers; return their exit codes."""
        for server in self.servers:
            server.stop()
        return [server.wait() for server in self.servers]


def identity(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", [page for page in PAGES if any(commands(page))], ids=identity)
def test_what_a_page_says_to_type_works(page: Path, tmp_path: Path, broker: Broker) -> None:
    reader = Reader(tmp_path, broker)
    try:
        reader.follow(page)
    finally:
        codes = reader.leave()

    assert codes == [0] * len(reader.servers)


def test_the_protocol_can_be_watched_as_its_page_says(broker: Broker) -> None:
    page = (ROOT / "protocol" / "PROTOCOL.md").read_text(encoding="utf-8")
    command = re.search(r"`(mosquitto_sub [^`]*)`", page)
    assert command is not None
    place = ["-h", broker.host, "-p", str(broker.port)]
    said = ["-V", "5", "-r", "-q", "1", "-t", "skylapse/roof/availability", "-m", "online"]
    subprocess.run([find_program("mosquitto_pub"), *place, *said], check=True)

    heard = subprocess.run(
        [find_program("mosquitto_sub"), *shlex.split(command[1])[1:], *place, "-C", "1", "-W", "120"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert heard.stdout == "skylapse/roof/availability online\n"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    missing = [
        target
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_every_block_of_a_page_says_what_it_is(page: Path) -> None:
    languages = {language for language, _ in BLOCK.findall(page.read_text(encoding="utf-8"))}

    assert languages <= {"sh", "yaml", "json", "text", "console"}
    """`console` is what only another machine can do: a Raspberry Pi, Home Assistant."""
