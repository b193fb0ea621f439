"""The commands by which a film is made on many machines: `outline`, `join` and `worker`.

`worker` serves the processor's own cluster. Whoever has another scheduler of work (Kubernetes, Celery,
Airflow) runs `outline`, then `render --job … --stretch …` for each stretch, then `join`.
"""

import argparse
import asyncio
import json
import logging
import math
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from . import encode_join, encode_preview
from .cli_render import result_beside
from .config import ClusterConfig, cluster_of, scheduler_address
from .encode import Alive, Converter
from .errors import ConfigError, FilmError, ProcessorError, RequestError, unreadable
from .files import write_asked
from .outline import Outline, outline
from .progress import Meter
from .recipe.smooth import flicker_mev
from .render import POSTER_AT, write_stills
from .request import RenderRequest, at_size, beside, from_json
from .segments import FrameRange
from .store.layout import SENTINEL

_OF_PARTS = ("part", "stretch", "log_means")
"""What is said of a part and not of the film."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `outline`, `join` and `worker`."""
    plan = commands.add_parser("outline", help="print what a job makes, and the stretches it can be cut into")
    plan.add_argument("--job", type=Path, required=True, help="the job file")
    plan.add_argument("--places", type=_places, default=1, help="how many stretches are made at once")
    plan.set_defaults(run=_outline)
    join = commands.add_parser("join", help="join the stretches of a job to its film")
    join.add_argument("--job", type=Path, required=True, help="the job file")
    join.add_argument("parts", nargs="+", type=Path, metavar="PART", help="all stretches of the film")
    join.set_defaults(run=_join)
    worker = commands.add_parser("worker", help="make stretches of films for a processor on another machine")
    worker.add_argument("--scheduler", required=True, help="such as tls://render.local:8786")
    worker.add_argument(
        "--store", type=Path, required=True, help="the processor's store, under the same path"
    )
    worker.add_argument("--places", type=_places, default=1, help="how many stretches to make at once")
    for name, what in (("ca", "authority of both sides"), ("cert", "certificate"), ("key", "its key")):
        worker.add_argument(f"--{name}-file", type=Path, metavar="FILE", help=f"{what}, in PEM")
    worker.add_argument("--name", help="what the scheduler calls this worker")
    worker.set_defaults(run=_worker)


def _places(text: str) -> int:
    places = int(text)
    if not 1 <= places <= 256:
        raise ValueError(text)
    return places


def _outline(arguments: argparse.Namespace) -> int:
    found = outline(_job(arguments.job))
    stretches = found.cut(arguments.places)
    _answer({**found.as_json(), "stretches": [str(stretch) for stretch in stretches]})
    return 0


def _join(arguments: argparse.Namespace) -> int:
    try:
        _answer(_joined(_job(arguments.job), arguments.parts, _sign_of_life()))
    except ProcessorError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        raise
    return 0


def _sign_of_life() -> Alive:
    """Return what tells whoever started this that a film is being joined."""
    meter = Meter(lambda progress: print(json.dumps({"progress": progress.as_json()}), flush=True))
    return lambda: meter.advance("finish", 0, 1)


def _joined(request: RenderRequest, parts: list[Path], alive: Alive) -> dict[str, Any]:
    """Join the parts; return what the render of the whole film would have answered."""
    found = outline(request)
    results = sorted((_result_of(part) for part in parts), key=lambda result: result["stretch"])
    _check_whole(found, results)
    parts = [Path(result["part"]) for result in results]
    frames = sum(result["frames"] for result in results)
    means = np.array([math.nan if mean is None else mean for each in results for mean in each["log_means"]])
    flicker = round(flicker_mev(means[np.isfinite(means)]), 3)
    figures = {"recipe": request.recipe, "flicker_mev": f"{flicker:g}", "frames": f"{frames}"}
    metadata = {**figures, **request.metadata}
    also = []
    for each in results[0]["also"]:
        size = each["size"]
        sized = [beside(part, size) for part in parts]
        output = beside(request.output, size)
        sized_as = {**metadata, "size": size}
        facts = encode_join.join(sized, output, found.rate, frames, sized_as, alive=alive)
        also.append({**each, "file": str(output), "bytes": facts.bytes})
    own = {**metadata, "size": request.size}
    facts = encode_join.join(parts, request.output, found.rate, frames, own, alive=alive)
    _write_stills(request, [each["size"] for each in also], frames, float(found.rate), alive)
    return {
        **{name: value for name, value in results[0].items() if name not in _OF_PARTS},
        "frames": facts.frames,
        "also": also,
        "skipped": _every(results, "skipped"),
        "adapted": _every(results, "adapted"),
        "duration_s": round(facts.duration_s, 6),
        "bytes": facts.bytes,
        "flicker_mev": flicker,
        "seconds": round(sum(result["seconds"] for result in results), 3),
        "peak_rss_mb": max(result["peak_rss_mb"] for result in results),
    }


def _write_stills(request: RenderRequest, also: list[str], frames: int, rate: float, alive: Alive) -> None:
    """Write the stills of every size, and the preview, which is the same for all."""
    sizes = [request, *(at_size(request, size) for size in also)]
    for each in sizes:
        (frame,) = encode_join.frames_at(each.output, [int(frames * POSTER_AT) / rate])
        write_stills(each, Converter().pixels(frame))
        alive()
    if request.preview is not None:
        numbers = sorted(encode_preview.numbers(0, frames))
        smallest = min(sizes, key=lambda each: each.output.stat().st_size)
        preview = encode_preview.Preview(0, frames)
        shown = encode_join.frames_at(smallest.output, [number / rate for number in numbers])
        for number, frame in zip(numbers, shown, strict=True):
            preview.take(number, frame)
            alive()
        moving = preview.webp()
        for each in sizes:
            if each.preview is not None:
                write_asked(each.preview, moving)


def _check_whole(found: Outline, results: list[dict[str, Any]]) -> None:
    """Raise RequestError unless parts, in their order, have each frame of the film once."""
    reached = 0
    for result in results:
        first, past = result["stretch"]
        if first > reached:
            break
        if first < reached:
            twice = FrameRange(first=first, past=min(past, reached))
            raise RequestError("", f"{result['part']}: another part has its frames {twice}, too")
        reached = past
    else:
        first = reached if found.cost.whole else found.frames
    if first > reached:
        raise RequestError("", f"no part has the frames {FrameRange(first=reached, past=first)}")
    if first < reached:
        raise RequestError("", f"parts go to frame {reached}, and the film has {first}")


def _every(results: list[dict[str, Any]], name: str) -> list[dict[str, str]]:
    """Return what all parts say under a name, each of it once: of the job as a whole each says the same."""
    return list({json.dumps(said): said for result in results for said in result[name]}.values())


def _result_of(part: Path) -> dict[str, Any]:
    """Return what the render of a part has said of it, with the part's name."""
    beside = result_beside(part)
    try:
        result: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FilmError(f"{beside}: cannot be read ({unreadable(error)})") from error
    if "stretch" not in result:
        raise FilmError(f"{beside}: does not say which stretch it is of")
    return {**result, "part": str(part)}


def _job(path: Path) -> RenderRequest:
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("--job", f"{path} cannot be read ({unreadable(error)})") from error


def _answer(result: dict[str, Any]) -> None:
    print(json.dumps({"result": result}), flush=True)


def _worker(arguments: argparse.Namespace) -> int:
    config = _cluster(arguments)
    if not (arguments.store / SENTINEL).is_file():
        raise ConfigError(f"--store: {arguments.store} is no store of a processor, or is not mounted here")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    asyncio.run(_serve(config, arguments.places, arguments.name))
    return 0


def _cluster(arguments: argparse.Namespace) -> ClusterConfig:
    try:
        address = scheduler_address(arguments.scheduler)
    except Exception as error:
        raise ConfigError(f"--scheduler: {error}") from error
    files = {name: getattr(arguments, name) for name in ("ca_file", "cert_file", "key_file")}
    return cluster_of(address, files)


async def _serve(config: ClusterConfig, places: int, name: str | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    cluster = import_module(".cluster", __package__)
    await cluster.serve(config, places, name or f"{os.uname().nodename}-{os.getpid()}", stop)
