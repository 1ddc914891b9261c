"""Two labs in two directories, side by side: neither sees the other, and neither lets the other's users in."""

from __future__ import annotations

import pytest

from clients.kafka import identify
from clients.kafka_admin import Admin
from lab.accounts import LOAD
from lab.handles import Lab
from scenarios.errors import Refused

HERE = "test-prometheus.only-here"


def test_two_labs_share_no_port_no_cluster_and_no_process(labs: tuple[Lab, Lab]) -> None:
    one, other = (lab.state for lab in labs)
    assert not set(one.ports.values()) & set(other.ports.values())
    assert not set(one.cluster_ids.values()) & set(other.cluster_ids.values())
    assert not {known.pid for known in one.processes.values()} & {known.pid for known in other.processes.values()}


def test_a_topic_of_one_is_not_in_the_other(labs: tuple[Lab, Lab]) -> None:
    here, there = (Admin(seen.environment.source, seen) for seen in (lab.seen_by(LOAD) for lab in labs))
    here.create_topics([(HERE, 1)], config={})
    try:
        assert HERE in here.partitions()
        assert HERE not in there.partitions()
    finally:
        here.delete_topics([HERE])


def test_a_user_of_one_may_not_log_in_to_the_other(labs: tuple[Lab, Lab]) -> None:
    ours, theirs = (lab.seen_by(LOAD) for lab in labs)
    address = {"bootstrap_servers": theirs.environment.source.bootstrap_servers}
    with pytest.raises(Refused, match=r"login by source\.security failed"):
        identify(ours.environment.source.model_copy(update=address), ours)
