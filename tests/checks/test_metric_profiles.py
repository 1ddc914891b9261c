"""Which names: what real exporters show is told apart, and every role has its name there.

`exposed/` holds the metrics (name, labels) that two Connect workers of Kafka 4.3.1 showed under each configuration,
read from jmx_exporter 0.20.0 and 1.0.1 on a lab; Confluent's with the mirror rule of monitoring/jmx/additions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from checks.metric_names import CONNECT_BEANS, MIRROR_ATTRIBUTES
from checks.metric_profiles import CONFLUENT_MIRROR, PROFILES, Role, detect
from scenarios.environment import Environment, MetricProfileName
from scenarios.yaml_file import parse
from tests.support.records import environment_text

EXPOSED = Path(__file__).with_name("exposed")
AGENTS = ("0.20.0", "1.0.1")
#: What each configuration has no rule for; monitoring/jmx/additions has one.
UNRULED = {
    "confluent": set(),
    "official": {Role.OFFSET_COMMIT_FAILURE, Role.THROTTLE_MAX, *MIRROR_ATTRIBUTES},
    "strimzi": {Role.OFFSET_COMMIT_FAILURE, Role.THROTTLE_MAX},
}
EXPECTED = {"confluent": "confluent_mirror", "official": "official_mirror", "strimzi": "strimzi"}
WORKERS = ("w1:9404", "w2:9404")


def exposed(configuration: str, agent: str) -> dict[str, set[str]]:
    """Metric names and the labels they came with."""
    lines = (EXPOSED / f"{configuration}-{agent}.txt").read_text(encoding="utf-8").splitlines()
    return {name: set(labels) for name, *labels in (line.split(" ") for line in lines)}


def present(names: Iterable[str] | dict[str, set[str]], workers: Iterable[str] = WORKERS) -> Iterator[tuple[str, str]]:
    """As the collector sees them."""
    labels = names if isinstance(names, dict) else {}
    for worker in workers:
        for name in names:
            yield name, worker
            if name.endswith("buffer_available_bytes"):
                yield from ((f"{name}{{{label}}}", worker) for label in labels.get(name, ()))


def names_of(profile: str, roles: Iterable[Role] = (*CONNECT_BEANS, *MIRROR_ATTRIBUTES)) -> set[str]:
    metrics = PROFILES[profile].metrics
    label = PROFILES[profile].client_label
    return {name for role in roles for name in metrics[role].names} | {
        f"{metrics[Role.BUFFER_AVAILABLE].name}{{{label}}}"
    }


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("configuration", EXPECTED)
class TestWhatRealExportersShow:
    def test_is_told_apart_and_what_has_no_rule_is_named(self, configuration, agent):
        found = detect(present(exposed(configuration, agent)))
        assert found.profile.name == EXPECTED[configuration]
        assert set(found.missing) == UNRULED[configuration]
        assert (found.others, found.strangers) == ((), ())

    def test_every_role_has_its_labels(self, configuration, agent):
        shown, profile = exposed(configuration, agent), PROFILES[EXPECTED[configuration]]
        wanted = {
            "connector": {profile.connector_label},
            "prefix": {profile.topic_label, profile.partition_label},
            "producer": {profile.client_label},
            "none": set(),
        }
        for role in {*CONNECT_BEANS, *MIRROR_ATTRIBUTES} - UNRULED[configuration]:
            metric = profile.metrics[role]
            (name,) = metric.names & shown.keys()
            assert wanted[metric.filter.value] <= shown[name], role

    def test_the_agents_own_metrics_are_found_under_the_names_of_either_version(self, configuration, agent):
        shown, metrics = exposed(configuration, agent), CONFLUENT_MIRROR.metrics
        for role in (Role.PROCESS_CPU, Role.HEAP_USED, Role.HEAP_MAX):
            assert len(metrics[role].names & shown.keys()) == 1


def test_agent_1_strips_total_from_names_that_are_no_counters():
    """Why a counter is looked for with its suffix and without."""
    poll = PROFILES["confluent_mirror"].metrics[Role.POLL_TOTAL]
    (old,), (new,) = (poll.names & exposed("confluent", agent).keys() for agent in AGENTS)
    assert (old, new) == (poll.name, poll.name.removesuffix("_total"))


@pytest.mark.parametrize("profile", PROFILES)
def test_names_of_a_profile_are_taken_for_that_profile(profile):
    found = detect(present(names_of(profile)))
    assert (found.profile.name, found.missing, found.strangers) == (profile, (), ())


def test_environment_offers_the_profiles_that_there_are():
    assert get_args(MetricProfileName) == tuple(PROFILES)


def test_nothing_present_says_nothing():
    found = detect(())
    assert (found.profile, found.missing) == (CONFLUENT_MIRROR, ())


class TestTwoProfilesAtOnce:
    def test_legacy_and_new_names_side_by_side_are_said_and_the_legacy_ones_used(self):
        """metric.names.formats: legacy,new."""
        both = names_of("confluent_mirror") | names_of("confluent_kafka43")
        found = detect(present(both))
        assert (found.profile.name, found.others, found.strangers) == ("confluent_mirror", ("kafka43",), ())

    def test_a_worker_under_another_configuration_is_a_stranger(self):
        found = detect((*present(names_of("confluent_mirror"), ["w1"]), *present(names_of("strimzi"), ["w2"])))
        assert (found.profile.name, found.strangers) == ("confluent_mirror", ("w2",))

    def test_most_workers_decide(self):
        many, one = present(names_of("strimzi"), ["w1", "w2"]), present(names_of("confluent_mirror"), ["w3"])
        found = detect((*one, *many))
        assert (found.profile.name, found.strangers) == ("strimzi", ("w3",))

    def test_the_environment_has_the_last_word(self):
        both = names_of("confluent_mirror") | names_of("confluent_kafka43")
        found = detect(present(both), wanted="confluent_kafka43")
        assert (found.profile.name, found.others) == ("confluent_kafka43", ("mirror",))

    def test_a_name_that_nothing_answers_to_is_said_role_by_role(self):
        found = detect(present(names_of("strimzi")), wanted="confluent_mirror")
        assert found.strangers == WORKERS
        assert Role.POLL_TOTAL in found.missing


@pytest.mark.parametrize("configuration", EXPECTED)
def test_additions_give_the_names_that_the_configuration_lacks(configuration):
    """The rules of monitoring/jmx/additions, played on the beans of Kafka 4.3."""
    text = (resources.files("monitoring") / "jmx" / "additions" / f"{configuration}.yml").read_text(encoding="utf-8")
    names = {name for rule in YAML(typ="safe").load(text)["rules"] for name in _given(rule)}
    metrics = PROFILES[EXPECTED[configuration]].metrics
    mirrors = set() if configuration == "strimzi" else {metrics[role].name for role in MIRROR_ATTRIBUTES}
    wanted = mirrors | {metrics[role].name for role in UNRULED[configuration]}
    wanted |= {PROFILES[f"{configuration}_kafka43"].metrics[role].name for role in MIRROR_ATTRIBUTES}
    assert wanted <= names


def _given(rule: dict) -> Iterator[str]:
    task, topic = "connector=mm2, task=0", "source=a, target=b, topic=a.t, partition=3"
    beans = [f"kafka.{b.domain}<type={b.type}, {task}><>{b.attribute}: 1.0" for b in CONNECT_BEANS.values()]
    beans += [f"kafka.producer<type=producer-metrics, client-id=p><>{b.attribute}: 1" for b in CONNECT_BEANS.values()]
    for attribute in MIRROR_ATTRIBUTES.values():
        beans.append(f"kafka.connect.mirror<type=MirrorSourceConnector, {topic}><>{attribute}: 1.0")
        beans.append(f"kafka.connect<type=plugins, {task}, {topic}><>{attribute}: 1.0")
    for bean in beans:
        if match := re.search(rule["pattern"], bean):
            name = re.sub(r"\$(\d)", lambda group, match=match: match[int(group[1])] or "", rule["name"])
            yield name.replace("-", "_")


def test_active_count_leaves_out_what_the_cut_rules_mix_in():
    """Agent 1.x keeps three values of one name apart by the label `_objectname`."""
    environment = parse(environment_text(), Environment, file="environment.yaml")
    selector = PROFILES["official_mirror"].selector(Role.ACTIVE_COUNT, environment)
    pattern = re.search(r'_objectname!~"([^"]*)"', selector)[1]
    bean = "kafka.connect<type=source-task-metrics, connector=x, task=0><>source-record-active-count"
    assert [bool(re.fullmatch(pattern, bean + end)) for end in ("", "-max", "-avg")] == [False, True, True]


@pytest.mark.parametrize("profile", PROFILES)
def test_only_what_is_ours_is_asked_for(profile):
    """Other connectors run on the same workers, other topics are mirrored by the same tasks."""
    environment = parse(environment_text(), Environment, file="environment.yaml")
    label = PROFILES[profile].client_label
    for role, bean in CONNECT_BEANS.items():
        selector = PROFILES[profile].selector(role, environment)
        assert 'job="kafka-connect"' in selector
        if bean.type.endswith("task-metrics") or bean.type in ("task-error-metrics", "connect-worker-metrics"):
            assert "connector=~" in selector, role
        if bean.domain == "producer":
            assert f"{label}=~" in selector, role
    for role in MIRROR_ATTRIBUTES:
        assert "topic=~" in PROFILES[profile].selector(role, environment)
