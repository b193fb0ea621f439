"""`skylapse-bridge check`, `meter`, `capture` and `cameras` on real parts: broker, processor, cameras."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from skylapse_bridge.check import Room, judge_clock, judge_processor, judge_room
from skylapse_bridge.cli import main
from skylapse_bridge.deployment import Deployment
from skylapse_bridge.kernel_time import read_kernel_time
from skylapse_bridge.timesync import ServerTime
from skylapse_protocol.topics import REPLY
from tests.support.mosquitto import Broker
from tests.support.processes import Program, free_port
from tests.support.waiting import until, wait_until

from .conftest import House
from .made import picture, plan, profile, snapshot, window

SYNCHRONISED = read_kernel_time(0, 0x2001, 1_000_000, 20_000)
NOT_SET = read_kernel_time(5, 0x0040, 0, 16_000_000)


def noon_deg() -> float:
    """Return the longitude where it is noon now: gains have no room left by night."""
    now = datetime.now(UTC)
    return round(15.0 * (12.0 - now.hour - now.minute / 60.0), 2)


class Desk:
    """Somebody at a terminal with one configuration."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.settings: dict[str, Any] = {
            "bridge": {"id": "roof"},
            "state_dir": "state",
            "cameras": [
                {"id": "west", "driver": "twin", "width": 320, "height": 180, "longitude": noon_deg()}
            ],
            "spool": {"min_free_mb": 1},
        }

    def type(self, *words: str) -> tuple[int, str]:
        """Type a command; return its exit code, and what was printed."""
        path = self.folder / "bridge.yaml"
        path.write_text(yaml.safe_dump(self.settings), "utf-8")
        code = main([words[0], "--config", str(path), *words[1:]])
        told = self._capsys.readouterr()
        return code, told.out + told.err

    def check(self) -> tuple[int, dict[str, dict[str, str]]]:
        """Check; return the exit code and the finding of each part."""
        code, printed = self.type("check", "--json")
        told = json.loads(printed)
        assert told["ok"] is (code == 0)
        return code, {finding["part"]: finding for finding in told["findings"]}


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A desk in a folder of its own."""
    return Desk(tmp_path, capsys)


class Processor:
    """A real processor with one key."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / "processor.yaml"
        settings = {
            "store": {"path": str(folder / "store")},
            "http": {"port": self.port},
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
        }
        self._config.write_text(yaml.safe_dump(settings), "utf-8")
        self.key = folder / "key"
        self._words = [sys.executable, "-m", "skylapse_processor"]
        self.program = Program(
            "processor",
            [*self._words, "serve", "--config", str(self._config)],
            log_path=folder / "processor.log",
        )
        self._keys = Program(
            "keys",
            [*self._words, "keys", "add", "roof", "--config", str(self._config), "--out", str(self.key)],
            log_path=folder / "keys.log",
        )

    def start(self) -> None:
        """Make the key, then serve."""
        self._keys.start()
        assert self._keys.wait() == 0, self._keys.log()
        self.program.start()

        def listens() -> bool:
            with socket.socket() as one:
                return one.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(listens, what="the processor")


@pytest.fixture
def processor(tmp_path: Path, broker: Broker) -> Iterator[Processor]:
    """A processor that serves."""
    one = Processor(tmp_path, broker)
    one.start()
    yield one
    one.program.stop()


# ---------------------------------------------------------------------- check


def test_everything_in_order_is_told_and_is_no_failure(
    desk: Desk, broker: Broker, processor: Processor
) -> None:
    desk.settings["mqtt"] = {"host": "127.0.0.1", "port": broker.port}
    desk.settings["processor"] = {"url": processor.url, "key_file": str(processor.key)}
    code, found = desk.check()
    assert code == 0
    assert list(found) == ["camera west", "disk", "clock", "broker", "processor"]
    assert {part: one["verdict"] for part, one in found.items() if part != "clock"} == {
        "camera west": "ok",
        "disk": "ok",
        "broker": "ok",
        "processor": "ok",
    }
    assert "320×180" in found["camera west"]["found"]
    assert "hours of frames" in found["disk"]["found"]
    assert "beside the processor's" in found["clock"]["found"]
    _, printed = desk.type("check")
    assert printed.splitlines()[0].split()[:3] == ["ok", "camera", "west"]


def test_what_does_not_answer_is_a_problem_with_an_advice(desk: Desk) -> None:
    desk.settings["mqtt"] = {"host": "127.0.0.1", "port": free_port()}
    desk.settings["processor"] = {"url": f"http://127.0.0.1:{free_port()}", "key_file": "key"}
    code, found = desk.check()
    assert (code, found["processor"]["verdict"]) == (1, "problem")
    assert "keys add" in found["processor"]["advice"]
    (desk.folder / "key").write_text("no key", "utf-8")
    code, found = desk.check()
    assert code == 1
    assert "no broker answers" in found["broker"]["found"]
    assert "password_file" in found["broker"]["advice"]
    assert found["processor"]["verdict"] == "problem"
    assert "skylapse-processor serve" in found["processor"]["advice"]
    _, printed = desk.type("check")
    assert "→" in printed


def test_a_key_that_the_processor_does_not_know_is_told(desk: Desk, processor: Processor) -> None:
    (desk.folder / "other").write_text("0" * 64, "utf-8")
    desk.settings["processor"] = {"url": processor.url, "key_file": "other"}
    code, found = desk.check()
    assert code == 1
    assert "does not know this key" in found["processor"]["found"]


def test_a_broker_that_lets_the_bridge_hear_but_not_speak_is_a_problem(desk: Desk) -> None:
    rules = desk.folder / "rules"
    rules.write_text("topic read skylapse/#\n", "utf-8")
    strict = Broker(desk.folder / "strict", extra=f"acl_file {rules}\n")
    strict.start()
    desk.settings["mqtt"] = {"host": "127.0.0.1", "port": strict.port}
    code, found = desk.check()
    strict.stop()
    assert code == 1
    assert "skylapse/roof/west/reply may not be said: Not authorized" in found["broker"]["found"]
    assert "access list" in found["broker"]["advice"]


def test_a_wrong_password_is_told_in_the_brokers_words(desk: Desk) -> None:
    (desk.folder / "nobody").write_text("", "utf-8")
    (desk.folder / "password").write_text("secret", "utf-8")
    words = f"per_listener_settings false\npassword_file {desk.folder / 'nobody'}\n"
    strict = Broker(desk.folder / "strict", extra=words)
    strict.start()
    desk.settings["mqtt"] = {
        "host": "127.0.0.1",
        "port": strict.port,
        "username": "roof",
        "password_file": "password",
    }
    code, found = desk.check()
    strict.stop()
    assert code == 1
    assert "Not authorized" in found["broker"]["found"]


def test_a_bridge_on_its_own_is_warned_about_and_works(desk: Desk) -> None:
    code, found = desk.check()
    assert code == 0
    assert (found["broker"]["verdict"], found["processor"]["verdict"]) == ("warning", "warning")


def test_a_camera_without_pictures_is_a_warning_and_a_lost_one_a_problem(desk: Desk) -> None:
    (desk.folder / "pictures").mkdir()
    desk.settings["cameras"] = [
        {"id": "empty", "driver": "folder", "path": "pictures"},
        {"id": "lost", "driver": "twin", "width": 64, "height": 48, "lose_share": 1.0},
    ]
    code, found = desk.check()
    assert code == 1
    assert (found["camera empty"]["verdict"], found["camera lost"]["verdict"]) == ("warning", "problem")
    assert "at_end: loop" in found["camera empty"]["advice"]


def test_a_plan_that_the_snapshot_cannot_serve_is_a_problem(desk: Desk) -> None:
    deployment = Deployment(desk.folder / "state", "roof", "west")
    end = datetime.now(UTC) + timedelta(days=1)
    deployment.keep_plan(plan(window("always", start=end, profiles=("f", "sky"))))
    deployment.keep_snapshot(snapshot())
    code, found = desk.check()
    assert (code, found["plan west"]["verdict"]) == (1, "problem")
    assert found["plan west"]["found"] == "window always asks for profile sky, which snapshot 7 does not have"
    deployment.keep_snapshot(snapshot(profile(), profile("sky")))
    code, found = desk.check()
    assert (code, "plan west" in found) == (0, False)


def test_a_check_leaves_nothing_behind(desk: Desk) -> None:
    code, found = desk.check()
    assert (code, found["disk"]["verdict"]) == (0, "ok")
    assert [path.name for path in desk.folder.iterdir()] == ["bridge.yaml"]


def test_a_state_folder_that_cannot_be_made_is_a_problem(desk: Desk) -> None:
    (desk.folder / "file").write_text("", "utf-8")
    desk.settings["state_dir"] = "file/state"
    code, found = desk.check()
    assert code == 1
    assert "cannot be used" in found["disk"]["found"]


async def test_beside_a_running_bridge_its_cameras_are_busy_and_nothing_is_disturbed(house: House) -> None:
    await house.start()
    house.deploy(plan(window(interval_s=5)), snapshot())
    await house.photograph(2)
    words = {
        "bridge": {"id": "roof"},
        "state_dir": "state",
        "mqtt": {"host": "127.0.0.1", "port": house.broker.port},
        "cameras": [{"id": "west", "driver": "twin", "width": 64, "height": 48}],
    }
    (house.folder / "bridge.yaml").write_text(yaml.safe_dump(words), "utf-8")
    visitor = Program(
        "check",
        [sys.executable, "-m", "skylapse_bridge", "check", "--json", "--config", "bridge.yaml"],
        log_path=house.folder / "check.log",
        folder=house.folder,
    )
    visitor.start()
    await until(lambda: not visitor.running, what="the check")
    told = json.loads(visitor.log().splitlines()[-1])
    found = {finding["part"]: finding for finding in told["findings"]}
    assert found["camera west"]["verdict"] == "ok"
    assert "busy: the bridge that runs" in found["camera west"]["found"]
    assert "captured" in found["camera west"]["found"]
    assert house.listener.all(REPLY)[-1].id.startswith("check-")
    await house.photograph(1)


# ---------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(("free", "verdict"), [(60e9, "ok"), (20e9, "warning"), (0.1e9, "problem")])
def test_room_is_judged_by_hours(free: float, verdict: str) -> None:
    room = Room(free_bytes=round(free), frame_bytes=4e6, frames_a_day=5760, planned=True)
    finding = judge_room(room, 48)
    assert finding.verdict == verdict
    assert (finding.advice is None) is (verdict == "ok")


def test_a_clock_is_judged_by_kernel_and_processor() -> None:
    close, far = ServerTime(offset_s=0.4, error_s=0.6), ServerTime(offset_s=-3600.0, error_s=0.6)
    assert judge_clock(SYNCHRONISED, close, simulated=False).verdict == "ok"
    assert judge_clock(SYNCHRONISED, far, simulated=False).verdict == "warning"
    assert judge_clock(NOT_SET, None, simulated=False).verdict == "warning"
    assert judge_clock(NOT_SET, far, simulated=False).verdict == "problem"
    assert judge_clock(NOT_SET, far, simulated=True).verdict == "ok"


@pytest.mark.parametrize(
    ("health", "accepted", "verdict"), [(200, 200, "ok"), (200, 401, "problem"), (404, 404, "problem")]
)
def test_a_processor_is_judged_by_two_answers(health: int, accepted: int, verdict: str) -> None:
    assert judge_processor("http://192.0.2.10:8097", health, accepted).verdict == verdict


# ---------------------------------------------------------------------- meter, capture, cameras


def test_metering_tells_light_clipping_and_an_exposure(desk: Desk) -> None:
    code, printed = desk.type("meter")
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()][1:] == ["clipped:", "colour:", "suggested:"]
    code, printed = desk.type("meter", "--json")
    told = json.loads(printed)
    assert told["lux"] > 0
    assert told["suggested_exposure_us"] > 0


def test_a_picture_is_taken_as_asked_and_says_what_was_delivered(desk: Desk) -> None:
    out = desk.folder / "one.jpg"
    code, printed = desk.type(
        "capture", "--out", str(out), "--exposure-us", "2000", "--gain", "1.5", "--json"
    )
    told = json.loads(printed)
    assert code == 0
    assert told["asked"] == {
        "exposure_us": 2000,
        "gain": 1.5,
        "colour_temperature_k": None,
        "focus_dioptre": None,
    }
    assert told["delivered"]["exposure_us"] == 2000
    assert told["delivered"]["analogue_gain"] == pytest.approx(1.5, rel=0.05)
    with Image.open(out) as shown:
        assert shown.size == (320, 180)


def test_gain_makes_up_for_a_time_that_is_given(desk: Desk) -> None:
    _, printed = desk.type("meter", "--json")
    metered = json.loads(printed)
    out = desk.folder / "one.jpg"
    half = metered["suggested_exposure_us"] // 2
    code, printed = desk.type("capture", "--out", str(out), "--exposure-us", str(half), "--json")
    asked = json.loads(printed)["asked"]
    total = metered["suggested_exposure_us"] * metered["suggested_gain"]
    assert code == 0
    assert asked["exposure_us"] * asked["gain"] == pytest.approx(total, rel=0.05)


def test_what_a_camera_does_not_obey_is_refused(desk: Desk) -> None:
    (desk.folder / "pictures").mkdir()
    (desk.folder / "pictures" / "1.jpg").write_bytes(picture())
    desk.settings["cameras"] = [{"id": "west", "driver": "folder", "path": "pictures"}]
    out = desk.folder / "one.jpg"
    code, printed = desk.type("capture", "--out", str(out), "--gain", "2", "--focus", "1")
    assert (code, out.exists()) == (2, False)
    assert "does not obey --gain, --focus" in printed
    code, printed = desk.type("capture", "--out", str(out))
    assert (code, out.exists()) == (0, True)
    assert "64×48" in printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--gain", "1e6"], "--gain asked 1000000, limit 16"),
        (["--gain", "0.5"], "--gain asked 0.5, limit 1"),
        (["--focus", "50"], "--focus asked 50, limit"),
        (["--exposure-us", "999999999"], "--exposure-us asked 999999999, limit"),
        (["--exposure-us", "1", "--gain", "99"], "--gain asked 99, limit 16"),
        (["--over-s", "3"], "--over-s: one exposure is not spread; say how many with --average"),
    ],
)
def test_what_a_camera_does_not_reach_is_refused_with_its_limit(
    desk: Desk, words: list[str], told: str
) -> None:
    out = desk.folder / "one.jpg"
    code, printed = desk.type("capture", "--out", str(out), *words)
    assert (code, out.exists()) == (2, False)
    assert told in printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--average", "65"], "'65' is no whole number from 1 to 64"),
        (["--average", "1.5"], "'1.5' is no whole number from 1 to 64"),
        (["--focus", "nan"], "'nan' is no number from 0 to 50"),
        (["--quality", "101"], "'101' is no whole number from 1 to 100"),
        (["--kelvin", "5"], "'5' is no whole number from 1000 to 40000"),
        (["--average", "2", "--over-s", "-1"], "'-1' is no number from 0 to 3600"),
    ],
)
def test_figures_that_mean_nothing_are_refused_before_the_camera_is_opened(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        desk.type("capture", "--out", str(desk.folder / "one.jpg"), *words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_meter_and_capture_need_neither_password_nor_key(desk: Desk) -> None:
    desk.settings["mqtt"] = {"host": "localhost", "username": "roof", "password_file": "nowhere"}
    desk.settings["processor"] = {"url": "http://127.0.0.1:9", "key_file": "nowhere"}
    out = desk.folder / "one.jpg"
    assert desk.type("meter")[0] == 0
    code, printed = desk.type("capture", "--out", str(out), "--average", "2", "--over-s", "0.1")
    assert (code, out.exists()) == (0, True)
    assert "averaged 2" in printed


def test_who_reads_no_further_sees_no_traceback(tmp_path: Path) -> None:
    end, start = os.pipe()
    os.close(end)
    done = subprocess.run(
        [sys.executable, "-m", "skylapse_bridge", "example-config"],
        stdout=start,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        check=False,
    )
    os.close(start)
    assert (done.returncode, done.stderr) == (141, b"")


def test_mistakes_of_a_capture_are_told_in_a_line(desk: Desk) -> None:
    code, printed = desk.type("capture", "--out", str(desk.folder / "nowhere" / "one.jpg"))
    assert (code, "is no folder" in printed) == (2, True)
    code, printed = desk.type("meter", "--camera", "east")
    assert (code, "only west" in printed) == (2, True)


def test_the_cameras_of_a_machine_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cameras"]) == 0
    assert "picamera" in capsys.readouterr().out
    assert main(["cameras", "--json", "--probe"]) == 0
    rows = json.loads(capsys.readouterr().out)["cameras"]
    assert {row["driver"] for row in rows} <= {"picamera", "v4l2"}
    assert all(row["problem"] or row["capabilities"] for row in rows)
