"""Kafka's jars: a committed lock of coordinates and hashes for each version, and how they get into the cache.

The lock pins every jar of the class path, transitive ones too: resolving is Maven's work, done once by
`make jars-lock`. Here each line is fetched by itself and compared with its sha256, whatever server answered; jgo's
own transitive resolver is not asked (it mixes versions that the broker does not survive).

Lock line: `group:artifact:version[:extension] sha256`. `#` starts a comment.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from lab.cache import scratch, sha256_of
from scenarios.errors import LabError

DEFAULT_KAFKA_VERSION = "4.3.1"
AGENT_ARTIFACT = "jmx_prometheus_javaagent"
"""A Java agent, loaded by its path: on the class path it would bring its own copies of other libraries."""

_THREADS = 8
_TIMEOUT_S = 60
_LINE = re.compile(
    r"(?P<group>[\w.-]+):(?P<artifact>[\w.-]+):(?P<version>[\w.+-]+)(?::(?P<extension>\w+))?\s+(?P<sha256>[0-9a-f]{64})"
)

_LOCKS = Path(__file__).parent

Fetch = Callable[["Jar", Path], Path]
"""Downloads a jar somewhere below the given directory and says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str
    extension: str = "jar"

    @property
    def coordinate(self) -> str:
        """As Maven writes it, without the default extension."""
        suffix = "" if self.extension == "jar" else f":{self.extension}"
        return f"{self.group}:{self.artifact}:{self.version}{suffix}"

    @property
    def filename(self) -> str:
        """Its name in the cache. Artifact and version are enough: the lock refuses two jars that would collide."""
        return f"{self.artifact}-{self.version}.{self.extension}"

    @property
    def is_agent(self) -> bool:
        """Kept out of the class path."""
        return self.artifact == AGENT_ARTIFACT


def lock_file(kafka_version: str) -> Path:
    """The lock of one version of Kafka."""
    return _LOCKS / f"kafka-{kafka_version}.lock"


def known_versions() -> tuple[str, ...]:
    """The versions of Kafka that have a lock."""
    return tuple(sorted(path.stem.removeprefix("kafka-") for path in _LOCKS.glob("kafka-*.lock")))


def parse_lock(text: str, *, name: str = "kafka.lock") -> tuple[Jar, ...]:
    """The jars of a lock's text. Refuses a line it does not understand and two jars of one file name."""
    jars: dict[str, Jar] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise LabError(
                f"{name}, line {number}: expected 'group:artifact:version sha256', found {line!r}; run `make jars-lock`"
            )
        parts = match.groupdict()
        jar = Jar(**{key: value for key, value in parts.items() if value is not None})
        if jar.filename in jars:
            raise LabError(f"{name}, line {number}: {jar.filename} is there twice; run `make jars-lock`")
        jars[jar.filename] = jar
    if not any(jar.is_agent for jar in jars.values()):
        raise LabError(f"{name} does not hold {AGENT_ARTIFACT}, which gives the lab its metrics; run `make jars-lock`")
    return tuple(jars.values())


def render_lock(jars: Iterable[Jar]) -> str:
    """The text that `parse_lock` reads, sorted so that a version bump is a short diff."""
    lines = sorted(f"{jar.coordinate} {jar.sha256}" for jar in jars)
    head = "# Every jar of the lab's class path. Written by `make jars-lock` from pom.xml; do not edit by hand.\n"
    return head + "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class JarStore:
    """The jars of one lock in the cache. Two locks are two directories, so checkouts of two ages get along."""

    directory: Path

    @property
    def libs(self) -> Path:
        """The class path's directory."""
        return self.directory / "libs"

    @property
    def agents(self) -> Path:
        """Where the agent lies."""
        return self.directory / "agents"

    def path(self, jar: Jar) -> Path:
        """Where a jar lies, or will."""
        return (self.agents if jar.is_agent else self.libs) / jar.filename

    def missing(self, jars: Iterable[Jar]) -> list[Jar]:
        """Those that are not there with the right content: a truncated or foreign file counts as missing."""
        return [jar for jar in jars if not self.path(jar).is_file() or sha256_of(self.path(jar)) != jar.sha256]

    def fill(self, jars: Iterable[Jar], *, cache: Path, fetch: Fetch, arrived: Callable[[Jar], None]) -> None:
        """Fetch what is missing, in parallel; `arrived` is called for each, from this thread."""
        todo = self.missing(jars)
        for directory in (self.libs, self.agents):
            directory.mkdir(parents=True, exist_ok=True)
        with scratch(cache) as area, ThreadPoolExecutor(_THREADS, thread_name_prefix="jar") as pool:
            futures = {pool.submit(self._fetch_one, jar, area, fetch): jar for jar in todo}
            try:
                for future in as_completed(futures):
                    future.result()
                    arrived(futures[future])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def remove_strangers(self, jars: Iterable[Jar]) -> None:
        """The class path is a wildcard: a file that is not of the lock must not be in it."""
        known = {self.path(jar) for jar in jars}
        for directory in (self.libs, self.agents):
            for path in directory.iterdir():
                if path not in known:
                    path.unlink()

    def _fetch_one(self, jar: Jar, area: Path, fetch: Fetch) -> None:
        own = area / jar.filename
        own.mkdir()
        found = fetch(jar, own)
        digest = sha256_of(found)
        if digest != jar.sha256:
            raise LabError(
                f"{jar.coordinate} was downloaded with sha256 {digest[:12]}…, the lock says {jar.sha256[:12]}…: "
                "the repository answers something else than what was locked; check it, and only then `make jars-lock`"
            )
        found.replace(self.path(jar))


def fetch_with_jgo(jar: Jar, directory: Path) -> Path:
    """Download one jar by its pinned coordinate from the Maven repository that jgo knows."""
    from jgo.maven import MavenContext

    # Its own remark on checksums is about sha1 files; ours is the sha256 of the lock, and it is an error.
    logging.getLogger("jgo").setLevel(logging.ERROR)
    context = MavenContext(repo_cache=directory, timeout=_TIMEOUT_S)
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        return Path(component.artifact(packaging=jar.extension).resolve())
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo says "not found" as RuntimeError
        reason = str(error).split("(Caused by", 1)[0].split(" in remote repositories", 1)[0].strip()
        raise LabError(
            f"{jar.coordinate} could not be downloaded ({reason}); check the network or the proxy "
            "and run `make setup` again: it goes on where it stopped"
        ) from None
