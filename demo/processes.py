"""Programs that are started, watched and ended: each in a process group and with a log file of its own."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from .waiting import PATIENCE_S, wait_until

REPOSITORY = Path(__file__).resolve().parent.parent
SEARCH_PATH = os.pathsep.join([str(REPOSITORY / ".tools/bin"), os.environ.get("PATH", ""), "/usr/sbin"])
_KEPT_PORTS = 32
_kept: deque[socket.socket] = deque()


class ProgramError(Exception):
    """A program is missing, ended on its own or does not answer."""


def find_program(name: str) -> str:
    """Answer the path of a program from .tools/bin, the PATH or /usr/sbin."""
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        raise ProgramError(f"{name} is not installed; `make tools` brings it")
    return found


def free_port() -> int:
    """Answer a loopback port that nobody listens on, and keep others from being given it for a while.

    A socket that is bound to the port and does not listen stands in the way of whoever asks the system for
    any port or connects from one, and of no server that takes this one as servers do, again and again.
    """
    _give_back(_KEPT_PORTS)
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    _kept.append(keeper)
    port: int = keeper.getsockname()[1]
    return port


@atexit.register
def _give_back(left: int = 0) -> None:
    """Give ports back until fewer than so many are kept, at the end all."""
    while _kept and len(_kept) >= left:
        _kept.popleft().close()


def answers(port: int) -> bool:
    """Say whether something on loopback accepts connections at the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """One program with its own process group; it ends when the process that started it ends, too."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log_path = log_path
        self._environment = {**os.environ, **(environment or {})}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the program was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id, which is the process group's, too."""
        if self._process is None:
            raise ProgramError(f"{self.name} was not started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How the program ended, None while it runs; negative for a signal."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the program; its words are appended to the log."""
        if self.running:
            raise ProgramError(f"{self.name} runs already")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*_dying_with_parent(), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )

    def wait(self, *, timeout_s: float = PATIENCE_S) -> int:
        """Wait until the program ends by itself and answer its exit code."""
        wait_until(lambda: not self.running, timeout_s=timeout_s, what=f"the end of {self.name}")
        return self.exit_code or 0

    def stop(self, *, timeout_s: float = 60.0) -> None:
        """Ask the program to end; what is left of its group after the time limit is killed."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """End the program and its children at once, as a power cut does."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()

    def log(self) -> str:
        """Answer all that the program has said."""
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def tail(self, lines: int = 25) -> str:
        """Answer the last lines of the log, under a heading."""
        words = "\n".join(self.log().splitlines()[-lines:])
        state = "running" if self.running else f"ended with {self.exit_code}"
        return f"---- {self.name} ({state}), {self.log_path}\n{words}"

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


def _dying_with_parent() -> list[str]:
    """Answer the prefix that makes the kernel end a program whose parent was killed, where there is one."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
