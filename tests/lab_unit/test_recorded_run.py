"""One run recorded on a lab is judged the same under every metric profile.

`recorded_run.tar.xz`: a minute of 1000 records/s on two topics of three partitions, Kafka 4.3.1, with its evidence as
Prometheus gave it. Its series are renamed into each profile, as either version of jmx_exporter would, put into a real
Prometheus, and collected and judged from there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from checks.collect import collect
from checks.evidence import Evidence
from checks.judge import judge_run
from checks.metric_names import MIRROR_ATTRIBUTES
from checks.metric_profiles import CONFLUENT_MIRROR, PROFILES, Filter, Job, MetricProfile, Role
from lab.cache import cache_dir
from lab.ports import free_ports
from lab.tools import load_toolbox
from run_record.store import SEAL, RunRecord, sums
from tests.support.given import as_played
from tests.support.servers import Reply, serving

RECORDED = Path(__file__).with_name("recorded_run.tar.xz")
AGENTS = ("0.x", "1.x")
CASES = [(profile, agent) for profile in PROFILES for agent in AGENTS]


def test_fixture_stays_small():
    assert RECORDED.stat().st_size < 100_000


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recorded")
    with tarfile.open(RECORDED) as archive:
        archive.extractall(directory, filter="data")
    return directory / "recorded_run"


@pytest.fixture(scope="module")
def verdict(recorded: Path) -> dict[str, Any]:
    """What its own evidence comes to."""
    judge_run(recorded)
    return dict(json.loads((recorded / "verdict.json").read_text(encoding="utf-8")))


def shown_name(profile: MetricProfile, role: Role, labels: dict[str, str], agent: str) -> str:
    """What a version of the agent calls a metric of the recorded run."""
    if role is Role.UP:
        return "up"
    metric = profile.metrics[role]
    if metric.job is Job.NODES:
        return labels["__name__"]
    if metric.also:
        return metric.also[0] if agent == "0.x" else metric.name
    # Strimzi's counters are typed, and keep their suffix.
    stripped = agent == "1.x" and metric.counter and not profile.name.startswith("strimzi") and role != Role.PROCESS_CPU
    return metric.base if stripped else metric.name


def job_of(profile: str, agent: str) -> str:
    return f"{profile}-{agent}"


def relabelled(
    evidence: Evidence, profile: MetricProfile, agent: str, *, job: str, but: frozenset[Role] = frozenset()
) -> Iterator[str]:
    """The recorded series as OpenMetrics, under a profile's names and labels and a job of their own; all `but` some."""
    for role in {Role.UP, *CONFLUENT_MIRROR.metrics} - but:
        for entry in evidence.index["answers"]:
            if entry.get("role") != role.value:
                continue
            for item in json.loads((evidence.directory / entry["file"]).read_text(encoding="utf-8"))["data"]["result"]:
                labels = dict(item["metric"])
                name = shown_name(profile, role, labels, agent)
                labels.pop("__name__", None)
                if role is Role.UP or profile.metrics[role].job is Job.CONNECT:
                    labels["job"] = job
                else:
                    labels["job"] = f"nodes-{job}"
                if role is not Role.UP and profile.metrics[role].filter is Filter.PRODUCER:
                    labels[profile.client_label] = labels.pop("client_id")
                text = ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(labels.items()))
                yield from (f"{name}{{{text}}} {value} {at_s}" for at_s, value in item["values"])


@pytest.fixture(scope="module")
def prometheus(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that holds the run once for each profile and agent."""
    toolbox, data = load_toolbox(cache_dir()), tmp_path_factory.mktemp("prometheus")
    evidence = Evidence.open(recorded / "evidence" / "001")
    lines = [
        line for name, agent in CASES for line in relabelled(evidence, PROFILES[name], agent, job=job_of(name, agent))
    ]
    # metric.names.formats: legacy,new.
    lines += relabelled(evidence, CONFLUENT_MIRROR, "1.x", job="both")
    mirrors = frozenset(MIRROR_ATTRIBUTES)
    others = frozenset({Role.UP, *CONFLUENT_MIRROR.metrics}) - mirrors
    lines += relabelled(evidence, PROFILES["confluent_kafka43"], "1.x", job="both", but=others)
    # Confluent's configuration without a mirror rule.
    lines += relabelled(evidence, CONFLUENT_MIRROR, "1.x", job="no-mirrors", but=mirrors)
    series = data / "series.om"
    series.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    made = subprocess.run(
        [toolbox.promtool, "tsdb", "create-blocks-from", "openmetrics", series, data / "tsdb"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    (data / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")
    (port,) = free_ports(["prometheus"]).values()
    with (data / "log").open("w") as log:
        process = subprocess.Popen(
            [
                toolbox.prometheus,
                f"--config.file={data / 'prometheus.yml'}",
                f"--storage.tsdb.path={data / 'tsdb'}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/-/ready", data / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def wait_until_ready(url: str, log: Path) -> None:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    pytest.fail(f"Prometheus did not start: {log.read_text()}")


def pointed_elsewhere(run: Path, prometheus_url: str, connect_url: str, job: str, **keys: str) -> None:
    """The run's record with another Prometheus and Connect in its environment, and no evidence yet."""
    shutil.rmtree(run / "evidence")
    path = run / "record" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    lines = manifest["environment"]["text"].splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  urls:"):
            lines[number] = f"  urls: [{json.dumps(connect_url)}]"
        elif line.startswith("  url:"):
            lines[number] = f"  url: {prometheus_url}"
        elif line.startswith("  jobs:"):
            named = "".join(f"\n  {key}: {value}" for key, value in keys.items())
            lines[number] = f"  jobs: {{connect: {job}, nodes: nodes-{job}}}{named}"
    manifest["environment"]["text"] = "\n".join(lines)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    (run / "record" / SEAL).write_text(sums(run / "record"), encoding="utf-8")


@pytest.fixture(scope="module")
def connect(recorded: Path) -> Iterator[str]:
    """Connect's REST API as it answered then."""
    kept = recorded / "evidence" / "001"

    def read(name: str) -> Any:
        return json.loads((kept / f"connect-{name}.json").read_text(encoding="utf-8"))

    source = "mm2-source-connector"
    answers = {
        "/": {"version": "4.3.1", "commit": "x", "kafka_cluster_id": read("workers")[0]["kafka_cluster_id"]},
        "/connectors": read("connectors"),
        f"/connectors/{source}/offsets": read("offsets"),
        f"/connectors/{source}/topics": {source: {"topics": read("topics")}},
    }
    with serving(lambda request: Reply.of(answers[request.path])) as server:
        yield server.url


def collected_then(run: Path) -> Evidence:
    """New evidence of the run, as if it had been collected when the run ended: Connect's state is told of no other
    day."""
    record = RunRecord.open(run)
    directory = collect(record, as_played(record))
    assert record.manifest.ending is not None
    index = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    index["collected_at_ns"] = index["connect_asked_at_ns"] = record.manifest.ending.at_ns
    (directory / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (directory / SEAL).write_text(sums(directory), encoding="utf-8")
    return Evidence.open(directory)


def told(content: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {one["id"]: (one["verdict"], one["value"], one["reason"]["code"]) for one in content["criteria"]}


def test_the_recorded_run_is_go_throughout(verdict):
    assert verdict["verdict"] == "GO"
    assert {one["verdict"] for one in verdict["criteria"]} == {"GO"}


@pytest.mark.parametrize(("profile", "agent"), CASES)
def test_verdict_is_the_same_under_every_profile(recorded, verdict, prometheus, connect, tmp_path, profile, agent):
    run = tmp_path / "run"
    shutil.copytree(recorded, run)
    pointed_elsewhere(run, prometheus, connect, job_of(profile, agent))
    evidence = collected_then(run)
    assert evidence.profile.name == profile
    judge_run(run)
    again = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
    assert (again["verdict"], told(again)) == (verdict["verdict"], told(verdict))


def test_a_profile_that_is_named_and_not_there_is_inconclusive(recorded, prometheus, connect, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(recorded, run)
    pointed_elsewhere(run, prometheus, connect, job_of("strimzi", "1.x"), metric_profile="confluent_mirror")
    judge_run(run, given=as_played(run))
    again = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
    reasons = {one["id"]: one["reason"]["code"] for one in again["criteria"]}
    assert (again["verdict"], reasons["replication_ratio"]) == ("INCONCLUSIVE", "mixed_profiles")


@pytest.fixture
def fiche(recorded, prometheus, connect, tmp_path):
    """The verdict and the fiche of the run as another job of that Prometheus shows it."""

    def build(job, **keys):
        run = tmp_path / "run"
        shutil.copytree(recorded, run)
        pointed_elsewhere(run, prometheus, connect, job, **keys)
        collected_then(run)
        judgement = judge_run(run)
        text = judgement.fiche_file.read_text(encoding="utf-8").replace("\u00a0", " ").replace("\u202f", " ")
        return judgement.evaluation, text

    return build


def test_two_profiles_at_once_are_said_and_one_is_used(fiche):
    evaluation, text = fiche("both")
    assert evaluation.verdict == "GO"
    assert "`confluent_mirror` (noms de `kafka43` présents aussi, non utilisés" in text


def test_a_profile_that_the_environment_names_is_used_and_said(fiche):
    evaluation, text = fiche("both", metric_profile="confluent_kafka43")
    assert evaluation.verdict == "GO"
    assert "`confluent_kafka43` (nommé par l'environnement; noms de `mirror` présents aussi" in text.replace(" ;", ";")


def test_metrics_that_no_worker_shows_are_named(fiche):
    evaluation, text = fiche("no-mirrors")
    assert evaluation.result("latency_max").reason.code == "no_series"
    assert evaluation.result("replication_ratio").verdict == "GO"
    (line,) = [line for line in text.splitlines() if "aucun worker ne montre" in line]
    assert "record_count, byte_count, latency_avg, latency_max" in line
