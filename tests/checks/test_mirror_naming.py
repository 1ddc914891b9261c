"""What a MirrorSourceConnector's configuration says of names, by Kafka's own rules; what it leaves open is not told."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.mirror_naming import MATCH_WITHIN_S, is_cycle, matches, naming_of, selects

MIRROR = "org.apache.kafka.connect.mirror"
TRANSFORMS = "org.apache.kafka.connect.transforms"
names = st.text(alphabet="abcXYZ019._-", min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("settings", "remote"),
    [
        pytest.param({}, "source.t.a", id="Kafka's defaults"),
        pytest.param({"replication.policy.separator": "_"}, "source_t.a", id="another separator"),
        pytest.param({"replication.policy.separator": ""}, "sourcet.a", id="no separator"),
        pytest.param({"source.cluster.alias": " paris "}, "paris.t.a", id="an alias with blanks around it"),
        pytest.param(
            {"replication.policy.class": f"{MIRROR}.DefaultReplicationPolicy"}, "source.t.a", id="the default, named"
        ),
        pytest.param({"replication.policy.class": f"{MIRROR}.IdentityReplicationPolicy"}, "t.a", id="identity"),
        pytest.param(
            {"replication.policy.class": "io.strimzi.kafka.connect.mirror.IdentityReplicationPolicy"},
            "t.a",
            id="Strimzi's identity",
        ),
        pytest.param({"replication.policy.class": "com.acme.Policy"}, None, id="a policy of somebody's own"),
        pytest.param({"replication.policy.class": ""}, None, id="an empty policy"),
        pytest.param({"source.cluster.alias": ""}, None, id="no alias"),
        pytest.param({"source.cluster.alias": "${file:/a:alias}"}, None, id="a reference for an alias"),
        pytest.param({"replication.policy.separator": "${env:SEP}"}, None, id="a reference for a separator"),
        pytest.param(
            {"transforms": "r", "transforms.r.type": f"{TRANSFORMS}.RegexRouter"}, None, id="a transform that renames"
        ),
        pytest.param(
            {"transforms": "r", "transforms.r.type": "com.acme.Anything"}, None, id="a transform of somebody's own"
        ),
        pytest.param(
            {"transforms": "a, b", "transforms.a.type": f"{TRANSFORMS}.InsertHeader", "transforms.b.type": "x.Y"},
            None,
            id="the second transform",
        ),
        pytest.param(
            {"transforms": "f", "transforms.f.type": f"{TRANSFORMS}.Filter"}, "source.t.a", id="one that drops records"
        ),
        pytest.param(
            {"transforms": "f", "transforms.f.type": f"{TRANSFORMS}.MaskField$Value"},
            "source.t.a",
            id="one of a record's value",
        ),
    ],
)
def test_the_mirrors_name_is_what_the_policy_makes_of_it_or_not_told(settings, remote):
    naming = naming_of({"source.cluster.alias": "source", **settings})
    assert naming.remote("t.a") == remote
    assert bool(naming.unknown) is (remote is None)


@given(alias=names, separator=st.sampled_from([".", "_", "-", "", "--"]), topic=names)
def test_under_the_default_policy_it_is_alias_separator_topic(alias, separator, topic):
    naming = naming_of({"source.cluster.alias": alias, "replication.policy.separator": separator})
    assert naming.remote(topic) == f"{alias}{separator}{topic}"


@pytest.mark.parametrize(
    ("settings", "selected"),
    [
        pytest.param({}, True, id="everything, unless told otherwise"),
        pytest.param({"topics": "t[.].*"}, True, id="a pattern"),
        pytest.param({"topics": "x, t.a"}, True, id="the second of a list"),
        pytest.param({"topics": "t"}, False, id="a pattern must match all of the name"),
        pytest.param({"topics": "orders.*"}, False, id="another prefix"),
        pytest.param({"topics": ""}, False, id="nothing at all"),
        pytest.param({"topics.exclude": "t[.].*"}, False, id="left out"),
        pytest.param({"topics.blacklist": "t[.].*"}, False, id="left out by the old key"),
        pytest.param({"topics": "t(?<!x++)[[a-z]&&[^b]]("}, None, id="a pattern that only Java reads"),
        pytest.param({"topics": "${file:/a:topics}"}, None, id="a reference"),
        pytest.param({"topic.filter.class": "com.acme.Filter"}, None, id="a filter of somebody's own"),
    ],
)
def test_a_topic_is_taken_or_left_by_the_connectors_lists(settings, selected):
    assert selects(settings, "t.a") is selected


@pytest.mark.parametrize(("topic", "selected"), [("__t", False), ("t.replica", False), ("t.internal", None)])
def test_what_is_left_out_by_default_depends_on_the_version_for_some_names(topic, selected):
    assert selects({}, topic) is selected


@given(topic=names, chosen=st.lists(names.map(re.escape), max_size=4))
def test_lists_are_alternatives(topic, chosen):
    assert selects({"topics": ",".join(chosen), "topics.exclude": ""}, topic) is (re.escape(topic) in chosen)


@pytest.mark.parametrize(
    ("topic", "settings", "cycle"),
    [
        ("target.a", {}, True),
        ("x.target.a", {}, True),
        ("a.target", {}, False),
        ("targets.a", {}, False),
        ("target.a", {"target.cluster.alias": "dublin"}, False),
        ("dublin.a", {"target.cluster.alias": "dublin"}, True),
        ("target.a", {"replication.policy.separator": "_"}, False),
        ("target.a", {"replication.policy.class": f"{MIRROR}.IdentityReplicationPolicy"}, False),
    ],
)
def test_a_topic_that_seems_to_come_from_the_target_is_a_cycle(topic, settings, cycle):
    assert is_cycle({"source.cluster.alias": "source", **settings}, topic) is cycle


@pytest.mark.parametrize(
    "pattern", [r"([\w-]+\.?)*events", r"(\w+[-.]?)+\.avro", r"([a-z0-9]+[-._]?)+events", "(a|aa)+$"]
)
def test_no_pattern_of_somebody_elses_takes_for_ever(pattern):
    began_s = time.process_time()
    for number in range(50):
        assert not matches(pattern, f"test-prometheus.{'a' * 60}{number}.json")
    assert time.process_time() - began_s < 20 * MATCH_WITHIN_S
