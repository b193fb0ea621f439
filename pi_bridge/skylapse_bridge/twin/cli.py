"""`skylapse-bridge twin`: write a sequence of the computed camera."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from skylapse_bridge.errors import OutputError

from .faults import Faults
from .ramp import RAMPS
from .sensor import SENSORS
from .sun import Place
from .write import Sequence, write_sequence


def add_twin_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command; its namespace carries `run`, a function of it that returns the exit code."""
    parser = commands.add_parser(
        "twin",
        usage="skylapse-bridge twin --out DIR --frames N [option…]",
        help="write a sequence of the computed camera, with records and truth",
        description="Write pictures of a computed dusk as 0001.jpg …, their records as 0001.json …, "
        "and what is true about each as one line of truth.jsonl.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; made if need be")
    parser.add_argument("--frames", type=_count, required=True, help="number of pictures")
    parser.add_argument("--size", type=_size, default=(1920, 1080), help="width x height (default 1920x1080)")
    parser.add_argument("--seed", type=_seed, default=1, help="which landscape and weather (default 1)")
    parser.add_argument("--start", type=_moment, help="RFC 3339; default: the sun is at -2° in the middle")
    parser.add_argument(
        "--interval", type=_seconds, default=15.0, help="seconds between pictures (default 15)"
    )
    parser.add_argument("--latitude", type=float, default=0.0, help="degrees north (default 0)")
    parser.add_argument("--longitude", type=float, default=0.0, help="degrees east (default 0)")
    parser.add_argument(
        "--sensor", choices=sorted(SENSORS), default="imx519", help="camera module (default imx519)"
    )
    parser.add_argument(
        "--exposure", choices=list(RAMPS), default="reactive", help="default reactive, the hard one"
    )
    parser.add_argument("--clouds", type=_share, default=1.0, help="0 is a clear sky (default 1)")
    parser.add_argument("--shake", type=_figure, default=0.0, help="wind moves the picture, in pixels")
    parser.add_argument("--droplets", type=_seed, default=0, help="number of drops on the lens")
    parser.add_argument("--fog", type=_share, default=0.0, help="0 to 1")
    parser.add_argument("--dew", type=_share, default=0.0, help="0 to 1, on the whole lens")
    parser.add_argument("--since", type=_moment, help="RFC 3339; wind, drops, fog and dew come then")
    parser.add_argument("--until", type=_moment, help="RFC 3339; and go then")
    parser.add_argument("--quality", type=int, default=92, help="JPEG quality (default 92)")
    parser.add_argument("--no-records", action="store_true", help="write no record beside each picture")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Write what was asked for; raise OutputError where that cannot be."""
    width, height = arguments.size
    sequence = Sequence(
        frames=arguments.frames,
        width=width,
        height=height,
        seed=arguments.seed,
        start=arguments.start,
        interval_s=arguments.interval,
        place=Place(latitude_deg=arguments.latitude, longitude_deg=arguments.longitude),
        sensor=arguments.sensor,
        exposure=arguments.exposure,
        clouds=arguments.clouds,
        faults=Faults(
            shake_px=arguments.shake,
            droplets=arguments.droplets,
            fog=arguments.fog,
            dew=arguments.dew,
            since=arguments.since,
            until=arguments.until,
        ),
        records=not arguments.no_records,
        quality=arguments.quality,
    )
    try:
        write_sequence(arguments.out, sequence)
    except OSError as error:
        raise OutputError(_why_not_written(arguments.out, error)) from error
    print(f"{sequence.frames} pictures of {width}x{height} in {arguments.out}")
    return 0


def _why_not_written(out: Path, error: OSError) -> str:
    """Return one line about a folder that could not be written to."""
    if out.exists() and not out.is_dir():
        return f"--out {out}: is no folder"
    return f"--out {out}: cannot be written to: {error.strerror or error}"


def _size(text: str) -> tuple[int, int]:
    """Parse `1920x1080`; both even, since films need it, and between 32 and 8192."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 1920x1080")
    size = int(width), int(height)
    if any(side % 2 or not 32 <= side <= 8192 for side in size):
        raise argparse.ArgumentTypeError(f"{text!r}: both sides must be even and between 32 and 8192")
    return size


def _seed(text: str) -> int:
    """Parse a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _count(text: str) -> int:
    """Parse a number of pictures."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _share(text: str) -> float:
    """Parse a share, 0 to 1."""
    share = _figure(text)
    if share > 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return share


def _figure(text: str) -> float:
    """Parse a figure of 0 or above."""
    try:
        figure = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0.0 <= figure < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is below 0")
    return figure


def _seconds(text: str) -> float:
    """Parse a stretch of time above 0."""
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0.0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return seconds


def _moment(text: str) -> datetime:
    """Parse a moment with its offset from UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-03-20T17:45:00Z") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} lacks the offset from UTC, as in 2026-03-20T17:45:00Z")
    return moment.astimezone(UTC)
