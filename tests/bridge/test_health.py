"""What the bridge tells about itself and its machine, and what systemd hears."""

import platform
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from skylapse_bridge import runner as runner_room
from skylapse_bridge.health import (
    ClockHealth,
    Machine,
    Uplink,
    buffer_hours_left,
    frames_planned,
    health,
    throttling,
)
from skylapse_bridge.kernel_time import kernel_time, read_kernel_time
from skylapse_bridge.notify import notify
from skylapse_bridge.spool import Limits, Totals
from skylapse_bridge.timesync import compare, server_time
from skylapse_protocol.messages import BridgeHealth
from tests.support.waiting import until

from .conftest import House
from .made import START, plan, snapshot, window
from .tus_server import TusServer

EMPTY = Totals(frames=0, bytes=0, oldest_at=None, used_bytes=0)
DAYLONG = plan(window(start=START - timedelta(hours=1), minutes=60 * 48))
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
FIRMWARE_OF_A_PI_5 = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"


def machine(folder: Path, **files: str) -> Machine:
    """A machine whose kernel tells this; `__` in a name stands for a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return Machine(root=folder)


def told(one: Machine, folder: Path) -> BridgeHealth:
    return health(
        one,
        at=START,
        started_s=0.0,
        clock=ClockHealth(synced=True, offset_s=-0.002),
        folder=folder,
        totals=EMPTY,
        hours_left=None,
        uplink=Uplink(processor="main", problem="none"),
    )


def test_this_machine_tells_what_it_can(tmp_path: Path) -> None:
    message = told(Machine(), tmp_path)
    assert message.disk_total_bytes is not None
    assert message.disk_free_bytes is not None
    assert 0 < message.disk_free_bytes <= message.disk_total_bytes
    assert message.memory_used_percent is not None
    assert 0 < message.memory_used_percent < 100
    assert message.bridge_memory_bytes is not None
    assert 10_000_000 < message.bridge_memory_bytes < 10_000_000_000
    assert (message.uplink, message.uplink_problem, message.clock_offset_s) == ("main", "none", -0.002)
    assert Machine().boot_id() == Machine().boot_id() != "unknown"
    assert Machine().host().python.startswith("3.")


def test_a_machine_that_tells_nothing_is_no_fault(tmp_path: Path) -> None:
    message = told(Machine(root=tmp_path), tmp_path)
    assert (message.cpu_temperature_c, message.throttled, message.throttling) == (None, None, ())
    assert (message.memory_used_percent, message.bridge_memory_bytes) == (None, None)
    assert Machine(root=tmp_path).boot_id() == "unknown"


@pytest.mark.parametrize("path", [FIRMWARE, FIRMWARE_OF_A_PI_5])
@pytest.mark.parametrize(
    ("text", "throttled", "words"),
    [
        ("0", False, ()),
        ("0x50000", False, ("under_voltage_before", "throttled_before")),
        (
            "50005",
            True,
            ("under_voltage", "throttled", "under_voltage_before", "throttled_before"),
        ),
        ("8000a", True, ("frequency_capped", "temperature_limit", "temperature_limit_before")),
        ("odd", None, ()),
    ],
)
def test_throttling_tells_now_from_before(
    tmp_path: Path, path: str, text: str, words: tuple[str, ...], *, throttled: bool | None
) -> None:
    message = told(machine(tmp_path, **{path.replace("/", "__"): text}), tmp_path)
    assert (message.throttled, message.throttling) == (throttled, words)


def test_every_flag_of_the_firmware_has_a_word() -> None:
    assert len(throttling(0xF000F)) == 8
    assert throttling(None) == ()


def test_the_processors_zone_is_the_one_that_is_told(tmp_path: Path) -> None:
    one = machine(
        tmp_path,
        sys__class__thermal__thermal_zone0__type="nvme",
        sys__class__thermal__thermal_zone0__temp="70000",
        sys__class__thermal__thermal_zone1__type="cpu-thermal",
        sys__class__thermal__thermal_zone1__temp="51540",
        sys__class__thermal__thermal_zone2__type="cpu-odd",
        sys__class__thermal__thermal_zone2__temp="hot",
    )
    assert one.temperature_c() == 51.54


def test_memory_is_what_the_kernel_calls_available(tmp_path: Path) -> None:
    one = machine(
        tmp_path,
        proc__meminfo="MemTotal:     1000 kB\nMemFree:      1 kB\nMemAvailable:  690 kB\n",
        proc__self__status="Name:\tpython3\nVmHWM:\t  90000 kB\nVmRSS:\t   62000 kB\n",
    )
    assert one.memory_used_percent() == 31.0
    assert one.own_memory_bytes() == 62_000 * 1024


def test_a_board_says_its_model_and_serial(tmp_path: Path) -> None:
    host = machine(
        tmp_path,
        **{
            "proc__device-tree__model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc__device-tree__serial-number": "10000000abcdef01\0",
        },
    ).host()
    assert (host.model, host.serial) == ("Raspberry Pi 5 Model B Rev 1.0", "10000000abcdef01")


@pytest.mark.parametrize(
    ("maker", "board", "model"),
    [
        ("LENOVO\n", "ThinkCentre M75q\n", "LENOVO ThinkCentre M75q"),
        ("Default string\n", "N100DC-ITX\n", "N100DC-ITX"),
        ("To Be Filled By O.E.M.\n", "System Product Name\n", f"Computer ({platform.machine()})"),
    ],
)
def test_another_computer_is_called_as_its_firmware_calls_it(
    tmp_path: Path, maker: str, board: str, model: str
) -> None:
    names = {"sys__class__dmi__id__sys_vendor": maker, "sys__class__dmi__id__product_name": board}
    assert machine(tmp_path, **names).host().model == model


def test_a_day_at_fifteen_seconds_is_5760_frames() -> None:
    assert frames_planned(DAYLONG, START, START + timedelta(days=1)) == pytest.approx(5760)
    assert frames_planned(plan(), START, START + timedelta(days=1)) == 0


def test_hours_left_follow_the_smaller_of_spool_and_disk() -> None:
    limits = Limits(max_bytes=46_080_000_000, min_free_bytes=10**9)
    hours = [
        buffer_hours_left([DAYLONG], EMPTY, limits, free, START, 4_000_000)
        for free in (10**12, 24_040_000_000, 0)
    ]
    assert hours == [48.0, 24.0, 0.0]
    assert buffer_hours_left([plan()], EMPTY, limits, 10**12, START, 4_000_000) is None


# ---------------------------------------------------------------------- the clock


def test_the_kernel_says_how_far_the_clock_is_ahead() -> None:
    nanoseconds = read_kernel_time(0, 0x2001, 2_500_000, 16_000)
    assert (nanoseconds.synchronised, nanoseconds.offset_s, nanoseconds.max_error_s) == (True, -0.0025, 0.016)
    microseconds = read_kernel_time(0, 0x0001, -2_500, 16_000)
    assert (microseconds.synchronised, microseconds.offset_s) == (True, 0.0025)


@pytest.mark.parametrize(("state", "status"), [(5, 0x0040), (0, 0x0040), (5, 0), (-1, 0)])
def test_a_clock_that_no_time_server_set_is_not_synchronised(state: int, status: int) -> None:
    assert not read_kernel_time(state, status, 0, 16_000_000).synchronised


def test_this_kernel_answers() -> None:
    assert kernel_time().max_error_s >= 0


def test_a_date_header_tells_the_offset_to_its_second() -> None:
    date = format_datetime(START, usegmt=True)
    ahead = START + timedelta(seconds=90.4)
    answer = compare(date, ahead, ahead + timedelta(seconds=0.2))
    assert answer is not None
    assert answer.offset_s == pytest.approx(90.0)
    assert answer.error_s == pytest.approx(0.6)
    assert compare("yesterday", START, START) is None
    assert compare("", START, START) is None


async def test_the_processor_is_asked_for_the_time(server: TusServer) -> None:
    late = timedelta(hours=2)
    answer = await server_time(server.url, lambda: datetime.now(UTC) - late)
    assert answer is not None
    assert abs(answer.offset_s + 7200) <= answer.error_s
    assert await server_time("http://127.0.0.1:9", lambda: START) is None


# ---------------------------------------------------------------------- systemd


class Systemd:
    """The end of the socket that systemd listens at."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)

    def heard(self) -> list[str]:
        """Everything that was said since the last time."""
        words = []
        while True:
            try:
                words.append(self._socket.recv(1000).decode())
            except BlockingIOError:
                return words

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


def test_systemd_hears_what_is_said_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(tmp_path, monkeypatch)
    notify("READY=1")
    assert systemd.heard() == ["READY=1"]
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("WATCHDOG=1")
    assert systemd.heard() == []
    systemd.close()


async def test_the_watchdog_is_fed_only_while_every_camera_comes_round(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(tmp_path, monkeypatch)
    bridge = await house.start()
    house.deploy(plan(window(interval_s=5)), snapshot())
    await house.photograph(1)
    heard = systemd.heard()
    assert heard[0] == "READY=1"

    def told() -> bool:
        heard.extend(systemd.heard())
        status = [word for word in heard if word.startswith("STATUS=")]
        return "WATCHDOG=1" in heard and any("frames wait" in word for word in status)

    await until(told, what="the watchdog fed, and the status")
    monkeypatch.setattr(runner_room, "_STANDSTILL_S", -1000.0)
    runner = bridge._runners["west"]
    async with runner.time.first():

        def standing() -> bool:
            house.clock.pass_time(5)
            return bool(bridge._standing)

        await until(standing, what="a camera that stands still")
        systemd.heard()
        bridge._feed_watchdog()
        assert systemd.heard() == []
    monkeypatch.undo()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    await until(lambda: "WATCHDOG=1" in systemd.heard(), what="the watchdog fed again")
    await house.stop()
    assert systemd.heard()[-1] == "STOPPING=1"
    systemd.close()
