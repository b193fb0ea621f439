"""One render a film: a lock beside the film, held by the process that makes it.

The system takes a lock away with its process: what a kill leaves behind stands in nobody's way.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from .errors import FilmError, RequestError, unreadable
from .request import SIZES, RenderRequest, beside


@contextmanager
def claimed(request: RenderRequest) -> Iterator[None]:
    """Keep others from writing the films of a request, and see to it that they have a folder.

    A folder is made in one that exists, and is gone again where nothing came into it. Raises RequestError
    where more than the last folder of a path is missing or a file cannot be written, FilmError where another
    render writes one of the films.
    """
    check_places(request)
    also = [size for size in request.also_sizes if size in SIZES]
    films = (request.output, *(beside(request.output, size) for size in also))
    with ExitStack() as held:
        held.enter_context(_folder(request.output))
        for film in films:
            held.enter_context(_lock(film))
        yield


def check_places(request: RenderRequest) -> None:
    """Raise RequestError where one of the files of a request cannot be written."""
    if not request.output.name:
        raise RequestError("output", f"{request.output} is no name for a film: it ends in .mp4")
    for field, path in (
        ("output", request.output),
        ("poster", request.poster),
        ("thumbnail", request.thumbnail),
        ("preview", request.preview),
    ):
        if path is None:
            continue
        try:
            with TemporaryFile(dir=_nearest_folder(path)):
                pass
        except FileNotFoundError as error:
            why = f"{path} cannot be made: there is no folder {path.parent.parent}"
            if path.parent.exists():  # as in /proc, whoever asks
                why = f"{path} cannot be made: the system takes no new files in {path.parent}"
            raise RequestError(field, why) from error
        except NotADirectoryError as error:
            raise RequestError(field, f"{path} cannot be made: {path.parent} is no folder") from error
        except OSError as error:
            raise RequestError(field, f"{path} cannot be written ({unreadable(error)})") from error


def _nearest_folder(path: Path) -> Path:
    """Return the folder in which a file is made, or the one in which that folder is."""
    return path.parent if path.parent.exists() else path.parent.parent


@contextmanager
def _folder(film: Path) -> Iterator[None]:
    is_new = not film.parent.exists()
    try:
        film.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise FilmError(f"{film}: cannot be written ({unreadable(error)})") from error
    try:
        yield
    finally:
        if is_new:
            with suppress(OSError):  # it holds what was made
                film.parent.rmdir()


@contextmanager
def _lock(film: Path) -> Iterator[None]:
    path = film.with_name(f"{film.name}.lock")
    try:
        handle = _held(path)
    except BlockingIOError as error:
        raise FilmError(f"{film}: another render is writing this film") from error
    except OSError as error:
        raise FilmError(f"{film}: cannot be written ({unreadable(error)})") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _held(path: Path) -> int:
    """Return a handle with the lock of the file that stands under this name; raise OSError."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _take(handle)
            if _stands(handle, path):
                return handle
        except OSError:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # not every network share has locks; films are made there all the same
        return


def _stands(handle: int, path: Path) -> bool:
    """Say whether a file is not removed yet: who held its lock before may have done so."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False
