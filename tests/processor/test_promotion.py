"""Films become films together with their rows, wherever a kill comes in between."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import serving, write_config
from .promoting import SPEC, STEPS

FILES = ("video", "poster", "thumb", "preview")


def promote_and_die(config: Path, step: int) -> None:
    """Have a processor make films of what it has, and killed before a step of that."""
    killed = subprocess.run(
        [sys.executable, "-m", "tests.processor.promoting", str(config), str(step)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@pytest.mark.parametrize("before", STEPS)
async def test_a_kill_leaves_no_file_without_its_row_and_no_row_without_its_files(
    tmp_path: Path, before: str
) -> None:
    config = write_config(tmp_path / "processor")
    promote_and_die(config, STEPS[before])
    async with serving(config) as (service, client):
        films = {film["id"]: film for film in (await client.get("films")).value["items"]}
        found = {
            film: [(await client.get(films[film][name])).body.decode() for name in FILES] for film in films
        }
        state = (await client.get("renders/job2")).value["state"]
        stored = [path for path in service._store.layout.films.rglob("*") if path.is_file()]
    large, small = SPEC.films
    words = "old" if before == "said" else "new"
    assert found == {
        film: [f"{words} {size} {name}" for name in FILES]
        for film, size in ((large, "1080p"), (small, "720p"))
        if before != "said" or film == small
    }
    assert len(stored) == len(FILES) * len(films)
    assert (state == "done") == (before != "said"), "what was not begun is made again"
