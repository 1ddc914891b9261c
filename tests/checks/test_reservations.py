"""Reservations: how the run was measured is in the fiche whatever the verdict, and where it matters, decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.records import HEALTHY, REMOTE

PLACE = f"{REMOTE}:1"


def test_a_run_without_a_hitch_has_no_reservations(judge):
    assert "Réserves" not in judge(e2e_from_sent_ms=[20.0] * 100).fiche


@pytest.mark.parametrize("step_s", [5.0, -5.0])
def test_a_clock_that_was_set_is_a_reservation_and_no_latency_is_doubted(judge, step_s):
    judged = judge(clock_step_s=step_s)
    assert "l'horloge murale a sauté de" in judged.fiche
    assert f"{step_s:g} s pendant le test" in judged.fiche.replace("−", "-")
    # Latencies run on a monotonic clock, which nobody can set.
    assert judged.criteria["latency_max"]["beside"]["value"] == 20
    assert judged.criteria["lost"]["verdict"] == "GO"


def test_a_clock_that_was_slewed_is_none(judge):
    assert "Réserves" not in judge(clock_step_s=0.3).fiche


def test_a_reader_that_lost_its_place_cannot_say_what_is_missing(judge):
    judged = judge(counts=replace(HEALTHY, arrived=90, late=10), lost_places=[PLACE])
    assert judged.content["verdict"] == "INCONCLUSIVE"
    assert {judged.criteria[name]["reason"]["code"] for name in ("lost", "late")} == {"lost_place"}
    assert PLACE in judged.fiche


def test_a_reader_that_lost_its_place_and_found_everything_is_a_reservation_only(judge):
    judged = judge(lost_places=[PLACE])
    assert judged.content["verdict"] == "GO"
    assert "Réserves" in judged.fiche
    assert PLACE in judged.fiche


def test_other_partitions_and_other_keys_are_named(judge):
    judged = judge(counts=replace(HEALTHY, arrived=98, late=2, misplaced=2, corrupted=1), rekeyed=True)
    assert "2 enregistrements sont arrivés sur une autre partition" in judged.fiche
    assert "une autre clé que la leur" in judged.fiche
    assert judged.content["verdict"] == "NOGO"


def test_a_sender_that_was_held_up_shows_both_figures_side_by_side(judge):
    judged = judge(e2e_ms=[20.0] * 90 + [1400.0] * 10, e2e_from_sent_ms=[20.0] * 100)
    assert "1 400 ms depuis l'échéance" in judged.fiche
    assert "20 ms depuis l'envoi" in judged.fiche
