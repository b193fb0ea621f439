"""Which cameras a machine has, told also where a driver cannot look or a camera does not start."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from skylapse_bridge.camera import discovery, factory
from skylapse_bridge.camera.auto import AutoCamera
from skylapse_bridge.camera.discovery import Found, discover, probe
from skylapse_bridge.camera.factory import DRIVERS, CameraIdentity, driver_options
from skylapse_bridge.clock import RealClock
from skylapse_bridge.errors import CameraError, CameraLostError
from tests.support.tree import ROOT

from .made import picture


@pytest.fixture
def drivers(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Two drivers, `one` and `two`, that find what a test lets them find."""
    modules = {name: ModuleType(f"skylapse_bridge.camera.{name}") for name in ("one", "two")}
    for name, module in modules.items():
        module.__dict__["found"] = list
        monkeypatch.setitem(sys.modules, f"skylapse_bridge.camera.{name}", module)
    known = {**DRIVERS, **{name: f".{name}" for name in modules}, "three": ".is_not_there"}
    for place in (discovery, factory):
        monkeypatch.setattr(place, "DRIVERS", known)
    monkeypatch.setattr(discovery, "SEARCHED", ("one", "two", "three"))
    return modules


def folder_of(path: Path, name: str, problem: str | None = None) -> Found:
    """A camera that any machine has."""
    return Found(driver="folder", address=str(path), name=name, options={"path": str(path)}, problem=problem)


def test_one_driver_that_fails_hides_no_camera_of_another(
    drivers: dict[str, ModuleType], tmp_path: Path
) -> None:
    def fail() -> list[Found]:
        raise RuntimeError("the bus is on fire")

    drivers["one"].__dict__["found"] = fail
    drivers["two"].__dict__["found"] = lambda: [folder_of(tmp_path, "reel")]
    answers = discover()
    assert [(found.driver, found.problem) for found in answers[:2]] == [
        ("one", "RuntimeError: the bus is on fire"),
        ("folder", None),
    ]
    assert "is_not_there" in (answers[2].problem or "")


def test_a_probe_starts_the_camera_and_says_what_it_can(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(picture(width=96))
    info = probe(folder_of(tmp_path, "Reel"))
    assert (info.name, info.width, info.driver) == ("Reel", 96, "folder")
    with pytest.raises(CameraError, match="is busy"):
        probe(folder_of(tmp_path, "Reel", problem="it is busy"))
    with pytest.raises(CameraError, match="cannot be configured"):
        probe(Found(driver="folder", address="", name="Reel"))
    with pytest.raises(CameraError, match="no more pictures"):
        probe(folder_of(tmp_path.parent, "Reel"))


def test_auto_names_everything_that_was_tried(drivers: dict[str, ModuleType], tmp_path: Path) -> None:
    camera = AutoCamera(CameraIdentity(bridge="roof", id="any", name="Any"), RealClock())
    drivers["one"].__dict__["found"] = lambda: [folder_of(tmp_path / "gone", "one")]
    drivers["two"].__dict__["found"] = lambda: [folder_of(tmp_path, "two", problem="another program has it")]
    with pytest.raises(CameraLostError) as caught:
        camera.start()
    told = str(caught.value)
    assert f"folder {tmp_path}/gone: {tmp_path}/gone is no folder" in told
    assert f"folder {tmp_path}: another program has it" in told
    assert "three: ModuleNotFoundError" in told


def test_auto_stays_with_the_camera_that_answered(drivers: dict[str, ModuleType], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()
    (second / "1.jpg").write_bytes(picture(width=96))
    drivers["one"].__dict__["found"] = lambda: [folder_of(first, "one"), folder_of(second, "two")]
    camera = AutoCamera(CameraIdentity(bridge="roof", id="any", name="Any"), RealClock())
    camera.start()
    assert camera.capabilities().width == 96
    first.mkdir()
    (first / "1.jpg").write_bytes(picture(width=160))
    camera.start()
    assert camera.capabilities().width == 96
    second.rename(tmp_path / "unplugged")
    camera.start()
    assert camera.capabilities().width == 160
    camera.stop()
    with pytest.raises(CameraLostError, match="not started"):
        camera.preview()


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_driver_says_what_may_stand_in_its_configuration(driver: str) -> None:
    assert isinstance(driver_options(driver), dict)
    assert f"`{driver}`" in (ROOT / "pi_bridge/README.md").read_text("utf-8")
