"""Every message but snapshots, plans and frame records. Fields are added with a default, never redefined."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .errors import ProtocolError
from .identifiers import CameraName, parse_bridge, parse_camera, parse_day, parse_film, parse_id
from .sizes import LeftOut

Mode = Literal["live", "deployed", "override"]
Availability = Literal["online", "offline"]
Throttling = Literal[
    "under_voltage",
    "frequency_capped",
    "throttled",
    "temperature_limit",
    "under_voltage_before",
    "frequency_capped_before",
    "throttled_before",
    "temperature_limit_before",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """A simulated clock: its time is `start` + (real time − `anchor`) × `rate`."""

    start: datetime
    anchor: datetime
    rate: float

    def __post_init__(self) -> None:
        """Refuse a clock that stands still or runs backwards."""
        if not 0 < self.rate <= 10_000:
            raise ProtocolError("announce", "clock.rate", "is not above 0 and at most 10,000")


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """The machine that a program runs on."""

    model: str
    os: str
    python: str
    serial: str | None = None
    mac: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraInfo:
    """A camera and what it can do; limits are read from the camera."""

    id: str
    name: str
    model: str
    driver: str
    width: int
    height: int
    min_exposure_us: int | None = None
    max_exposure_us: int | None = None
    min_gain: float | None = None
    max_gain: float | None = None
    controls_exposure: bool = False
    controls_colour: bool = False
    """Colour temperature and colour gains are obeyed."""
    brackets: bool = False
    focus: bool = False
    max_dioptre: float | None = None
    """The nearest focus; 0 dioptres are infinity."""
    raw: bool = False
    sensor: str | None = None
    """Sensor model in lower case, as in `imx519`."""

    def __post_init__(self) -> None:
        """Refuse a camera without a usable id."""
        parse_camera(self.id)


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeAnnounce:
    """A bridge introduces itself; an empty payload on the same topic means it is gone for good."""

    schema: int = 1
    bridge: str
    name: str
    software: str
    schema_min: int
    schema_max: int
    boot_id: str
    host: Host
    cameras: tuple[CameraInfo, ...]
    clock: Clock | None = None
    """Given by a bridge that lives in simulated time; all its times are on that clock."""

    def __post_init__(self) -> None:
        """Refuse a bridge without a usable id and twins among its cameras."""
        parse_bridge(self.bridge)
        ids = [camera.id for camera in self.cameras]
        if len(set(ids)) != len(ids):
            raise ProtocolError("announce", "cameras", "two cameras share one id")


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeHealth:
    """How a bridge and its machine fare."""

    schema: int = 1
    at: datetime
    uptime_s: float
    cpu_temperature_c: float | None = None
    load: float | None = None
    memory_used_percent: float | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    spool_frames: int = 0
    """Undelivered frames in the spool."""
    spool_bytes: int = 0
    oldest_undelivered_at: datetime | None = None
    buffer_hours_left: float | None = None
    clock_offset_s: float | None = None
    """How far the machine's clock is ahead of the true time; null where nobody can tell."""
    clock_synced: bool = True
    bridge_memory_bytes: int | None = None
    """Resident memory of the bridge itself."""
    throttled: bool | None = None
    throttling: tuple[Throttling, ...] = ()
    """What slows the machine down now, and what did since it started."""
    uplink: str | None = None
    """Id of the processor that the bridge delivers to."""
    uplink_problem: str | None = None
    """Why frames do not reach the processor, null while they do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Frames of a camera in the life of its spool: captured = delivered + pending + dropped."""

    captured: int = 0
    delivered: int = 0
    pending: int = 0
    dropped: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedWindow:
    """A window that is over, with how many frames were captured in it, and how many of them dropped."""

    window: str
    schedule: str
    day: str
    profiles: tuple[str, ...]
    ended_at: datetime
    captured: int
    dropped: int = 0

    def __post_init__(self) -> None:
        """Refuse what no window can be: films are filed under these words."""
        parse_day(self.day)
        parse_id(self.window, "window")
        parse_id(self.schedule, "schedule")
        if self.captured < 0 or self.dropped < 0:
            raise ProtocolError("state", "ended_windows", "counts below zero")


@dataclass(frozen=True, kw_only=True, slots=True)
class Focus:
    """Where a camera's infinity was found, and what the focus is now."""

    infinity_dioptre: float
    temperature_c: float | None = None
    """Temperature of the sensor when it was found."""
    found_at: datetime | None = None
    figure: float | None = None
    """Sharpness that was found there, in the camera's own units."""
    drifted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraState:
    """What a camera does now."""

    schema: int = 1
    mode: Mode
    capturing: bool
    """Capture is enabled and the camera answers."""
    enabled: bool = True
    active_window: str | None = None
    snapshot_id: str | None = None
    snapshot_version: int | None = None
    plan_revision: int | None = None
    next_capture_at: datetime | None = None
    last_error: str | None = None
    counts: Counts = Counts()
    ended_windows: tuple[EndedWindow, ...] = ()
    """The last twenty windows that ended, oldest first."""
    focus: Focus | None = None
    """Null where the focus is fixed or was never looked for."""
    experiments: tuple[str, ...] = ()
    """Ids of the A/B tests that run."""
    settings_problem: str | None = None
    """How the camera does not do what it is asked, again and again; null while it obeys."""
    no_picture: str | None = None
    """Why a camera that is well has none to give, as a folder without a further one; null otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraEvent:
    """Something happened to a camera."""

    schema: int = 1
    at: datetime
    type: Literal[
        "capture_failed",
        "tick_skipped",
        "window_started",
        "window_ended",
        "camera_lost",
        "camera_back",
        "focus_drift",
        "settings_not_followed",
    ]
    reason: str | None = None
    window: str | None = None
    schedule: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One metering result."""

    schema: int = 1
    at: datetime
    lux: float | None = None
    scene_ev: float | None = None
    """Exposure value of the scene at ISO 100; null where the camera's exposure is unknown."""
    clipped_low: float
    """Share of pixels at the bottom of the scale."""
    clipped_high: float
    """Share of pixels at the top of the scale."""
    mean_linear: float
    """Weighted mean of the metered picture in linear light, 0 to 1."""
    suggested_exposure_us: int | None = None
    suggested_gain: float | None = None
    colour_temperature_k: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Uplink:
    """Which processor the brain knows; keys never travel by MQTT."""

    schema: int = 1
    processor: str
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A request that is answered by a `Reply` with the same id, once, however often it arrives."""

    schema: int = 1
    id: str
    expires_at: datetime
    name: str
    args: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse ids and names that cannot be told apart later."""
        if not 1 <= len(self.id) <= 64:
            raise ProtocolError("command", "id", "has not 1 to 64 characters")
        parse_id(self.name, "command")


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandError:
    """Why a command was refused or failed: a code for programs, a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The answer to a command."""

    schema: int = 1
    id: str
    ok: bool
    result: dict[str, Any] | None = None
    error: CommandError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessorAnnounce:
    """The processor introduces itself."""

    schema: int = 1
    processor: str
    name: str
    software: str
    schema_min: int
    schema_max: int
    boot_id: str
    base_url: str
    library_revision: int = 0
    queue_depth: int = 0
    storage_used_bytes: int = 0
    storage_free_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessorHealth:
    """How the processor and its machine fare."""

    schema: int = 1
    at: datetime
    uptime_s: float
    queue_depth: int = 0
    current_job: str | None = None
    current_job_percent: float | None = None
    films: int = 0
    frames: int = 0
    storage_used_bytes: int = 0
    storage_free_bytes: int = 0
    storage_total_bytes: int = 0
    last_backup_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobState:
    """A job of the processor and how far it is."""

    schema: int = 1
    id: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    camera: str | None = None
    film: str | None = None
    step: str | None = None
    percent: float = 0.0
    frames_per_s: float | None = None
    left_s: float | None = None
    error: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    """Sizes that were asked for and are not made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is to be made of the windows of one camera and schedule."""

    camera: str
    """`<bridge>/<camera>`"""
    schedule: str
    recipe: str = "clean"
    profile: str | None = None
    """Only this profile's frames; null makes one film for each profile of the window."""
    size: str = "1080p"
    also_sizes: tuple[str, ...] = ()
    """Further sizes that are made of the same decoded pictures, each a film of its own."""
    codec: Literal["h264", "h265", "av1"] = "h264"
    rate: float = 24.0
    retention_days: int | None = None
    """How long frames are kept; null keeps them for ever."""
    schedule_name: str = ""
    """What people call the schedule, for the titles of its films; empty leaves its id."""

    def __post_init__(self) -> None:
        """Refuse orders for no camera."""
        CameraName.parse(self.camera)
        if not 1 <= self.rate <= 240:
            raise ProtocolError("orders", "rate", "is not between 1 and 240 frames a second")


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """All standing orders; they replace those before."""

    schema: int = 1
    revision: int
    orders: tuple[Order, ...]


LensFault = Literal["droplets", "dew", "fog", "dirt", "focus", "aim"]
"""What stands between a camera and its view; fog stands before the lens, not on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreState:
    """What the processor has of one camera."""

    schema: int = 1
    day: str | None = None
    """The newest day with frames."""
    frames_today: int = 0
    """Frames stored of that day."""
    frames: int = 0
    """Frames stored in all, quarantined ones included."""
    last_frame: str | None = None
    """Name of the newest frame."""
    lens: Literal["clear", "obstructed", "unknown"] = "unknown"
    lens_faults: tuple[LensFault, ...] = ()
    """What is wrong with the view now, the surest first."""
    bad_today: int = 0
    """Frames of that day that are kept but left out of films."""
    sunset_score: float | None = None
    """Of the day's sunset, 0…1, among this camera's own last sixty evenings; null until five are known."""
    keogram: str | None = None
    """Id of the result that grows today."""
    film_of_today: str | None = None
    """Film id of the film that grows today."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """A film appeared, changed or went."""

    schema: int = 1
    id: str
    change: Literal["added", "changed", "removed"]
    camera: str
    day: str
    window: str | None = None
    schedule: str | None = None
    profile: str | None = None
    recipe: str
    title: str
    frames: int
    skipped: int = 0
    duration_s: float
    rate: float
    width: int
    height: int
    bytes: int
    codec: str = "h264"
    flicker_mev: float | None = None
    created_at: datetime
    pinned: bool = False
    link: str | None = None
    poster: str
    """Path of the poster under the processor's base URL."""
    thumb: str
    video: str
    preview: str | None = None
    """Path of a small moving picture (WebP); null where there is none."""

    def __post_init__(self) -> None:
        """Refuse films that could not be fetched."""
        parse_film(self.id)
        CameraName.parse(self.camera)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A still result beside the films appeared, changed or went."""

    schema: int = 1
    id: str
    change: Literal["added", "changed", "removed"]
    kind: Literal["keogram", "keogram_year", "startrail", "best_frame"]
    camera: str
    day: str
    """Of a year's keogram its first day."""
    title: str
    created_at: datetime
    width: int
    height: int
    bytes: int
    frames: int
    """How many frames it was made of so far."""
    score: float | None = None
    """Of a best frame, 0…1."""
    picture: str
    """Path under the processor's base URL."""
    thumb: str

    def __post_init__(self) -> None:
        """Refuse results that could not be fetched."""
        parse_film(self.id)
        CameraName.parse(self.camera)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingest:
    """A frame was stored, or refused with the reason."""

    schema: int = 1
    frame: str
    """`<bridge>/<camera>/<captured>-<spool>-<seq>`"""
    stored: bool
    reason: str | None = None
    sha256: str | None = None
    quarantined: bool = False
    log_mean_ev: float | None = None
    clipped_low: float | None = None
    clipped_high: float | None = None
    sharpness: float | None = None
    verdict: Literal["good", "broken", "blank", "frozen", "odd"] | None = None
    """Whether the picture is fit for films: one that is broken cannot be decoded, a blank one shows nothing,
    a frozen one is the one before it once more, an odd one is unlike others at this elevation of the sun."""
