"""The conductor: whatever its nodes do, and however the run ends, it ends in time and its sealed record says how."""

from __future__ import annotations

import io
import itertools
import time
from dataclasses import replace

import pytest
from gevent.monkey import get_original

from locust_session import conductor as conductor_module
from locust_session import drain as drain_module
from locust_session.load import Second
from locust_session.moments import MasterClock
from locust_session.progress import Progress
from locust_session.wire import ToNodes
from run_record.counts import Counts
from scenarios import secrets
from scenarios.errors import ExitCode, Refused, RunRecordError, Unreachable
from tests.locust_session import fakes
from tests.locust_session.fakes import FakeMaster, Stage, quick_plan, quicken


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    quicken(monkeypatch)


@pytest.fixture
def stage(tmp_path):
    return lambda *faults, made=None, **more: Stage(tmp_path, made or quick_plan(), *faults, **more)


def phases(record) -> list[str]:
    return [phase.name for phase in record.manifest.phases]


def test_a_run_goes_through_all_its_phases_and_is_sealed(stage):
    played = stage(made=quick_plan(watch=True, silence=True), nodes=2)
    record = played.play()
    assert record.sealed
    assert phases(record) == ["canary", "silence", "one", "two", "drain", "watch"]
    assert (record.manifest.ending.how, record.manifest.ending.aborted) == ("completed", False)
    assert record.counts() == Counts(sent=20, acked=20, arrived=20)
    assert played.conductor.exit_code is None
    assert [worker.id for worker in record.manifest.workers] == ["0", "1"]
    assert played.master.created == 1


def test_phases_follow_each_other_without_a_gap_and_loads_begin_when_they_are_due(stage):
    record = stage(made=quick_plan(watch=True, silence=True)).play()
    played = record.manifest.phases
    assert all(before.end_ns == after.start_ns for before, after in itertools.pairwise(played))
    one, two = record.manifest.phase("one"), record.manifest.phase("two")
    assert two.start_ns - one.start_ns == 50_000_000
    assert record.manifest.phase("silence").duration_s >= 0.2
    assert record.manifest.phase("watch").duration_s >= 0.2
    assert [phase.records for phase in record.manifest.of_kind("load")] == [10, 10]


def test_every_node_hears_the_whole_story_in_order(stage):
    played = stage(nodes=2)
    played.play()
    for index, node in enumerate(played.nodes):
        kinds = [kind for kind, _ in node.heard if kind != ToNodes.PULSE]
        assert kinds == [
            "mm2gate.identify",
            "mm2gate.prepare",
            "mm2gate.canaries",
            "mm2gate.start",
            "mm2gate.stop_sending",
            "mm2gate.finish",
        ]
        (prepared,) = node.told(ToNodes.PREPARE)
        assert (prepared["index"], prepared["senders"]) == (index, 2)
        assert node.told(ToNodes.FINISH) == [{"committed": {"mm2gate.a:0": 7}}]
    assert played.run_ids == {"run"}


def test_a_canary_that_does_not_cross_is_recorded_and_the_load_starts_all_the_same(stage):
    record = stage("canary_lost").play()
    (canary,) = [event for event in record.events if event["event"] == "canary"]
    assert (canary["sent"], canary["arrived"]) == (1, 0)
    assert record.manifest.phase("canary").duration_s >= 0.3
    assert record.counts().sent == 20


def test_the_canaries_of_a_node_that_was_not_heard_yet_are_awaited(stage):
    record = stage("mute", nodes=2).play()
    assert record.manifest.phase("canary").duration_s >= 0.3


def test_a_node_that_is_never_ready_ends_the_run_before_anything_is_created(stage):
    played = stage("never_ready", nodes=2)
    record = played.play()
    assert played.conductor.exit_code == ExitCode.INTERNAL
    assert "1 of 2 nodes" in played.conductor.detail
    assert played.master.created == 0
    assert record.sealed
    assert record.ledger is None


def test_a_node_that_is_never_prepared_ends_the_run_before_anything_is_sent(stage):
    played = stage("never_prepared", nodes=2)
    record = played.play()
    assert played.conductor.exit_code == ExitCode.INTERNAL
    assert "preparing the nodes" in played.conductor.detail
    assert not any(node.told(ToNodes.CANARIES) or node.told(ToNodes.START) for node in played.nodes)
    assert played.nodes[0].told(ToNodes.FINISH), "the one that was prepared closes its connections"
    assert record.sealed


def test_a_node_in_trouble_before_the_load_gives_the_run_its_exit_code_and_its_sentence(stage):
    played = stage("trouble_preparing", nodes=2)
    record = played.play()
    assert played.conductor.exit_code == ExitCode.REFUSED
    assert record.manifest.ending.how == "failed"
    assert record.manifest.ending.detail == "the target refused our login"
    assert not played.nodes[0].told(ToNodes.START)


def test_a_node_in_trouble_during_the_load_is_judged_on_what_there_is(stage):
    played = stage("trouble_sending", nodes=2)
    record = played.play()
    assert played.conductor.exit_code is None
    assert (record.manifest.ending.how, record.manifest.ending.detail) == ("failed", "the load failed: boom")
    assert record.ledger is not None


def test_trouble_that_comes_after_somebody_pressed_stop_does_not_make_it_a_refusal(stage):
    played = stage("never_prepared")

    def stop() -> None:
        while not played.nodes[0].told(ToNodes.PREPARE):
            time.sleep(0.002)
        played.conductor.end_early("stopped")
        played.conductor.node_trouble("0", "too late", 40)

    record = played.play(stop)
    assert record.manifest.ending.how == "stopped"
    assert played.conductor.exit_code is None


@pytest.mark.parametrize("error", [Refused("needs CREATE"), Unreachable("no answer")])
def test_topics_that_cannot_be_created_end_the_run_with_the_guards_code(stage, error):
    played = stage(master=FakeMaster(create=error))
    record = played.play()
    assert played.conductor.exit_code == ExitCode.REFUSED
    assert record.manifest.ending.detail == str(error)
    assert not played.nodes[0].told(ToNodes.PREPARE)


def test_a_bug_in_the_load_is_a_failed_run_not_a_hang(stage):
    played = stage(master=FakeMaster(create=KeyError("boom")))
    record = played.play()
    assert record.manifest.ending.detail == "KeyError: 'boom'"
    assert record.sealed


class TellingMaster(FakeMaster):
    """Says in its errors what it logs in with."""

    def __init__(self, where: str, kind: type[Exception]) -> None:
        super().__init__()
        self._where, self._kind = where, kind

    def create(self) -> list[str]:
        return self._told("create", super().create)

    def committed(self) -> dict[str, int]:
        return self._told("committed", super().committed)

    def _told(self, where, answer):
        if where == self._where:
            raise self._kind("login with sentinel-password")
        return answer()


@pytest.mark.parametrize("where", ["create", "committed"])
@pytest.mark.parametrize("kind", [KeyError, Refused, Unreachable])
def test_a_secret_in_whatever_went_wrong_is_in_no_file_of_the_record_and_nowhere_on_the_screen(
    stage, where, kind, monkeypatch, capsys, caplog
):
    monkeypatch.setattr(secrets, "_KNOWN", secrets._Known())
    secrets.keep_hidden("sentinel-password", login="load")
    record = stage(master=TellingMaster(where, kind)).play()
    files = [path for path in record.directory.rglob("*") if path.is_file()]
    assert not [path.name for path in files if b"sentinel" in path.read_bytes()]
    assert any(b"login with (hidden)" in path.read_bytes() for path in files)
    assert "sentinel" not in "".join((*capsys.readouterr(), *map(caplog.handler.format, caplog.records)))


def test_committed_offsets_that_cannot_be_had_are_said_and_the_account_goes_on(stage):
    played = stage(master=FakeMaster(committed=Unreachable("Connect is down")))
    record = played.play()
    assert "committed_offsets_unknown" in played.events(record)
    assert played.nodes[0].told(ToNodes.FINISH) == [{"committed": {}}]
    assert record.counts().sent == 20


def test_what_nodes_saw_happen_is_an_event_once(stage):
    played = stage()
    (node,) = played.nodes
    second, finish = node._second, node._finish
    node._second = lambda: replace(second(), notes=({"event": "topic_changed", "what": "gone"},))

    def account(data) -> None:
        finish(data)
        played.conductor.crew.by_id["0"].account["notes"] = [{"event": "topic_changed", "what": "remade"}]

    node._finish = account
    record = played.play()
    changed = [event for event in record.events if event["event"] == "topic_changed"]
    assert [event["what"] for event in changed] == ["gone", "remade"]
    names = [event["event"] for event in record.events]
    assert names.index("topic_changed") < names.index("run_ended")


def test_only_of_a_run_that_is_ended_the_nodes_hear_that_someone_waits(stage):
    played = stage()
    played.play()
    assert played.nodes[0].told(ToNodes.STOP_SENDING) == [{}]
    played = stage()
    played.play(played.when("one", lambda: played.conductor.end_early("sigterm")))
    assert played.nodes[0].told(ToNodes.STOP_SENDING) == [{}, {"hurried": True}]


class SlowMaster(FakeMaster):
    """Connect rebalances, and says nothing for longer than anybody waits."""

    def committed(self) -> dict[str, int]:
        time.sleep(8)
        raise AssertionError("nobody waited so long")


@pytest.mark.parametrize("phase", ["one", "drain"], ids=["before they are asked for", "or while they are"])
def test_a_run_that_is_ended_does_not_wait_long_for_committed_offsets(stage, phase):
    played = stage(master=SlowMaster())

    def end() -> None:
        if phase == "drain":
            time.sleep(0.5)  # a drain of which everything has arrived takes less
        played.conductor.end_early("sigterm")

    began_s = time.monotonic()
    record = played.play(played.when(phase, end))
    assert time.monotonic() - began_s < 20
    (unknown,) = [event for event in record.events if event["event"] == "committed_offsets_unknown"]
    assert "not told within" in unknown["reason"]
    assert played.nodes[0].told(ToNodes.FINISH) == [{"committed": {}}]
    assert record.sealed
    assert record.ledger is not None


def test_the_load_ends_when_its_last_record_was_sent_not_when_the_nodes_next_report(stage, monkeypatch):
    monkeypatch.setattr(fakes, "REPORT_EVERY_S", 0.4)
    played = stage(nodes=2)
    record = played.play()
    last_sent_ns = max(node._last_sent_ns for node in played.nodes)
    one, two = record.manifest.of_kind("load")
    planned_end_ns = one.start_ns + 100_000_000
    assert two.end_ns == max(planned_end_ns, one.start_ns + last_sent_ns)
    assert record.manifest.phase("drain").start_ns == two.end_ns


def test_a_load_that_was_not_sent_whole_ends_when_it_was_told_to_stop(stage, monkeypatch):
    monkeypatch.setattr(conductor_module, "OVERTIME_S", 0.5)
    record = stage("slow").play()
    one, two = record.manifest.of_kind("load")
    assert two.end_ns - one.start_ns >= 400_000_000


def test_a_generator_that_is_behind_gets_its_overtime_and_then_stops(stage, monkeypatch):
    monkeypatch.setattr(conductor_module, "OVERTIME_S", 0.5)
    played = stage("slow")
    record = played.play()
    assert record.manifest.ending.how == "completed"
    (event,) = [event for event in record.events if event["event"] == "load_incomplete"]
    assert (event["planned"], event["sent"]) == (20, 10)
    assert record.manifest.phase("two").duration_s >= 0.05 + 0.3


# --- the drain -------------------------------------------------------------------------------------------------------


def test_a_drain_ends_when_all_has_arrived(stage):
    record = stage(made=quick_plan(patience="10s", cap="20s")).play()
    assert record.manifest.phase("drain").duration_s < 5


@pytest.mark.parametrize("fault", ["loses", "stuck"])
def test_a_drain_without_progress_ends_after_its_patience(stage, fault):
    record = stage(fault, made=quick_plan(cap="20s")).play()
    assert 0.3 <= record.manifest.phase("drain").duration_s < 10
    assert record.manifest.ending.how == "completed"
    assert record.counts().late > 0


def test_a_drain_that_moves_for_ever_ends_at_its_cap(stage):
    record = stage("arriving_for_ever", made=quick_plan(patience="10s")).play()
    assert 1.0 <= record.manifest.phase("drain").duration_s < 5


# --- a process that stands still --------------------------------------------------------------------------------------


def freeze(seconds: float) -> None:
    """Nothing of this process runs meanwhile, as under SIGSTOP."""
    get_original("time", "sleep")(seconds)


def test_a_drain_that_stood_still_still_hears_what_arrived_meanwhile(stage):
    played = stage(made=quick_plan(patience="500ms", cap="20s"))
    played.nodes[0].waits = True

    def stand_still() -> None:
        freeze(2.0)
        time.sleep(0.1)
        played.nodes[0].waits = False

    record = played.play(played.when("drain", stand_still))
    assert (record.counts().arrived, record.counts().late) == (20, 0)
    (stall,) = [event for event in record.events if event["event"] == "stood_still"]
    assert stall["worker"] is None
    assert stall["lasted_s"] == pytest.approx(2.0, abs=0.5)
    assert record.manifest.phase("drain").start_ns <= stall["from_ns"] <= stall["at_ns"] - 1_500_000_000


def test_canaries_that_cross_while_the_run_stands_still_have_crossed(stage):
    played = stage("canary_lost")

    def stand_still() -> None:
        freeze(2.0)
        time.sleep(0.05)
        played.nodes[0]._canaries = True

    record = played.play(played.when("canary", stand_still))
    (canary,) = [event for event in record.events if event["event"] == "canary"]
    assert (canary["sent"], canary["arrived"]) == (1, 1)


def test_seconds_that_the_master_stood_still_are_missing_and_not_made_up(stage):
    played = stage(made=quick_plan(load_s=4.5))

    def stand_still() -> None:
        time.sleep(1.2)
        freeze(3.0)

    record = played.play(played.when("one", stand_still))
    assert record.manifest.ending.how == "completed"
    assert record.counts().sent == played.conductor.plan.record_count
    ats_ns = [row.at_ns for row in record.timeline]
    apart_s = [(after - before) / 1e9 for before, after in itertools.pairwise(ats_ns)]
    assert max(apart_s) > 2.5
    assert min(apart_s) > 0.5, "rows of one instant would be a second each in a chart"


def test_a_worker_that_is_silent_in_the_drain_is_waited_for(stage, monkeypatch):
    monkeypatch.setattr(drain_module, "SILENT_S", 0.1)
    played = stage(nodes=2, made=quick_plan(patience="400ms", cap="20s"))
    played.nodes[1].waits = True

    def stand_still() -> None:
        monkeypatch.setattr(fakes, "REPORT_EVERY_S", 1.5)
        time.sleep(2.0)
        played.nodes[1].waits = False
        monkeypatch.setattr(fakes, "REPORT_EVERY_S", 0.02)

    record = played.play(played.when("drain", stand_still))
    assert (record.counts().arrived, record.counts().late) == (20, 0)


# --- ends ------------------------------------------------------------------------------------------------------------

ALL = ["canary", "silence", "one", "two", "drain", "watch"]


@pytest.mark.parametrize(
    ("phase", "how"), list(zip(ALL, ["stopped", "sigterm", "sigint", "run_time", "stopped", "sigterm"], strict=True))
)
def test_a_run_that_is_ended_in_any_phase_drains_and_seals(stage, how, phase):
    faults = ["canary_lost"] if phase == "canary" else ["loses"] if phase == "drain" else []
    played = stage(*faults, made=quick_plan(watch=True, silence=True, long=phase))
    began = time.monotonic()
    record = played.play(played.when(phase, lambda: played.conductor.end_early(how, "why")))
    assert time.monotonic() - began < 20
    assert record.sealed
    assert (record.manifest.ending.how, record.manifest.ending.aborted) == (how, True)
    assert record.manifest.ending.detail == "why"
    assert played.conductor.exit_code is None
    loaded = phase in ("one", "two", "drain", "watch")
    wanted = ALL[: ALL.index(phase) + 1]
    assert phases(record) == wanted + (["drain"] if loaded and "drain" not in wanted else [])
    assert played.nodes[0].told(ToNodes.FINISH)
    assert bool(played.nodes[0].told(ToNodes.START)) == loaded
    counts = record.counts()
    assert counts.balanced
    assert counts.sent == (20 if phase in ("drain", "watch") else counts.acked)


def test_a_run_that_is_ended_before_its_nodes_are_ready_writes_nothing_anywhere(stage):
    played = stage("never_ready")
    record = played.play(lambda: played.conductor.end_early("sigint"))
    assert record.manifest.ending.how == "sigint"
    assert played.master.created == 0
    assert played.conductor.exit_code is None


def test_only_the_first_reason_counts(stage):
    played = stage()

    def twice() -> None:
        played.conductor.end_early("sigterm", "first")
        played.conductor.end_early("stopped", "second")

    record = played.play(played.when("one", twice))
    assert (record.manifest.ending.how, record.manifest.ending.detail) == ("sigterm", "first")
    played.conductor.end_early("stopped")
    assert played.conductor.how == "sigterm"


def test_an_ended_run_waits_only_a_little_for_what_does_not_come(stage):
    played = stage("stuck", made=quick_plan(load_s=1, patience="10s", cap="20s"))
    record = played.play(played.when("one", lambda: played.conductor.end_early("sigterm")))
    assert record.manifest.phase("drain").duration_s < 5


REQUEST = {"criterion": "p99", "value": 250, "unit": "ms", "go": "< 100 ms", "nogo_since_ns": 1, "seen_at_ns": 2}


def test_a_load_that_a_criterion_ended_is_drained_and_watched_in_full(stage):
    played = stage("loses", nodes=2, made=quick_plan(watch=True, load_s=20))
    record = played.play(played.when("one", lambda: played.conductor.end_load(REQUEST)))
    ending = record.manifest.ending
    assert (ending.how, ending.aborted, ending.detail) == ("criterion", False, "p99")
    assert (ending.cut.criterion, ending.cut.value, ending.cut.nogo_since_ns) == ("p99", 250, 1)
    assert phases(record) == ["canary", "one", "drain", "watch"]
    assert record.manifest.phase("drain").duration_s >= 0.3  # its own patience, for the one that never arrives
    assert record.manifest.phase("watch").duration_s >= 0.2
    assert "load_cut_short" in played.events(record)
    assert played.conductor.exit_code is None
    assert "p99 has been NOGO" in played.screen.getvalue()
    # Nodes stop at instants of their own: what counts as due is what all of them had been asked for.
    assert 0 < ending.cut.due_records <= record.counts().sent + 2
    assert record.counts().sent < 4000


@pytest.mark.parametrize("phase", ["canary", "silence", "drain", "watch"])
def test_outside_of_the_load_nothing_is_ended(stage, phase):
    played = stage(made=quick_plan(watch=True, silence=True))
    record = played.play(played.when(phase, lambda: played.conductor.end_load(REQUEST)))
    assert record.manifest.ending.how == "completed"
    assert record.manifest.ending.cut is None


def test_stop_after_a_criterion_ended_the_load_hurries_the_drain_and_is_what_the_record_says(stage):
    played = stage("arriving_for_ever", made=quick_plan(load_s=2, cap="20s"))

    def both() -> None:
        played.conductor.end_load(REQUEST)
        time.sleep(0.05)
        played.conductor.end_early("stopped")

    record = played.play(played.when("one", both))
    assert (record.manifest.ending.how, record.manifest.ending.aborted) == ("stopped", True)
    assert record.manifest.phase("drain").duration_s < 10


# --- lost nodes ------------------------------------------------------------------------------------------------------


def test_a_node_that_gives_no_account_is_named_and_what_it_owned_is_unaccounted_for(stage):
    record = stage("no_account", nodes=2).play()
    (event,) = [event for event in record.events if event["event"] == "account_missing"]
    assert event["workers"] == ["1"]
    assert record.ledger["unaccounted"] == [{"worker": "1", "owned": ["mm2gate.a:1"], "sent": 10}]
    assert record.counts().sent == 10


def test_an_account_that_cannot_be_read_is_an_internal_error_not_a_hang(stage):
    played = stage("broken_account")
    record = played.play()
    assert played.conductor.exit_code == ExitCode.INTERNAL
    assert "KeyError" in played.conductor.detail
    assert not record.sealed
    for stream in played.conductor._chronicle._writer._streams.values():
        stream.close()


def test_a_node_lost_during_the_load_is_not_waited_for_and_not_forgotten(stage):
    played = stage(nodes=2)

    def lose() -> None:
        played.nodes[1].kill()
        for _ in range(3):  # Locust is asked each second
            played.conductor.node_lost("1")

    record = played.play(played.when("one", lose))
    assert [event["owned"] for event in record.events if event["event"] == "worker_lost"] == [["mm2gate.a:1"]]
    assert record.ledger["unaccounted"][0]["worker"] == "1"
    assert record.counts().sent == 10
    assert record.manifest.ending.how == "completed"
    assert "two" in phases(record)


def test_the_loss_of_every_node_ends_the_run(stage):
    played = stage(made=quick_plan(load_s=30))
    began = time.monotonic()

    def lose() -> None:
        played.nodes[0].kill()
        played.conductor.node_lost("0")

    record = played.play(played.when("one", lose))
    assert time.monotonic() - began < 20
    assert record.manifest.ending.how == "worker_lost"
    assert record.ledger is None


def test_a_stranger_is_not_listened_to(stage):
    played = stage()

    def speak() -> None:
        played.conductor.node_ready("late", "host", 2)
        played.conductor.crew.account("late", {})
        played.conductor.crew.prepared("late", [])
        played.conductor.crew.second("late", Second(sent=1000))
        played.conductor.crew.trouble("late")
        played.conductor.node_lost("late")
        played.conductor.node_trouble("late", "no such scenario here", 64)

    record = played.play(played.when("one", speak))
    assert [worker.id for worker in record.manifest.workers] == ["0"]
    assert record.manifest.ending.how == "completed"


# --- those who look on ------------------------------------------------------------------------------------------------


class Unread(io.StringIO):
    """A pipe whose reader went away, or a terminal that was closed."""

    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


class UnreadTerminal(Unread):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("screen", [Unread, UnreadTerminal])
@pytest.mark.parametrize("gitlab", [{}, {"GITLAB_CI": "true"}])
def test_a_run_that_nobody_looks_at_any_more_goes_on_to_its_end(stage, screen, gitlab):
    played = stage(made=quick_plan(watch=True, load_s=1.4))
    played.conductor.progress = Progress(screen(), gitlab)
    record = played.play()
    assert record.manifest.ending.how == "completed"
    assert record.counts() == Counts(sent=280, acked=280, arrived=280)
    assert record.timeline
    assert record.sealed


def test_a_run_that_nobody_looks_at_any_more_can_be_ended(stage):
    played = stage(made=quick_plan(load_s=30))
    played.conductor.progress = Progress(Unread(), {})
    began_s = time.monotonic()
    record = played.play(played.when("one", lambda: played.conductor.end_early("sigterm")))
    assert time.monotonic() - began_s < 20
    assert (record.manifest.ending.how, record.manifest.ending.aborted) == ("sigterm", True)
    assert record.sealed


# --- record and clock ------------------------------------------------------------------------------------------------


def test_a_runs_directory_that_cannot_be_written_is_one_sentence_and_no_judge(tmp_path):
    (tmp_path / "file").write_text("")
    played = Stage(tmp_path / "file", quick_plan())
    played.nodes[0].start()
    played.conductor.play()
    assert played.conductor.directory is None
    assert played.conductor.exit_code == ExitCode.INTERNAL
    assert "--runs-dir" in played.conductor.detail


def test_a_disk_that_fills_up_during_the_load_ends_it(stage, monkeypatch):
    played = stage(made=quick_plan(load_s=30))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    def fill() -> None:
        monkeypatch.setattr(played.conductor._chronicle._writer, "timeline", full)

    began = time.monotonic()
    record = played.play(played.when("one", fill))
    assert time.monotonic() - began < 20
    assert record.manifest.ending.how == "failed"
    assert "No space left on device" in record.manifest.ending.detail


@pytest.mark.parametrize("event", ["worker_lost", "load_cut_short"])
def test_what_others_bring_and_the_disk_does_not_take_ends_the_run_and_is_not_their_trouble(stage, monkeypatch, event):
    played = stage(made=quick_plan(load_s=3), nodes=2)
    raised = []

    def bring() -> None:
        writer = played.conductor._chronicle._writer
        write = writer.event

        def full(name, **more):
            if name == event:
                raise RunRecordError("events.jsonl: the record cannot be written (No space left on device)")
            write(name, **more)

        monkeypatch.setattr(writer, "event", full)
        played.nodes[1].kill()
        try:
            if event == "worker_lost":
                played.conductor.node_lost("1")
            else:
                played.conductor.end_load(REQUEST)
        except RunRecordError as error:
            raised.append(error)

    record = played.play(played.when("one", bring))
    assert raised == []
    assert record.manifest.ending.how == "failed"
    assert "No space left on device" in record.manifest.ending.detail


def test_a_row_that_cannot_be_made_ends_the_run_with_a_reason_rather_than_in_silence(stage, monkeypatch):
    played = stage(made=quick_plan(load_s=3))
    record = played.play(played.when("one", lambda: monkeypatch.setattr(played.conductor._states, "_rows", None)))
    assert record.manifest.ending.how == "failed"
    assert "TypeError" in record.manifest.ending.detail


def test_each_second_is_a_row_and_a_pulse_to_the_nodes(stage):
    played = stage(made=quick_plan(load_s=1.4))
    record = played.play()
    assert len(record.timeline) >= 1
    row = record.timeline[-1]
    assert row.phase in ("one", "two", "drain")
    assert 0 < row.sent <= played.conductor.plan.record_count == 280
    assert 100 < row.wanted <= 280
    assert row.e2e.max_ms == 1
    assert len(played.nodes[0].told(ToNodes.PULSE)) >= len(record.timeline)
    assert "sent" in played.screen.getvalue()


class Wall:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.step_ns = 0

    def __call__(self) -> int:
        return time.time_ns() + self.step_ns


@pytest.mark.parametrize("step_s", [5, -5])
def test_a_wall_clock_that_is_set_before_the_load_bends_neither_windows_nor_the_start(stage, step_s):
    wall = Wall()
    played = stage(made=quick_plan(silence=True), clock=MasterClock(wall_ns=wall))

    def step() -> None:
        wall.step_ns = step_s * 10**9

    record = played.play(played.when("silence", step))
    assert record.manifest.phase("silence").duration_s == pytest.approx(0.2, abs=2)
    (start,) = played.nodes[0].told(ToNodes.START)
    # A node goes by the reading of its wall clock that it compared with the master's, before either was set.
    assert abs(start["start_unix_ns"] - record.manifest.phase("one").start_ns) < 20_000_000
    assert record.manifest.clock.largest_step_ns == pytest.approx(step_s * 10**9, abs=20_000_000)
    assert record.manifest.clock.wall_minus_monotonic_end_ns - record.manifest.clock.wall_minus_monotonic_start_ns == (
        pytest.approx(step_s * 10**9, abs=20_000_000)
    )
