"""A program in a network of its own, where whatever it listens on is out of everybody's reach but one port.

For servers that listen on all addresses and take fixed ports. Run as a program, this module listens on a
port of loopback, moves with that socket into a new network (`unshare`: as root, else in a user namespace),
starts the server there and carries what comes at its socket, which still belongs to the old network, to the
server's port. Where namespaces are forbidden it ends with the words of `unshare`. Nothing outlives it: server
and relay are of one process group, and the kernel kills the server when the relay ends in any other way.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_CHUNK = 1 << 16
_TELLS = "the server is process "


def in_own_network(command: Sequence[str], *, port: int, inner_port: int, folder: Path) -> list[str]:
    """Return the command that runs another one in a folder and answers on loopback for its port."""
    begin = ["env", f"--chdir={folder}", f"PYTHONPATH={_ROOT}", sys.executable, "-m", __name__]
    return [*begin, "outside", str(port), str(inner_port), *command]


def server_process(log: str) -> int:
    """Return the number of the server's process as the log tells it."""
    return int(log.partition(_TELLS)[2].split()[0])


def _outside(port: str, *rest: str) -> None:
    """Listen, and go on inside of a new network."""
    listener = socket.create_server(("127.0.0.1", int(port)))
    listener.set_inheritable(True)
    as_whom = [] if os.geteuid() == 0 else ["--map-root-user"]
    again = [sys.executable, "-m", "tests.support.own_network", "inside", str(listener.fileno()), *rest]
    os.execvp("unshare", ["unshare", "--net", *as_whom, *again])  # noqa: S606 the shell has no part in it


async def _inside(listener: str, inner_port: str, *command: str) -> int:
    """Run the server; return how it ended."""
    _loopback_up()
    setpriv = shutil.which("setpriv")
    dying = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    server = await asyncio.create_subprocess_exec(*dying, *command)
    print(f"{_TELLS}{server.pid}", flush=True)  # noqa: T201 the log of a program

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(inner_port))
            with contextlib.closing(far_writer):
                ways = [_copy(reader, far_writer), _copy(far_reader, writer)]
                await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)

    async with await asyncio.start_server(carry, sock=socket.socket(fileno=int(listener))):
        return await server.wait()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


def _loopback_up() -> None:
    """Let 127.0.0.1 work, without which a new network begins; `ip` may be missing."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


if __name__ == "__main__":
    side, *arguments = sys.argv[1:]
    if side == "outside":
        _outside(*arguments)
    sys.exit(asyncio.run(_inside(*arguments)))
