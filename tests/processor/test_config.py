"""Configurations: what is wrong is named with file, line and path; what is not said has a default."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from skylapse_processor.config import load
from skylapse_processor.errors import ConfigError

from .program import Processor

EXAMPLE = Path(__file__).parents[2] / "processor" / "processor.example.yaml"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "processor.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_store_is_all_that_must_be_said(tmp_path: Path) -> None:
    config = load(write(tmp_path, "store: {path: data}\n"))
    assert config.store.path == tmp_path / "data"
    assert config.store.state == tmp_path / "data" / "state"
    assert (config.http.host, config.http.base_url) == ("127.0.0.1", "http://127.0.0.1:8097")
    assert config.mqtt is None
    assert (config.renders.memory_mb, config.renders.cpu_s) == (0, 0)


def test_a_listener_on_all_addresses_is_found_under_the_machines_name(tmp_path: Path) -> None:
    config = load(write(tmp_path, "store: {path: data}\nhttp: {host: 0.0.0.0}\n"))
    assert config.http.base_url == f"http://{socket.gethostname()}:8097"
    assert (
        load(write(tmp_path, "store: {path: d}\nhttp: {host: '::1'}\n")).http.base_url == "http://[::1]:8097"
    )


def test_the_example_says_every_default_as_it_is(tmp_path: Path) -> None:
    example = load(EXAMPLE)
    plain = load(write(tmp_path, "store: {path: /var/lib/skylapse}\nmqtt: {host: 127.0.0.1}\n"))
    assert example == plain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ":1: store: is missing"),
        (
            "store:\n  path: data\n  min_free_precent: 3\n",
            ":3: store.min_free_precent: is not known; did you mean",
        ),
        ("store: {path: data}\nhtp: {}\n", ":2: htp: is not known; did you mean 'http'?"),
        ("store: {path: data}\nzebra: 1\n", ":2: zebra: is not known; known here: processor, name, store"),
        ("store: {path: data}\nhttp:\n  port: 70000\n", ":3: http.port: value must be at most 65535"),
        ("store: {path: 5}\n", ":1: store.path: expected str"),
        ("store: {path: data}\nprocessor: Not An Id\n", ":2: processor: 'Not An Id' is no id"),
        ("store: {path: data}\nhttp: {base_url: 'ftp://x'}\n", ":2: http.base_url: is no address"),
        ("store: {path: data}\nmqtt: {host: x, root: 'a/#'}\n", ":2: mqtt.root: "),
        ("store: [\n", ": no YAML"),
        ("- a\n- b\n", ":1: the file: expected a dictionary"),
        (
            "store: {path: data}\nmqtt: {host: x, password_file: nowhere}\n",
            "nowhere: mqtt.password_file cannot be read",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value) or "password_file" in words


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, "store: {path: data, ballast: 1}\nlog_level: loud\n"))
    assert len(str(caught.value).splitlines()) == 2


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load(tmp_path / "nowhere.yaml")


def test_a_password_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    config = load(write(tmp_path, "store: {path: d}\nmqtt: {host: b, username: u, password_file: secret}\n"))
    assert config.mqtt is not None
    assert config.mqtt.password == "s3cret"


def test_the_program_ends_with_the_words_and_not_with_a_traceback(processor: Processor) -> None:
    (processor.folder / "wrong.yaml").write_text("store: {path: data, ballast: 1}\n")
    ended = processor.run("serve", "--config", "wrong.yaml")
    assert ended.returncode == 1
    assert ended.stderr == (
        "skylapse-processor: wrong.yaml:1: store.ballast: is not known; did you mean 'ballast_mb'?\n"
    )


def test_a_port_that_is_taken_is_named(processor: Processor) -> None:
    processor.start()
    other = processor.folder / "other.yaml"
    other.write_text(f"store: {{path: other, ballast_mb: 0}}\nhttp: {{port: {processor.port}}}\n")
    ended = processor.run("serve", "--config", str(other))
    assert ended.returncode == 1
    assert f"127.0.0.1:{processor.port}: cannot listen there" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_line_says_whose_it_is_and_none_speaks_of_numbers_and_codecs(processor: Processor) -> None:
    (processor.folder / "wrong.yaml").write_text("store: {path: data, ballast: 1}\nlog_level: loud\n")
    lines = processor.run("serve", "--config", "wrong.yaml").stderr.splitlines()
    assert [line.split(" ")[0:2] for line in lines] == [
        ["skylapse-processor:", "wrong.yaml:1:"],
        ["skylapse-processor:", "wrong.yaml:2:"],
    ]
    (processor.folder / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    for file, words in (("nowhere.yaml", "No such file or directory"), ("latin.yaml", "is no text in UTF-8")):
        said = processor.run("serve", "--config", file).stderr
        assert said == f"skylapse-processor: {file}: cannot be read ({words})\n"


def test_the_program_prints_the_example_that_the_repository_shows(processor: Processor) -> None:
    printed = processor.run("example-config")
    assert (printed.returncode, printed.stdout) == (0, EXAMPLE.read_text("utf-8"))


def test_a_missing_library_is_told_in_one_line_with_what_to_install() -> None:
    without = (
        "import sys; sys.modules['aiohttp'] = None; from skylapse_processor.cli import main; sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", without, "--help"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "skylapse-processor: aiohttp is not installed; the processor needs what comes with "
        "'skylapse[processor]'\n"
    )
