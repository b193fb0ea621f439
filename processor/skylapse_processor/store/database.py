"""The door to SQLite: one writer thread that commits in groups, readers that cannot write.

WAL with `synchronous=FULL`: a committed row survives a power cut. Work handed to `write` runs in the writer's
thread inside a transaction; everything that waits at that moment shares one commit, and its futures resolve
only after it. A piece of work that raises is rolled back alone.
"""

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from ..errors import NoRoomError, StoreError
from .schema import migrate

_log = logging.getLogger(__name__)

_GROUP = 64
_BUSY_TIMEOUT_S = 5.0

T = TypeVar("T")
Connection = sqlite3.Connection
Row = sqlite3.Row
Work = tuple[Callable[[Connection], Any], "Future[Any]"]


class Database:
    """A catalogue file with its writer and its readers."""

    def __init__(self, path: Path, make_room: Callable[[], bool] = lambda: False) -> None:
        """`make_room` is called when the disk is full, and says whether that gained anything."""
        self._path = path
        self._make_room = make_room
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._readers: queue.LifoQueue[Connection] = queue.LifoQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the file, bring its schema up to date, start the writer."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = self._open_writer()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
        self._thread = threading.Thread(target=self._run, args=(connection,), name="catalogue-writer")
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits and close every connection."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._work.put(None)
            thread.join()
            self._refuse_the_rest()
        self._close_readers()

    def _close_readers(self) -> None:
        """Close what is not lent; of two who do so at once, none waits for the other."""
        with suppress(queue.Empty):
            while True:
                self._readers.get_nowait().close()

    def _refuse_the_rest(self) -> None:
        """Tell whoever asked while the writer was ending that it has ended: nobody waits for ever."""
        while not self._work.empty():
            asked = self._work.get_nowait()
            if asked is not None:
                asked[1].set_exception(StoreError(f"{self._path}: the catalogue was closed"))

    def write(self, work: Callable[[Connection], T]) -> "Future[T]":
        """Queue work for the writer; its future resolves once the commit is on disk."""
        future: Future[T] = Future()
        if self._thread is None:
            raise StoreError(f"{self._path}: the catalogue is not open")
        self._work.put((work, future))
        return future

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection that can only read."""
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = self._open_reader()
        try:
            yield connection
        finally:
            self._readers.put(connection)
            if self._thread is None:  # it was lent when the catalogue was closed, and nobody else closes it
                self._close_readers()

    def _open_writer(self) -> Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        try:
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "journal_size_limit=67108864",
            ):
                connection.execute(f"PRAGMA {pragma}")
            migrate(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_reader(self) -> Connection:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        return connection

    def _run(self, connection: Connection) -> None:
        while (first := self._work.get()) is not None:
            group = [first]
            last = False
            while len(group) < _GROUP and not self._work.empty():
                item = self._work.get()
                if item is None:
                    last = True
                    break
                group.append(item)
            self._commit(connection, group)
            if last:
                break
        connection.close()

    def _commit(self, connection: Connection, group: list[Work]) -> None:
        """Run a group in one transaction and resolve its futures."""
        group = [(work, future) for work, future in group if future.set_running_or_notify_cancel()]
        done: list[tuple[Future[Any], Any]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work, future in group:
                _run_piece(connection, work, future, done)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up(connection, error)
            kind = NoRoomError if error.sqlite_errorcode == sqlite3.SQLITE_FULL else StoreError
            for _work, future in group:
                if not future.done():
                    future.set_exception(kind(f"{self._path}: {error}"))
            return
        for future, result in done:
            future.set_result(result)

    def _give_up(self, connection: Connection, error: sqlite3.Error) -> None:
        _log.error("catalogue: a commit failed: %s", error)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL and self._make_room():
            _log.error("the disk is full: the ballast was given back, so that deleting works")


def _run_piece(
    connection: Connection,
    work: Callable[[Connection], Any],
    future: "Future[Any]",
    done: "list[tuple[Future[Any], Any]]",
) -> None:
    """Run one piece of work; what fails in it is rolled back alone, unless SQLite itself gives up."""
    connection.execute("SAVEPOINT piece")
    try:
        done.append((future, work(connection)))
    except sqlite3.OperationalError:
        raise
    except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the future
        connection.execute("ROLLBACK TO piece")
        future.set_exception(error)
    connection.execute("RELEASE piece")
