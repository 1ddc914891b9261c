"""Cleaning: what is inside the prefix goes, source first, after it was shown and agreed to; nothing else is touched."""

from __future__ import annotations

import fcntl

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from clients.kafka_admin import Admin, is_internal
from run_record.store import RunRecord
from runbook import clean as cleaning
from runbook.clean import clean, leftovers
from runbook.cli import cli
from runbook.reach import Ours, Reach
from scenarios.environment import Cluster, Topics
from scenarios.errors import Refused, Unreachable
from tests.scenarios.examples import ENVIRONMENT, environment
from tests.support.records import TOPIC as PLAYED
from tests.support.records import write_run

SOURCE = {"mm2gate.a": 12, "mm2gate.b": 1, "orders": 3, "__consumer_offsets": 50}
MARK = "not known to be ours)"
OURS = ("mm2gate.a", "mm2gate.b", "mm2gate.gone")
TARGET = {"source.mm2gate.a": 12, "source.mm2gate.gone": 6, "source.orders": 3, "mm2gate.a": 1, "heartbeats": 1}


class FakeCluster:
    """`TopicAdmin` from memory. `refuses`: topics that it will not delete; `returns`: those that come back."""

    def __init__(self, side: str, topics: dict[str, int], log: list[str], refuses=(), returns=()) -> None:
        self.side, self.topics, self.log = side, dict(topics), log
        self.refuses, self.returns = set(refuses), set(returns)
        self.looks = 0

    def partitions(self) -> dict[str, int]:
        self.looks += 1
        if self.looks > 2:  # the first look finds them, the second sees them gone
            self.topics |= dict.fromkeys(self.returns, 1)
        return dict(self.topics)

    def delete_topics(self, names: list[str]) -> dict[str, str | None]:
        outcome: dict[str, str | None] = {}
        for name in names:
            self.log.append(f"{self.side} {name}")
            outcome[name] = "Topic authorization failed" if name in self.refuses else None
            if outcome[name] is None:
                del self.topics[name]
        return outcome


class Desk:
    """An environment of two fake clusters, cleaned."""

    def __init__(self, text: str = ENVIRONMENT, *, source=SOURCE, target=TARGET, refuses=(), returns=()) -> None:
        self.environment = environment(text)
        self.ours = Ours(names=frozenset(OURS))
        self.deleted: list[str] = []
        self.said: list[str] = []
        self.clusters = {
            "source": FakeCluster("source", source, self.deleted, refuses, returns),
            "target": FakeCluster("target", target, self.deleted, refuses, returns),
        }

    def clean(self, *, yes: bool = True, confirm: str = "") -> None:
        clean(
            self.environment,
            ours=self.ours,
            yes=yes,
            confirm=confirm,
            say=self.said.append,
            admin=lambda cluster: self.clusters[cluster.alias],
            look_again_after_s=0,
        )


def test_topics_inside_the_prefix_go_source_first_and_nothing_else_is_touched():
    desk = Desk()
    desk.clean()
    assert desk.deleted == [
        "source mm2gate.a",
        "source mm2gate.b",
        "target source.mm2gate.a",
        "target source.mm2gate.gone",
    ]
    assert desk.clusters["target"].topics == {"source.orders": 3, "mm2gate.a": 1, "heartbeats": 1}


def test_everything_is_listed_before_anything_is_deleted_and_each_outcome_is_said():
    desk = Desk()
    desk.clean()
    assert desk.said == [
        "source  mm2gate.a  12 partitions",
        "source  mm2gate.b  1 partition",
        "target  source.mm2gate.a  12 partitions",
        "target  source.mm2gate.gone  6 partitions",
        "source  mm2gate.a: deleted",
        "source  mm2gate.b: deleted",
        "target  source.mm2gate.a: deleted",
        "target  source.mm2gate.gone: deleted",
    ]


def test_nothing_to_do_is_said():
    desk = Desk(source={"orders": 1}, target={"heartbeats": 1})
    desk.clean(yes=False)
    assert desk.said == ["nothing to do: no topic mm2gate.* and no mirror of one in desk"]


@pytest.mark.parametrize(
    "name",
    ["heartbeats", "source.heartbeats", "source.checkpoints.internal", "mm2-offset-syncs.target.internal",
     "mm2-connect-offsets", "connect-configs", "__consumer_offsets", "mm2gate.mm2-x-internal",
     "connect-cluster-offsets", "team-a-connect-status", "mirrormaker2-cluster-configs", "_schemas",
     "_confluent-command", "connect_configs"],
)  # fmt: skip
def test_internal_topics_are_left_alone_even_inside_the_prefix(name):
    assert is_internal(name)
    rules = Topics(prefix=name[:3], remote_name="{topic}")
    found = leftovers(rules, {name: 1}, {name: 1})
    assert not found.anything
    assert found.spared == (name,)


def test_a_mirror_whose_source_could_not_be_deleted_stays_and_the_right_is_named():
    desk = Desk(refuses=["mm2gate.a"])
    with pytest.raises(Refused, match=r"source cluster: Topic authorization failed.*DELETE on topics mm2gate\.\*"):
        desk.clean()
    assert "target source.mm2gate.a" not in desk.deleted
    assert "target source.mm2gate.gone" in desk.deleted
    assert "source  mm2gate.a: NOT deleted (Topic authorization failed)" in desk.said
    assert "target  source.mm2gate.a: left, its source is still there" in desk.said


def test_a_topic_that_comes_back_is_not_called_deleted():
    with pytest.raises(Refused, match=r"target source\.mm2gate\.a came back.*600 s"):
        Desk(source={}, returns=["source.mm2gate.a"]).clean()


@pytest.mark.parametrize(
    ("production", "yes", "confirm", "says"),
    [
        (False, False, "", "give --yes"),
        (False, False, "disk", "disk is not the environment's name"),
        (True, True, "", "production environment.*--confirm desk"),
        (True, True, "disk", "disk is not the environment's name"),
    ],
)
def test_without_consent_nothing_is_deleted(production, yes, confirm, says, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    desk = Desk(ENVIRONMENT + f"production: {str(production).lower()}\n")
    with pytest.raises(Refused, match=says):
        desk.clean(yes=yes, confirm=confirm)
    assert desk.deleted == []


@pytest.mark.parametrize("production", [False, True])
def test_the_environments_name_is_consent_anywhere(production):
    desk = Desk(ENVIRONMENT + f"production: {str(production).lower()}\n")
    desk.clean(yes=False, confirm="desk")
    assert len(desk.deleted) == 4


@pytest.mark.parametrize(("typed", "deleted"), [("desk", 4), ("yes", 0)])
def test_on_a_terminal_the_name_is_asked_for(typed, deleted, monkeypatch):
    monkeypatch.setattr(cleaning.click, "prompt", lambda _: typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    desk = Desk()
    if deleted:
        desk.clean(yes=False)
    else:
        with pytest.raises(Refused, match="yes is not desk"):
            desk.clean(yes=False)
    assert len(desk.deleted) == deleted


TOPIC = st.text("ab.-{}", min_size=1, max_size=8)


@given(topic=TOPIC, before=st.text("ab.", max_size=3), after=st.text("ab.", max_size=3))
def test_a_mirrors_source_is_found_again_whatever_the_naming_policy(topic, before, after):
    rules = Topics(prefix="x", remote_name=f"{before}{{topic}}{after}")
    assert rules.source_of(rules.remote(topic)) == topic
    doubled = Topics(prefix="x", remote_name=f"{before}{{topic}}-{{topic}}")
    if "{topic}" not in topic:
        assert doubled.remote(doubled.source_of(doubled.remote(topic)) or "") == doubled.remote(topic)


@given(name=st.text("ab.xmg2", max_size=12))
def test_a_name_that_is_no_mirror_has_no_source(name):
    source = Topics(prefix="x", remote_name="source.{topic}.copy").source_of(name)
    assert source is None


@pytest.mark.parametrize(
    ("alias", "name", "says"),
    [
        ("source", "orders", "orders is outside the prefix"),
        ("source", "mm2gate.x.internal", "belongs to MirrorMaker 2"),
        ("target", "mm2gate.a", "not the mirror"),
        ("target", "source.orders", "not the mirror"),
    ],
)
def test_the_door_itself_refuses_every_name_outside_the_prefix_and_deletes_none(alias, name, says):
    where = environment()
    cluster: Cluster = getattr(where.environment, alias)
    inside = "mm2gate.a" if alias == "source" else "source.mm2gate.a"
    with pytest.raises(Refused, match=says):
        Admin(cluster, where, {"test.mock.num.brokers": 1}).delete_topics([inside, name])


@pytest.mark.parametrize("name", ["mm2gate.orders-status", "mm2gate.connected", "connect.payments", "offsets", "_x"])
def test_names_that_only_resemble_them_are_no_internal_topics(name):
    assert not is_internal(name)


# --- a prefix that reaches further than our runs ---------------------------------------------------------------------


def with_prefix(prefix: str) -> str:
    return ENVIRONMENT.replace("prefix: mm2gate.", f'prefix: "{prefix}"')


@pytest.mark.parametrize("prefix", ["_", "c", "connect", "connect-", "mm2", "mm2-", "h", "__", "heart"])
def test_a_prefix_of_system_topics_is_said_and_yes_is_not_enough(prefix, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    name = f"{prefix}-mine"
    desk = Desk(with_prefix(prefix), source={name: 1, "connect-configs": 1, "mm2-x": 1, "heartbeats": 1}, target={})
    desk.ours = Ours(names=frozenset({name}))
    if is_internal(name):
        desk.clean()  # nothing of ours can be in there
    else:
        with pytest.raises(Refused, match=f"its prefix {prefix} reaches more than .* give --confirm desk"):
            desk.clean()
        assert any("keep their own state" in said for said in desk.said)
    assert desk.deleted == []


@pytest.mark.parametrize(("prefix", "says"), [("orders", "is not closed"), ("o.", "is short"), ("or", "is short")])
def test_an_open_prefix_is_said_and_yes_is_not_enough(prefix, says, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    name = f"{prefix}x"
    desk = Desk(with_prefix(prefix), source={name: 1}, target={})
    desk.ours = Ours(names=frozenset({name}))
    with pytest.raises(Refused, match="give --confirm desk"):
        desk.clean()
    assert any(says in said for said in desk.said)
    assert desk.deleted == []


def test_topics_that_no_run_of_ours_has_made_are_listed_before_anything_is_asked(monkeypatch):
    asked = []

    def prompt(text):
        asked.append(list(desk.said))
        return "desk"

    monkeypatch.setattr(cleaning.click, "prompt", prompt)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    desk = Desk()
    desk.ours = Ours(names=frozenset({"mm2gate.a"}))
    desk.clean()  # --yes, and asked all the same
    (before,) = asked
    assert [said.partition("  (")[2] for said in before[:4]] == ["", MARK, "", MARK]
    assert before[-1] == (
        "careful: no packaged scenario and no run known here makes source mm2gate.b, target source.mm2gate.gone; "
        "somebody else may need what is in there (--runs-dir says where runs are)"
    )
    assert len(desk.deleted) == 4


def test_without_a_terminal_they_stay_until_the_environment_is_named(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    desk = Desk()
    desk.ours = Ours()
    with pytest.raises(Refused, match=r"reaches more than the topics of runs known.*--confirm desk"):
        desk.clean()
    assert desk.deleted == []
    desk.clean(yes=False, confirm="desk")
    assert len(desk.deleted) == 4


def test_ours_are_what_packaged_scenarios_and_the_runs_of_this_cluster_make(tmp_path):
    where = environment(ENVIRONMENT.replace("cluster_id: AAAA", "cluster_id: source-id")).environment
    write_run(tmp_path)
    (tmp_path / "broken" / "record").mkdir(parents=True)
    (tmp_path / "broken" / "record" / "manifest.json").write_text("[]")
    ours = Ours.of(where, tmp_path)
    assert ours.knows("mm2gate.generated-data-07.json")
    assert ours.knows(PLAYED)
    assert not ours.knows("mm2gate.orders")
    assert not ours.knows("x.generated-data-07.json")
    assert not Ours.of(environment().environment, tmp_path).knows(PLAYED), "played on another cluster"
    assert not Ours.of(where, tmp_path / "nowhere").knows(PLAYED)


@given(prefix=st.text("ab.-_", min_size=1, max_size=6), names=st.lists(st.text("ab.-_", max_size=6), max_size=5))
def test_what_is_not_known_to_be_ours_is_always_said(prefix, names):
    rules = Topics(prefix=prefix, remote_name="{topic}")
    found = leftovers(rules, dict.fromkeys((prefix + name for name in names), 1), {})
    reach = Reach.of(rules, found.source, found.target, found.spared, Ours())
    assert {one.removeprefix("source ") for one in reach.foreign} == set(found.source)
    assert bool(found.source) <= reach.beyond_ours


def test_a_cluster_that_does_not_answer_is_one_sentence_and_exit_40(tmp_path, monkeypatch):
    real = cleaning.identify
    monkeypatch.setattr(cleaning, "identify", lambda cluster, where: real(cluster, where, timeout_s=0.1))
    (tmp_path / "desk.yaml").write_text(ENVIRONMENT)
    done = CliRunner().invoke(cli, ["clean", "--env", str(tmp_path / "desk.yaml"), "--yes"])
    assert isinstance(done.exception, Unreachable)
    assert done.exception.exit_code == 40
    assert "source cluster at 127.0.0.1:1: no answer" in str(done.exception)
    assert "\n" not in str(done.exception)


def test_nothing_is_taken_from_under_a_run_that_goes_on(tmp_path):
    directory = write_run(tmp_path, counts=None)
    name = RunRecord.open(directory).manifest.environment.name
    there = environment(ENVIRONMENT.replace("name: desk", f"name: {name}")).environment
    elsewhere = environment().environment
    cleaning.require_idle(there, tmp_path)  # that run was killed
    with (directory / "record" / "events.jsonl").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        cleaning.require_idle(elsewhere, tmp_path)
        with pytest.raises(Refused, match=rf"{directory.name} is a run that goes on in {name}"):
            cleaning.require_idle(there, tmp_path)
