"""What breaks under a run is told for what it is: a verdict, no hang, and nothing lost of what was recorded before. The
runs are those of tests/lab/broken.py, and one of tests/lab/truths.py."""

from __future__ import annotations

import pytest

from tests.lab.broken import FAULTS_AT_LENGTH_RECORDS, INSTANTS, REFUSED, Broken
from tests.lab.runs import FAULTS_RECORDS, Run, assert_drained, mm2gate
from tests.lab.truths import Truths


def whole(run: Run) -> dict[str, int]:
    """The totals of a record that is sealed and adds up."""
    record = run.record
    assert record.sealed, run.output
    counts = record.counts()
    assert counts is not None
    assert counts.balanced, counts
    assert "Traceback" not in run.output
    return run.totals


def test_source_topic_deleted_mid_run_is_send_errors_by_name_and_nothing_lost(broken: Broken) -> None:
    run = broken.deleted.result()
    totals = whole(run)
    assert run.process.returncode in (20, 30), run.output
    assert totals["arrived"] > 300
    assert totals["failed"] + totals["unknown"] > 300, totals
    assert totals["lost"] == 0, "MM2 may not have had them before they were gone; nobody can tell"
    assert run.criteria["send_errors"]["verdict"] != "GO"
    assert run.record.ledger is not None
    assert run.record.ledger["last_errors"], "what the source said"


def test_target_read_refused_mid_run_is_inconclusive_by_name_never_lost(broken: Broken) -> None:
    run = broken.refused.result()
    totals = whole(run)
    assert run.process.returncode == 30, run.output
    assert totals["sent"] == totals["acked"] == FAULTS_AT_LENGTH_RECORDS
    assert 0 < totals["arrived"] < FAULTS_AT_LENGTH_RECORDS
    assert totals["lost"] == 0, "it could not be read, which proves nothing"
    assert run.record.ledger is not None
    assert run.record.ledger["read_refused"] == [REFUSED]
    assert run.criteria["lost"]["reason"]["code"] == "read_refused"
    assert REFUSED in run.fiche


def test_disk_full_under_the_runs_ends_the_load_with_a_sentence_and_what_was_recorded_is_judged(
    broken: Broken,
) -> None:
    run = broken.full.result()
    assert run.process.returncode in (50, 70), run.output
    assert "record cannot be written" in run.output, run.output
    assert "Traceback" not in run.output, run.output
    assert 0 < max(row.sent for row in run.record.timeline) < 300 * 60, "the load was ended"
    assert run.record.torn == ()
    done = mm2gate("judge", str(run.directory))
    assert done.returncode == 50, done.stdout + done.stderr
    assert run.verdict["aborted"] is True
    assert "INDÉTERMINÉ" in run.fiche


@pytest.mark.parametrize("instant", range(INSTANTS))
def test_sigterm_at_a_random_instant_leaves_a_whole_record(broken: Broken, instant: int) -> None:
    run, what = broken.ended[instant].result()
    code = run.process.returncode
    assert "Traceback" not in run.output, what
    directories = list(run.runs_directory.iterdir()) if run.runs_directory.exists() else []
    if not directories:
        assert code == 50, what
        return
    record = run.record
    assert record.sealed, what
    assert record.manifest.ending is not None
    if record.manifest.ending.how == "completed":  # it came while the record was being judged
        assert code in (0, 50), what
    else:
        assert (code, record.manifest.ending.how) == (50, "sigterm"), what
    if record.counts() is not None:
        assert_drained(record)


def test_target_broker_restarted_mid_run_loses_nothing(truths: Truths) -> None:
    run = truths.restarted.result()
    totals = whole(run)
    assert totals["sent"] == totals["acked"] == FAULTS_RECORDS
    assert totals["lost"] == 0
    assert totals["arrived"] + totals["late"] == FAULTS_RECORDS
    assert run.process.returncode in (0, 20), run.output
    assert "worker_lost" not in {event["event"] for event in run.record.events}
