"""One engine in a Locust process against a mock broker: driven by the same greenlet loop, feeding the same screen.

Prints what it sent and had acknowledged each second, and its CPU by thread.
"""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()  # as Locust does it

import argparse  # noqa: E402 - after the patch
import json  # noqa: E402
import time  # noqa: E402
from fractions import Fraction  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import psutil  # noqa: E402
from confluent_kafka import Producer  # noqa: E402
from locust.env import Environment  # noqa: E402
from locust.rpc.protocol import Message  # noqa: E402

from benchmarks import scenario  # noqa: E402
from locust_session.driver import drive  # noqa: E402
from locust_session.load import Assignment  # noqa: E402
from locust_session.screen import add_batch  # noqa: E402
from locust_session.wire import ToMaster  # noqa: E402
from mm2_users.engine import Engine  # noqa: E402
from scenarios.environment import Environment as Place  # noqa: E402
from scenarios.environment import LoadedEnvironment  # noqa: E402
from scenarios.plan import RunPlan, make_plan  # noqa: E402
from scenarios.scenario import parse_scenario  # noqa: E402
from scenarios.yaml_file import parse  # noqa: E402

_PLACE = """\
name: mock
source: {{alias: source, bootstrap_servers: "{broker}", cluster_id: AAAA}}
target: {{alias: target, bootstrap_servers: "{broker}", cluster_id: BBBB}}
connect: {{urls: ["http://127.0.0.1:1"]}}
prometheus: {{url: "http://127.0.0.1:1"}}
topics: {{prefix: bench., remote_name: "{remote}", replication_factor: 1}}
ceilings: {{records_per_s: 10000000/s, bytes_per_s: 10GiB/s, total_bytes: 1000GiB, duration: 5h}}
"""
#: The mock makes every topic with so many partitions.
PARTITIONS = 4


def drive_or_leave(engine: Engine) -> None:
    """A failure ends the benchmark, with its reason."""
    try:
        drive(engine)
    except Exception as error:
        raise SystemExit(f"the engine failed: {error}") from error


def plan_for(broker: str, *, topics: int, records_per_s: int, duration_s: int, mirrored: bool) -> RunPlan:
    """The plan; `mirrored`: the engine reads its own source topics, as if they were the mirrors."""
    text = _PLACE.format(broker=broker, remote="{topic}" if mirrored else "mirror.{topic}")
    place = LoadedEnvironment.model_construct(
        file=Path("mock.yaml"), text=text, environment=parse(text, Place, file="mock.yaml")
    )
    script = scenario.text(
        "capacity", records_per_s=records_per_s, duration_s=duration_s, topics=topics, partitions=PARTITIONS
    )
    loaded = parse_scenario(script, file="capacity.yaml", environment=place.environment)
    return make_plan(loaded, place, rehearsal=Fraction(1))


def _bytes(content: dict[str, Any]) -> int:
    """As Locust sends it."""
    return len(Message(ToMaster.SECOND, content, "worker").serialize())


def _locust_report_bytes(environment: Any) -> int:
    """What Locust itself reports every 3 s."""
    stats = environment.stats
    entries = [entry.serialize() for entry in stats.entries.values()]
    return _bytes({"stats": entries, "stats_total": stats.total.serialize(), "errors": stats.serialize_errors()})


def main() -> None:
    """Plays the options of the command line; the last line is the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    for number in ("topics", "rate", "duration-s"):
        parser.add_argument(f"--{number}", type=int, required=True)
    parser.add_argument("--mirrored", action="store_true", help="read back what was sent")
    options = parser.parse_args()
    plan = plan_for(
        options.broker,
        topics=options.topics,
        records_per_s=options.rate,
        duration_s=options.duration_s,
        mirrored=options.mirrored,
    )
    print(json.dumps(play(plan, duration_s=options.duration_s)))


def play(plan: RunPlan, *, duration_s: int) -> dict[str, Any]:
    """The load, second by second."""
    environment: Any = Environment()
    engine = Engine(plan, screen=lambda kind, durations_ns, size: add_batch(environment, kind, durations_ns, size))
    maker = Producer({"bootstrap.servers": plan.environment.source.bootstrap_servers})
    for name in (name for topic in plan.topics for name in (topic.source, topic.remote)):
        maker.list_topics(name, timeout=10)  # the mock makes what is asked for
    engine.prepare(Assignment(run_id="capacity", index=0, senders=1))
    gevent.spawn(drive_or_leave, engine)
    process, seconds = psutil.Process(), []
    engine.start(time.monotonic_ns())
    started_s = time.monotonic()
    for number in range(1, duration_s + 1):
        gevent.sleep(max(started_s + number - time.monotonic(), 0))
        second, spent = engine.second(), process.cpu_times()
        seconds.append(
            {
                "at_s": time.monotonic() - started_s,
                "unix_s": time.time(),
                "sent": second.sent,
                "acked": second.acked,
                "arrived": second.arrived,
                "cpu_s": spent.user + spent.system,
                "report_bytes": _bytes(second.to_wire()),
                "locust_report_bytes": _locust_report_bytes(environment),
            }
        )
    threads = {thread.id: thread.user_time + thread.system_time for thread in process.threads()}
    engine.stop_sending()
    return {"seconds": seconds, "threads_cpu_s": threads, "main_thread": process.pid}


if __name__ == "__main__":
    main()
