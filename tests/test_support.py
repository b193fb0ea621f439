"""The helpers that other tests stand on."""

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.mosquitto import Broker
from tests.support.own_network import in_own_network, server_process
from tests.support.processes import Program, answers, free_port
from tests.support.tree import ROOT
from tests.support.waiting import TookTooLongError, until, wait_until


def test_the_broker_answers_and_comes_back_on_its_port_after_a_kill(broker: Broker) -> None:
    first = broker.program.pid
    broker.restart()
    assert broker.program.pid != first
    assert answers(broker.port)
    broker.kill()
    assert not answers(broker.port)
    assert "mosquitto version" in broker.log()


async def test_waiting_answers_the_value_or_names_what_it_missed() -> None:
    assert await until(lambda: "here") == "here"
    assert wait_until(lambda: 7) == 7
    with pytest.raises(TookTooLongError, match="the film"):
        await until(lambda: None, timeout_s=0.1, what="the film")


def web_server(folder: Path, port: int, inner_port: int) -> list[str]:
    """A server of files on all addresses, in a network of its own."""
    command = [sys.executable, "-m", "http.server", str(inner_port), "--bind", "0.0.0.0"]  # noqa: S104 that is the point
    return in_own_network(command, port=port, inner_port=inner_port, folder=folder)


def fetched(port: int, name: str) -> bytes:
    """What a server says, nothing where it does not yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=5) as answered:
            data: bytes = answered.read()
            return data
    except OSError:
        return b""


def test_a_program_in_a_network_of_its_own_is_reached_at_one_port_alone(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    port, inner_port = free_port(), free_port()
    server = Program("web", web_server(tmp_path, port, inner_port), log_path=tmp_path / "log")
    server.start()
    try:
        assert len(wait_until(lambda: fetched(port, "large"))) == 3_000_000
        assert not answers(inner_port)
    finally:
        server.kill()
    assert not answers(port)


STARTS_AND_WAITS = """
import sys
from pathlib import Path
from tests.support.processes import Program
Program("web", sys.argv[2:], log_path=Path(sys.argv[1])).start()
sys.stdin.read()
"""


def test_a_program_in_a_network_of_its_own_ends_with_tests_that_were_killed(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-c", STARTS_AND_WAITS, str(log), *web_server(tmp_path, port, free_port())]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as tests:
        try:
            wait_until(lambda: fetched(port, "log"), what="the server")
        finally:
            tests.kill()
    server = Path(f"/proc/{server_process(log.read_text('utf-8'))}")
    wait_until(lambda: not server.exists() and not answers(port), what="the end of the server")
