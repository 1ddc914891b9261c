"""A lab of the benchmark's own: up before the figures that need it, down after, whatever happens."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import scenario
from benchmarks.ours import play
from clients.kafka import client_configuration
from clients.kafka_admin import Admin
from lab import lifecycle
from lab.cache import cache_dir
from lab.handles import Lab
from lab.tools import load_toolbox
from scenarios import environment as environments

WARM_S = 20.0
#: The lab's JVMs compile what they run: a run at the rates of the figures, before any of them.
WARM_RATE_PER_S, WARM_DURATION_S = 20_000, 15


class Quiet:
    """An announcer that tells nobody."""

    def ready(self, what: str, took_s: float, remark: str) -> None:
        """Not told."""

    def note(self, text: str) -> None:
        """Not told."""

    def warming(self, elapsed_s: float, total_s: float) -> None:
        """Not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchLab:
    """A lab that is up and warm, and a directory for scratch files."""

    lab: Lab
    scratch: Path

    @property
    def environment(self) -> Path:
        """What `--env` takes."""
        return self.lab.environment_file

    @property
    def clients(self) -> dict[str, str]:
        """What rivals read from their environment: librdkafka's settings for both clusters, as the load's user."""
        loaded = environments.load(str(self.environment))
        clusters = {"source": loaded.environment.source, "target": loaded.environment.target}
        settings = {name: client_configuration(cluster, loaded, "bench") for name, cluster in clusters.items()}
        return {"BENCH_CLIENTS": json.dumps(settings)}

    @property
    def java(self) -> tuple[Path, str]:
        """The java program and Kafka's class path."""
        toolbox = load_toolbox(cache_dir())
        return toolbox.java.path, toolbox.classpath

    def topic(self, name: str) -> tuple[str, str]:
        """A source topic for a rival, made if need be, and its mirror's name."""
        loaded = environments.load(str(self.environment))
        rules = loaded.environment.topics
        source = f"{rules.prefix}{name}"
        Admin(loaded.environment.source, loaded).create_topics([(source, scenario.PARTITIONS)], config={})
        return source, rules.remote(source)


@contextmanager
def lab_up() -> Iterator[BenchLab]:
    """The lab, in a temporary directory that goes with it."""
    with tempfile.TemporaryDirectory(prefix="mm2gate-bench-") as directory:
        place = Path(directory)
        try:
            lab = lifecycle.up(place / "lab", warm_s=WARM_S, announcer=Quiet())
            bench = BenchLab(lab=lab, scratch=place)
            play(bench.environment, place, name="warm", records_per_s=WARM_RATE_PER_S, duration_s=WARM_DURATION_S)
            yield bench
        finally:
            lifecycle.down(place / "lab", keep_logs=False, announcer=Quiet())
