"""The command line: `skylapse-bridge run`, `check-config`, `example-config`, `twin`."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from .clock import make_clock
from .config import check_config, load_config
from .errors import BridgeError
from .service import Bridge

_WITHOUT_TWIN = frozenset({"run", "check-config", "example-config", "--version"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="skylapse-bridge", description="Photographs by plan, loses nothing."
    )
    parser.add_argument("--version", action="version", version=version("skylapse"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="photograph and deliver until told to stop")
    run.add_argument("--config", type=Path, required=True, help="bridge.yaml")
    run.add_argument("--verbose", action="store_true", help="log more")
    run.set_defaults(run=_run)
    check = commands.add_parser("check-config", help="check a configuration and say what is wrong")
    check.add_argument("--config", type=Path, required=True, help="bridge.yaml")
    check.set_defaults(run=_check)
    example = commands.add_parser("example-config", help="print a configuration that explains every setting")
    example.set_defaults(run=_example)
    words = sys.argv[1:] if arguments is None else list(arguments)
    if _WITHOUT_TWIN.isdisjoint(words[:1]):
        _add_twin(commands)
    chosen = parser.parse_args(words)
    try:
        return int(chosen.run(chosen))
    except BridgeError as error:
        print(error, file=sys.stderr)
        return 2


def _add_twin(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command of the twin, whose arrays would cost a running bridge 40 MB."""
    from .twin.cli import add_twin_command  # noqa: PLC0415 loaded when it is used

    add_twin_command(commands)


def _check(arguments: argparse.Namespace) -> int:
    config = check_config(arguments.config)
    cameras = ", ".join(f"{camera.id} ({camera.driver})" for camera in config.cameras)
    print(f"bridge {config.id}: {cameras}")
    return 0


def _example(_arguments: argparse.Namespace) -> int:
    print(files(__package__).joinpath("bridge.example.yaml").read_text("utf-8"), end="")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    level = logging.DEBUG if arguments.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    while asyncio.run(_serve(arguments.config)):
        logging.getLogger(__name__).info("starting again")
    return 0


async def _serve(path: Path) -> bool:
    """Run a bridge until it is told to stop; tell whether it is to start again."""
    config = load_config(path)
    bridge = Bridge(config, make_clock(config.clock))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, bridge.request_stop)
    try:
        await bridge.start()
        return await bridge.over()
    finally:
        await bridge.stop()
