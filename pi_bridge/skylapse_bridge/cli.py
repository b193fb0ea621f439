"""The command line. Each command's module is loaded when it is used: a running bridge needs little memory."""

import argparse
import os
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

_PIPE_CLOSED = 128 + 13
"""What a shell says of a program that SIGPIPE ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    chosen = _parser(words[0] if words else "").parse_args(words)
    try:
        code = int(chosen.run(chosen))
        sys.stdout.flush()
    except BridgeError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Nobody reads on, as `head`; what is left in the buffer must not complain at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    return code


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
