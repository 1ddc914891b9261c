"""Where the files of one lab lie, and which parts it has.

.lab/
  environment.yaml     what scenarios are run against; written last, so it is there only when the lab is up
  lab.json             ports, cluster ids, commands and processes: what one command leaves for the next
  secrets/             one password a file, mode 0600
  conf/ data/ logs/    one file or directory a component
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scenarios.errors import LabError

SOURCE = "source"
TARGET = "target"
PROMETHEUS = "prometheus"
NODE_EXPORTER = "node-exporter"
CLUSTERS = (SOURCE, TARGET)
DEFAULT_WORKERS = 2
MOST_WORKERS = 4

_MARKER = ".mm2gate-lab"
# These would need escaping in a property file, a JAAS line, a class path or a ${dir:…} reference: better refused.
_AWKWARD = re.compile(r"""[:,;"'\\$*?{}<>|#=%\n]""")


_WORKER = re.compile(r"connect-\d+")


def worker_names(count: int) -> tuple[str, ...]:
    """The Connect workers of a lab that has so many."""
    return tuple(f"connect-{number}" for number in range(1, count + 1))


def workers_among(names: Iterable[str]) -> tuple[str, ...]:
    """The workers among names of components or ports."""
    return tuple(sorted(name for name in names if _WORKER.fullmatch(name)))


def component_names(workers: Sequence[str]) -> tuple[str, ...]:
    """Every part of a lab, in the order in which they need each other."""
    return (SOURCE, TARGET, *workers, PROMETHEUS, NODE_EXPORTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The paths of one lab; pure, nothing is looked at."""

    root: Path

    @property
    def marker(self) -> Path:
        """Says that this directory is a lab's, so that `down` may empty it."""
        return self.root / _MARKER

    @property
    def state_file(self) -> Path:
        """See `lab.state`."""
        return self.root / "lab.json"

    @property
    def perf_test(self) -> Path:
        """Kafka's producer tool, for `--load perf-test`."""
        return self.conf / "kafka-producer-perf-test.sh"

    @property
    def environment_file(self) -> Path:
        """What `--env` takes."""
        return self.root / "environment.yaml"

    @property
    def secrets(self) -> Path:
        """Passwords."""
        return self.root / "secrets"

    @property
    def conf(self) -> Path:
        """Configuration files."""
        return self.root / "conf"

    @property
    def data(self) -> Path:
        """What the components keep: Kafka's logs, Prometheus' blocks, temporary files."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """What the components say."""
        return self.root / "logs"

    def log(self, component: str) -> Path:
        """Output of one component."""
        return self.logs / f"{component}.log"

    def password_file(self, user: str) -> Path:
        """The file of one user's password."""
        return self.secrets / f"{user}.password"

    @property
    def owned(self) -> tuple[Path, ...]:
        """All that a lab ever makes in its directory."""
        return (
            self.environment_file, self.state_file, self.secrets, self.conf, self.data, self.logs, self.marker,
        )  # fmt: skip


def layout_of(state_dir: Path) -> Layout:
    """The layout of a state directory, made absolute. Refuses a path that configuration files cannot carry."""
    root = state_dir.expanduser().resolve()
    if found := _AWKWARD.search(str(root)):
        raise LabError(f"--state-dir {root}: Kafka's configuration cannot carry {found[0]!r} in a path; choose another")
    return Layout(root=root)


def claim(layout: Layout) -> None:
    """Make the directory a lab's. Refuses one that has files of somebody else."""
    layout.root.mkdir(parents=True, exist_ok=True)
    if layout.marker.exists():
        return
    strangers = sorted(path.name for path in layout.root.iterdir())
    if strangers:
        raise LabError(
            f"{layout.root} is not a lab's directory (it holds {', '.join(strangers[:3])}); "
            "give --state-dir a directory that is empty or does not exist"
        )
    layout.marker.touch()


def make_directories(layout: Layout) -> None:
    """The directories of a lab; the secrets' one is its owner's only."""
    for directory in (layout.conf, layout.data, layout.logs):
        directory.mkdir(exist_ok=True)
    layout.secrets.mkdir(mode=0o700, exist_ok=True)


def clear(layout: Layout) -> None:
    """Remove what a lab made and keep the claim on the directory."""
    for path in layout.owned:
        if path != layout.marker:
            _remove(path)


def erase(layout: Layout, *, keep_logs: bool) -> list[str]:
    """Remove what the lab made and, if nothing else is left, the directory; the names of what stays."""
    for path in layout.owned:
        if not (keep_logs and path in (layout.logs, layout.marker)):
            _remove(path)
    left = sorted(path.name for path in layout.root.iterdir() if path != layout.marker)
    # With the logs the marker stays: the next `up` and `down` may clear them away.
    if not left:
        layout.marker.unlink(missing_ok=True)
        with suppress(OSError):  # a mount point, or a parent we may not write to: empty is clean enough
            layout.root.rmdir()
    return left


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the state directory against another `up` or `down`; refuses when one is at work.

    The lock lies on the directory itself, so it leaves no file behind; it goes with the process that holds it.
    """
    descriptor = _open_locked(layout.root)
    try:
        yield
    finally:
        os.close(descriptor)


def _open_locked(root: Path) -> int:
    while True:
        try:
            descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        except NotADirectoryError:
            raise LabError(f"{root} is a file; give --state-dir a directory") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise LabError(
                f"another `lab up` or `lab down` is at work on {root}; wait for it to end, or stop it with Ctrl-C"
            ) from None
        # A `down` that ended between our open and our lock removed the directory: then this lock is on a ghost.
        with suppress(FileNotFoundError):
            if root.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)
        root.mkdir(parents=True, exist_ok=True)
