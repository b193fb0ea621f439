"""What the bridge says of its work: lines for people, or one JSON object a line for programs.

Every room logs through the standard library. What a line is about (camera, frame) is bound around the work
with `about`, or given as `extra`, and stands in its own field. Where systemd keeps the journal, each line
begins with its priority (sd-daemon(3)), and the time of a text is left to it.
"""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Style = Literal["text", "json"]
STYLES: tuple[Style, ...] = ("text", "json")

_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}


def about(**fields: str) -> AbstractContextManager[object]:
    """Return a context in which every line, those of tasks begun in it too, carries these fields."""
    return structlog.contextvars.bound_contextvars(**fields)


def configure(style: Style, *, verbose: bool = False, stream: TextIO | None = None) -> None:
    """Let everything that is logged go to the stream, standard error where none is named."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(style, journal=_is_journal(stream), colours=stream.isatty()))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)


def _formatter(style: Style, *, journal: bool, colours: bool) -> logging.Formatter:
    about_a_line: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.contextvars.merge_contextvars,
    ]
    if style == "json" or not journal:
        about_a_line.append(structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"))
    render: Processor = structlog.dev.ConsoleRenderer(
        colors=colours,
        pad_event_to=0,
        pad_level=False,
        timestamp_key="time",
        exception_formatter=structlog.dev.plain_traceback,
    )
    if style == "json":
        about_a_line += [structlog.processors.format_exc_info, structlog.processors.EventRenamer("message")]
        render = structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _with_priority(render) if journal else render,
        ],
        foreign_pre_chain=about_a_line,
    )


def _with_priority(render: Processor) -> Callable[[WrappedLogger, str, EventDict], str]:
    def rendered(logger: WrappedLogger, method: str, event: EventDict) -> str:
        prefix = f"<{_PRIORITIES.get(event['level'], 6)}>"
        return "\n".join(prefix + line for line in str(render(logger, method, event)).splitlines())

    return rendered


def _is_journal(stream: TextIO) -> bool:
    """Tell whether the stream is the one that systemd reads into the journal (systemd.exec(5))."""
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"
