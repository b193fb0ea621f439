"""A Mosquitto of its own on a loopback port, with everything it keeps in one folder.

It stays the user who started it: as root it would give its rights away and could not write its folder.
"""

import getpass
from pathlib import Path

from .processes import Program, ProgramError, answers, find_program, free_port
from .waiting import wait_until

_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
user {user}
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes true
log_dest stderr
log_type all
connection_messages true
"""


class Broker:
    """Start, stop, kill and start again one Mosquitto; the port stays the same over its life."""

    def __init__(self, folder: Path, *, port: int | None = None, extra: str = "") -> None:
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self._extra = extra
        self._program = Program(
            "mosquitto",
            [find_program("mosquitto"), "-c", str(folder / "mosquitto.conf")],
            log_path=folder / "mosquitto.log",
        )

    @property
    def program(self) -> Program:
        """The program behind the broker."""
        return self._program

    def start(self) -> None:
        """Start the broker and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = (
            _CONFIGURATION.format(port=self.port, folder=self.folder, user=getpass.getuser()) + self._extra
        )
        (self.folder / "mosquitto.conf").write_text(words, "utf-8")
        self._program.start()
        wait_until(lambda: answers(self.port) or not self._program.running, what="Mosquitto")
        if not self._program.running:
            raise ProgramError(self._program.tail())

    def stop(self) -> None:
        """End the broker in an orderly way; it keeps its retained messages."""
        self._program.stop()

    def kill(self) -> None:
        """End the broker as a power cut does."""
        self._program.kill()

    def restart(self) -> None:
        """Kill the broker and start it again on the same port with what it had kept."""
        self.kill()
        self.start()

    def log(self) -> str:
        """Answer what the broker has said."""
        return self._program.log()
