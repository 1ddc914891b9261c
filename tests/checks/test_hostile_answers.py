"""Connect and Prometheus answer anything at all: the judge comes to a verdict, in time, and never by a crash.

Real servers on 127.0.0.1 answer, the collector asks, the judge judges. Which answer each question gets is drawn by a
seed, so that a run meets dozens of them at once.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from checks.collect import Clock, collect
from checks.judge import judge_run
from checks.reasons import Code
from run_record.store import RunRecord, is_sealed
from scenarios.visible import HIDDEN
from tests.checks.test_bad_answers import COLLECTED_S, FakePrometheus, connect, role_of
from tests.support.given import as_played
from tests.support.hostile_http import ENDLESS, FLOODS, SHAPES, WRONG, Raw, json_body
from tests.support.records import environment_text, healthy_metrics, write_run
from tests.support.servers import Reply, Request, now, serving

ROOT = Path(__file__).resolve().parents[2]
RAWS: list[Raw] = [raw for name, raw in WRONG.items() if name != "ten million values"]
RAWS += [json_body(shape) for shape in SHAPES]
SEEDS = range(24)
SHORT_S = 1.0
DOCUMENTS = ("fiche.md", "summary.md", "junit.xml", "report.html")


class Drawn:
    """Answers each question as its seed has it: well, or with any of what nobody should answer."""

    def __init__(self, seed: int, *, spoilt: float) -> None:
        self._seed, self._spoilt = seed, spoilt

    def raw(self, question: str) -> Raw | None:
        drawn = random.Random(f"{self._seed} {question}")
        return drawn.choice(RAWS) if drawn.random() < self._spoilt else None

    def prometheus(self, request: Request) -> Reply:
        query = request.query.get("query", "")
        raw = self.raw(str(role_of(query) or query[:20]))
        return FakePrometheus(metrics=healthy_metrics())(request) if raw is None else Reply(raw=raw)

    def connect(self, request: Request) -> Reply:
        raw = self.raw(request.path)
        return connect()(request) if raw is None else Reply(raw=raw)


def judged(run: Path):
    """The evaluation of a run whose evidence is collected now; nothing of it may have crashed."""
    collect(RunRecord.open(run), as_played(run), clock=Clock(now_s=lambda: COLLECTED_S, sleep=lambda _: None))
    evaluation = judge_run(run).evaluation
    codes = {result.reason.code for result in evaluation.results} | {evaluation.reason.code}
    assert not codes & {Code.MEASURE_CRASHED, Code.CRASHED}, [
        result.reason for result in evaluation.results if result.reason.code is Code.MEASURE_CRASHED
    ]
    evidence = RunRecord.open(run).evidence()
    assert evidence is not None
    assert is_sealed(evidence)
    for name in DOCUMENTS:
        text = (run / name).read_text(encoding="utf-8")
        assert not re.search(f"[{HIDDEN}]", re.sub("[\n\t\u200b]", "", text)), name
    return evaluation


@pytest.mark.parametrize("spoilt", [0.2, 1.0], ids=["some answers", "every answer"])
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_they_answer_the_judge_comes_to_a_verdict(tmp_path, monkeypatch, seed, spoilt):
    monkeypatch.setattr("checks.collect.PROMETHEUS_BUDGET_S", SHORT_S)
    drawn = Drawn(seed, spoilt=spoilt)
    with serving(drawn.prometheus) as metrics, serving(drawn.connect) as rest:
        run = write_run(tmp_path, environment=environment_text(prometheus=metrics.url, connect=rest.url))
        evaluation = judged(run)
    if spoilt == 1.0:
        assert evaluation.verdict == "INCONCLUSIVE"


@pytest.mark.parametrize("name", ENDLESS)
def test_whoever_drips_costs_the_budgets_and_no_more(tmp_path, monkeypatch, name):
    monkeypatch.setattr("checks.collect.PROMETHEUS_BUDGET_S", SHORT_S)
    monkeypatch.setattr("checks.collect.CONNECT_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr("checks.collect.CONNECT_BUDGET_S", 2 * SHORT_S)
    with serving(lambda _: Reply(raw=ENDLESS[name])) as server:
        run = write_run(tmp_path, environment=environment_text(prometheus=server.url, connect=server.url))
        began_s = now()
        evaluation = judged(run)
        assert now() - began_s < 3 * SHORT_S + 20
    assert evaluation.verdict == "INCONCLUSIVE"


@pytest.mark.parametrize("rest_answers", [409, 302])
def test_connect_that_never_gets_to_an_answer_costs_its_budget(tmp_path, monkeypatch, rest_answers):
    monkeypatch.setattr("checks.collect.CONNECT_BUDGET_S", SHORT_S)
    reply = {
        409: Reply.of({"error_code": 409, "message": "rebalance"}, status=409),
        302: Reply(raw=WRONG["a redirect to itself"]),
    }[rest_answers]
    with serving(FakePrometheus(metrics=healthy_metrics())) as metrics, serving(lambda _: reply) as rest:
        run = write_run(tmp_path, environment=environment_text(prometheus=metrics.url, connect=rest.url))
        began_s = now()
        evaluation = judged(run)
        assert now() - began_s < SHORT_S + 20
    assert evaluation.verdict == "INCONCLUSIVE"
    assert evaluation.result("poll_total").verdict == "GO", "what Prometheus says is heard all the same"


@pytest.mark.parametrize(
    "raw",
    [FLOODS["a gzip bomb"], FLOODS["chunks without end"], WRONG["headers that are none"], WRONG["100 000 deep"]],
    ids=["gzip bomb", "chunks without end", "headers that are none", "100 000 deep"],
)
def test_the_command_leaves_with_30_and_says_nothing_of_python(tmp_path, raw):
    with serving(lambda _: Reply(raw=raw)) as server:
        environment = environment_text(prometheus=server.url, connect=server.url)
        (tmp_path / "environment.yaml").write_text(environment)
        run = write_run(tmp_path, environment=environment)
        done = subprocess.run(
            [sys.executable, "-m", "runbook", "judge", str(run), "--env", "environment.yaml"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False, timeout=120,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (30, b"")
    assert b"Traceback" not in done.stdout
