"""The terminal: one line for each step, one that is written over and over for the progress."""

import sys
import time

_EVERY_S = 5.0


class Screen:
    """Writes to standard error, so that standard output holds the result alone."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._told_at = 0.0
        self._open_line = False

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def say(self, words: str) -> None:
        """Write one line."""
        if self._open_line:
            print(file=sys.stderr)
            self._open_line = False
        print(f"[{self.seconds:5.0f} s] {words}", file=sys.stderr, flush=True)

    def progress(self, words: str) -> None:
        """Write the progress: over the last one on a terminal, every few seconds in a log."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K[{self.seconds:5.0f} s] {words}", end="", file=sys.stderr, flush=True)
            self._open_line = True
        elif time.monotonic() - self._told_at >= _EVERY_S:
            self._told_at = time.monotonic()
            self.say(words)
