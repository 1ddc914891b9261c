"""A load that is not ours: counted by offsets, started and ended by process id, and its credentials gone with it."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import kafka_topics as looked_at
from clients.kafka_topics import Retention, TopicSeen
from locust_session.load import Assignment
from mm2_users.foreign import ForeignLoad
from mm2_users.foreign_master import ForeignMaster
from mm2_users.perf_test import config_option, properties_of, shares_of, write_properties
from run_record.closing import Closing, disturbances
from scenarios.errors import Mm2gateError, Refused, Unreachable
from tests.scenarios.examples import ENVIRONMENT, plan, with_phases

TOOL = Path(__file__).with_name("fake_perf_test.py")
SECRET = 'q"u\\o te é#'
ONE_SECOND = "{name: smoke, profile: nominal, rate: 100/s, duration: 1s}"


class Ends:
    """A cluster whose offsets are what the fake tool wrote down, shared out among the partitions, and what is added."""

    def __init__(self, state: Path, topics, partitions=4, *, from_tool=True):
        self.state, self.topics, self.partitions, self.from_tool = state, topics, partitions, from_tool
        self.more: dict[tuple[str, int], int] = {}
        self.held_back = 0
        self.ids: dict[str, str] = {}

    def read(self, places):
        return {place: self._end(place) for place in places}

    def require_visible(self, topics):
        assert set(topics) == set(self.topics)

    def _end(self, place):
        topic, partition = place
        sent = self.state / f"sent-{self.topics[topic]}"
        count = int(sent.read_text() or 0) if self.from_tool and sent.exists() else 0
        share = count // self.partitions + (partition < count % self.partitions)
        return 50 + self.more.get(place, 0) + share - (self.held_back if partition == 0 and count else 0)


class Looks:
    """The same cluster, looked at; a topic is what `Ends.ids` says, or always the same."""

    def __init__(self, ends):
        self.of = ends

    def topics(self, names, *, timeout_s):
        return {name: TopicSeen(partitions=4, id=self.of.ids.get(name, "one")) for name in names}

    def ends(self, places, *, timeout_s):
        try:
            return {place: looked_at.Ends(low=0, high=end) for place, end in self.of.read(places).items()}
        except Unreachable as error:
            return dict.fromkeys(places, str(error))

    def retention(self, names, *, timeout_s):
        return dict.fromkeys(names, Retention(ms=-1, bytes=-1, policy="delete"))

    def close(self):
        pass


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A foreign load on a plan of one second, 100 records, one topic of four partitions."""
    monkeypatch.setenv("LOAD_PASSWORD", SECRET)

    def build(kind="perf-test", *, words=(), scenario=None):
        security = (
            'security: {protocol: SASL_PLAINTEXT, mechanism: PLAIN, username: "lo\\"ad", password_env: LOAD_PASSWORD}'
        )
        command = json.dumps([sys.executable, str(TOOL), str(tmp_path), *words])
        where = ENVIRONMENT.replace("cluster_id: AAAA", f"cluster_id: AAAA, {security}") + f"perf_test: {command}\n"
        made = plan(scenario or with_phases(ONE_SECOND), where)
        source = Ends(tmp_path, {topic.source: topic.source for topic in made.topics})
        target = Ends(tmp_path, {topic.remote: topic.source for topic in made.topics})
        sent = []
        load = ForeignLoad(
            made,
            kind,
            source=source,
            target=target,
            canaries=lambda places: sent.extend(places) or len(places),
            looks=lambda cluster: Looks(source if cluster == made.environment.source else target),
        )
        load.canaries_to = sent
        return load, source, target

    return build


def started(load):
    load.prepare(Assignment(run_id="run", index=0, senders=1))
    load.start(time.monotonic_ns())
    return load


def until(load, condition, within_s=20.0):
    deadline_s = time.monotonic() + within_s
    while not condition(load.second()):
        assert time.monotonic() < deadline_s, load.second()
        load.step()
        gevent.sleep(0.02)


def seen(tmp_path):
    return json.loads((tmp_path / "seen.json").read_text())


class TestTheTool:
    def test_its_records_are_counted_at_both_ends(self, foreign):
        load, _, _ = foreign()
        started(load)
        until(load, lambda second: second.all_sent)
        second = load.second()
        assert (second.sent, second.acked, second.arrived, second.missing) == (100, 100, 100, 0)
        account = load.finish({})
        assert account["phases"]["smoke"]["acked"] == account["phases"]["smoke"]["arrived"] == 100
        assert [row["counts"]["arrived"] for row in account["streams"]] == [25] * 4
        assert account["latency"] == {}

    def test_it_gets_the_plans_rate_records_and_size(self, foreign, tmp_path):
        load, _, _ = foreign()
        started(load)
        until(load, lambda second: second.all_sent)
        load.finish({})
        words = seen(tmp_path)["command"]
        options = dict(zip(words[2::2], words[3::2], strict=True))
        assert options["--num-records"] == "100"
        assert options["--throughput"] == "100"
        assert options["--record-size"] == "200"

    def test_its_path_starts_at_the_environment_files_directory(self, foreign, monkeypatch, tmp_path):
        load, _, _ = foreign()
        environment = load._plan.environment.model_copy(update={"perf_test": ("conf/tool.sh", "--x")})
        loaded = load._plan.loaded_environment.model_copy(
            update={"environment": environment, "file": tmp_path / "e.yaml"}
        )
        monkeypatch.setattr(load, "_plan", replace(load._plan, loaded_environment=loaded))
        assert load._command == [str(tmp_path / "conf" / "tool.sh"), "--x"]

    def test_its_credentials_are_in_a_file_of_ours_alone_and_gone_afterwards(self, foreign, tmp_path):
        load, _, _ = foreign()
        started(load)
        until(load, lambda second: second.all_sent)
        load.finish({})
        told = seen(tmp_path)
        assert told["mode"] == 0o600
        assert unescaped(told["text"])["sasl.jaas.config"] == (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            'username="lo\\"ad" password="q\\"u\\\\o te é#";'
        )
        assert not Path(told["file"]).parent.exists()
        assert "o te" not in " ".join(told["command"])

    def test_a_stop_ends_it_by_its_process_id_and_counts_what_it_had_sent(self, foreign, tmp_path):
        load, _, _ = foreign(words=["--hang", "1"])
        started(load)
        until(load, lambda second: second.acked == 50)
        assert not load.second().quiet
        (tool,) = load._tools
        load.stop_sending()
        assert tool.poll() is not None
        with pytest.raises(ProcessLookupError):
            os.kill(tool.pid, 0)
        assert load.second().quiet
        assert not load.second().all_sent
        assert load.finish({})["phases"]["smoke"]["sent"] == 50
        assert not Path(seen(tmp_path)["file"]).exists()

    def test_one_whose_master_is_not_heard_is_ended_and_says_that_it_cannot_go_on(self, foreign):
        load, _, _ = foreign(words=["--hang", "1"])
        load.hold_sending()  # before the load there is nothing to end
        load.resume_sending()
        started(load)
        until(load, lambda second: second.acked == 50)
        load.hold_sending()
        assert load._tools[0].poll() is not None
        with pytest.raises(Mm2gateError, match="cannot go on; start the run again"):
            load.resume_sending()
        load.finish({})

    def test_one_that_had_sent_all_goes_on_whoever_was_not_heard(self, foreign):
        load, _, _ = foreign()
        started(load)
        until(load, lambda second: second.all_sent)
        load.hold_sending()
        load.resume_sending()
        assert load.second().all_sent
        load.finish({})

    def test_one_that_fails_says_its_last_exception(self, foreign):
        load, _, _ = foreign(words=["--fail", "x"])
        started(load)
        with pytest.raises(Mm2gateError, match=r"ended with code 1: .*Authentication failed"):
            until(load, lambda _: False)
        load.finish({})

    def test_what_has_not_arrived_is_missing_until_it_does(self, foreign):
        load, _, target = foreign()
        target.held_back = 3
        started(load)
        until(load, lambda second: second.all_sent)
        assert load.second().missing == 3
        account = load.finish({})
        assert account["phases"]["smoke"]["late"] == 3
        target.held_back = 0

    def test_more_at_the_mirror_than_at_the_source_is_no_arrival(self, foreign):
        load, _, target = foreign()
        started(load)
        until(load, lambda second: second.all_sent)
        target.more = {(topic, 0): 7 for topic in target.topics}
        assert load.finish({})["phases"]["smoke"]["arrived"] == 100


class TestTheTopics:
    def test_a_mirror_that_is_made_anew_under_it_is_told_at_once_and_in_the_closing_facts(self, foreign):
        load, _, target = foreign("none")
        started(load)
        (mirror,) = target.topics
        target.ids[mirror] = "another"
        load.look()
        (note,) = load.second().notes
        assert note == {"event": "topic_changed", "side": "target", "topic": mirror, "what": "remade"}
        closing = Closing.of(load.finish({}))
        assert {(one.topic, one.what) for one in disturbances(closing)} == {(mirror, "remade")}
        assert [one.partition for one in closing.source.partitions] == [0, 1, 2, 3]


class TestAClusterInTrouble:
    def test_it_does_not_end_the_run_and_what_is_told_afterwards_counts(self, foreign, monkeypatch):
        load, _, target = foreign()
        started(load)
        told = target.read

        def silent(_):
            raise Unreachable("target cluster: not leader for partition")

        target.read = silent
        for _ in range(3):
            monkeypatch.setattr(load, "_read_at_ns", 0)
            load.step()
            gevent.sleep(0.02)
        assert not load.second().all_sent
        target.read = told
        until(load, lambda second: second.all_sent)
        assert load.finish({})["phases"]["smoke"]["arrived"] == 100

    def test_if_it_stays_silent_the_last_that_was_told_stands_and_the_ledger_says_why(self, foreign, monkeypatch):
        monkeypatch.setattr("mm2_users.foreign.TOLD_WITHIN_S", 0.05)
        load, _, target = foreign()
        started(load)
        until(load, lambda second: second.all_sent)

        def silent(_):
            raise Unreachable("target cluster: gone")

        target.read = silent
        account = load.finish({})
        assert account["phases"]["smoke"]["arrived"] == 100
        assert account["last_error"] == "target cluster: gone"

    def test_offsets_that_are_not_told_at_the_start_are_no_base_to_count_from(self, foreign, monkeypatch):
        monkeypatch.setattr("mm2_users.foreign.TOLD_WITHIN_S", 0.05)
        load, source, _ = foreign()
        load.prepare(Assignment(run_id="run", index=0, senders=1))

        def silent(_):
            raise Unreachable("source cluster: gone")

        source.read = silent
        with pytest.raises(Unreachable, match="gone"):
            load.start(time.monotonic_ns())
        assert load.finish({})["phases"]["smoke"]["sent"] == 0


class TestOnlyWatching:
    def test_nothing_is_sent_and_what_others_send_is_counted_until_the_loads_end(self, foreign):
        load, source, target = foreign("none")
        source.from_tool = target.from_tool = False
        started(load)
        load.send_canaries()
        assert load.canaries_to == []
        assert not load.second().sends_canaries
        place, mirror = (next(iter(source.topics)), 1), (next(iter(target.topics)), 1)
        source.more, target.more = {place: 10}, {mirror: 8}
        until(load, lambda second: second.acked == 10)
        assert load.second().missing == 2
        load.stop_sending()
        source.more = {place: 500}
        target.more = {mirror: 300}
        account = load.finish({})
        assert account["phases"]["smoke"]["acked"] == account["phases"]["smoke"]["arrived"] == 10


class TestCanaries:
    def test_each_partition_gets_one_that_arrives_when_its_mirror_grows(self, foreign):
        load, source, target = foreign()
        load.prepare(Assignment(run_id="run", index=0, senders=1))
        load.send_canaries()
        assert load.canaries_to == [(next(iter(source.topics)), n) for n in range(4)]
        assert (load.second().canaries_sent, load.second().canaries_arrived) == (4, 0)
        target.more = {(topic, 2): 1 for topic in target.topics}
        until(load, lambda second: second.canaries_arrived == 1)
        load.start(time.monotonic_ns())
        canary = load.finish({})["canary"]
        assert (canary["sent"], canary["arrived"]) == (4, 1)
        assert [place["partition"] for place in canary["missing"]] == [0, 1, 3]

    def test_they_are_not_counted_as_load(self, foreign):
        load, source, _ = foreign(words=["--hang", "1"])
        load.prepare(Assignment(run_id="run", index=0, senders=1))
        load.send_canaries()
        source.more = {(topic, n): 1 for topic in source.topics for n in range(4)}
        load.start(time.monotonic_ns())
        load.stop_sending()
        assert load.finish({})["phases"]["smoke"]["acked"] in (0, 50)


class TestRefusals:
    def test_several_nodes_are_refused(self, foreign):
        load, _, _ = foreign()
        with pytest.raises(Refused, match="one process"):
            load.prepare(Assignment(run_id="run", index=0, senders=2))

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            (
                ["no-such-tool"],
                "no-such-tool is not on this machine; name Kafka's kafka-producer-perf-test.sh in `perf_test`",
            ),
            ([sys.executable, "-c", "print('hello')"], "does not know a producer's configuration file .hello."),
        ],
    )
    def test_a_tool_that_is_none_is_refused_with_what_to_do(self, command, said):
        with pytest.raises(Refused, match=said):
            config_option(command)

    def test_the_option_of_kafka_before_42_is_found(self):
        old = [sys.executable, "-c", "print('usage: [--producer.config CONFIG-FILE]')"]
        assert config_option(old) == "--producer.config"

    @pytest.mark.parametrize(
        "phases",
        [
            ["{name: up, profile: ramp, from_rate: 1/s, to_rate: 10/s, duration: 10s}"],
            [ONE_SECOND, ONE_SECOND.replace("smoke", "more")],
        ],
    )
    def test_a_plan_that_such_a_load_cannot_play_is_refused_before_anything_is_asked(self, phases):
        with pytest.raises(Refused, match="one load phase at one rate"):
            ForeignMaster(plan(with_phases(*phases)), "perf-test").identify()


class TestShares:
    @given(st.integers(1, 12), st.integers(1, 5000))
    def test_they_add_up_to_the_plan(self, topics, rate):
        phase = f"{{name: smoke, profile: nominal, rate: {rate}/s, duration: 1s}}"
        made = plan(with_phases(phase, topics=f"{{count: {topics}, partitions: 1}}"))
        shares = list(shares_of(made))
        assert sum(share.records for share in shares) == rate
        assert sum(share.rate_per_s for share in shares) == pytest.approx(rate)
        assert all(share.records for share in shares)


class TestProperties:
    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
    def test_any_value_is_read_back_as_it_was(self, text):
        path = Path(os.environ.get("TMPDIR", "/tmp")) / f"mm2gate-test-{os.getpid()}-{time.monotonic_ns()}"
        try:
            write_properties(path, {"key": text})
            assert unescaped(path.read_text(encoding="ascii")) == {"key": text}
        finally:
            path.unlink()

    def test_a_file_that_is_there_already_is_not_written_over(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(FileExistsError):
            write_properties(tmp_path / "file", {})

    def test_they_are_the_plans_producer(self):
        made = plan()
        said = properties_of(made.environment.source, made.loaded_environment, made.scenario.producer)
        assert said["acks"] == "all"
        assert said["linger.ms"] == "10"
        assert "sasl.mechanism" not in said


def unescaped(text):
    """A file as java.util.Properties reads it, as far as it is written here: one key=value a line."""
    codes = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}

    def character(found):
        return chr(int(found[1], 16)) if found[1] else codes.get(found[2], found[2])

    read = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        units = re.sub(r"\\(?:u([0-9a-f]{4})|(.))", character, value)
        read[key] = units.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
    return read
