"""The command line of the bridge."""

import argparse
from collections.abc import Sequence

from .twin.cli import add_twin_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sub-command that is named; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="skylapse-bridge", description="Photographs, and keeps the frames safe."
    )
    add_twin_command(parser.add_subparsers(required=True, metavar="command"))
    namespace = parser.parse_args(arguments)
    return int(namespace.run(namespace))
