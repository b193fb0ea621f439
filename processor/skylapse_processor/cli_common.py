"""What the commands at a terminal have in common: names that are typed, and signals that end a command."""

import argparse
import signal
from pathlib import Path


def named(words: str) -> Path:
    """Return a path; an empty one is a variable that nobody has set, and not the folder one stands in."""
    if not words:
        raise argparse.ArgumentTypeError("a name is empty")
    return Path(words)


def ended_by() -> tuple[signal.Signals, ...]:
    """Return the signals that end a command; a terminal that closes does not end what `nohup` started."""
    hung_up = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGTERM, signal.SIGINT, *hung_up)
