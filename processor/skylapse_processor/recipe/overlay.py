"""Overlay: words upon the film, such as the time, the exposure, the sun or what a sensor said.

`text` holds tokens in braces (see `tokens`); a backslash and an n begin a new line. `zone` names the time
zone in which times are shown; empty is the camera's, and the machine's own where that is not known. `size` is
the height of a line as a share of the picture's height, `position` one of nine places, `colour` six
hexadecimal digits. `title` is what `{title}` shows, by default the film's own title. Captions fade with the
picture, and their light counts for no flicker.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from skylapse_processor.errors import RequestError

from . import tokens
from .caption import Caption
from .plan import Plan
from .select import zone_of

_COLOUR = re.compile(r"#?([0-9a-fA-F]{6})\Z")


def overlay(
    plan: Plan,
    *,
    text: str = "{date}  {time}",
    position: str = "bottom-left",
    size: float = 0.035,
    opacity: float = 0.9,
    colour: str = "ffffff",
    zone: str = "",
    title: str = "",
) -> Plan:
    """Return the plan with words on every frame; raise RequestError for a token that no frame can have."""
    lines = tokens.parse(text)
    may = tokens.known(plan.frames)
    for token in tokens.tokens(lines):
        if token not in may:
            names = ", ".join((*tokens.NAMED, *sorted(may - {*tokens.NAMED})))
            raise RequestError("parameters.overlay.text", f"knows no {{{token}}}; there are {names}")
    caption = Caption(
        lines=lines,
        zone=zone_of(zone or plan.zone),
        title=title or plan.title,
        camera=plan.camera,
        position=position,
        size=size,
        opacity=opacity,
        colour=_rgb(colour),
    )
    return replace(plan, captions=(*plan.captions, caption))


def unknown(films: Sequence[Plan]) -> list[tuple[str, str]]:
    """Name the tokens of the captions that no frame has a value for, of all these plans."""
    asked = {token for plan in films for caption in plan.captions for token in tokens.tokens(caption.lines)}
    return [
        ("overlay.text", f"has {{{token}}}, and no picture of the film has a value for it")
        for token in sorted(asked)
        if not any(tokens.has_value(token, plan.frames, plan.title, plan.camera) for plan in films)
    ]


def why_no_colour(text: str) -> str | None:
    """Return why a text is no colour; null where it is one."""
    return None if _COLOUR.match(text) else "is no colour of six hexadecimal digits, such as ffcc00"


def _rgb(text: str) -> tuple[int, int, int]:
    digits = text.removeprefix("#")
    red, green, blue = (int(digits[place : place + 2], 16) for place in (0, 2, 4))
    return red, green, blue
