"""Keys: shown once, kept as hashes, read anew without a restart, ended at once; and browsers that sign in."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skylapse_processor.errors import KeyStoreError
from skylapse_processor.keys import Keys
from skylapse_processor.web.auth import Auth

from .client import Client
from .conftest import serving, write_config
from .program import Processor

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_only_the_hash_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state" / "keys.json"
    key = Keys(path, lambda: NOW).add("roof")
    text = path.read_text("utf-8")
    assert key not in text
    assert len(key) >= 43, "256 bits"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [row["name"] for row in json.loads(text)] == ["roof"]
    assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]


def test_another_process_that_adds_and_revokes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    server, operator = Keys(path, lambda: NOW), Keys(path, lambda: NOW)
    assert server.list() == ()
    key = operator.add("roof")
    known = server.client_of(key)
    assert known is not None
    assert known.name == "roof"
    operator.add("garden")
    operator.revoke("roof")
    assert server.client_of(key) is None
    assert server.client_of("sky_guess") is None


@pytest.mark.parametrize("name", ["", "../up", "a\nb", "x" * 64])
def test_names_that_would_confuse_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyStoreError):
        Keys(tmp_path / "keys.json", lambda: NOW).add(name)


def test_a_name_is_given_once_and_only_known_names_are_revoked(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json", lambda: NOW)
    keys.add("roof")
    with pytest.raises(KeyStoreError, match="already"):
        keys.add("roof")
    with pytest.raises(KeyStoreError, match="no key named 'garden'"):
        keys.revoke("garden")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{")
    with pytest.raises(KeyStoreError, match=r"keys\.json"):
        Keys(path, lambda: NOW).list()


def test_the_command_line_makes_lists_and_revokes(processor: Processor) -> None:
    out = processor.folder / "garden.key"
    made = processor.run("keys", "add", "garden", "--out", str(out))
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text("utf-8").strip() not in made.stdout
    assert [line.split("\t")[0] for line in processor.run("keys", "list").stdout.splitlines()] == [
        "test",
        "garden",
    ]
    assert processor.run("keys", "revoke", "garden").returncode == 0
    again = processor.run("keys", "revoke", "garden")
    assert again.returncode == 1
    assert "there is no key named 'garden'" in again.stderr
    elsewhere = processor.run("keys", "add", "attic", "--out", "no/such/folder/key")
    assert elsewhere.returncode == 1
    assert "attic" not in processor.run("keys", "list").stdout


CLOSED = [
    ("GET", "/api/v1/cameras"),
    ("GET", "/api/v1/films"),
    ("POST", "/api/v1/uploads"),
    ("OPTIONS", "/api/v1/uploads"),
    ("POST", "/api/v1/renders"),
    ("GET", "/api/v1/stats"),
    ("GET", "/openapi.json"),
    ("GET", "/api/v1/no/such/thing"),
    ("GET", "/..%2f..%2fetc/passwd"),
]


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer sky_guess", "Basic c2t5Og==", "Bearer \u00e9"]
)
async def test_without_a_key_there_is_nothing_but_health(client: Client, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with Client(client.url, None) as stranger:
        for method, path in CLOSED:
            answer = await stranger.ask(method, path, headers=headers)
            assert answer.status == 401, path
            assert answer.value is None or answer.value["type"] == "/problems/no-key"
        for path in ("/health", "/api/v1/health"):
            assert (await stranger.ask("GET", path)).value["status"] == "ok"
        for path in ("/", "/gallery/gallery.js", "/gallery/gallery.css"):
            assert (await stranger.ask("GET", path)).status == 200


def test_a_key_never_replaces_a_file(processor: Processor) -> None:
    assert processor.run("keys", "add", "roof", "--out", "roof.key").returncode == 0
    first = (processor.folder / "roof.key").read_text("utf-8")
    again = processor.run("keys", "add", "other", "--out", "roof.key")
    assert (again.returncode, again.stderr) == (
        1,
        "skylapse-processor: roof.key: is there already; a key never replaces a file\n",
    )
    assert (processor.folder / "roof.key").read_text("utf-8") == first
    assert "other" not in processor.run("keys", "list").stdout


async def test_a_wrong_key_is_called_so(client: Client) -> None:
    for authorization, words in (
        (None, "send Authorization: Bearer KEY"),
        ("sky_guess", "is not known, or was"),
    ):
        async with Client(client.url, authorization) as stranger:
            refused = await stranger.get("films")
            assert (refused.status, words in refused.value["detail"]) == (401, True)


async def test_a_revoked_key_ends_at_once_and_its_browser_session_with_it(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    async with serving(config) as (service, client):
        keys = Keys(tmp_path / "processor" / "store" / "state" / "keys.json", lambda: NOW)
        key = keys.add("browser")
        async with Client(service.base_url, None) as browser:
            wrong = await browser.ask("POST", "session", json={"key": "sky_guess"})
            assert wrong.status == 401
            deep = await browser.ask("POST", "session", data="[" * 60_000)
            assert (deep.status, deep.value["field"]) == (400, "key")
            signed = await browser.ask("POST", "session", json={"key": key})
            assert signed.status == 204
            cookie = signed.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert key not in cookie
            session = {"Cookie": cookie.split(";")[0]}
            assert (await browser.ask("GET", "films", headers=session)).status == 200
            forged = {"Cookie": session["Cookie"][:-1] + ("0" if session["Cookie"][-1] != "0" else "1")}
            assert (await browser.ask("GET", "films", headers=forged)).status == 401
            keys.revoke("browser")
            assert (await browser.ask("GET", "films", headers=session)).status == 401
        assert (await client.get("films")).status == 200, "other keys go on"


def test_a_session_ends_after_thirty_days(tmp_path: Path) -> None:
    clock = [NOW]
    keys = Keys(tmp_path / "keys.json", lambda: clock[0])
    keys.add("browser")
    auth = Auth(keys, tmp_path / "secret", lambda: clock[0])
    auth.start()
    session = auth.session_for(keys.list()[0])
    assert auth.client_of_session(session) == "browser"
    clock[0] += timedelta(days=31)
    assert auth.client_of_session(session) is None
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "cookie", ["", "a", "a.b.c", "..", "x.1.y", "\u00e9.1.2", f"{'0' * 64}.{'9' * 40}.0"]
)
def test_any_cookie_is_read(tmp_path: Path, cookie: str) -> None:
    auth = Auth(Keys(tmp_path / "keys.json", lambda: NOW), tmp_path / "secret", lambda: NOW)
    auth.start()
    assert auth.client_of_session(cookie) is None
