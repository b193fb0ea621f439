"""Errors of the processor.

ProcessorError           anything that the processor refuses or fails at, in words for the person who runs it
├── ConfigError          a configuration that cannot be used: file, line, path
├── CalibrationError     a file of a camera's calibration that cannot be used: file, and what is wrong
├── KeyStoreError        the file of keys cannot be read, or a name is unknown or taken
├── PictureError         bytes that are no picture, or not one that may be decoded
├── StoreError           the store on disk or its catalogue
│   ├── SchemaError      a catalogue that a newer release wrote
│   ├── NoRoomError      less room than the configuration keeps free, or the store is not mounted
│   └── BreakerError     too many files of a camera are missing: nothing is deleted on their account
├── FilmError            a film that could not be made
│   ├── NoPicturesError  nothing in the folder, or in the request, that could become a frame
│   ├── FilmCheckError   the reopened film is not what was written
│   ├── LostError        scheduler or workers of a cluster are gone
│   ├── BlindWorkerError a machine of the cluster does not see the store, or runs another release
│   └── CancelledError   somebody asked to stop
├── NotFoundError        no camera, frame, film or job of this name
└── RequestError         a request or command that asks for something impossible: which field, and why
"""


class ProcessorError(Exception):
    """Anything that the processor refuses or fails at."""


def unreadable(error: Exception) -> str:
    """Return why a file cannot be read or written, in words without numbers and codecs."""
    if isinstance(error, UnicodeDecodeError):
        return "is no text in UTF-8"
    return str(getattr(error, "strerror", None) or error)


class ConfigError(ProcessorError):
    """A configuration that cannot be used."""


class CalibrationError(ProcessorError):
    """A file of a camera's calibration that cannot be used."""


class KeyStoreError(ProcessorError):
    """The file of keys cannot be read, or a name is unknown or taken."""


class PictureError(ProcessorError):
    """Bytes that are no picture, or not one that may be decoded."""

    def __init__(self, name: str, why: str) -> None:
        """Remember the picture's name and what is wrong with it."""
        super().__init__(name, why)
        self.name = name
        self.why = why

    def __str__(self) -> str:
        """Name what and where in one line."""
        return f"{self.name}: {self.why}"


class FilmError(ProcessorError):
    """A film that could not be made."""


class NoPicturesError(FilmError):
    """Nothing that could become a frame."""


class FilmCheckError(FilmError):
    """The reopened film is not what was written."""


class LostError(FilmError):
    """Scheduler or workers of a cluster are gone; somebody else can make the film."""


class BlindWorkerError(FilmError):
    """A machine of the cluster does not see the store, or runs another release."""

    def __init__(self, worker: str, why: str) -> None:
        """Remember the worker's address and what is wrong with it."""
        super().__init__(worker, why)
        self.worker = worker
        self.why = why

    def __str__(self) -> str:
        """Name what and where in one line."""
        return f"worker {self.worker} {self.why}"


class CancelledError(FilmError):
    """Somebody asked to stop."""


class StoreError(ProcessorError):
    """The store on disk or its catalogue."""


class SchemaError(StoreError):
    """A catalogue that a newer release wrote."""


class NoRoomError(StoreError):
    """Less room than the configuration keeps free, or the store is not mounted."""


class BreakerError(StoreError):
    """Too many files of a camera are missing: nothing is deleted on their account."""


class NotFoundError(ProcessorError):
    """No camera, frame, film or job of this name."""


class RequestError(ProcessorError):
    """A request or command that asks for something impossible."""

    def __init__(self, field: str, why: str) -> None:
        """Remember the field, as a dotted path, and what is wrong with it."""
        super().__init__(field, why)
        self.field = field
        self.why = why

    def __str__(self) -> str:
        """Name what and where in one line."""
        return f"{self.field}: {self.why}" if self.field else self.why
