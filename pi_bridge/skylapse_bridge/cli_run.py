"""The commands around the running bridge: `run`, `check-config`, `example-config`."""

import argparse
import asyncio
import logging
import signal
from importlib.resources import files
from pathlib import Path

from .clock import make_clock
from .config import check_config
from .logs import STYLES, configure
from .service import Bridge

_LOGGER = logging.getLogger(__name__)


def add_run_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    run = commands.add_parser("run", help="photograph and deliver until told to stop")
    run.add_argument("--config", type=Path, required=True, help="bridge.yaml")
    run.add_argument("--verbose", action="store_true", help="log more")
    run.add_argument(
        "--log", choices=STYLES, default="text", help="lines for people, or one JSON object a line"
    )
    run.set_defaults(run=_run)
    check = commands.add_parser("check-config", help="check a configuration and say what is wrong")
    check.add_argument("--config", type=Path, required=True, help="bridge.yaml")
    check.set_defaults(run=_check)
    example = commands.add_parser("example-config", help="print a configuration that explains every setting")
    example.set_defaults(run=_example)


def _check(arguments: argparse.Namespace) -> int:
    config, awaited = check_config(arguments.config)
    cameras = ", ".join(f"{camera.id} ({camera.driver})" for camera in config.cameras)
    print("\n".join([*awaited, f"bridge {config.id}: {cameras}"]))
    return 1 if awaited else 0


def _example(_arguments: argparse.Namespace) -> int:
    print(files(__package__).joinpath("bridge.example.yaml").read_text("utf-8"), end="")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    configure(arguments.log, verbose=arguments.verbose)
    while asyncio.run(_serve(arguments.config)):
        _LOGGER.info("starting again")
    return 0


async def _serve(path: Path) -> bool:
    """Run a bridge until it is told to stop; tell whether it is to start again."""
    config, awaited = check_config(path)
    for what in awaited:
        _LOGGER.warning("%s", what)
    bridge = Bridge(config, make_clock(config.clock))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, bridge.request_stop)
    try:
        await bridge.start()
        return await bridge.over()
    finally:
        await bridge.stop()
