"""A program that fills the spool is killed −9, again and again: what it announced is there, once."""

import signal
import subprocess
import sys
from pathlib import Path

from skylapse_bridge.frame_files import read_verified
from skylapse_bridge.spool import Limits, Spool
from skylapse_protocol.messages import Counts

ROOT = str(Path(__file__).resolve().parents[2])
ROOMY = Limits(max_bytes=10**9, min_free_bytes=1)

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from skylapse_bridge.spool import Limits, Spool
from tests.bridge.made import draft, picture
spool = Spool(Path(sys.argv[1]), Limits(max_bytes=10**9, min_free_bytes=1))
spool.open()
shot = picture(width=400, height=300)
while True:
    record = {announce}
    sys.stdout.write(f"{{record.spool}} {{record.seq}} {{record.sha256}}\\n")
    sys.stdout.flush()
    sys.stdin.read(1)
    spool.add(record, shot)
"""
ANNOUNCE_WHEN_SAFE = "spool.add(draft(), shot)"
ANNOUNCE_TOO_EARLY = "draft(spool=spool.id, seq=spool.totals().frames + 1)"


def announced_until_killed(folder: Path, announce: str, lines: int) -> list[tuple[str, int, str]]:
    """Let a program fill the spool, kill it −9 after so many announcements; return what it announced."""
    program = WRITER.format(root=ROOT, announce=announce)
    if announce == ANNOUNCE_WHEN_SAFE:
        program = program.replace("    sys.stdin.read(1)\n    spool.add(record, shot)\n", "")
    return killed_after(folder, program, lines)


def killed_after(folder: Path, program: str, lines: int) -> list[tuple[str, int, str]]:
    """Run a program, kill it −9 after so many lines; return what it announced."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    heard = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    heard += process.stdout.readlines()
    process.stdin.close()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    whole = [line.split() for line in heard if line.endswith("\n")]
    return [(spool, int(seq), sha256) for spool, seq, sha256 in whole]


def test_whatever_was_announced_survives_kill_9_and_nothing_is_doubled(tmp_path: Path) -> None:
    announced = []
    for lines in (1, 2, 7, 3, 11, 1, 5):
        announced += announced_until_killed(tmp_path, ANNOUNCE_WHEN_SAFE, lines)
    spool = Spool(tmp_path, ROOMY)
    spool.open()
    kept = spool.pending(10_000)
    identities = [(frame.record.spool, frame.record.seq, frame.record.sha256) for frame in kept]
    assert set(announced) <= set(identities)
    assert len(set(identities)) == len(identities)
    assert len(identities) <= len(announced) + 7
    assert all(read_verified(frame) for frame in kept)
    counts = spool.counts("west")
    assert counts == Counts(captured=len(kept), pending=len(kept))
    spool.close()


def test_the_test_above_would_notice_a_frame_announced_too_early(tmp_path: Path) -> None:
    """The program is killed between the announcement and the spool, where it waits for a word."""
    (announced,) = announced_until_killed(tmp_path, ANNOUNCE_TOO_EARLY, 1)
    spool = Spool(tmp_path, ROOMY)
    spool.open()
    kept = {(frame.record.spool, frame.record.seq, frame.record.sha256) for frame in spool.pending(9999)}
    spool.close()
    assert announced not in kept


REPLAYER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from skylapse_bridge.spool import Limits, Spool
from tests.bridge.made import draft, picture
spool = Spool(Path(sys.argv[1]), Limits(max_bytes=10**9, min_free_bytes=1))
spool.open()
while True:
    number = int(spool.ledger.note("west", "bookmark") or 0) + 1
    record = spool.add(draft(place=number), picture(width=400), notes={{"bookmark": str(number)}})
    sys.stdout.write(f"{{record.spool}} {{record.seq}} {{record.sha256}}\\n")
    sys.stdout.flush()
"""


def test_a_reel_that_is_killed_9_again_and_again_neither_repeats_nor_skips_a_picture(tmp_path: Path) -> None:
    for lines in (1, 3, 2, 7, 1, 4, 5):
        killed_after(tmp_path, REPLAYER.format(root=ROOT), lines)
    spool = Spool(tmp_path, ROOMY)
    spool.open()
    kept = spool.pending(10_000)
    assert [frame.record.place for frame in kept] == list(range(1, len(kept) + 1))
    assert len(kept) >= 23
    assert spool.ledger.note("west", "bookmark") == str(len(kept))
    spool.close()
