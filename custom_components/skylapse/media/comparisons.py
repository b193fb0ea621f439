"""A/B tests: the frames that were compared, one of each arm in turn, taken next to each other."""

from contextlib import suppress

from homeassistant.components.media_player import MediaClass
from homeassistant.components.media_source import BrowseMediaSource
from homeassistant.util import dt as dt_util

from ..arm_words import in_words
from ..brain.ab_tests import LETTERS, AbTest
from ..forms import words_of_choices
from ..links import frame_path
from ..media_id import AbTestsId
from ..protocol.errors import ProtocolError
from ..protocol.identifiers import FrameName
from .cards import folder, frame_card
from .desk import Desk, not_found

_WINNER = "★"
_BETWEEN = " · "


def tests_folder(desk: Desk) -> BrowseMediaSource | None:
    """Return A/B tests as they lie at the top; None where none was compared."""
    tests = _compared(desk)
    return _folder(AbTestsId(), desk.word("ab_tests"), thumbnail=_thumbnail(tests[0])) if tests else None


def open_tests(desk: Desk, media: AbTestsId) -> BrowseMediaSource:
    """Return the tests that were compared, latest first, or the frames of one."""
    tests = _compared(desk)
    if not media.test:
        children = [
            _folder(AbTestsId(test=test.id), _title(desk, test), thumbnail=_thumbnail(test)) for test in tests
        ]
        return _folder(media, desk.word("ab_tests"), children)
    test = next((test for test in tests if test.id == media.test), None)
    if test is None:
        raise not_found(media)
    return _folder(media, _title(desk, test), _cards(desk, test))


def _compared(desk: Desk) -> list[AbTest]:
    """Return the tests that have frames to show."""
    return [test for test in desk.tests if _frames(test)]


def _frames(test: AbTest) -> list[tuple[FrameName, int]]:
    """Return the frames of a test, pair by pair, with the number of their arm."""
    found = []
    for pair in test.comparison.pairs if test.comparison is not None else ():
        for name, (arm, _) in zip(pair, enumerate(test.arms), strict=False):
            with suppress(ProtocolError):
                found.append((FrameName.parse(name), arm))
    return found


def _cards(desk: Desk, test: AbTest) -> list[BrowseMediaSource]:
    """Return the frames of a test, called by time, arm, who won, and what was changed of which profile."""
    words = words_of_choices(desk.hass)
    winner = test.comparison.winner if test.comparison is not None else None
    names = [
        _BETWEEN.join(
            (
                f"{letter.upper()} {_WINNER}" if arm.test_id == winner else letter.upper(),
                *in_words(changes, words),
                arm.profile.name,
            )
        )
        for letter, (arm, changes) in zip(LETTERS, test.arms, strict=False)
    ]
    return [
        frame_card(frame, f"{dt_util.as_local(frame.captured_at):%H:%M:%S}{_BETWEEN}{names[arm]}")
        for frame, arm in _frames(test)
    ]


def _title(desk: Desk, test: AbTest) -> str:
    day = dt_util.as_local(test.started_at).date().isoformat()
    return f"{test.name} · {desk.camera_title(test.camera)} · {day}"


def _thumbnail(test: AbTest) -> str:
    return frame_path(_frames(test)[0][0], "thumb.jpg")


def _folder(
    media: AbTestsId,
    title: str,
    children: list[BrowseMediaSource] | None = None,
    thumbnail: str | None = None,
) -> BrowseMediaSource:
    return folder(media, title, children, holds=MediaClass.IMAGE, thumbnail=thumbnail, can_search=False)
