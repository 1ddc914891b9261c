"""What holds of any names: refused exactly where they differ, never on what was not told."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from checks.metric_profiles import PROFILES, Detected, Role
from runbook.preflight.answers import Moment, found, refusals, remarks, shown
from runbook.preflight.connect import ConnectSeen, connect_answers, lost_canary_answers
from runbook.preflight.metrics import ROLES, MetricsSeen, Shows, metric_answers, must_be_there, shown_from
from runbook.preflight.needs import Needs
from scenarios.visible import one_line
from tests.scenarios.examples import plan
from tests.support.deployment import ALL, ENVIRONMENT, MIRROR, SOURCE, scenario, source_config

HERE = ENVIRONMENT.replace("CONNECT", '"http://127.0.0.1:3"').replace("PROMETHEUS", '"http://127.0.0.1:4"')
aliases = st.sampled_from(["source", "src", "dc1", "dc1.a", "a_b"])
separators = st.sampled_from([".", "_", "-", ""])
names = st.text(min_size=1, max_size=400)
PROFILE = PROFILES["confluent_mirror"]
PLAN = plan(scenario(*ALL), HERE)


def answers(pattern: str, **settings: str) -> tuple[str, ...]:
    where = HERE.replace("prefix: t.", f"prefix: t., remote_name: {json.dumps(pattern)}")
    made = plan(scenario(*ALL), where)
    seen = ConnectSeen(names=(SOURCE, "mm2-checkpoint", "mm2-heartbeat"), configs={SOURCE: source_config(**settings)})
    return refusals(tuple(connect_answers(made, Needs.of(made), seen)))


@given(ours=st.tuples(aliases, separators), theirs=st.tuples(aliases, separators))
def test_for_any_alias_and_separator_a_mirror_is_refused_exactly_where_the_two_names_differ(ours, theirs):
    pattern, written = (f"{alias}{separator}{{topic}}" for alias, separator in (ours, theirs))
    lines = answers(pattern, source_cluster_alias=theirs[0], replication_policy_separator=theirs[1])
    assert bool(lines) is (pattern != written)
    for line in lines:
        assert f"the name {pattern.format(topic='t.a-1')} " in line
        assert f"writes {written.format(topic='t.a-1')} " in line
        assert f'set topics.remote_name to "{written}"' in line


@given(alias=aliases, separator=separators, identity=st.booleans())
def test_what_is_advised_is_not_refused(alias, separator, identity):
    policy = {"replication_policy_class": f"{MIRROR}.IdentityReplicationPolicy"} if identity else {}
    settings = {"source_cluster_alias": alias, "replication_policy_separator": separator, **policy}
    (line,) = answers("wrong.{topic}.wrong", **settings)
    advised = line.partition('set topics.remote_name to "')[2].partition('"')[0]
    assert answers(advised, **settings) == ()


@given(why=names)
def test_whatever_an_error_says_is_fit_for_a_terminal(why):
    seen = ConnectSeen(trouble=why)
    answers_ = (*connect_answers(PLAN, Needs.of(PLAN), seen), *lost_canary_answers(PLAN, Needs.of(PLAN), seen))
    assert answers_
    for text in (*(one.text for one in answers_), *remarks(answers_, Moment.LOST)):
        assert one_line(text) == text


@given(
    known=st.lists(names, max_size=30),
    config=st.dictionaries(st.sampled_from([*source_config(), "transforms", "topic.filter.class"]), names, max_size=6),
    written=st.none() | st.lists(names, max_size=30),
)
def test_whatever_connect_says_is_answered_in_lines_fit_for_a_terminal_and_of_bounded_size(known, config, written):
    seen = ConnectSeen(
        names=(*known, SOURCE), configs={SOURCE: config}, written=None if written is None else tuple(written)
    )
    needs = Needs.of(PLAN)
    given_ = (*connect_answers(PLAN, needs, seen), *lost_canary_answers(PLAN, needs, seen))
    for line in (*refusals(given_), *remarks(given_, Moment.LOST)):
        assert one_line(line) == line
    assert len(json.dumps([one.to_json() for one in given_])) < 60_000


@given(st.lists(names, max_size=50), names)
def test_names_that_are_found_are_shown_a_few_at_a_time_the_likeliest_first(known, like):
    text = found([*known, like], like=like)
    assert text.startswith(shown(like))
    assert one_line(text) == text
    assert len(text) < 4000


counts = st.fixed_dictionaries({role: st.integers(0, 2) for role in ROLES})


def seen_with(series: dict[Role, int], *, keeps_nan: bool) -> MetricsSeen:
    detected = Detected(profile=PROFILE)
    jobs = {"kafka-connect": 2.0, "node-exporter": 1.0}
    return MetricsSeen(jobs=jobs, detected=detected, auto=detected, series=series, keeps_nan=keeps_nan)


@given(series=counts, keeps_nan=st.booleans(), moment=st.sampled_from([Moment.BEFORE, Moment.CROSSED]))
def test_a_metric_is_refused_only_where_it_has_no_series_and_must_have(series, keeps_nan, moment):
    seen = seen_with(series, keeps_nan=keeps_nan)
    by_id = {one.id: one for one in metric_answers(PLAN.loaded_environment, Needs.of(PLAN), seen, moment)}
    for role in Needs.of(PLAN).roles:
        answer = by_id[f"metric.{role}"]
        assert (answer.outcome == "ok") is (series[role] > 0)
        assert answer.refused is (series[role] == 0 and must_be_there(seen, role, moment))


@given(series=counts, keeps_nan=st.booleans(), role=st.sampled_from(ROLES))
def test_what_must_be_there_before_the_canary_must_be_there_after_it(series, keeps_nan, role):
    seen = seen_with(series, keeps_nan=keeps_nan)
    assert must_be_there(seen, role, Moment.CROSSED) or not must_be_there(seen, role, Moment.BEFORE)


@given(role=st.sampled_from(ROLES))
def test_a_deployment_that_has_nothing_to_mirror_yet_lacks_nothing_that_needs_it(role):
    seen = seen_with(dict.fromkeys(ROLES, 0), keeps_nan=True)
    assert must_be_there(seen, role, Moment.BEFORE) is (shown_from(role, PROFILE) is Shows.ALWAYS)
