"""A connection that is there, or given up, within one deadline: names, addresses and TLS included."""

import socket
import ssl
import threading
import time
from concurrent.futures import Future
from typing import Any


class Deadline:
    """So long something may take as a whole."""

    def __init__(self, seconds: float) -> None:
        self._ends_s = time.monotonic() + seconds

    def left_s(self) -> float:
        """Return how many seconds are left; raise TimeoutError where none is."""
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s


def connected(host: str, port: int, tls: ssl.SSLContext | None, deadline: Deadline) -> socket.socket:
    """Return a connection; raise OSError where none comes about.

    A host of several addresses is tried at each of them, with an equal share of the time that is left: one
    that swallows everything, as IPv6 does behind some routers, leaves enough for the next.
    """
    addresses = _resolved(host, port, deadline)
    problem = OSError(f"{host} has no address")
    for place, (family, kind, protocol, _, address) in enumerate(addresses):
        share_s = deadline.left_s() / (len(addresses) - place)
        wire = socket.socket(family, kind, protocol)
        try:
            wire.settimeout(share_s)
            wire.connect(address)
            wire.settimeout(deadline.left_s())
            return wire if tls is None else tls.wrap_socket(wire, server_hostname=host)
        except ssl.SSLError:
            wire.close()
            raise
        except OSError as error:
            wire.close()
            problem = error
    raise problem


def _resolved(host: str, port: int, deadline: Deadline) -> list[Any]:
    """Return a host's addresses, asked for on a thread of its own: nothing interrupts silent name servers."""
    answer: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name=f"address of {host}", daemon=True).start()
    return answer.result(deadline.left_s())
