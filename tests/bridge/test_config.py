"""The configuration: every mistake is told with file, line and key."""

import re
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent

import pytest

from skylapse_bridge.camera.factory import DRIVERS, driver_options
from skylapse_bridge.cli import main
from skylapse_bridge.config import _SCHEMA, check_config, load_config
from skylapse_bridge.errors import ConfigError

EXAMPLE = Path(__file__).resolve().parents[2] / "pi_bridge" / "bridge.example.yaml"
GOOD = """\
bridge: {id: roof}
state_dir: state
cameras:
  - id: west
    driver: folder
    path: pictures
"""


def told(tmp_path: Path, text: str) -> str:
    """What is said about a configuration that cannot be used."""
    path = tmp_path / "bridge.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value).replace(str(path), "bridge.yaml")


def test_the_example_is_good(tmp_path: Path) -> None:
    path, password = tmp_path / "bridge.yaml", tmp_path / "password"
    path.write_text(EXAMPLE.read_text("utf-8").replace("/etc/skylapse/mqtt-password", str(password)), "utf-8")
    password.write_text("secret", "utf-8")
    config = load_config(path)
    assert (config.id, [camera.driver for camera in config.cameras]) == ("roof", ["folder"])
    assert config.spool.keep_hours == 48


def test_the_shortest_configuration_has_sensible_defaults(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(GOOD, "utf-8")
    config = load_config(path)
    assert (config.name, config.mqtt, config.processor, config.clock) == ("roof", None, None, None)
    assert config.state_dir == tmp_path / "state"
    assert config.cameras[0].options["path"] == str(tmp_path / "pictures")
    assert config.cameras[0].options["at_end"] == "stop"
    assert config.spool.on_full == "stop"


def test_simulated_time_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    clock = "clock: {start: 2026-06-21T19:00:00Z, anchor: '2026-11-21T09:00:00+01:00', rate: 60}\n"
    path.write_text(GOOD + clock, "utf-8")
    parameters = load_config(path).clock
    assert parameters is not None
    assert parameters.start == datetime(2026, 6, 21, 19, tzinfo=UTC)
    assert parameters.anchor - parameters.start == timedelta(days=152, hours=13)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("state_dir", "state_dri", 2, "state_dri: is no setting, did you mean 'state_dir'?"),
        ("    path", "    pfad", 6, "cameras[0].pfad: is no setting"),
        ("    path", "    paht", 6, "cameras[0].paht: is no setting, did you mean 'path'?"),
        ("driver: folder", "driver: flder", 5, "cameras[0].driver: "),
        ("id: roof", "id: Roof!", 1, "bridge.id: 'Roof!' is no id"),
        ("id: roof", "id: processor", 1, "bridge.id: 'processor' is reserved"),
        ("id: roof", "id: home_assistant", 1, "bridge.id: 'home_assistant' is reserved"),
        ("id: west", "id: health", 4, "cameras[0].id: 'health' is reserved"),
        ("path: pictures", "path: 7", 6, "cameras[0].path: is no text"),
        (
            "driver: folder",
            "driver: picamra",
            5,
            "'picamra' is no driver, did you mean 'picamera'? there are",
        ),
        ("driver: folder", "driver: [a]", 5, "is no driver: there are auto, folder"),
        (GOOD[-1:], "\n    tone_curve: .nan\n", 7, "cameras[0].tone_curve: is not a number"),
        (GOOD[-1:], "\nspool: {max_gb: .nan}\n", 7, "spool.max_gb: is not a number"),
        (GOOD[-1:], "\nspool: {max_gb: .inf}\n", 7, "spool.max_gb: is infinite"),
        (GOOD[-1:], "\nspool: {max_gb: yes}\n", 7, "spool.max_gb: is no number"),
        (GOOD[-1:], "\nspool: 40\n", 7, "spool: is no section with settings of its own"),
        (GOOD[-1:], "\nmqtt: {host: h, port: 1.5}\n", 7, "mqtt.port: is no whole number from 1 to 65535"),
        (GOOD[-1:], "\n  - {id: east, driver: v4l2, settle_frames: 1.5}\n", 7, "is no whole number"),
        (GOOD[-1:], "\nspool: {keep_hours: -1}\n", 7, "spool.keep_hours: "),
        (GOOD[-1:], "\nmqtt: {port: 1883}\n", 7, "mqtt.host: is missing"),
        (GOOD[-1:], "\nmqtt: {host: h, port: 99999}\n", 7, "mqtt.port: "),
        (GOOD[-1:], "\nmqtt: {host: h, usrname: x}\n", 7, "did you mean 'username'?"),
        (GOOD[-1:], "\nprocessor: {key_file: k, url: ftp://x}\n", 7, "processor.url: is no address"),
        (GOOD[-1:], "\nprocessor: {key_file: k}\n", 7, "processor.url: is missing"),
        (GOOD[-1:], "\nprocessor: {url: 'http://x'}\n", 7, "processor.key_file: is missing"),
        (GOOD[-1:], "\nclock: {start: now, anchor: now, rate: 1}\n", 7, "clock.start: is no time"),
        ("  - id: west", "  - west\n  - id: west", 4, "cameras[0]: is no camera"),
        (GOOD[-1:], "\n  - {id: west, driver: twin}\n", 7, "cameras[1].id: 'west' is the id of two cameras"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    head, _, tail = GOOD.rpartition(old)
    said = told(tmp_path, head + new + tail)
    assert any(part.startswith(f"bridge.yaml:{line}: ") and words in part for part in said.splitlines()), said


WAITS = "; a bridge starts all the same, and waits for it"
MISSING_PLACES = (
    GOOD
    + """\
mqtt:
  host: broker.local
  username: roof
  password_file: nowhere
  ca_file: ca.pem
processor:
  url: http://192.0.2.10:8097
  key_file: folder
"""
)


def test_checking_tells_every_place_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(MISSING_PLACES.replace("roof}", "Roof!}"), "utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "ca.pem").write_bytes(b"\xff\xfe")
    assert main(["check-config", "--config", str(path)]) == 2
    said = capsys.readouterr().err.replace(str(tmp_path), "HERE").splitlines()
    assert said[0].startswith("HERE/bridge.yaml:1: bridge.id: ")
    assert said[1:] == [
        "HERE/bridge.yaml:10: mqtt.password_file: HERE/nowhere cannot be read: No such file or directory",
        "HERE/bridge.yaml:11: mqtt.ca_file: HERE/ca.pem is no text",
        f"HERE/bridge.yaml:14: processor.key_file: HERE/folder cannot be read: Is a directory{WAITS}",
        f"HERE/bridge.yaml:6: cameras[0].path: HERE/pictures is no folder{WAITS}",
    ]


def test_what_a_bridge_waits_for_is_told_and_is_no_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, key = tmp_path / "bridge.yaml", tmp_path / "key"
    (tmp_path / "pictures").mkdir()
    path.write_text(GOOD + "processor: {url: 'http://192.0.2.10:8097', key_file: key}\n", "utf-8")
    for content, words in [
        (None, "cannot be read: No such file or directory"),
        (b" \n", "is empty"),
        (b"\xff\x00", "is no text"),
        (b"\x01\x02", "holds no key"),
    ]:
        if content is not None:
            key.write_bytes(content)
        assert main(["check-config", "--config", str(path)]) == 1
        first, last = capsys.readouterr().out.splitlines()
        assert first.startswith(f"{path}:7: processor.key_file: {key} {words}")
        assert first.endswith(WAITS)
        assert last == "bridge roof: west (folder)"
    key.write_text("0" * 64, "utf-8")
    assert main(["check-config", "--config", str(path)]) == 0


def test_a_command_that_opens_no_file_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(MISSING_PLACES, "utf-8")
    config = load_config(path)
    assert config.mqtt is not None
    assert config.mqtt.password_file == tmp_path / "nowhere"
    with pytest.raises(ConfigError, match=r"mqtt\.password_file"):
        check_config(path)


EVERYTHING_WRONG = """\
bridge: {id: ROOF}
statedir: state
spool: {max_gb: .nan, keep_hours: yes}
mqtt: {host: "", port: 0}
cameras:
  - {id: west, driver: twin, seed: many, clouds: .nan, cluods: 1}
  - {id: west, driver: foldr, path: 7}
  - {id: west, driver: v4l2, settle_frames: 1.5}
  - {name: nobody}
  - {id: roof, driver: picamra, camera: 0, sensor: imx519, width: 1.5}
"""


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    said = [line.split(": ")[1] for line in told(tmp_path, EVERYTHING_WRONG).splitlines()]
    assert sorted(said) == sorted(
        ["bridge.id", "state_dir", "statedir", "spool.max_gb", "spool.keep_hours", "mqtt.host", "mqtt.port"]
        + [f"cameras[0].{name}" for name in ("seed", "clouds", "cluods")]
        + [f"cameras[1].{name}" for name in ("id", "driver", "path")]
        + [f"cameras[2].{name}" for name in ("id", "settle_frames")]
        + [f"cameras[3].{name}" for name in ("id", "driver")]
        + [f"cameras[4].{name}" for name in ("driver", "camera", "width", "width")]
    )


def test_settings_that_belong_together_or_exclude_each_other_are_named(tmp_path: Path) -> None:
    camera = "  - {id: roof, driver: picamera, camera: 0, sensor: imx519, width: 640}\n"
    assert told(tmp_path, GOOD + camera).splitlines() == [
        "bridge.yaml:7: cameras[1].width: width and height are given together",
        "bridge.yaml:7: cameras[1].camera: camera and sensor exclude each other",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "bridge.yaml:1: holds no settings"),
        ("- a\n- b\n", "holds no settings"),
        ("a: [1,\nb", "bridge.yaml:"),
    ],
)
def test_what_is_no_configuration_is_told(tmp_path: Path, text: str, words: str) -> None:
    assert words in told(tmp_path, text)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_the_command_line_checks_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(GOOD, "utf-8")
    (tmp_path / "pictures").mkdir()
    assert main(["check-config", "--config", str(path)]) == 0
    assert "bridge roof: west (folder)" in capsys.readouterr().out
    path.write_text(GOOD.replace("driver", "drver"), "utf-8")
    assert main(["check-config", "--config", str(path)]) == 2
    assert re.search(r"bridge\.yaml:5: .*did you mean 'driver'", capsys.readouterr().err)


def test_the_example_can_be_printed_wherever_the_bridge_is_installed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["example-config"]) == 0
    printed = capsys.readouterr().out
    assert printed == EXAMPLE.read_text("utf-8")
    assert "http://192.0.2.10:8097" in printed


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == version("skylapse") + "\n"


def test_files_of_a_camera_count_from_the_folder_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bridge.yaml"
    camera = "- {id: gate, driver: http, url: 'http://192.0.2.21/a.jpg', token_file: secret}\n"
    path.write_text(f"bridge: {{id: roof}}\nstate_dir: state\ncameras:\n{camera}", "utf-8")
    assert load_config(path).cameras[0].options["token_file"] == str(tmp_path / "secret")
    assert main(["check-config", "--config", str(path)]) == 1
    assert "bridge.yaml:4: cameras[0].token_file: " in capsys.readouterr().out
    (tmp_path / "secret").write_text("abc", "utf-8")
    assert main(["check-config", "--config", str(path)]) == 0


def test_the_example_explains_every_setting_and_names_every_driver() -> None:
    words = EXAMPLE.read_text("utf-8")
    settings = [str(key) for key in _SCHEMA]
    settings += [str(key) for section in _SCHEMA.values() if isinstance(section, dict) for key in section]
    assert [name for name in settings if not re.search(rf"^[ #]*(- )?{name}:", words, re.MULTILINE)] == []
    assert [name for name in DRIVERS if f"driver: {name}" not in words] == []


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_the_page_of_the_bridge_explains_every_setting_of_a_driver(driver: str) -> None:
    page = (EXAMPLE.parents[1] / "docs" / "bridge.md").read_text("utf-8")
    section = page.partition(f"### `{driver}`")[2].partition("\n### ")[0].partition("\n## ")[0]
    assert section, "every driver has a section"
    assert [str(key) for key in driver_options(driver) if f"`{key}`" not in section] == []


def test_the_configurations_of_the_page_of_the_bridge_are_good(tmp_path: Path) -> None:
    page = (EXAMPLE.parents[1] / "docs" / "bridge.md").read_text("utf-8")
    blocks = re.findall(r"^( *)```yaml\n(.*?)^\1```", page, re.DOTALL | re.MULTILINE)
    texts = [dedent(block) for _, block in blocks]
    whole = [text for text in texts if text.startswith("bridge:")]
    parts = [text for text in texts if not text.startswith("bridge:")]
    assert [text.partition(":")[0] for text in parts] == ["mqtt", "processor"]
    path = tmp_path / "bridge.yaml"
    for text in [*whole, next(text for text in whole if "imx708" in text) + "".join(parts)]:
        path.write_text(text, "utf-8")
        config = load_config(path)
    assert config.processor is not None
