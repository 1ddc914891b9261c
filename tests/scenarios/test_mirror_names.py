"""What a topic's mirror is called: after the alias of the environment's source, unless the file says otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.errors import SpecError
from tests.scenarios.examples import ENVIRONMENT, environment, plan

names = st.text(alphabet="abcXYZ019._-", min_size=1, max_size=30)


def topics(alias: str, remote_name: str | None = None):
    text = ENVIRONMENT.replace("alias: source", f'alias: "{alias}"')
    if remote_name is not None:
        text = text.replace("prefix: mm2gate.", f'prefix: mm2gate., remote_name: "{remote_name}"')
    return environment(text).environment.topics


@given(alias=names, topic=names)
def test_by_default_it_is_called_after_the_alias_of_the_source(alias, topic):
    rules = topics(alias)
    assert rules.remote(topic) == f"{alias}.{topic}"
    assert rules.source_of(f"{alias}.{topic}") == topic


@pytest.mark.parametrize(
    ("remote_name", "remote"),
    [("source.{topic}", "source.a"), ("{topic}", "a"), ("{alias}_{topic}", "paris_a"), ("{topic}.{alias}", "a.paris")],
)
def test_a_name_that_is_given_stays_as_it_is_and_may_name_the_alias(remote_name, remote):
    assert topics("paris", remote_name).remote("a") == remote


def test_the_plan_looks_for_the_mirrors_of_that_name():
    made = plan(where=ENVIRONMENT.replace("alias: source", "alias: paris"))
    assert {topic.remote for topic in made.topics} == {f"paris.{topic.source}" for topic in made.topics}


def test_a_source_that_is_wrong_is_said_and_nothing_else():
    with pytest.raises(SpecError) as refused:
        environment(ENVIRONMENT.replace("alias: source", 'alias: ""'))
    assert [problem.key for problem in refused.value.problems] == ["source.alias"]
