"""What is measured on: sequences of the twin, with its records, with EXIF only, with nothing."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path


def twin(folder: Path, frames: int, size: str) -> Path:
    """Write a sequence of the computed camera with records and truth."""
    command = [sys.executable, "-m", "skylapse_bridge", "twin", "--out", str(folder)]
    subprocess.run([*command, "--frames", str(frames), "--size", size], check=True, stdout=subprocess.DEVNULL)
    return folder


def without_records(source: Path, folder: Path) -> Path:
    """Return the pictures alone: what is known stands in EXIF."""
    folder.mkdir()
    for picture in source.glob("*.jpg"):
        os.link(picture, folder / picture.name)
    return folder


def first(source: Path, folder: Path, frames: int) -> Path:
    """Return the first pictures of a sequence, with their records."""
    folder.mkdir()
    for picture in sorted(source.glob("*.jpg"))[:frames]:
        os.link(picture, folder / picture.name)
        os.link(picture.with_suffix(".json"), folder / f"{picture.stem}.json")
    return folder


def without_facts(source: Path, folder: Path) -> Path:
    """Return the pictures with their APP1 segments cut out, not a pixel changed."""
    folder.mkdir()
    for picture in source.glob("*.jpg"):
        (folder / picture.name).write_bytes(_without_exif(picture.read_bytes()))
    return folder


def back_and_forth(source: Path, folder: Path, frames: int) -> Path:
    """Return a long sequence out of a short one, walked back and forth, with records in a time of its own."""
    folder.mkdir()
    pictures = sorted(source.glob("*.jpg"))
    start = datetime(2026, 6, 1, tzinfo=UTC)
    for number in range(frames):
        lap, place = divmod(number, len(pictures))
        picture = pictures[place if lap % 2 == 0 else -1 - place]
        record = json.loads(picture.with_suffix(".json").read_text(encoding="utf-8"))
        record["captured_at"] = (start + timedelta(seconds=15 * number)).isoformat().replace("+00:00", "Z")
        os.link(picture, folder / f"{number:05d}.jpg")
        (folder / f"{number:05d}.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def _without_exif(data: bytes) -> bytes:
    kept, place = [data[:2]], 2
    while data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place + 1] != 0xE1:
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]])
