"""The store as a whole: its folders, its disk, its catalogue, opened and closed together."""

from ..config import StoreConfig
from ..errors import StoreError
from .catalogue import Catalogue
from .comparisons import ComparisonTable
from .database import Database
from .files import Disk
from .films import FilmTable
from .jobtable import JobTable
from .layout import Layout
from .results import ResultTable
from .watches import WatchTable
from .windows import WindowTable


class Store:
    """Everything that the processor keeps."""

    def __init__(self, config: StoreConfig) -> None:
        self.layout = Layout(root=config.path, state=config.state)
        self.disk = Disk(
            self.layout,
            min_free_percent=config.min_free_percent,
            warn_free_percent=config.warn_free_percent,
            ballast_mb=config.ballast_mb,
        )
        self._database = Database(self.layout.catalogue, self.disk.drop_ballast)
        self.frames = Catalogue(self._database)
        self.films = FilmTable(self._database)
        self.jobs = JobTable(self._database)
        self.comparisons = ComparisonTable(self._database)
        self.results = ResultTable(self._database)
        self.watches = WatchTable(self._database)
        self.windows = WindowTable(self._database)

    def start(self) -> None:
        """Open the catalogue and make the folders; raise StoreError where that cannot be done."""
        try:
            self.layout.state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.layout.state}: {error.strerror}") from error
        self._database.start()
        try:
            self.disk.start(fresh=self.frames.is_empty())
        except OSError as error:
            self._database.stop()
            raise StoreError(f"{self.layout.root}: {error}") from error

    def stop(self) -> None:
        """Close the catalogue."""
        self._database.stop()
