"""The tone curve and the focus, measured: the twin's own are found, a series that says nothing is refused."""

import asyncio
import io
import json
from datetime import UTC, datetime

import numpy as np
import pytest
import voluptuous as vol
from PIL import Image

from skylapse_bridge.calibrate.ask import ask
from skylapse_bridge.calibrate.tone import Exposed, solve
from skylapse_bridge.camera.factory import CameraConfig, driver_options
from skylapse_bridge.config import MqttConfig, load_config
from skylapse_bridge.errors import CalibrationError
from skylapse_bridge.spool import Spool
from skylapse_bridge.twin.faults import INFINITY_DIOPTRE
from skylapse_protocol.tone import CURVES, FULL_SCALE, encode
from skylapse_protocol.topics import STATE

from .conftest import House
from .made import HandClock
from .test_calibrate_lens import calibrate
from .test_check import Desk, desk

__all__ = ["desk"]

NOON = "2026-06-21T11:00:00Z"


@pytest.fixture
def noon(desk: Desk) -> Desk:
    """A desk with a twin at noon."""
    anchor = datetime.now(UTC).isoformat()
    desk.settings["clock"] = {"start": NOON, "anchor": anchor, "rate": 1}
    del desk.settings["cameras"][0]["longitude"]
    return desk


def scene(seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Linear light of a still scene, 0.01…0.6: patches of many greys, each a little uneven."""
    rng = np.random.default_rng(seed)
    patches = np.exp(rng.uniform(np.log(0.01), np.log(0.6), (12, 16, 3)))
    light = np.kron(patches, np.ones((16, 16, 1)))
    return light * rng.normal(1.0, 0.01, light.shape)


def series(curve: str, *exposures: float, seed: int = 1) -> list[Exposed]:
    """Pictures of that scene by a camera with a curve."""
    table = np.array([encode(CURVES[curve], linear) for linear in np.linspace(0, FULL_SCALE, 65536)])
    pictures = []
    for exposure in exposures:
        linear = np.clip(scene(seed) * exposure, 0, 1)
        codes = table[(linear * 65535).astype(int)] / 257.0
        pictures.append(Exposed(pixels=np.rint(codes).astype(np.uint8), exposure=1000.0 * exposure))
    return pictures


def kept(desk: Desk, name: str) -> dict[str, object]:
    """What was written for the camera."""
    return dict(json.loads((desk.folder / "state" / "cameras" / "west" / name).read_text("utf-8")))


def test_the_twins_curve_is_found_and_srgb_is_not(noon: Desk) -> None:
    code, told = calibrate(noon, "tone")
    assert code == 0, told
    assert "imx519 fits best" in told
    found = kept(noon, "tone.json")
    residual = found["residual_mev"]
    assert isinstance(residual, dict)
    assert residual["imx519"] < 30
    assert residual["srgb"] > 100
    assert (found["best"], found["said"], found["camera"]) == ("imx519", "imx519", "roof/west")
    points = found["points"]
    assert isinstance(points, list)
    bright = [(linear, code) for linear, code in points if 4000 < code < 64000]
    errors = [abs(code - encode(CURVES["imx519"], linear)) / FULL_SCALE for linear, code in bright]
    assert max(errors) < 0.02, "of full scale"


@pytest.mark.parametrize("curve", ["srgb", "imx708"])
def test_the_curve_of_a_folder_of_pictures_is_found(noon: Desk, curve: str) -> None:
    folder = noon.folder / "pictures"
    folder.mkdir()
    for number, picture in enumerate(series(curve, 0.25, 0.5, 1.0, 2.0, 4.0)):
        Image.fromarray(picture.pixels).save(folder / f"{number}.jpg", quality=95, subsampling=0)
        facts = {"exposure_us": round(picture.exposure), "analogue_gain": 1.0, "sensor": "imx708"}
        (folder / f"{number}.json").write_text(json.dumps(facts), "utf-8")
    code, told = calibrate(noon, "tone", "--pictures", str(folder), "--json")
    assert code == 0, told
    assert json.loads(told)["best"] == curve


def test_a_curve_that_is_said_and_does_not_fit_is_told(noon: Desk) -> None:
    folder = noon.folder / "pictures"
    folder.mkdir()
    for number, picture in enumerate(series("srgb", 0.25, 0.5, 1.0, 2.0)):
        Image.fromarray(picture.pixels).save(folder / f"{number}.jpg", quality=95, subsampling=0)
        facts = {"exposure_us": round(picture.exposure), "analogue_gain": 1.0, "tone_curve": "imx477"}
        (folder / f"{number}.json").write_text(json.dumps(facts), "utf-8")
    _code, told = calibrate(noon, "tone", "--pictures", str(folder))
    assert "the frames say imx477, which does not fit" in told


def test_a_camera_that_exposes_by_itself_is_refused(desk: Desk) -> None:
    (desk.folder / "west").mkdir()
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 90, 90)).save(buffer, "JPEG")
    (desk.folder / "west" / "1.jpg").write_bytes(buffer.getvalue())
    desk.settings["cameras"] = [{"id": "west", "driver": "folder", "path": "west"}]
    code, told = calibrate(desk, "tone")
    assert (code, "does not obey exposures" in told) == (2, True), told
    code, told = calibrate(desk, "tone", "--pictures", str(desk.folder / "west"))
    assert (code, "0 pictures with known exposures, 3 are needed" in told) == (2, True), told


def test_a_series_that_says_too_little_is_refused() -> None:
    whole = series("srgb", 0.25, 0.5, 1.0, 2.0)
    with pytest.raises(CalibrationError, match="2 pictures with known exposures"):
        solve(whole[:2])
    with pytest.raises(CalibrationError, match=r"span 1\.0 stops"):
        solve(series("srgb", 1.0, 1.4, 2.0))
    with pytest.raises(CalibrationError, match="differ in size"):
        solve([*whole, Exposed(pixels=whole[0].pixels[:64], exposure=9000.0)])
    with pytest.raises(CalibrationError, match="neither black nor white"):
        solve(series("srgb", 0.0001, 0.0004, 500.0, 2000.0))
    with pytest.raises(CalibrationError, match="too small"):
        solve([Exposed(pixels=each.pixels[:4, :4], exposure=each.exposure) for each in whole])


def test_a_scene_that_moved_is_refused() -> None:
    still, moved = series("imx219", 0.5, 1.0, 2.0), series("imx219", 4.0, seed=2)
    with pytest.raises(CalibrationError, match="something moved"):
        solve([*still, *moved])


def test_the_focus_is_found_and_kept_for_the_bridge(noon: Desk) -> None:
    code, told = calibrate(noon, "focus")
    assert code == 0, told
    assert "dioptres ####" in told
    assert "the bridge knows from its next start" in told
    config = load_config(noon.folder / "bridge.yaml")
    spool = Spool(config.state_dir, config.spool)
    spool.open()
    note = spool.ledger.note("west", "focus")
    spool.close()
    assert isinstance(note, dict)
    assert note["finds"][0]["dioptre"] == pytest.approx(INFINITY_DIOPTRE, abs=0.1)


def test_a_lens_that_does_not_move_is_refused(noon: Desk) -> None:
    noon.settings["cameras"][0]["sensor"] = "imx477"
    code, told = calibrate(noon, "focus")
    assert (code, "a lens that does not move" in told) == (2, True), told


def test_a_calibration_that_cannot_be_kept_says_where(noon: Desk) -> None:
    (noon.folder / "state").write_text("a file where a folder should be", "utf-8")
    code, told = calibrate(noon, "tone")
    assert (code, "state" in told) == (2, True), told


async def test_a_bridge_that_runs_is_asked_to_focus(house: House) -> None:
    options = vol.Schema(driver_options("twin"))({"width": 960, "height": 640})
    twin = CameraConfig(id="west", name="West", driver="twin", options=options)
    await house.start(cameras=(twin,))
    await house.listener.next(STATE, capturing=True)
    assert house.config.mqtt is not None
    found = await ask(house.config.mqtt, "roof", "west", "focus", house.clock)
    assert found["dioptre"] == pytest.approx(INFINITY_DIOPTRE, abs=0.2)
    with pytest.raises(CalibrationError, match="dance"):
        await ask(house.config.mqtt, "roof", "west", "dance", house.clock)
    with pytest.raises(CalibrationError, match="did not answer the command focus"):
        await ask(house.config.mqtt, "attic", "west", "focus", house.clock, patience_s=0.2)


async def test_calibrate_focus_leaves_the_camera_to_a_bridge_that_runs(house: House, desk: Desk) -> None:
    options = vol.Schema(driver_options("twin"))({"width": 640, "height": 360})
    await house.start(cameras=(CameraConfig(id="west", name="West", driver="twin", options=options),))
    await house.listener.next(STATE, capturing=True)
    desk.settings["state_dir"] = str(house.config.state_dir)
    desk.settings["mqtt"] = {"host": "127.0.0.1", "port": house.broker.port}
    code, told = await asyncio.to_thread(calibrate, desk, "focus")
    assert code == 0, told
    assert "the bridge runs: it is asked to find the focus" in told
    assert "kept, and in force" in told


async def test_without_a_broker_it_is_said_that_none_answers() -> None:
    nobody = MqttConfig(host="127.0.0.1", port=1, root="skylapse")
    with pytest.raises(CalibrationError, match=r"no broker answers at 127\.0\.0\.1:1"):
        await ask(nobody, "roof", "west", "focus", HandClock(), connect_s=1.0)
