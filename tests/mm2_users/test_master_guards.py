"""What the master finds on the source before anything is written: topics that exist and fit, or a refusal."""

from __future__ import annotations

import pytest

from mm2_users.master import KafkaMaster
from scenarios.errors import Refused
from scenarios.topic_names import clashing
from tests.scenarios.examples import ENVIRONMENT, SCENARIO, plan
from tests.support.servers import Reply, serving

PLANNED = "mm2gate.generated-data-01.json"
ROOT = {"version": "4.3.1", "kafka_cluster_id": "BBBB"}
VECTOR = {"status": "success", "data": {"resultType": "vector", "result": []}}


@pytest.fixture
def identified(monkeypatch):
    """Identifies with these topics on the source cluster."""

    def build(existing: dict[str, int]) -> None:
        class Admin:
            def __init__(self, *_: object) -> None:
                pass

            def partitions(self) -> dict[str, int]:
                return existing

        monkeypatch.setattr("mm2_users.master.Admin", Admin)
        monkeypatch.setattr("mm2_users.master.clusters_seen", lambda _: ())
        with serving(lambda _: Reply.of(ROOT)) as rest, serving(lambda _: Reply.of(VECTOR)) as metrics:
            where = ENVIRONMENT.replace(':3"', f':{rest.url.rpartition(":")[2]}"')
            where = where.replace(':4"', f':{metrics.url.rpartition(":")[2]}"')
            KafkaMaster(plan(SCENARIO, where)).identify()

    return build


@pytest.mark.parametrize("existing", [{}, {"other": 1}, {PLANNED: 4}, {PLANNED: 4, PLANNED.replace(".", "_"): 1}])
def test_topics_that_are_missing_or_fit_are_no_trouble(identified, existing):
    identified(existing)


@pytest.mark.parametrize("other", [PLANNED.replace(".", "_"), PLANNED.replace("mm2gate.", "mm2gate_")])
def test_a_topic_that_kafka_would_not_make_beside_another_is_refused_before_the_load(identified, other):
    with pytest.raises(Refused, match=f"Kafka makes no topic {PLANNED} beside {other}"):
        identified({"x": 1, other: 4})


def test_names_clash_only_where_kafka_says_so():
    assert clashing("a.b_c", ["a_b.c"]) == "a_b.c"
    assert clashing("a.b", ["a.b", "a-b", "ab", "a.b.", "A.b"]) is None
