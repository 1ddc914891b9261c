"""What somebody did to the topics is not laid at MM2's door, and never makes a GO that is none: right verdict, exact
counts, right reason. The runs are those of tests/lab/blamed.py."""

from __future__ import annotations

from tests.lab.blamed import PARTITIONS, Blamed, Played


def whole(played: Played) -> dict[str, int]:
    record = played.run.record
    assert record.sealed, played.run.output
    counts = record.counts()
    assert counts is not None
    assert counts.balanced, counts
    assert "Traceback" not in played.run.output
    return played.run.totals


def test_a_mirror_deleted_mid_run_is_never_go_and_only_what_it_holds_is_on_the_target(blamed: Blamed) -> None:
    played = blamed.remade.result()
    totals = whole(played)
    assert played.run.process.returncode == 20, played.run.output
    assert totals["sent"] == totals["acked"] == 6000
    assert totals["lost"] == 0, "MM2 wrote it all; somebody deleted it"
    arrived = played.run.criteria["arrived"]
    assert arrived["value"] == totals["arrived"] - totals["gone"] + totals["unread"] == played.seen["held"]
    assert 0 < arrived["value"] < 6000
    assert (arrived["verdict"], arrived["reason"]["code"]) == ("NOGO", "mirror_remade")
    assert arrived["reason"]["params"]["topic"] == played.mirror
    changes = [event for event in played.run.record.events if event["event"] == "topic_changed"]
    (change,) = [event for event in changes if event["what"] == "remade"]
    assert change["topic"] == played.mirror
    steady = played.run.record.manifest.phase("steady")
    assert steady is not None
    assert steady.start_ns < arrived["reason"]["params"]["at_ns"] <= change["at_ns"] + 2_000_000_000
    assert played.mirror in played.run.fiche


def test_what_was_purged_at_the_source_is_lost_and_named_with_its_count(blamed: Blamed) -> None:
    played = blamed.purged.result()
    totals = whole(played)
    assert played.run.process.returncode == 20, played.run.output
    assert totals["sent"] == totals["acked"] == 6000
    assert totals["purged"] == totals["lost"] == played.seen["purged"] > 0
    assert (totals["late"], totals["unread"], totals["duplicated"]) == (0, 0, 0)
    lost = played.run.criteria["lost"]
    assert (lost["verdict"], lost["reason"]["code"]) == ("NOGO", "purged")
    assert lost["reason"]["params"]["count"] == played.seen["purged"]
    assert "effacés de la source" in played.run.fiche


def test_half_an_envelope_by_a_stranger_is_foreign_and_the_run_is_go(blamed: Blamed) -> None:
    played = blamed.garbage.result()
    totals = whole(played)
    assert played.run.process.returncode == 0, played.run.output
    assert played.seen["garbage"] == 2 * PARTITIONS
    assert (totals["foreign"], totals["corrupted"]) == (2 * PARTITIONS, 0)
    assert totals["arrived"] == totals["sent"] == 1800
    assert played.run.criteria["corrupted"]["verdict"] == "GO"
