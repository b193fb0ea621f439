"""The demo's own parts, without the programs that it starts."""

import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.flows import fill_in
from demo.home_assistant import HomeAssistant, Place
from demo.processes import REPOSITORY, Program, ProgramError
from demo.rig import died
from demo.sunset import Evening
from demo.system import Balance, Plan, System
from demo.watch import Heard
from skylapse_protocol.messages import CameraEvent, CameraState, Counts, StoreState
from skylapse_protocol.topics import EVENT, STATE, STORE_STATE, TOPICS, encode
from tests.support.waiting import wait_until


def test_the_cameras_clock_reaches_sunset_when_the_evening_says() -> None:
    evening = Evening(around_min=60, lead_min=6, rate=60)
    anchor = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    assert evening.sunset_at.date() == evening.day
    assert evening.minutes_from_sunset(anchor, anchor) == pytest.approx(-66)
    assert evening.minutes_from_sunset(anchor, anchor + timedelta(seconds=66)) == pytest.approx(0)
    assert evening.frames == 480
    clock = evening.clock(anchor)
    assert datetime.fromisoformat(clock["start"]) == evening.sunset_at - timedelta(minutes=66)


@pytest.mark.parametrize(("picture_s", "rate"), [(0.0, 60), (0.04, 60), (0.1, 30), (0.25, 12), (9.0, 10)])
def test_a_slow_machine_gets_a_slower_evening(picture_s: float, rate: float) -> None:
    evening = Evening().at_pace(picture_s)
    assert evening.rate == pytest.approx(rate)
    assert evening.real_s == pytest.approx(126 * 60 / rate)


def test_every_tick_of_the_window_has_a_picture() -> None:
    evening = Evening()
    first, count = evening.moments
    last = first + (count - 1) * timedelta(seconds=evening.interval_s)
    assert first.timestamp() % evening.interval_s == 0
    assert first < evening.sunset_at - timedelta(minutes=60) < evening.ends_at < last
    assert evening.frames < count < evening.frames + 12


def test_home_assistant_is_started_anew_where_it_asks_for_that(tmp_path: Path) -> None:
    house = HomeAssistant(
        tmp_path / "house",
        place=Place(latitude=47.0, longitude=11.0, elevation_m=600, time_zone="Europe/Vienna"),
    )
    house.program = Program(
        "home-assistant",
        ["sh", "-c", "[ -e asked ] && exec sleep 60; touch asked; exit 100"],
        log_path=tmp_path / "log",
        folder=tmp_path,
    )
    house.program.start()
    assert house.program.wait() == 100
    try:
        house.start_if_it_asks()
        assert not died(house.program)
    finally:
        house.program.stop()


def test_forms_are_filled_with_answers_then_with_what_they_suggest() -> None:
    form: list[dict[str, Any]] = [
        {"name": "broker", "required": True},
        {"name": "port", "default": 1883},
        {"name": "url", "description": {"suggested_value": "http://here"}},
        {"name": "nothing"},
        {"name": "more", "type": "expandable", "schema": [{"name": "transport"}]},
    ]
    filled = fill_in(form, {"broker": "there", "more": {"transport": "tcp"}})
    assert filled == {
        "broker": "there",
        "port": 1883,
        "url": "http://here",
        "more": {"transport": "tcp"},
    }


def test_what_is_heard_adds_up() -> None:
    heard = Heard()
    state = CameraState(
        mode="deployed", capturing=True, counts=Counts(captured=9, delivered=6, pending=2, dropped=1)
    )
    heard.take(STATE.name(bridge="demo", camera="lake"), encode(STATE, state))
    heard.take(STORE_STATE.name(bridge="demo", camera="lake"), encode(STORE_STATE, StoreState(frames=6)))
    assert heard.captured == heard.stored + heard.pending + heard.dropped


def test_frames_that_were_due_and_not_taken_are_told() -> None:
    heard = Heard()
    for reason in ("3 too late since 17:40:15", None):
        event = CameraEvent(at=datetime(2026, 9, 12, tzinfo=UTC), type="tick_skipped", reason=reason)
        heard.take(EVENT.name(bridge="demo", camera="lake"), encode(EVENT, event))
    assert heard.skipped == 4
    figures = {"captured": 1, "stored": 1, "pending": 0, "dropped": 0}
    assert str(Balance(**figures)) == "1 frame captured = 1 stored + 0 pending + 0 dropped"
    assert str(Balance(**figures, skipped=heard.skipped)).endswith("0 dropped; 4 due but not taken")


def test_both_doors_are_told_with_what_opens_them(tmp_path: Path) -> None:
    system = System(Plan(folder=tmp_path / "demo"), lambda _: None)
    for words in (system.house.url, "as demo with the password", system.rig.url, "demo/demo.key"):
        assert words in system.doors


def test_what_the_first_page_makes_is_ignored_by_git() -> None:
    page = (REPOSITORY / "README.md").read_text("utf-8")
    made = re.findall(r" (?:-o|--out) (\S+)", page)
    assert {"pictures", "film.mp4"} <= set(made)
    for name in made:
        folder = "" if "." in name else "/"
        ignored = subprocess.run(
            ["git", "check-ignore", "-q", f"{name}{folder}"], cwd=REPOSITORY, check=False
        )
        assert ignored.returncode == 0, name


@pytest.mark.parametrize("environment", [".venv-ha", ".venv-ha-10"])
def test_the_long_installation_is_announced(environment: str) -> None:
    lock = "requirements-ha-2026.10.lock" if environment.endswith("10") else "requirements-ha.lock"
    planned = subprocess.run(
        ["make", "-n", "-W", lock, f"{environment}/.stamp"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "installing Home Assistant" in planned.stdout


@given(
    st.sampled_from([row.path.replace("{", "").replace("}", "") for row in TOPICS]), st.binary(max_size=200)
)
def test_no_bytes_on_any_topic_disturb_the_progress(path: str, payload: bytes) -> None:
    heard = Heard()
    heard.take(f"skylapse/{path}", payload)
    assert heard.captured == 0


def test_a_program_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = Program("talker", ["sh", "-c", "echo no such camera; exit 3"], log_path=tmp_path / "log")
    program.start()
    assert program.wait() == 3
    with pytest.raises(ProgramError, match=r"(?s)talker ended.*no such camera"):
        died(program)


def test_a_program_is_killed_with_its_children(tmp_path: Path) -> None:
    program = Program("parent", ["sh", "-c", "sleep 600 & echo $!; wait"], log_path=tmp_path / "log")
    program.start()
    child = int(wait_until(program.log, what="the child's number"))
    program.kill()
    assert program.exit_code == -9
    assert wait_until(lambda: not _runs(child), what="the end of the child")


def _runs(pid: int) -> bool:
    """Whether the process lives; one that has ended and was not yet waited for does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text("utf-8")
    except FileNotFoundError:
        return False


def test_a_program_runs_in_a_group_of_its_own(tmp_path: Path) -> None:
    program = Program("alone", ["sleep", "600"], log_path=tmp_path / "log")
    program.start()
    assert os.getpgid(program.pid) == program.pid
    program.stop()
    assert not program.running
