"""A/B tests: the frames that were compared, one of each arm in turn, taken next to each other."""

from homeassistant.components.media_player import MediaClass
from homeassistant.components.media_source import BrowseMediaSource
from homeassistant.util import dt as dt_util

from ..brain.ab_tests import AbTest
from ..links import frame_path
from ..media_id import AbTestsId
from ..protocol.errors import ProtocolError
from ..protocol.identifiers import FrameName
from .cards import folder, frame_card
from .desk import Desk, not_found

_WINNER = "★"


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
    return _folder(media, _title(desk, test), [frame_card(*each) for each in _frames(test)])


def _compared(desk: Desk) -> list[AbTest]:
    """Return the tests that have frames to show."""
    return [test for test in desk.tests if _frames(test)]


def _frames(test: AbTest) -> list[tuple[FrameName, str]]:
    """Return the frames of a test, pair by pair, with what they are called: time, arm, and who won."""
    if test.comparison is None:
        return []
    arms = [
        f"{arm.test_id.rpartition('-')[2].upper()} · {arm.profile.name}"
        + (f" {_WINNER}" if arm.test_id == test.comparison.winner else "")
        for arm in test.experiment.arms
    ]
    found = []
    for pair in test.comparison.pairs:
        for name, arm in zip(pair, arms, strict=False):
            try:
                frame = FrameName.parse(name)
            except ProtocolError:
                continue
            found.append((frame, f"{dt_util.as_local(frame.captured_at):%H:%M:%S} · {arm}"))
    return found


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
