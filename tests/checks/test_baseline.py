"""A baseline: what phase 1 measured, for later runs to be compared with; and those that may not be."""

from __future__ import annotations

import json
import shutil

import pytest

from checks.judge import judge_run
from checks.metric_profiles import Role
from run_record.store import SEAL, sums
from scenarios.errors import RunRecordError
from tests.checks.html_page import read
from tests.support.records import during_look_back, healthy_metrics, scenario_text, spoil, write_evidence, write_run

#: MM2's mean latency of a healthy run is 25 ms.
CRITERIA = (
    '{id: load, measure: load.achieved, go: "== 100 %"}',
    (
        '{id: near, measure: mm2.latency_avg, go: "<= baseline + max(50 %, 20 ms)",'
        ' nogo: "> baseline + max(200 %, 100 ms)"}'
    ),
)


@pytest.fixture
def phase1(tmp_path):
    directory = write_run(tmp_path / "phase1")
    write_evidence(directory)
    assert judge_run(directory).verdict == "GO"
    return directory


@pytest.fixture
def later(tmp_path):
    """A later run whose MM2 latency is this."""

    def build(latency_ms=25.0, **settings):
        settings = {"scenario": scenario_text(CRITERIA), "run_id": "20270116T080000Z-later", **settings}
        directory = write_run(tmp_path / "later", **settings)
        write_evidence(directory, spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(latency_ms)))
        return directory

    return build


def near(judgement):
    return judgement.evaluation.result("near")


@pytest.mark.parametrize(
    ("latency_ms", "verdict"), [(25, "GO"), (44, "GO"), (46, "GREY"), (120, "GREY"), (130, "NOGO")]
)
def test_run_is_compared_with_the_baseline(phase1, later, latency_ms, verdict):
    """25 ms: GO up to 45, NOGO from 125 ms."""
    assert near(judge_run(later(latency_ms), baseline=phase1)).verdict.value == verdict


def test_baseline_is_kept_and_judges_again_without_the_other_run(phase1, later):
    directory = later(46)
    judge_run(directory, baseline=phase1)
    before = (directory / "verdict.json").read_bytes()
    shutil.rmtree(phase1)
    judge_run(directory)
    assert (directory / "verdict.json").read_bytes() == before
    kept = json.loads((directory / "baseline.json").read_text(encoding="utf-8"))
    assert kept["values"]["mm2.latency_avg"] == 25


def test_fiche_names_the_limit(phase1, later):
    directory = later(46)
    judge_run(directory, baseline=phase1)
    fiche = (directory / "fiche.md").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "≤ la référence + 50 % ou 20 ms, le plus grand" in fiche


def test_report_draws_the_limits_that_a_baseline_makes(phase1, later):
    directory = later(130)
    judge_run(directory, baseline=phase1)
    figure = read((directory / "report.html").read_text(encoding="utf-8")).by_id("figure-mm2_latency")
    assert len(figure.all("line", **{"class": "stroke limit go"})) == 1
    assert len(figure.all("line", **{"class": "stroke limit nogo"})) == 1


def test_without_a_baseline_nothing_is_better_than_before(later):
    result = near(judge_run(later()))
    assert (result.verdict.value, result.reason.code.value) == ("INCONCLUSIVE", "no_baseline")


def spoilt(directory, change):
    """The judged run with its manifest changed."""
    file = directory / "record" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    change(manifest)
    file.write_text(json.dumps(manifest), encoding="utf-8")
    (directory / "record" / SEAL).write_text(sums(directory / "record"), encoding="utf-8")
    return directory


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["environment"]["source"].update(cluster_id="other"), "cluster source other ≠ source-id"),
        (lambda m: m["environment"]["target"].update(cluster_id="other"), "cluster target other ≠ target-id"),
        (lambda m: m["versions"].update(mm2gate="0.0.1"), "mm2gate 0.0.1 ≠ 0.1.0"),
    ],
)
def test_baseline_of_another_system_is_refused(phase1, later, change, said):
    result = near(judge_run(later(), baseline=spoilt(phase1, change)))
    assert (result.verdict.value, result.reason.code.value) == ("INCONCLUSIVE", "baseline_refused")
    assert said in result.reason.params["why"]


def test_baseline_of_another_version_of_connect_is_refused(tmp_path, later):
    other = write_run(tmp_path / "phase1")
    write_evidence(other, workers=[{"url": "http://w1:8083", "version": "3.9.1", "kafka_cluster_id": "target-id"}])
    judge_run(other)
    result = near(judge_run(later(), baseline=other))
    assert result.reason.params["why"] == "connect 3.9.1 ≠ 4.3.1"


@pytest.mark.parametrize("known", ["neither", "here", "there"])
def test_baseline_of_an_unknown_version_of_connect_is_refused(tmp_path, later, known):
    silent = [{"url": "http://w1:8083", "error": "no answer"}]
    other = write_run(tmp_path / "phase1")
    write_evidence(other, **({} if known == "there" else {"workers": silent}))
    judge_run(other)
    directory = later()
    if known != "here":
        shutil.rmtree(directory / "evidence")
        write_evidence(directory, workers=silent)
    result = near(judge_run(directory, baseline=other))
    assert (result.verdict.value, result.reason.code.value) == ("INCONCLUSIVE", "baseline_refused")
    why = {"neither": "connect ?", "here": "connect ? ≠ 4.3.1", "there": "connect 4.3.1 ≠ ?"}
    assert why[known] in result.reason.params["why"]


@pytest.mark.parametrize(
    ("earlier", "now", "refused"), [("1/30", "1", True), ("1/30", "1/30", False), ("1", "1/30", False)]
)
def test_rehearsal_is_no_baseline_of_a_whole_run(tmp_path, later, earlier, now, refused):
    other = write_run(tmp_path / "phase1", rehearsal=earlier)
    write_evidence(other)
    judge_run(other)
    result = near(judge_run(later(rehearsal=now), baseline=other))
    assert (result.reason.params.get("why") == "rehearsal 1/30") is refused
    assert (result.verdict.value == "GO") is not refused


def test_baseline_that_was_not_go_is_refused(tmp_path, later):
    bad = write_run(tmp_path / "phase1")
    write_evidence(bad, spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(300.0)))
    assert judge_run(bad).verdict == "GREY"
    result = near(judge_run(later(), baseline=bad))
    assert "verdict GREY" in result.reason.params["why"]


def test_run_that_is_not_judged_is_no_baseline(tmp_path, later):
    raw = write_run(tmp_path / "phase1")
    with pytest.raises(RunRecordError, match="is not judged yet, so it is no baseline"):
        judge_run(later(), baseline=raw)


def test_measure_that_the_baseline_lacks_is_told(phase1, later):
    criteria = (CRITERIA[0], '{id: near, measure: connect.poll_rate, go: "<= baseline + max(5 %, 5 records/s)"}')
    result = near(judge_run(later(scenario=scenario_text(criteria)), baseline=phase1))
    assert result.reason.code.value == "baseline_refused"
