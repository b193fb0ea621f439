"""The command line: `example-config`, `serve`, `keys`, `render`, `frames`.

A render is a process of its own: it starts without the server's libraries, twice as fast and 30 MB smaller.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from .errors import ProcessorError

_HOMES = {
    "example-config": "cli_serve",
    "serve": "cli_serve",
    "keys": "cli_serve",
    "render": "cli_render",
    "frames": "cli_frames",
    "outline": "cli_worker",
    "join": "cli_worker",
    "worker": "cli_worker",
}
"""Which module knows a command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parsed = _parser(words[0] if words else "").parse_args(words)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("skylapse"):
            raise
        print(
            f"skylapse-processor: {error.name} is not installed; the processor needs what comes with "
            "'skylapse[processor]'",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    try:
        return int(parsed.run(parsed))
    except ProcessorError as error:
        for line in str(error).splitlines():
            print(f"skylapse-processor: {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of one command, or of all where it is none of them."""
    parser = argparse.ArgumentParser(
        prog="skylapse-processor", description="Takes frames in, keeps them, makes films of them."
    )
    parser.add_argument("--version", action="version", version=version("skylapse"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for home in dict.fromkeys([_HOMES[command]] if command in _HOMES else _HOMES.values()):
        import_module(f".{home}", __package__).add_commands(commands)
    return parser
