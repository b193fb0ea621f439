"""The cards in Home Assistant: served, named to dashboards, told what they show; and what their files say."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from homeassistant.components.lovelace.const import LOVELACE_DATA
from homeassistant.components.lovelace.resources import ResourceStorageCollection
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    MqttMockHAClient,
    WebSocketGenerator,
)

from custom_components.skylapse.brain.ab_tests import AbTest, compile_experiment
from custom_components.skylapse.brain.profiles import BUILT_IN_PROFILES
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.dashboard import ADDRESS, CARDS, FOLDER, STEADY
from custom_components.skylapse.protocol.comparison import ArmScore, Comparison
from custom_components.skylapse.protocol.messages import Clock
from tests.integration.speakers import FRAME, Bridge

ISSUE = (DOMAIN, "resource_not_named_cards")
OTHER = {"res_type": "module", "url": "/local/other.js"}
NOON = datetime(2026, 6, 21, 10, 0, tzinfo=UTC)


async def ask(client: Any, kind: str, **words: Any) -> Any:
    """Send a command as a card does, and return its answer."""
    await client.send_json_auto_id({"type": kind, **words})
    return await client.receive_json()


async def resources(hass_ws_client: WebSocketGenerator) -> list[dict[str, Any]]:
    """Return the resources that a browser is told to load."""
    answer = await ask(await hass_ws_client(), "lovelace/resources/list")
    found: list[dict[str, Any]] = answer["result"]
    return found


async def begin(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set the entry up; a comparison that is waited for goes on waiting."""
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


@pytest.fixture
async def dashboards(hass: HomeAssistant, mqtt: MqttMockHAClient) -> None:
    """Home Assistant with dashboards whose resources are kept in its storage."""
    assert await async_setup_component(hass, "lovelace", {})


# ---------------------------------------------------------------- files and resources


async def test_a_browser_keeps_what_has_the_digest_in_its_path(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_client_no_auth: ClientSessionGenerator
) -> None:
    client = await hass_client_no_auth()
    address = hass.data[ADDRESS]
    assert re.fullmatch(rf"{CARDS}/[0-9a-f]{{12}}/skylapse\.js", address)
    for path, is_kept in ((address, True), (STEADY, False)):
        answer = await client.get(path)
        assert answer.status == HTTPStatus.OK
        assert "javascript" in answer.content_type
        assert ("max-age" in answer.headers.get("Cache-Control", "")) is is_kept
        for name in re.findall(r'from "\./([\w.]+)"', await answer.text()):
            beside = await client.get(f"{path.rpartition('/')[0]}/{name}")
            assert beside.status == HTTPStatus.OK


@pytest.mark.usefixtures("dashboards")
async def test_dashboards_are_told_of_the_cards_once(
    hass: HomeAssistant, entry: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    await begin(hass, entry)
    assert await hass.config_entries.async_reload(entry.entry_id)
    (named,) = await resources(hass_ws_client)
    assert (named["type"], named["url"]) == ("module", hass.data[ADDRESS])
    assert ISSUE not in ir.async_get(hass).issues


@pytest.mark.usefixtures("dashboards")
async def test_what_an_older_version_named_is_replaced_and_others_stay(
    hass: HomeAssistant, entry: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    kept = hass.data[LOVELACE_DATA].resources
    assert isinstance(kept, ResourceStorageCollection)
    for old in ("0123456789ab", "ba9876543210"):
        await kept.async_create_item({"res_type": "module", "url": f"{CARDS}/{old}/skylapse.js"})
    await kept.async_create_item(OTHER)
    await begin(hass, entry)
    assert [each["url"] for each in await resources(hass_ws_client)] == [hass.data[ADDRESS], OTHER["url"]]
    await hass.config_entries.async_remove(entry.entry_id)
    assert [each["url"] for each in await resources(hass_ws_client)] == [OTHER["url"]]


async def test_who_keeps_resources_in_yaml_is_told_what_to_add(
    hass: HomeAssistant, mqtt: MqttMockHAClient, entry: MockConfigEntry
) -> None:
    assert await async_setup_component(hass, "lovelace", {"lovelace": {"resource_mode": "yaml"}})
    await begin(hass, entry)
    issue = ir.async_get(hass).issues[ISSUE]
    assert issue.translation_placeholders == {"url": STEADY}
    await hass.config_entries.async_remove(entry.entry_id)
    assert ISSUE not in ir.async_get(hass).issues


async def test_who_has_added_it_is_left_alone(
    hass: HomeAssistant, mqtt: MqttMockHAClient, entry: MockConfigEntry
) -> None:
    named = {"resource_mode": "yaml", "resources": [{"type": "module", "url": f"{STEADY}?1"}]}
    assert await async_setup_component(hass, "lovelace", {"lovelace": named})
    await begin(hass, entry)
    assert ISSUE not in ir.async_get(hass).issues


# ---------------------------------------------------------------- what the cards ask for


async def test_a_card_is_told_the_day_of_its_camera(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, hass_ws_client: WebSocketGenerator
) -> None:
    await bridge.arrive()
    client = await hass_ws_client()
    with freeze_time(NOON):
        day = (await ask(client, f"{DOMAIN}/day", camera="roof/west"))["result"]
    assert (day["day"], day["time_zone"], day["rate"]) == ("2026-06-21", "Europe/Vienna", 1.0)
    assert day["now"].startswith("2026-06-21T10:00:00")
    assert (day["starts_at"][:19], day["ends_at"][:19]) == ("2026-06-20T22:00:00", "2026-06-21T22:00:00")
    assert len(day["elevation_deg"]) == 24 * 3600 / day["step_s"] + 1
    assert min(day["elevation_deg"]) < -15 < 60 < max(day["elevation_deg"])
    titles = {window["title"]: window for window in day["windows"]}
    assert {"Sunrise", "Daytime", "Sunset"} <= set(titles)
    assert titles["Sunset"]["starts_at"].startswith("2026-06-21T18:")
    assert titles["Sunset"]["interval_s"] == 15


async def test_the_day_is_that_of_the_bridges_own_clock(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, hass_ws_client: WebSocketGenerator
) -> None:
    change = datetime(2026, 3, 29, 9, 0, tzinfo=UTC)
    await bridge.arrive(clock=Clock(start=change, anchor=dt_util.utcnow(), rate=2.0))
    day = (await ask(await hass_ws_client(), f"{DOMAIN}/day", camera="roof/west"))["result"]
    assert (day["day"], day["rate"]) == ("2026-03-29", 2.0)
    length = datetime.fromisoformat(day["ends_at"]) - datetime.fromisoformat(day["starts_at"])
    assert length == timedelta(hours=23)


async def test_who_asks_for_nobody_is_told_so(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    client = await hass_ws_client()
    refused = (await ask(client, f"{DOMAIN}/day", camera="roof/west"))["error"]
    assert (refused["code"], refused["translation_key"]) == ("not_found", "camera_unknown")
    assert refused["translation_placeholders"] == {"camera": "roof/west"}
    assert refused["message"] == "“roof/west” is no camera of Skylapse"
    assert (await ask(client, f"{DOMAIN}/ab_tests"))["result"] == {"tests": []}
    await hass.config_entries.async_unload(loaded.entry_id)
    assert (await ask(client, f"{DOMAIN}/day", camera="roof/west"))["error"]["code"] == "not_found"
    assert (await ask(client, f"{DOMAIN}/ab_tests"))["error"]["code"] == "not_found"


def kept_test() -> AbTest:
    """Return a test that is over and compared."""
    experiment = compile_experiment(
        {spec.id: spec for spec in BUILT_IN_PROFILES},
        "darker",
        [{"profile": "f"}, {"profile": "f", "ev": -1.5, "metering": "centre"}],
        season="summer",
        ends_at=NOON + timedelta(hours=1),
        versions={},
    )
    comparison = Comparison(
        id="darker",
        camera="roof/west",
        compared_at=NOON,
        arms=tuple(
            ArmScore(test_id=arm.test_id, profile="f", frames=20, score=60.0) for arm in experiment.arms
        ),
        pairs=(
            (str(FRAME.name), str(replace(FRAME, seq=241).name)),
            (str(FRAME.name), "no frame"),
            (str(FRAME.name),),
        ),
        winner="darker-b",
    )
    return AbTest(
        camera="roof/west",
        name="Darker?",
        experiment=experiment,
        started_at=NOON,
        ends_at=NOON + timedelta(hours=1),
        ended_at=NOON + timedelta(hours=1),
        changes=({}, {"ev": -1.5, "metering": "centre"}),
        comparison=comparison,
    )


async def test_a_card_is_told_the_tests_with_arms_scores_and_pairs(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    mqtt: MqttMockHAClient,
    entry: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
) -> None:
    waiting = replace(kept_test(), comparison=None, camera="roof/east", failure="busy")
    waiting = replace(waiting, experiment=replace(waiting.experiment, id="later"))
    tests = [kept_test().write(), waiting.write()]
    hass_storage[f"{DOMAIN}.ab_tests"] = {"version": 1, "minor_version": 1, "data": {"tests": tests}}
    await begin(hass, entry)
    client = await hass_ws_client()
    everything = (await ask(client, f"{DOMAIN}/ab_tests"))["result"]["tests"]
    assert [(test["id"], test["state"], test["failure"]) for test in everything] == [
        ("later", "ended", "busy"),
        ("darker", "compared", None),
    ]
    assert everything[0]["pairs"] == []
    assert [arm["score"] for arm in everything[0]["arms"]] == [None, None]
    (test,) = (await ask(client, f"{DOMAIN}/ab_tests", camera="roof/west"))["result"]["tests"]
    assert test == everything[1]
    assert (test["name"], test["winner"]) == ("Darker?", "darker-b")
    assert [(arm["name"], arm["score"]["score"]) for arm in test["arms"]] == [
        ("Mountain spot", 60.0),
        ("Mountain spot · −1.5 EV · Centre metering", 60.0),
    ]
    (german, _) = (await ask(client, f"{DOMAIN}/ab_tests", language="de"))["result"]["tests"]
    assert [arm["name"] for arm in german["arms"]] == [
        "Mountain spot",
        "Mountain spot · −1,5 EV · Messung Mitte",
    ]
    ((one, other),) = test["pairs"]  # what is no pair is left out
    assert one["media_content_id"] == f"media-source://{DOMAIN}/frame/{FRAME.name}"
    assert one["captured_at"].startswith("2026-06-21T18:00:00")
    assert other["media_content_id"] != one["media_content_id"]


# ---------------------------------------------------------------- what stands in the files

SCRIPTS = sorted(FOLDER.glob("*.js"))
IMPORTED = re.compile(r'^import \{([^}]*)\} from "(\./[\w.]+)";$', re.MULTILINE)


def words_of(language: str) -> dict[str, str]:
    """Return what the cards say in a language."""
    text = (FOLDER / "words.js").read_text("utf-8")
    block = re.search(rf"const {language} = \{{\n(.*?)^\}};", text, re.DOTALL | re.MULTILINE)
    assert block
    rows = re.findall(r'^  (\w+): (".*"),$', block[1], re.MULTILINE)
    assert len(rows) == block[1].count("\n")
    return {key: json.loads(said) for key, said in rows}


def places(sentence: str) -> set[str]:
    """Return what is put into a sentence."""
    return set(re.findall(r"\{(\w+)\}", sentence))


def test_the_cards_say_everything_in_both_languages() -> None:
    english, german = words_of("ENGLISH"), words_of("GERMAN")
    assert list(english) == list(german)
    assert {key for key in english if places(english[key]) != places(german[key])} == set()
    used = "".join(path.read_text("utf-8") for path in SCRIPTS if path.name != "words.js")
    assert {key for key in english if not re.search(rf'\.{key}\b|"{key}"', used)} == set()


@pytest.mark.parametrize(("language", "block"), [("en", "ENGLISH"), ("de", "GERMAN")])
def test_the_cards_call_things_as_the_entities_do(language: str, block: str) -> None:
    words = words_of(block)
    translations = FOLDER.parent / f"translations/{language}.json"
    entities = json.loads(translations.read_text("utf-8"))["entity"]
    assert words["captureNow"] == entities["button"]["capture_now"]["name"]
    assert words["filmNow"] == entities["button"]["build_film_now"]["name"]
    assert words["partFrame"] == entities["image"]["latest_frame"]["name"]
    assert words["live"] == entities["select"]["mode"]["state"]["live"]
    assert entities["sensor"]["film_flicker"]["name"].startswith(words["flicker"])
    assert words["score"].casefold() in entities["sensor"]["sunset_score"]["name"].casefold()


@pytest.mark.parametrize(
    "path",
    [
        FOLDER / "words.js",
        FOLDER.parent / "translations/de.json",
        FOLDER.parents[2] / "processor/skylapse_processor/web/gallery/words.js",
    ],
    ids=["cards", "translations", "gallery"],
)
def test_german_has_one_word_for_one_thing(path: Path) -> None:
    others = r"Flimmern|Livebetrieb|\bNoten?\b|\b[Ll]etzte[ns]? Bild\b|jetzt bauen|(?<![-\w])Fenstern?\b"
    assert [line for line in path.read_text("utf-8").splitlines() if re.search(others, line)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_makes_no_markup_of_data_and_asks_nobody_outside(path: Path) -> None:
    text = path.read_text("utf-8")
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
        == []
    )
    outside = [url for url in re.findall(r"https?://[^\s\"'`]+", text) if "www.w3.org" not in url]
    assert [url for url in outside if not url.startswith("https://github.com/skylapse-ha/")] == []
    assert re.findall(r'^(?:import|export) .* from "(?!\./)', text, re.MULTILINE) == []
    assert len(text.splitlines()) <= 500
    for names, beside in IMPORTED.findall(text):
        offered = (FOLDER / beside).read_text("utf-8")
        for name in names.split(","):
            assert re.search(rf"^export .*\b{name.strip()}\b", offered, re.MULTILINE), name
