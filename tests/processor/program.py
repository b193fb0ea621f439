"""The processor as a program of its own: started, killed, started again on the same port."""

import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.processes import Program, answers, free_port
from tests.support.waiting import wait_until

CONSOLE = Path(sys.executable).with_name("skylapse-processor")


class Processor:
    """One configuration and the program that serves it."""

    def __init__(self, config: Path) -> None:
        self.folder = config.parent
        self.port = free_port()
        words = yaml.safe_load(config.read_text("utf-8"))
        words["http"] = {"port": self.port}
        config.write_text(yaml.safe_dump(words), "utf-8")
        self.url = f"http://127.0.0.1:{self.port}"
        self.program = Program(
            "processor",
            [str(CONSOLE), "serve", "--config", str(config)],
            log_path=self.folder / "processor.log",
            folder=self.folder,
        )
        self.key = self.run("keys", "add", "test").stdout.strip()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of skylapse-processor in the folder of the configuration."""
        return subprocess.run(
            [CONSOLE, *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        self.program.start()
        wait_until(lambda: answers(self.port) or not self.program.running, what="the processor")
        assert self.program.running, self.program.tail()
