"""Truths about the gate itself, on real Kafka, MM2 and Prometheus: clean is GO, sabotage is NOGO, blindness is
INCONCLUSIVE. The runs are those of tests/lab/truths.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from checks.pages import unfilled_lines
from tests.lab.runs import mm2gate
from tests.lab.truths import Truths

LEDGER_CRITERIA = (
    "produced",
    "send_errors",
    "on_target",
    "lost",
    "late",
    "duplicated",
    "reordered",
    "corrupted",
    "phantom",
)


def test_clean_is_go_with_nothing_lost(truths: Truths) -> None:
    run = truths.clean.result()
    assert run.process.returncode == 0, run.output
    assert run.verdict["verdict"] == "GO"
    assert {name: run.totals[name] for name in ("sent", "acked", "arrived")} == {
        "sent": 100,
        "acked": 100,
        "arrived": 100,
    }
    assert all(run.totals[name] == 0 for name in ("lost", "late", "duplicated", "reordered", "corrupted", "phantom")), (
        run.totals
    )
    assert "INDÉTERMINÉ" not in run.fiche


def test_clean_fiche_fills_every_line_of_the_page(truths: Truths) -> None:
    run = truths.clean.result()
    assert unfilled_lines("phase1_smoke", run.fiche) == []


def test_copied_record_judged_offline_gives_the_same_bytes(truths: Truths, tmp_path: Path) -> None:
    run = truths.clean.result()
    copy = tmp_path / "elsewhere" / run.directory.name
    shutil.copytree(run.directory, copy)
    before = {name: (copy / name).read_bytes() for name in ("verdict.json", "fiche.md")}
    for name in before:
        (copy / name).unlink()
    # No network at all: an address that answers would be as wrong as one that does not.
    done = mm2gate("judge", str(copy), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: (copy / name).read_bytes() for name in before} == before


def test_filter_that_drops_the_topic_is_nogo_and_every_record_is_accounted_for(truths: Truths) -> None:
    run = truths.filtered.result()
    assert run.process.returncode == 20, run.output
    totals = run.totals
    assert totals["acked"] == 100
    assert totals["lost"] + totals["late"] == totals["acked"]
    assert run.criteria["on_target"]["verdict"] == "NOGO"
    # MM2 polled them, and wrote none: the page's second row.
    assert run.criteria["poll_total"]["verdict"] == "GO"
    assert run.criteria["write_total"]["value"] == 0
    assert "write = 0, poll > 0" in run.fiche


def test_paused_connector_is_nogo_and_named(truths: Truths) -> None:
    run = truths.paused.result()
    assert run.process.returncode == 20, run.output
    assert run.totals["late"] == run.totals["acked"] == 100
    assert run.criteria["not_running"]["verdict"] == "NOGO"
    assert "PAUSED" in run.fiche


def test_prometheus_lost_mid_run_is_inconclusive_with_the_ledger_still_judged(truths: Truths) -> None:
    run = truths.blind.result()
    assert run.process.returncode == 30, run.output
    assert run.verdict["verdict"] == "INCONCLUSIVE"
    assert {run.criteria[name]["verdict"] for name in LEDGER_CRITERIA} == {"GO"}
    assert run.criteria["poll_total"]["verdict"] == "INCONCLUSIVE"


def test_verdict_file_keeps_its_contract(truths: Truths) -> None:
    run = truths.clean.result()
    content = json.loads((run.directory / "verdict.json").read_text(encoding="utf-8"))
    assert {
        "schema",
        "scenario",
        "run_id",
        "verdict",
        "exit_code",
        "aborted",
        "rehearsal",
        "criteria",
    } <= content.keys()
    for criterion in content["criteria"]:
        wanted = {"id", "verdict", "value", "unit", "go", "nogo", "samples", "window", "source", "reason"}
        assert wanted <= criterion.keys()
