"""`skylapse-bridge calibrate`: the chart, and what is measured with it and without it."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from skylapse_bridge.camera.factory import CameraConfig
from skylapse_bridge.camera.port import CapturedFrame
from skylapse_bridge.clock import Clock, make_clock
from skylapse_bridge.config import BridgeConfig, load_config
from skylapse_bridge.durable import make_folder, write_durably
from skylapse_bridge.errors import CalibrationError, CameraBusyError, OutputError
from skylapse_bridge.lock import running_bridge
from skylapse_bridge.one_picture import camera_called, opened
from skylapse_bridge.shooting import Shooter
from skylapse_protocol.codec import format_time

from .ask import ask
from .board import PAPERS_MM, RULER_MM
from .chart import page
from .focus import sweep
from .pictures import Pace, exposure_series, of_folder, one_after_another

_BAR = 40


def add_calibrate_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and what it can calibrate."""
    parser = commands.add_parser("calibrate", help="print a chart; measure lens, tone curve and focus")
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    chart = kinds.add_parser("chart", help="write the page to print: board, stars, greys, ruler")
    chart.add_argument("--out", type=Path, required=True, help="an .html that any browser prints")
    chart.add_argument("--paper", choices=sorted(PAPERS_MM), default="a4")
    chart.set_defaults(run=_chart)
    lens = kinds.add_parser(
        "lens", help="measure what the lens does to straight lines, with the printed board"
    )
    _add_common(lens)
    lens.add_argument("--views", type=int, default=15, help="so many different views of the board (15)")
    lens.add_argument("--every-s", type=float, default=2.0, help="seconds between two pictures (2)")
    lens.add_argument("--patience-s", type=float, default=300.0, help="give up after so many seconds (300)")
    lens.set_defaults(run=_lens)
    tone = kinds.add_parser("tone", help="measure the tone curve, from a scene that stands still")
    _add_common(tone)
    tone.set_defaults(run=_tone)
    focus = kinds.add_parser("focus", help="find where the lens is sharp, and let the bridge know")
    _add_camera(focus)
    focus.set_defaults(run=_focus)


def _add_camera(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="bridge.yaml")
    parser.add_argument("--camera", help="its id; the first one where none is given")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")


def _add_common(parser: argparse.ArgumentParser) -> None:
    _add_camera(parser)
    parser.add_argument("--pictures", type=Path, help="a folder of JPEGs of this camera, instead of new ones")


# ------------------------------------------------------------------------ chart


def _chart(arguments: argparse.Namespace) -> int:
    try:
        arguments.out.write_text(page(arguments.paper), "utf-8")
    except OSError as error:
        raise OutputError(f"--out {arguments.out}: cannot be written: {error.strerror or error}") from error
    print(f"{arguments.out}: print it at 100 % (actual size); its ruler must then be {RULER_MM} mm long")
    return 0


# ------------------------------------------------------------------------ lens


def _lens(arguments: argparse.Namespace) -> int:
    if not 0.1 <= arguments.every_s <= 3600 or not 1 <= arguments.patience_s <= 86400:
        raise CalibrationError("--every-s is from 0.1 to 3600, --patience-s from 1 to 86400 seconds")
    work = _needing("lens")
    if not work.FEWEST_VIEWS <= arguments.views <= 100:
        raise CalibrationError(f"--views {arguments.views}: is not from {work.FEWEST_VIEWS} to 100")
    config, camera, clock = _named(arguments)
    session = work.Session(arguments.views)
    if arguments.pictures is not None:
        for frame in of_folder(arguments.pictures, clock):
            _say(arguments, session.look(frame.jpeg))
    else:
        asyncio.run(_watch_board(config, camera, clock, session, arguments))
    lens = session.solve()
    facts = asdict(lens)
    path = _keep(config, camera, clock, "lens", facts)
    told = [
        f"lens: {lens.views} views, {lens.coverage:.0%} of the picture, error {lens.rms_px:.2f} px (rms)",
        f"focal length {lens.fx:.1f} × {lens.fy:.1f} px, centre {lens.cx:.1f}, {lens.cy:.1f} px",
        f"distortion k1 {lens.k1:+.4f}, k2 {lens.k2:+.4f}, p1 {lens.p1:+.5f}, p2 {lens.p2:+.5f}",
        f"kept in {path}",
    ]
    return _tell(arguments, facts, told)


async def _watch_board(
    config: BridgeConfig, camera: CameraConfig, clock: Clock, session: Any, arguments: argparse.Namespace
) -> None:
    pace = Pace(every=timedelta(seconds=arguments.every_s), patience=timedelta(seconds=arguments.patience_s))
    async with _open(config, camera, clock) as shooter:
        async for frame in one_after_another(shooter, clock, pace):
            _say(arguments, await asyncio.to_thread(session.look, frame.jpeg))
            if session.enough:
                return


# ------------------------------------------------------------------------ tone


def _tone(arguments: argparse.Namespace) -> int:
    config, camera, clock = _named(arguments)
    if arguments.pictures is not None:
        frames = list(of_folder(arguments.pictures, clock))
    else:
        frames = asyncio.run(_series(config, camera, clock))
    tone = import_module(".tone", __package__).of_frames(frames)
    facts = {**asdict(tone), "said": next((frame.tone_curve for frame in frames if frame.tone_curve), None)}
    path = _keep(config, camera, clock, "tone", facts)
    told = [f"tone curve: {tone.pictures} pictures, {tone.places} places; {tone.best} fits best"]
    for left in sorted(set(tone.residual_mev.values())):
        names = ", ".join(name for name, value in tone.residual_mev.items() if value == left)
        told.append(f"  {names}: {left:.1f} mEV are left")
    told.append(f"  measured: {tone.own_mev:.1f} mEV are left")
    if facts["said"] is not None and tone.residual_mev.get(facts["said"], 0.0) > 2 * tone.own_mev + 5:
        told.append(f"the frames say {facts['said']}, which does not fit these pictures")
    return _tell(arguments, facts, [*told, f"kept in {path}"])


async def _series(config: BridgeConfig, camera: CameraConfig, clock: Clock) -> list[CapturedFrame]:
    async with _open(config, camera, clock) as shooter:
        return await exposure_series(shooter, clock)


# ------------------------------------------------------------------------ focus


def _focus(arguments: argparse.Namespace) -> int:
    config, camera, clock = _named(arguments)
    running = running_bridge(config.state_dir) is not None and config.mqtt is not None
    if running:
        _say(arguments, "the bridge runs: it is asked to find the focus, between its frames")
    found = asyncio.run(_sweep(config, camera, clock, by_command=running))
    curve = found["curve"]
    highest = max((figure for _, figure in curve), default=1.0)
    told = [
        f"{dioptre:7.3f} dioptres {'#' * round(_BAR * figure / highest):<{_BAR}} {figure:.4g}"
        for dioptre, figure in curve
    ]
    kept = "kept, and in force" if running else "the bridge knows from its next start"
    told.append(f"infinity is at {found['dioptre']:.3f} dioptres; {kept}")
    return _tell(arguments, found, told)


async def _sweep(
    config: BridgeConfig, camera: CameraConfig, clock: Clock, *, by_command: bool
) -> dict[str, Any]:
    if by_command and config.mqtt is not None:
        return await ask(config.mqtt, config.id, camera.id, "focus", clock)
    async with _open(config, camera, clock) as shooter:
        return await sweep(config, camera.id, shooter, clock)


# ------------------------------------------------------------------------ all


def _needing(name: str) -> Any:
    """Return a module that needs OpenCV; raise CalibrationError where that is missing."""
    try:
        return import_module(f".{name}", __package__)
    except ImportError as error:
        raise CalibrationError(
            f"OpenCV is missing ({error}): `sudo apt install python3-opencv` on a Raspberry Pi,"
            " `pipx inject skylapse opencv-python-headless` elsewhere"
        ) from error


def _named(arguments: argparse.Namespace) -> tuple[BridgeConfig, CameraConfig, Clock]:
    config = load_config(arguments.config)
    return config, camera_called(config, arguments.camera), make_clock(config.clock)


@asynccontextmanager
async def _open(config: BridgeConfig, camera: CameraConfig, clock: Clock) -> AsyncIterator[Shooter]:
    """Open the camera; while a bridge has it, say how to do without."""
    try:
        async with opened(config, camera, clock) as shooter:
            yield shooter
    except CameraBusyError as error:
        raise CalibrationError(
            f"{error}: stop it first (`sudo systemctl stop skylapse-bridge`), and start it again afterwards"
        ) from error


def _keep(
    config: BridgeConfig, camera: CameraConfig, clock: Clock, kind: str, facts: Mapping[str, Any]
) -> Path:
    """Write what was measured beside the bridge's state; return where."""
    path = config.state_dir / "cameras" / camera.id / f"{kind}.json"
    value = {
        "schema": 1,
        "camera": f"{config.id}/{camera.id}",
        "made_at": format_time(clock.now()),
        **facts,
    }
    try:
        make_folder(path.parent)
        write_durably(path, json.dumps(value, indent=1).encode() + b"\n")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def _say(arguments: argparse.Namespace, words: str) -> None:
    if not arguments.json:
        print(words, flush=True)


def _tell(arguments: argparse.Namespace, facts: Mapping[str, Any], lines: list[str]) -> int:
    print(json.dumps(facts, ensure_ascii=False) if arguments.json else "\n".join(lines))
    return 0
