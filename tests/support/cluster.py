"""A real cluster on loopback: `dask scheduler` and `skylapse-processor worker`, certificates included."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skylapse_processor.config import ClusterConfig

from .processes import Program, answers, find_program, free_port
from .waiting import wait_until

BIN = Path(sys.executable).parent


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.address = f"tls://127.0.0.1:{self.port}"
        self.files = certificates(folder)
        self.workers: list[Program] = []
        ca, cert, key = self.files
        self.scheduler = Program(
            "scheduler",
            [
                *(str(BIN / "dask"), "scheduler", "--host", "127.0.0.1", "--port", str(self.port)),
                *("--protocol", "tls", "--tls-ca-file", str(ca), "--tls-cert", str(cert)),
                *("--tls-key", str(key), "--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
            ],
            log_path=folder / "scheduler.log",
            folder=folder,
        )

    @property
    def config(self) -> ClusterConfig:
        """How a processor finds it."""
        ca, cert, key = self.files
        return ClusterConfig(scheduler=self.address, ca_file=ca, cert_file=cert, key_file=key)

    def start(self) -> None:
        """Start the scheduler, and wait until it answers."""
        self.scheduler.start()
        wait_until(lambda: answers(self.port), what="the scheduler")

    def add_worker(self, store: Path, folder: Path | None = None, places: int = 1) -> Program:
        """Start a worker, and wait until it works."""
        ca, cert, key = self.files
        number = len(self.workers)
        worker = Program(
            f"worker{number}",
            [
                *(str(BIN / "skylapse-processor"), "worker", "--scheduler", self.address),
                *("--store", str(store), "--places", str(places), "--name", f"worker{number}"),
                *("--ca-file", str(ca), "--cert-file", str(cert), "--key-file", str(key)),
            ],
            log_path=self.folder / f"worker{number}.log",
            folder=folder or self.folder,
        )
        worker.start()
        self.workers.append(worker)
        wait_until(
            lambda: " works for " in worker.log_path.read_text() or not worker.running,
            what="a worker",
        )
        assert worker.running, worker.tail()
        return worker

    def stop(self) -> None:
        """End everything."""
        for program in (*self.workers, self.scheduler):
            program.stop()


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Run a cluster without workers."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make an authority for this cluster and a certificate for both sides; return ca, cert and key."""
    ca, ca_key, cert, key = (folder / name for name in ("ca.pem", "ca.key", "node.pem", "node.key"))
    new = [find_program("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    new += ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
    signed = ["-CA", str(ca), "-CAkey", str(ca_key), "-addext", "basicConstraints=CA:FALSE"]
    for subject, private, public, more in (
        ("/CN=skylapse test", ca_key, ca, []),
        ("/CN=node", key, cert, signed),
    ):
        words = [*new, "-subj", subject, "-keyout", str(private), "-out", str(public), *more]
        subprocess.run(words, check=True, capture_output=True)
    return ca, cert, key
