"""The unit of systemd: understood by systemd where there is one, and fitting the program."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from skylapse_bridge.cli import main
from tests.support.tree import ROOT

UNIT = ROOT / "pi_bridge" / "skylapse-bridge.service"
SINCE_254 = {"RestartSteps", "RestartMaxDelaySec"}
"""What older systemds pass over, as systemd.unit(5) promises."""


def settings() -> dict[str, list[str]]:
    """Every setting of the unit with its values."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "[")):
            found.setdefault(name, []).append(value)
    return found


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "skylapse-bridge"
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    copy = tmp_path / "skylapse-bridge.service"
    copy.write_text(UNIT.read_text("utf-8").replace("/usr/local/bin/skylapse-bridge", str(program)), "utf-8")
    verify = [shutil.which("systemd-analyze") or "true", "verify", "--man=no", str(copy)]
    told = subprocess.run(verify, capture_output=True, text=True, check=False)
    complaints = [line for line in told.stderr.splitlines() if copy.name in line]
    unknown = {found[1] for line in complaints if (found := re.search(r"Unknown key '(\w+)'", line))}
    assert unknown <= SINCE_254
    assert len(complaints) == len(unknown), told.stderr


def test_the_unit_starts_the_program_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = settings()["ExecStart"]
    program, *words = shlex.split(line)
    assert Path(program).name == "skylapse-bridge"
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert "--config" in capsys.readouterr().out


def test_the_unit_watches_restarts_and_confines() -> None:
    told = settings()
    assert told["Type"] == ["notify"]
    assert told["WatchdogSec"] == ["60"]
    assert told["Restart"] == ["always"]
    assert told["StartLimitIntervalSec"] == ["0"]
    assert told["ProtectSystem"] == ["strict"]
    assert told["NoNewPrivileges"] == ["true"]
    assert told["SupplementaryGroups"] == ["video"]
    assert "char-video4linux rw" in told["DeviceAllow"]
    assert "adjtimex" in told["SystemCallFilter"][0].split(), "the bridge asks the kernel about its clock"
