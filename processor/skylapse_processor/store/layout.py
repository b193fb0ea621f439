"""Where things lie under the store's root. Paths are built from checked identifiers only.

```
frames/<bridge>/<camera>/<day>/<captured>-<spool>-<seq>.jpg     or .dng, and .json (record), .thumb.jpg
films/<bridge>/<camera>/<day>/<film>.mp4                        and .poster.jpg, .thumb.jpg, .preview.webp
results/<bridge>/<camera>/<day>/<result>.jpg                    .thumb.jpg; *.state: what grows
uploads/      unfinished uploads: <upload>.part and its record
quarantine/   pictures that were refused and kept, as <bridge>/<camera>/<stem>-<digest>.jpg or .dng
today/<bridge>/<camera>/<film>/                                 a film that is still growing
renders/      job files and the unpromoted output of renders
exports/<export>/       frames that somebody took out, with their records: nothing here is read again
state/        catalogue, keys, ballast (or wherever the configuration puts them)
```
"""

from dataclasses import dataclass
from pathlib import Path

from skylapse_protocol.identifiers import CameraName, FrameName, parse_day, parse_film

SENTINEL = ".skylapse-store"
MARKER = ".skylapse-processor"
JPEG, DNG = "image/jpeg", "image/x-adobe-dng"
SUFFIXES = {JPEG: ".jpg", DNG: ".dng"}
"""The kinds of pictures that are stored, and how their names end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadName:
    """An upload is named by what it carries, so that parts of different pictures can never be joined."""

    frame: FrameName
    sha256: str

    @property
    def stem(self) -> str:
        """The last part of its address."""
        return f"{self.frame.stem}-{self.sha256}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The folders of one store."""

    root: Path
    state: Path

    @property
    def sentinel(self) -> Path:
        """The file that is there while the store's disk is mounted."""
        return self.root / SENTINEL

    @property
    def marker(self) -> Path:
        """The file that names the processor that keeps the store now, for whoever else sees the folder."""
        return self.root / MARKER

    @property
    def catalogue(self) -> Path:
        """The SQLite file."""
        return self.state / "catalogue.db"

    @property
    def ballast(self) -> Path:
        """Room that is given back when the disk is full."""
        return self.state / "ballast"

    @property
    def uploads(self) -> Path:
        """Unfinished uploads."""
        return self.root / "uploads"

    @property
    def renders(self) -> Path:
        """Work of renders, unpromoted."""
        return self.root / "renders"

    @property
    def frames(self) -> Path:
        """All stored frames."""
        return self.root / "frames"

    @property
    def films(self) -> Path:
        """All films."""
        return self.root / "films"

    @property
    def exports(self) -> Path:
        """Frames that were taken out, a folder each time."""
        return self.root / "exports"

    def day(self, camera: CameraName, day: str) -> Path:
        """The folder of one camera's frames of one day."""
        return self.frames / camera.bridge / camera.camera / parse_day(day)

    def picture(self, frame: FrameName, day: str, media_type: str = JPEG) -> Path:
        """A stored frame."""
        return self.day(frame.camera, day) / f"{frame.stem}{SUFFIXES[media_type]}"

    def record(self, frame: FrameName, day: str) -> Path:
        """The record beside a stored frame."""
        return self.day(frame.camera, day) / f"{frame.stem}.json"

    def thumb(self, frame: FrameName, day: str) -> Path:
        """The thumbnail beside a stored frame."""
        return self.day(frame.camera, day) / f"{frame.stem}.thumb.jpg"

    def part(self, upload: UploadName) -> Path:
        """The bytes of an upload that have come so far."""
        camera = upload.frame.camera
        return self.uploads / camera.bridge / camera.camera / f"{upload.stem}.part"

    def part_record(self, upload: UploadName) -> Path:
        """The record of an unfinished upload."""
        return self.part(upload).with_suffix(".json")

    def quarantined(self, upload: UploadName, media_type: str = JPEG) -> Path:
        """A picture that was refused and kept; its record lies beside it."""
        camera = upload.frame.camera
        return (
            self.root / "quarantine" / camera.bridge / camera.camera / f"{upload.stem}{SUFFIXES[media_type]}"
        )

    def film(self, camera: CameraName, day: str, film: str) -> Path:
        """A film."""
        return self.films / camera.bridge / camera.camera / parse_day(day) / f"{parse_film(film)}.mp4"

    def poster(self, camera: CameraName, day: str, film: str) -> Path:
        """The still that stands for a film."""
        return self.film(camera, day, film).with_suffix(".poster.jpg")

    def film_thumb(self, camera: CameraName, day: str, film: str) -> Path:
        """A film's small picture, at most 20 KB."""
        return self.film(camera, day, film).with_suffix(".thumb.jpg")

    def result(self, camera: CameraName, day: str, result: str) -> Path:
        """A result beside the films."""
        return self.growing(camera, day, f"{parse_film(result)}.jpg")

    def result_thumb(self, camera: CameraName, day: str, result: str) -> Path:
        """A result's small picture, at most 20 KB."""
        return self.result(camera, day, result).with_suffix(".thumb.jpg")

    def growing(self, camera: CameraName, day: str, name: str) -> Path:
        """What results are made of while they grow."""
        return self.root / "results" / camera.bridge / camera.camera / parse_day(day) / name

    def preview(self, camera: CameraName, day: str, film: str) -> Path:
        """A film's small moving picture."""
        return self.film(camera, day, film).with_suffix(".preview.webp")

    @property
    def today(self) -> Path:
        """Films that are still growing."""
        return self.root / "today"

    def today_folder(self, camera: CameraName, film: str) -> Path:
        """A film that is still growing."""
        return self.today / camera.bridge / camera.camera / parse_film(film)

    def render_folder(self, job: str, attempt: int) -> Path:
        """Where one attempt at a job writes; nothing of it counts before it is promoted."""
        return self.renders / f"{job}-{attempt}"
