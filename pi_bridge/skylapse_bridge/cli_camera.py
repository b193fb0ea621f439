"""`skylapse-bridge cameras`, `meter` and `capture`: what is there, what it sees, one picture of it."""

import argparse
import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from skylapse_protocol.codec import write
from skylapse_protocol.messages import CameraInfo, Reading
from skylapse_protocol.snapshot import MOST_AVERAGED, MOST_DIOPTRES

from .aiming import Aim, Purpose
from .camera.discovery import Found, discover, probe
from .camera.port import CapturedFrame, CaptureSettings
from .clock import make_clock
from .config import BridgeConfig, load_config
from .errors import CameraError, ConfigError, OutputError, UnsupportedError
from .meter import reading
from .one_picture import camera_called, opened
from .shooting import AUTOMATIC, Shooter

_ID = "west"
"""What a camera is called in the lines to paste, until somebody finds a better name."""

_LONGEST_S = 3600


def add_camera_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    cameras = commands.add_parser("cameras", help="list the cameras of this machine")
    cameras.add_argument("--probe", action="store_true", help="start each of them and ask what it can do")
    cameras.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    cameras.set_defaults(run=_cameras)
    meter = commands.add_parser("meter", help="meter the light once, without the bridge")
    _add_common(meter)
    meter.set_defaults(run=_meter)
    capture = commands.add_parser("capture", help="take one picture, without the bridge and without a broker")
    _add_common(capture)
    capture.add_argument("--out", type=Path, required=True, help="the JPEG to write")
    capture.add_argument(
        "--exposure-us", type=_number(int, 1, 10**9), help="exposure time; metered where it is not given"
    )
    capture.add_argument("--gain", type=_number(float, 0, 10**9), help="analogue gain, 1.0 is ISO 100")
    capture.add_argument(
        "--kelvin",
        type=_number(int, 1000, 40_000),
        help="colour temperature; automatic where it is not given",
    )
    capture.add_argument(
        "--focus",
        type=_number(float, 0, MOST_DIOPTRES),
        help="where the lens is to stand, in dioptres; 0 is infinity",
    )
    capture.add_argument(
        "--average",
        type=_number(int, 1, MOST_AVERAGED),
        default=1,
        help=f"so many exposures become one picture, at most {MOST_AVERAGED}",
    )
    capture.add_argument(
        "--over-s", type=_number(float, 0, _LONGEST_S), help="seconds over which they are spread"
    )
    capture.add_argument("--raw", action="store_true", help="a DNG beside the JPEG")
    capture.add_argument("--quality", type=_number(int, 1, 100), default=92, help="of the JPEG, 1 to 100")
    capture.set_defaults(run=_capture)


def _number(kind: type[int] | type[float], least: float, most: float) -> Callable[[str], float]:
    """Return a parser of numbers, whole ones for int, from `least` to `most`."""
    name = "whole number" if kind is int else "number"

    def parse(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = kind(least - 1)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no {name} from {least:g} to {most:.12g}")
        return number

    return parse


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="bridge.yaml")
    parser.add_argument("--camera", help="its id; the first one where none is given")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")


# ---------------------------------------------------------------------- cameras


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A camera that was found, and what it says of itself where it was asked."""

    found: Found
    info: CameraInfo | None = None
    problem: str | None = None


def _cameras(arguments: argparse.Namespace) -> int:
    rows = [_row(found, ask=arguments.probe) for found in discover()]
    if arguments.json:
        print(json.dumps({"cameras": [_in_words(row) for row in rows]}, ensure_ascii=False))
    else:
        print("\n".join(_lines(row) for row in rows))
        if not any(row.found.address for row in rows):
            print("No camera was found. `stream`, `http`, `folder` and `twin` are not looked for.")
    return 0


def _row(found: Found, *, ask: bool) -> _Row:
    """Ask a camera what it can do, where that is wanted."""
    if not ask or not found.address or found.problem is not None:
        return _Row(found=found, problem=found.problem)
    try:
        return _Row(found=found, info=probe(found))
    except CameraError as error:
        return _Row(found=found, problem=str(error))


def _in_words(row: _Row) -> dict[str, Any]:
    found = row.found
    return {
        "driver": found.driver,
        "address": found.address,
        "name": found.name,
        "options": dict(found.options),
        "problem": row.problem,
        "capabilities": write(row.info) if row.info else None,
    }


def _lines(row: _Row) -> str:
    """Return what is known of a camera, and the lines for the configuration."""
    found = row.found
    place = f" at {found.address}" if found.address else ""
    if row.problem is not None:
        name = f"{found.name}{place}: " if found.address else ""
        return f"{found.driver}: {name}{row.problem}\n"
    lines = [f"{found.driver}: {found.name}{place}"]
    if row.info is not None:
        lines.append(f"  {_abilities(row.info)}")
    entry = {"id": _ID, "name": found.name, "driver": found.driver, **found.options}
    block = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True)
    lines += ["  cameras:", *(f"    {line}" for line in block.splitlines()), ""]
    return "\n".join(lines)


def _abilities(info: CameraInfo) -> str:
    """Return one line about what a camera can do."""
    words = [f"{info.width}×{info.height}"]
    if info.controls_exposure and info.min_exposure_us is not None and info.max_exposure_us is not None:
        words.append(f"{info.min_exposure_us} µs to {info.max_exposure_us / 1e6:.3g} s")
    if info.controls_exposure and info.min_gain is not None and info.max_gain is not None:
        words.append(f"gain {info.min_gain:g} to {info.max_gain:g}")
    flags = {
        "exposure": info.controls_exposure,
        "colour": info.controls_colour,
        "brackets": info.brackets,
        "focus": info.focus,
        "raw": info.raw,
    }
    can = [name for name, able in flags.items() if able]
    return ", ".join([*words, f"obeys {', '.join(can)}" if can else "decides everything itself"])


# ---------------------------------------------------------------------- meter and capture


def _meter(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config)
    aim = asyncio.run(_aim(config, arguments.camera))
    message = reading(aim.light, aim.settings.exposure_us, aim.settings.gain)
    print(json.dumps(write(message)) if arguments.json else _told(message))
    return 0


async def _aim(config: BridgeConfig, name: str | None) -> Aim:
    clock = make_clock(config.clock)
    async with opened(config, camera_called(config, name), clock) as shooter:
        return await shooter.aim(Purpose(at=clock.now(), profile=AUTOMATIC), None)


def _told(message: Reading) -> str:
    """Return a reading in words."""
    light = "light unknown: the camera does not say how it exposes"
    if message.lux is not None and message.scene_ev is not None:
        light = f"{message.lux:.4g} lux, EV {message.scene_ev:.2f} at ISO 100"
    low, high = message.clipped_low or 0.0, message.clipped_high or 0.0
    lines = [light, f"clipped: {low:.1%} black, {high:.1%} white"]
    if message.colour_temperature_k is not None:
        lines.append(f"colour: {message.colour_temperature_k} K")
    suggested = _exposure(message.suggested_exposure_us, message.suggested_gain)
    return "\n".join([*lines, f"suggested: {suggested}"])


def _exposure(exposure_us: int | None, gain: float | None) -> str:
    """Return an exposure in words; what is not known is the camera's own affair."""
    words = [f"{exposure_us} µs"] if exposure_us is not None else []
    words += [f"gain {gain:.3f}"] if gain is not None else []
    return ", ".join(words) or "the camera decides"


def _capture(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config)
    if arguments.over_s is not None and arguments.average == 1:
        raise ConfigError("--over-s: one exposure is not spread; say how many with --average")
    if not arguments.out.parent.is_dir():
        raise OutputError(f"--out {arguments.out}: {arguments.out.parent} is no folder")
    asked, frame = asyncio.run(_photograph(config, arguments))
    files = [(arguments.out, frame.jpeg)]
    if frame.raw is not None:
        files.append((arguments.out.with_suffix(".dng"), frame.raw))
    for path, data in files:
        try:
            path.write_bytes(data)
        except OSError as error:
            raise OutputError(f"--out {path}: cannot be written: {error.strerror or error}") from error
    facts = _facts(asked, frame)
    if arguments.json:
        print(json.dumps({**facts, "files": [str(path) for path, _ in files]}, ensure_ascii=False))
        return 0
    for name, values in facts.items():
        known = ", ".join(f"{key} {_shown(value)}" for key, value in values.items() if value is not None)
        print(f"{name}: {known or 'the camera decides'}")
    print("\n".join(f"{path}: {frame.width}×{frame.height}, {len(data)} bytes" for path, data in files))
    return 0


async def _photograph(
    config: BridgeConfig, arguments: argparse.Namespace
) -> tuple[CaptureSettings, CapturedFrame]:
    """Meter what is not given, and take the picture."""
    clock = make_clock(config.clock)
    async with opened(config, camera_called(config, arguments.camera), clock) as shooter:
        _refuse(arguments, shooter)
        aim = await shooter.aim(Purpose(at=clock.now(), profile=AUTOMATIC), None)
        settings = _settings(aim, arguments)
        frame = await shooter.shoot(replace(aim, settings=settings, exposure=None))
        return settings, frame


def _refuse(arguments: argparse.Namespace, shooter: Shooter) -> None:
    """Raise UnsupportedError for what the camera does not obey or reach, instead of a picture without it."""
    info = shooter.info
    if info is None:
        return
    wanted = {
        "--exposure-us": (arguments.exposure_us is not None, info.controls_exposure),
        "--gain": (arguments.gain is not None, info.controls_exposure),
        "--kelvin": (arguments.kelvin is not None, info.controls_colour),
        "--focus": (arguments.focus is not None, info.focus),
        "--raw": (arguments.raw, info.raw),
    }
    refused = [option for option, (asked, able) in wanted.items() if asked and not able]
    if refused:
        raise UnsupportedError(f"camera {info.id} ({info.model}) does not obey {', '.join(refused)}")
    limits = (
        ("--exposure-us", arguments.exposure_us, info.min_exposure_us, info.max_exposure_us),
        ("--gain", arguments.gain, info.min_gain, info.max_gain),
        ("--focus", arguments.focus, 0, info.max_dioptre),
    )
    beyond = [_beyond(*limit) for limit in limits]
    if any(beyond):
        words = "; ".join(filter(None, beyond))
        raise UnsupportedError(f"camera {info.id} ({info.model}) cannot do that: {words}")


def _beyond(option: str, asked: float | None, least: float | None, most: float | None) -> str | None:
    """Return what was asked and what the limit is, None where the camera can do it or does not say."""
    if asked is None:
        return None
    if least is not None and asked < least:
        return f"{option} asked {asked:.12g}, limit {least:.12g}"
    if most is not None and asked > most:
        return f"{option} asked {asked:.12g}, limit {most:.12g}"
    return None


def _settings(aim: Aim, arguments: argparse.Namespace) -> CaptureSettings:
    """Return the settings as asked for; the rest as metered, gain making up for time and the reverse."""
    settings, limits = aim.settings, aim.limits
    exposure_us, gain = arguments.exposure_us, arguments.gain
    if settings.exposure_us is not None and settings.gain is not None:
        total = settings.exposure_us * settings.gain
        if exposure_us is None and gain is None:
            exposure_us, gain = settings.exposure_us, settings.gain
        elif gain is None:
            gain = min(max(total / max(exposure_us, 1), limits.min_gain), limits.max_gain)
        elif exposure_us is None:
            exposure_us = min(max(round(total / gain), limits.min_exposure_us), limits.max_exposure_us)
    return replace(
        settings,
        exposure_us=exposure_us,
        gain=gain,
        colour_temperature_k=arguments.kelvin,
        focus_dioptre=arguments.focus,
        average=arguments.average,
        over_s=arguments.over_s or 0.0,
        raw=arguments.raw,
        jpeg_quality=arguments.quality,
    )


def _shown(value: object) -> str:
    """Return a figure for people."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _facts(asked: CaptureSettings, frame: CapturedFrame) -> dict[str, dict[str, Any]]:
    """Return what was asked for and what was delivered, by the names of the frame record."""
    return {
        "asked": {
            "exposure_us": asked.exposure_us,
            "gain": None if asked.gain is None else round(asked.gain, 4),
            "colour_temperature_k": asked.colour_temperature_k,
            "focus_dioptre": asked.focus_dioptre,
        },
        "delivered": {
            "exposure_us": frame.exposure_us,
            "analogue_gain": frame.analogue_gain,
            "digital_gain": frame.digital_gain,
            "colour_temperature_k": frame.colour_temperature_k,
            "focus_dioptre": frame.focus_dioptre,
            "sensor_temperature_c": frame.sensor_temperature_c,
            "averaged": frame.averaged,
        },
    }
