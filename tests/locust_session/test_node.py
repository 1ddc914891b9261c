"""A node of a run: it shows who it is before it prepares, says what goes wrong, and tells its own standing still from
its master's silence."""

from __future__ import annotations

import time
from argparse import Namespace

import gevent
import pytest
from gevent.monkey import get_original
from locust.env import Environment

from locust_session import node as node_module
from locust_session import stalls
from locust_session.identity import identity_of
from locust_session.load import Second
from locust_session.moments import NodeClock
from locust_session.node import NodeSession
from locust_session.wire import ToMaster, ToNodes, pack, unpack
from mm2_users.replication_user import ReplicationUser
from scenarios.errors import ExitCode, Mm2gateError, Refused
from tests.locust_session.fakes import CLUSTERS, FakeMaster
from tests.scenarios.examples import ENVIRONMENT, SCENARIO, plan


def chosen(files) -> Namespace:
    options = {"rehearsal": "1", "runs_dir": str(files / "runs"), "confirm": "", "headless": False, "run_time": None}
    return Namespace(scenario=str(files / "good.yaml"), env=str(files / "desk.yaml"), load="own", set="", **options)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "good.yaml").write_text(SCENARIO)
    (tmp_path / "desk.yaml").write_text(ENVIRONMENT)
    return tmp_path


class Load:
    """`NodeLoad` that does what it is told to do wrong."""

    step_every_s = 0.002

    def __init__(self, *, prepare=lambda: None, second=Second, step=lambda: None, identify=lambda: None) -> None:
        self._prepare, self._second, self._step, self._identify = prepare, second, step, identify
        self.stopped = self.finished = self.held = False
        self.steps = self.looks = 0
        self.asked = 0
        self.started_ns: list[int] = []

    def versions(self) -> dict[str, str]:
        return FakeMaster().versions()

    def identify(self):
        self.asked += 1
        return self._identify() or CLUSTERS

    def step(self) -> None:
        self.steps += 1
        self._step()

    def prepare(self, _):
        self._prepare()
        return ["mine"]

    def send_canaries(self) -> None: ...

    def start(self, start_ns: int) -> None:
        self.started_ns.append(start_ns)

    def play(self, phase: int, start_s: float) -> None: ...

    def hold_sending(self) -> None:
        self.held = True

    def resume_sending(self) -> None:
        self.held = False

    def stop_sending(self) -> None:
        self.stopped = True

    def second(self) -> Second:
        return self._second()

    def look(self) -> None:
        self.looks += 1

    def finish(self, _, *, hurried=False):
        self.finished, self.hurried = True, hurried
        return {"account": True}


@pytest.fixture
def make_node(files):
    """A node whose messages to the master are kept, and a way to speak to it."""

    def make(load: Load, clock: NodeClock | None = None):
        environment = Environment(parsed_options=chosen(files))
        runner = environment.create_local_runner()
        sent: list[tuple[str, str, dict]] = []
        for kind in ToMaster:
            runner.register_message(kind, lambda msg, kind=kind, **_: sent.append((kind, *unpack(msg.data))))
        node = NodeSession(environment, lambda *_: load, clock=clock)
        node.host()

        def tell(kind: ToNodes, run_id: str = "run", **data) -> None:
            runner.send_message(kind, pack(run_id, data))
            gevent.sleep(0.01)

        return node, tell, sent

    return make


SHARE = {"index": 0, "senders": 1}


def question(apart_s: float = 0.0, **other) -> dict:
    """From a master whose clock is so much ahead, and which plays the same but for `other`."""
    now_unix_ns = time.time_ns() + round(apart_s * 10**9)
    clocks = {"heard_unix_ns": now_unix_ns, "now_unix_ns": now_unix_ns}
    master = identity_of(plan(), versions=FakeMaster().versions(), load="own", senders=1)
    return {"master": {**master.model_dump(), **other}, "senders": 1, **clocks}


def muster_and_prepare(tell, run_id: str = "run") -> None:
    """What every node hears first."""
    tell(ToNodes.IDENTIFY, run_id, **question())
    tell(ToNodes.PREPARE, run_id, **SHARE)


OFFERED = ["mm2gate.ready", "mm2gate.identity"]


def kinds(sent) -> list[str]:
    return [str(kind) for kind, _, _ in sent]


def test_a_node_offers_itself_prepares_reports_and_gives_its_account(make_node):
    load = Load()
    node, tell, sent = make_node(load)
    muster_and_prepare(tell)
    tell(ToNodes.STOP_SENDING)
    tell(ToNodes.FINISH, committed={})
    assert kinds(sent) == [*OFFERED, "mm2gate.prepared", "mm2gate.second", "mm2gate.account"]
    assert load.stopped
    assert load.finished
    node.close()


@pytest.mark.parametrize(("apart_s", "ahead_s"), [(5, -5), (-5, 5)])
def test_a_node_whose_clock_is_seconds_from_the_masters_says_so_and_takes_no_part(make_node, apart_s, ahead_s):
    load = Load()
    node, tell, sent = make_node(load)
    tell(ToNodes.IDENTIFY, **question(apart_s))
    assert sent[-1][0] == ToMaster.IDENTITY
    assert sent[-1][2]["ahead_ns"] / 1e9 == pytest.approx(ahead_s, abs=0.5)
    tell(ToNodes.PREPARE, **SHARE)
    assert sent[-1][2]["exit_code"] == ExitCode.REFUSED
    assert load.asked == 0
    node.close()


@pytest.mark.parametrize("late", ["heard_unix_ns", "now_unix_ns"])
def test_a_message_that_took_seconds_to_a_busy_node_or_from_it_is_not_taken_for_a_wrong_clock(make_node, late):
    node, tell, sent = make_node(Load())
    data = question()
    data[late] += {"heard_unix_ns": 3, "now_unix_ns": -3}[late] * 10**9
    tell(ToNodes.IDENTIFY, **data)
    assert sent[-1][2]["ahead_ns"] == 0
    tell(ToNodes.PREPARE, **SHARE)
    assert sent[-1][0] == ToMaster.PREPARED
    node.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [(Refused("no"), ExitCode.REFUSED), (Mm2gateError("no"), ExitCode.INTERNAL), (KeyError("no"), 70)],
)
def test_what_goes_wrong_while_preparing_is_told_with_its_code(make_node, error, code):
    def fail() -> None:
        raise error

    node, tell, sent = make_node(Load(prepare=fail))
    muster_and_prepare(tell)
    assert sent[-1][0] == ToMaster.TROUBLE
    assert sent[-1][2]["exit_code"] == code
    node.close()


def test_a_second_that_cannot_be_had_is_trouble_not_silence(make_node):
    def fail() -> Second:
        raise RuntimeError("boom")

    node, tell, sent = make_node(Load(second=fail))
    muster_and_prepare(tell)
    gevent.sleep(1.1)
    assert sent[-1] == (ToMaster.TROUBLE, "run", {"message": "the load failed: RuntimeError: boom", "exit_code": 70})
    node.close()


def test_a_load_prepared_after_its_run_was_over_is_not_reported_as_that_of_the_next(make_node):
    load = Load(prepare=lambda: gevent.sleep(0.05))
    node, tell, sent = make_node(load)
    muster_and_prepare(tell)
    node.close()
    gevent.sleep(0.1)
    assert kinds(sent) == OFFERED
    assert load.steps == 0


def test_a_message_before_the_node_takes_part_is_trouble_said_in_words(make_node):
    node, tell, sent = make_node(Load())
    node.close()
    tell(ToNodes.CANARIES)
    assert "before this node had started one" in sent[-1][2]["message"]
    tell(ToNodes.STOP_SENDING)
    assert len(sent) == 2


def test_a_node_does_not_obey_the_orders_of_another_run(make_node):
    load = Load()
    node, tell, sent = make_node(load)
    muster_and_prepare(tell)
    tell(ToNodes.STOP_SENDING, "another")
    tell(ToNodes.FINISH, "another", committed={})
    assert not load.stopped
    assert not load.finished
    assert kinds(sent) == [*OFFERED, "mm2gate.prepared"]
    tell(ToNodes.FINISH, committed={})
    assert load.finished
    assert [run_id for _, run_id, _ in sent] == ["", "run", "run", "run", "run"]
    node.close()


def test_a_node_has_its_load_look_around_until_it_is_closed_and_hurries_only_when_someone_waits(make_node, monkeypatch):
    monkeypatch.setattr("locust_session.node.LOOK_EVERY_S", 0.02)
    for hurried in (False, True):
        load = Load()
        node, tell, _ = make_node(load)
        muster_and_prepare(tell)
        gevent.sleep(0.2)
        tell(ToNodes.STOP_SENDING)
        if hurried:
            tell(ToNodes.STOP_SENDING, hurried=True)
        tell(ToNodes.FINISH, committed={})
        looked = load.looks
        assert looked >= 2
        gevent.sleep(0.1)
        assert (load.looks, load.finished, load.hurried) == (looked, True, hurried)
        node.close()


def test_an_account_that_comes_late_still_says_which_run_it_is_of(make_node):
    class Slow(Load):
        def finish(self, committed, *, hurried=False):
            gevent.sleep(0.05)
            return super().finish(committed, hurried=hurried)

    node, tell, sent = make_node(Slow())
    muster_and_prepare(tell)
    tell(ToNodes.FINISH, committed={})
    node.close()
    node.host()
    muster_and_prepare(tell, "the next")
    gevent.sleep(0.1)
    assert [(str(kind), run_id) for kind, run_id, _ in sent if kind == ToMaster.ACCOUNT] == [("mm2gate.account", "run")]
    node.close()


def test_a_load_that_breaks_ends_the_run_and_is_not_stepped_again(make_node):
    def fail() -> None:
        raise RuntimeError("boom")

    load = Load(step=fail)
    node, tell, sent = make_node(load)
    muster_and_prepare(tell)
    gevent.sleep(0.05)
    assert sent[-1] == (ToMaster.TROUBLE, "run", {"message": "the load failed: RuntimeError: boom", "exit_code": 70})
    assert kinds(sent).count("mm2gate.trouble") == 1
    assert load.steps == 1
    node.close()


def test_a_load_is_closed_whatever_its_last_second_is(make_node):
    def fail() -> Second:
        raise Refused("mirror may not be read")

    load = Load(second=fail)
    node, tell, sent = make_node(load)
    muster_and_prepare(tell)
    tell(ToNodes.FINISH, committed={})
    assert load.finished
    assert sent[-1][2]["message"] == "mirror may not be read"
    node.close()


def test_a_load_goes_on_and_is_stepped_by_one_whatever_locust_does_with_its_users(make_node, monkeypatch):
    inside = []

    def step() -> None:
        inside.append("in")
        gevent.sleep(0.004)
        assert inside.pop() == "in"
        assert not inside, "two of them step one load"

    load = Load(step=step)
    node, tell, sent = make_node(load)
    muster_and_prepare(tell)
    environment = node._environment
    environment.mm2gate_node = node
    mirror = type("Mirror", (ReplicationUser,), {})
    monkeypatch.setattr(environment, "user_classes", [mirror])
    users = environment.runner.user_greenlets

    def users_are(count: int) -> None:
        with gevent.Timeout(3):
            environment.runner.start(count, 100, wait=True)
            while len(users) != count:
                gevent.sleep(0.01)
        before = load.steps
        with gevent.Timeout(10):
            while load.steps - before <= 5:
                gevent.sleep(0.01)

    users_are(1)
    users_are(3)  # the others of a worker that was lost
    users_are(0)  # its own was moved to a worker that came late
    assert kinds(sent) == [*OFFERED, "mm2gate.prepared"]
    environment.runner.stop()
    node.close()
    gevent.sleep(0.02)
    before = load.steps
    gevent.sleep(0.05)
    assert load.steps == before, "nothing outlives the run"


# --- who it is -------------------------------------------------------------------------------------------------------


def test_a_node_tells_what_it_would_play_and_what_its_clusters_answer(make_node):
    source, target = CLUSTERS
    load = Load(identify=lambda: (source, target.model_copy(update={"cluster_id": "ZZZZ"})))
    node, tell, sent = make_node(load)
    assert sent[-1][2]["mm2gate"] == FakeMaster().versions().get("mm2gate", "")
    tell(ToNodes.IDENTIFY, **question())
    _, _, told = sent[-1]
    assert (told["trouble"], load.asked) == ("", 1)
    assert told["identity"]["scenario_sha256"] == plan().loaded_scenario.sha256
    assert told["identity"]["target_cluster_id"] == "ZZZZ", "as the cluster answers, not as the file says"
    node.close()


@pytest.mark.parametrize(
    "other", [{"environment_sha256": "f" * 64}, {"scenario_sha256": "f" * 64}, {"versions": {"mm2gate": "1.9.0"}}]
)
def test_a_node_that_would_play_something_else_asks_no_cluster_anything_and_prepares_nothing(make_node, other):
    prepared: list[str] = []
    load = Load(prepare=lambda: prepared.append("prepared"))
    node, tell, sent = make_node(load)
    tell(ToNodes.IDENTIFY, **question(**other))
    assert sent[-1][0] == ToMaster.IDENTITY
    assert sent[-1][2]["identity"]["environment"] == "desk"
    tell(ToNodes.PREPARE, **SHARE)
    assert sent[-1][2]["exit_code"] == ExitCode.REFUSED
    assert (load.asked, prepared) == (0, [])
    node.close()


def test_a_node_whose_environment_is_production_keeps_away_from_it_unless_it_is_the_masters(make_node, files):
    (files / "desk.yaml").write_text(ENVIRONMENT + "production: true\n")
    load = Load()
    node, tell, _ = make_node(load)
    tell(ToNodes.IDENTIFY, **question())
    tell(ToNodes.PREPARE, **SHARE)
    assert load.asked == load.steps == 0
    node.close()


def test_a_node_whose_cluster_is_another_says_it_in_the_clusters_words(make_node):
    def another() -> None:
        raise Refused("source cluster at x: is cluster ZZZZ, but desk.yaml says AAAA")

    node, tell, sent = make_node(Load(identify=another))
    tell(ToNodes.IDENTIFY, **question())
    assert sent[-1][2]["trouble"].startswith("source cluster at x: is cluster ZZZZ")
    tell(ToNodes.PREPARE, **SHARE)
    assert sent[-1][0] == ToMaster.TROUBLE
    node.close()


def test_a_master_that_does_not_ask_who_a_node_is_gets_nothing_prepared(make_node):
    node, tell, sent = make_node(Load())
    tell(ToNodes.IDENTIFY, "the run before", **question())
    for run_id in ("the run before", "run"):
        node._run_id = run_id
        tell(ToNodes.PREPARE, run_id, **SHARE)
    assert [kind for kind, _, _ in sent[-2:]] == [ToMaster.PREPARED, ToMaster.TROUBLE]
    assert "did not ask first" in sent[-1][2]["message"]
    assert sent[-1][2]["exit_code"] == ExitCode.REFUSED
    node.close()


# --- its clocks ------------------------------------------------------------------------------------------------------


class Set:
    """A clock that somebody sets."""

    def __init__(self, clock) -> None:
        self._clock = clock
        self.by_s = 0.0

    def __call__(self) -> int:
        return self._clock() + round(self.by_s * 10**9)


@pytest.mark.parametrize("step_s", [5, -5, 3600])
def test_a_wall_clock_that_is_set_during_the_silence_moves_no_share_of_the_load(make_node, step_s):
    wall, load = Set(time.time_ns), Load()
    node, tell, sent = make_node(load, NodeClock(wall_ns=wall))
    muster_and_prepare(tell)
    wall.by_s = step_s
    due_ns, due_unix_ns = time.monotonic_ns() + 500_000_000, time.time_ns() + 500_000_000
    tell(ToNodes.START, start_unix_ns=due_unix_ns, now_unix_ns=time.time_ns())
    (start_ns,) = load.started_ns
    assert abs(start_ns - due_ns) < 100_000_000
    gevent.sleep(1.1)
    seconds = [data for kind, _, data in sent if kind == ToMaster.SECOND]
    assert seconds[-1]["wall_step_ns"] / 1e9 == pytest.approx(step_s, abs=0.1), "and it is told"
    node.close()


def test_a_share_starts_by_the_offset_that_was_proven_of_the_clocks(make_node):
    wall, load = Set(time.time_ns), Load()
    wall.by_s = 0.6  # less than what is refused
    node, tell, sent = make_node(load, NodeClock(wall_ns=wall))
    muster_and_prepare(tell)
    assert sent[1][2]["ahead_ns"] / 1e9 == pytest.approx(0.6, abs=0.1)
    due_ns = time.monotonic_ns() + 500_000_000
    tell(ToNodes.START, start_unix_ns=time.time_ns() + 500_000_000, now_unix_ns=time.time_ns())
    assert abs(load.started_ns[0] - due_ns) < 100_000_000
    node.close()


def test_a_node_whose_machine_was_suspended_before_the_start_does_not_start_late_in_silence(make_node):
    monotonic, load = Set(time.monotonic_ns), Load()
    node, tell, sent = make_node(load, NodeClock(monotonic_ns=monotonic))
    muster_and_prepare(tell)
    monotonic.by_s = -5
    tell(ToNodes.START, start_unix_ns=time.time_ns(), now_unix_ns=time.time_ns())
    assert load.started_ns == []
    assert "its clock lost 5.0 s" in sent[-1][2]["message"]
    node.close()


# --- its own stalls, and its master's silence ------------------------------------------------------------------------


def freeze(seconds: float) -> None:
    """Nothing of this process runs meanwhile, as under SIGSTOP."""
    get_original("time", "sleep")(seconds)


def interruptions(sent) -> list[dict]:
    return [data for kind, _, data in sent if kind == ToMaster.INTERRUPTED]


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr(node_module, "ALONE_S", 1.5)


@pytest.mark.usefixtures("_impatient")
def test_a_node_that_stood_still_goes_on_and_says_for_how_long(make_node):
    load = Load()
    node, tell, sent = make_node(load)
    muster_and_prepare(tell)
    tell(ToNodes.PULSE)
    gevent.sleep(0.3)
    frozen_ns, seconds = time.time_ns(), kinds(sent).count("mm2gate.second")
    freeze(3.0)
    gevent.sleep(0.3)
    steps = load.steps
    gevent.sleep(0.1)
    assert not load.held
    assert not load.stopped
    assert load.steps > steps
    (stall,) = interruptions(sent)
    assert stall["event"] == "stood_still"
    assert stall["lasted_s"] == pytest.approx(3.0, abs=0.3)
    assert stall["from_unix_ns"] == pytest.approx(frozen_ns, abs=3e8)
    assert kinds(sent).count("mm2gate.second") - seconds == 1, "what it could not report is not reported all at once"
    node.close()


@pytest.mark.usefixtures("_impatient")
def test_a_node_whose_master_is_silent_sends_nothing_until_it_hears_it_again(make_node):
    load = Load()
    node, tell, sent = make_node(load)
    muster_and_prepare(tell)
    with gevent.Timeout(10):
        while not load.held:
            gevent.sleep(0.05)
    held_ns = time.time_ns()
    gevent.sleep(0.6)
    assert interruptions(sent) == []
    tell(ToNodes.PULSE)
    assert not load.held
    assert not load.stopped
    (held,) = interruptions(sent)
    assert held["event"] == "load_held"
    assert held["lasted_s"] == pytest.approx(0.6, abs=0.5)
    assert held["from_unix_ns"] == pytest.approx(held_ns, abs=3e8)
    node.close()


@pytest.mark.usefixtures("_impatient")
def test_a_node_that_hears_its_master_holds_nothing_back(make_node):
    load = Load()
    node, tell, sent = make_node(load)
    muster_and_prepare(tell)
    for _ in range(8):
        tell(ToNodes.PULSE)
        gevent.sleep(0.5)
    assert not load.held
    assert interruptions(sent) == []
    node.close()


def test_the_time_that_a_node_stood_still_is_none_in_which_its_master_was_silent(make_node, monkeypatch):
    monkeypatch.setattr(node_module, "ALONE_S", 1.8)
    monkeypatch.setattr(stalls, "STALL_S", 0.3)
    load = Load()
    node, tell, _ = make_node(load)
    muster_and_prepare(tell)
    for _ in range(4):  # 2.4 s in all, of which it ran for less than 1 s
        freeze(0.5)
        gevent.sleep(0.1)
    gevent.sleep(0.3)
    assert not load.held
    node.close()
