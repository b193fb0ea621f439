"""When frames that came too late, or not at all, are a problem: every bridge goes by one rule. Pure.

One or two late ones are none: a camera is busy now and then, and a film does not show it. Three are, until
twenty in a row came in time or the window is over.

One that could not be taken is a problem until another one can. Where its window is over first, nobody tries
for hours: then one or two at its end are none any more, if the camera took others before. Three in a row stay
one, and so does a window without any frame.
"""

from dataclasses import dataclass, replace
from datetime import datetime

MOST_LATE = 2
MOST_FAILED = 2
IN_TIME_AGAIN = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Punctuality:
    """How a camera keeps time."""

    late: int = 0
    since: datetime | None = None
    """When the first of those that came too late was due."""
    in_time: int = 0
    """How many came in time since the last that did not."""

    @property
    def problem(self) -> str | None:
        """What is wrong, None while all is well."""
        if self.since is None or self.late <= MOST_LATE:
            return None
        return f"{self.late} frames too late since {self.since:%Y-%m-%d %H:%M:%S} UTC"

    def missed(self, first: datetime, ticks: int) -> "Punctuality":
        """Return what is so after frames that came too late."""
        return Punctuality(late=self.late + ticks, since=self.since or first)

    def kept(self) -> "Punctuality":
        """Return what is so after a frame that is in time."""
        if self.since is None or self.in_time + 1 == IN_TIME_AGAIN:
            return Punctuality()
        return replace(self, in_time=self.in_time + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fortune:
    """How a camera fares since the first of the windows that are open began."""

    has_taken: bool = False
    """Whether it took the frames of a tick."""
    failed: int = 0
    """How many ticks in a row failed since."""
    reason: str | None = None
    """Why the last of them did."""

    @property
    def forgiven(self) -> str | None:
        """What is no problem any more when the last window is over."""
        return self.reason if self.has_taken and self.failed <= MOST_FAILED else None

    def took(self) -> "Fortune":
        """Return what is so after a tick whose frames were taken."""
        return Fortune(has_taken=True)

    def missed(self, reason: str) -> "Fortune":
        """Return what is so after a tick that failed."""
        return replace(self, failed=self.failed + 1, reason=reason)
