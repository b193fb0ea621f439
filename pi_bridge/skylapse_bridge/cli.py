"""The command line. Each command's module is loaded when it is used: a running bridge needs little memory."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from .errors import BridgeError

_HOMES = {
    "run": (".cli_run", "add_run_commands"),
    "check-config": (".cli_run", "add_run_commands"),
    "example-config": (".cli_run", "add_run_commands"),
    "check": (".cli_check", "add_check_command"),
    "cameras": (".cli_camera", "add_camera_commands"),
    "meter": (".cli_camera", "add_camera_commands"),
    "capture": (".cli_camera", "add_camera_commands"),
    "calibrate": (".calibrate.cli", "add_calibrate_command"),
    "twin": (".twin.cli", "add_twin_command"),
}
"""Which module knows a command, and the function that adds it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    chosen = _parser(words[0] if words else "").parse_args(words)
    try:
        return int(chosen.run(chosen))
    except BridgeError as error:
        print(error, file=sys.stderr)
        return 2


def _parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of one command, or of all where it is none of them."""
    parser = argparse.ArgumentParser(
        prog="skylapse-bridge", description="Photographs by plan, loses nothing."
    )
    parser.add_argument("--version", action="version", version=version("skylapse"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    if command == "--version":
        return parser
    for module, add in dict.fromkeys([_HOMES[command]] if command in _HOMES else _HOMES.values()):
        getattr(import_module(module, __package__), add)(commands)
    return parser
