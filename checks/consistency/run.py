"""The manifest is that of one run: its texts, plan, workers and ending agree, and its events tell the same story."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from checks.consistency.equations import EVENTS, LEDGER, MANIFEST, Contradiction, Equation, Facts
from run_record.manifest import Ending
from scenarios.plan import parse_rehearsal

#: How a run ends that nobody and nothing ended before its time.
BY_ITSELF = ("completed", "criterion")
#: What the events are written by, and the manifest, is not the same instant.
SLACK_NS = 5_000_000_000
SHOWN = 12


def of_run(facts: Facts) -> Iterator[Contradiction]:
    """All equations of the manifest, but for its phases."""
    yield from _scenario(facts)
    yield from _environment(facts)
    yield from _plan(facts)
    yield from _workers(facts)
    yield from _identities(facts)
    yield from _ending(facts)
    yield from _account(facts)


def _manifest(equation: Equation, key: str, found: object, other: str, wanted: object) -> Iterator[Contradiction]:
    """Nothing where both are the same."""
    if found != wanted:
        yield Contradiction(
            equation=equation, where=f"{MANIFEST}: {key}", found=_said(found), other=other, wanted=_said(wanted)
        )


def _said(value: object) -> str | int | float:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else str(value)


def _scenario(facts: Facts) -> Iterator[Contradiction]:
    said, text = facts.manifest.scenario, "scenario.text"
    digest = hashlib.sha256(said.text.encode()).hexdigest()
    yield from _manifest(Equation.SCENARIO_TEXT, "scenario.sha256", said.sha256[:SHOWN], text, digest[:SHOWN])
    if said.sha256[:SHOWN] == digest[:SHOWN]:
        yield from _manifest(Equation.SCENARIO_TEXT, "scenario.sha256", said.sha256, text, digest)
    yield from _manifest(Equation.SCENARIO_TEXT, "scenario.name", said.name, text, facts.scenario.scenario.name)


def _environment(facts: Facts) -> Iterator[Contradiction]:
    seen, written = facts.manifest.environment, facts.environment
    pairs = [("name", seen.name, written.name), ("production", seen.production, written.production)]
    pairs += [
        (f"{side}.{key}", getattr(getattr(seen, side), key), getattr(getattr(written, side), key))
        for side in ("source", "target")
        for key in ("alias", "cluster_id", "bootstrap_servers")
    ]
    for key, found, wanted in pairs:
        yield from _manifest(Equation.ENVIRONMENT_TEXT, f"environment.{key}", found, "environment.text", wanted)


def _plan(facts: Facts) -> Iterator[Contradiction]:
    manifest, plan = facts.manifest, facts.plan
    if plan is None:
        return
    source = f"{MANIFEST}: scenario.text, environment.text, rehearsal"
    loads = manifest.of_kind("load")
    records = sum(phase.records for phase in loads) if plan.ladder and loads else plan.record_count
    yield from _manifest(Equation.PLAN, "planned_records", manifest.planned_records, source, records)
    if not plan.scenario.payload.own_files:
        yield from _manifest(Equation.PLAN, "record_bytes", manifest.record_bytes, source, plan.scenario.payload.bytes)
    yield from _manifest(
        Equation.PLAN, "rehearsal", manifest.rehearsal, source, str(parse_rehearsal(manifest.rehearsal))
    )
    found = {(topic.source, topic.remote, topic.partitions) for topic in manifest.topics}
    wanted = {(topic.source, topic.remote, topic.partitions) for topic in plan.topics}
    if found != wanted or len(manifest.topics) != len(plan.topics):
        one, other = (sorted(some - others) for some, others in ((found, wanted), (wanted, found)))
        yield Contradiction(
            equation=Equation.PLAN,
            where=f"{MANIFEST}: topics",
            found=_topic(one[0]) if one else len(manifest.topics),
            other=source,
            wanted=_topic(other[0]) if other else len(plan.topics),
        )


def _topic(topic: tuple[str, str, int]) -> str:
    return f"{topic[0]} → {topic[1]} × {topic[2]}"


def _workers(facts: Facts) -> Iterator[Contradiction]:
    """Numbered from 0 on, each once; a load has at least one, and one that is not ours exactly one."""
    workers = facts.manifest.workers
    numbers = [worker.index for worker in workers]
    yield from _manifest(Equation.WORKERS, "workers.index", numbers, "workers", list(range(len(workers))))
    yield from _manifest(
        Equation.WORKERS, "workers.id", len({worker.id for worker in workers}), "workers", len(workers)
    )
    least, most = int(facts.load_began), 1 if not facts.manifest.has_envelopes else len(workers)
    if not least <= len(workers) <= max(most, least):
        yield Contradiction(
            equation=Equation.WORKERS,
            where=f"{MANIFEST}: workers",
            found=len(workers),
            other=f"{MANIFEST}: phases, load",
            wanted=max(most, least),
        )


def _identities(facts: Facts) -> Iterator[Contradiction]:
    """Of a load that began, every worker has shown before that it plays what the record says (schema 2)."""
    manifest = facts.manifest
    environment = manifest.environment
    told = {one.index: one.identity for one in manifest.workers if one.identity is not None}
    if not facts.load_began or not told:
        return
    played = {
        "load": ("load", manifest.load),
        "scenario_sha256": ("scenario.sha256", manifest.scenario.sha256),
        "environment_sha256": ("environment.text", hashlib.sha256(environment.text.encode()).hexdigest()),
        "source_cluster_id": ("environment.source.cluster_id", environment.source.cluster_id),
        "target_cluster_id": ("environment.target.cluster_id", environment.target.cluster_id),
        "plan_sha256": ("workers", next(iter(told.values())).plan_sha256),
    }
    for index, identity in told.items():
        for key, (other, wanted) in played.items():
            where = f"workers.{index}.identity.{key}"
            yield from _manifest(Equation.WORKERS, where, getattr(identity, key), other, wanted)


def _ending(facts: Facts) -> Iterator[Contradiction]:
    """An ending that does not deny itself."""
    ending = facts.manifest.ending
    if ending is None:
        if facts.record.sealed:
            yield from _manifest(Equation.ENDING, "ending", None, "record/SHA256SUMS", "sealed")
        return
    how = f"ending.how ({ending.how})"
    yield from _manifest(Equation.ENDING, "ending.aborted", ending.aborted, how, ending.how not in BY_ITSELF)
    cut = ending.cut
    if ending.how in BY_ITSELF:
        yield from _manifest(Equation.ENDING, "ending.cut", cut is not None, how, ending.how == "criterion")
    if cut is not None:
        yield from _cut(facts, ending)
    if facts.manifest.clock is None:
        yield from _manifest(Equation.ENDING, "clock", None, how, "clock")


def _cut(facts: Facts, ending: Ending) -> Iterator[Contradiction]:
    cut = ending.cut
    if cut is None:
        return
    if ending.how == "criterion":
        yield from _manifest(Equation.ENDING, "ending.detail", ending.detail, "ending.cut.criterion", cut.criterion)
    stopping = [one.id for one in facts.scenario.scenario.criteria if one.stop is not None]
    if cut.criterion not in stopping:
        yield from _manifest(
            Equation.ENDING,
            "ending.cut.criterion",
            cut.criterion,
            f"{MANIFEST}: scenario.text",
            ", ".join(stopping) or "–",
        )
    loads = facts.manifest.of_kind("load")
    began_ns = loads[0].start_ns if loads else ending.at_ns
    for key, found_ns, low_ns, high_ns in (
        ("at_ns", cut.at_ns, began_ns, ending.at_ns),
        ("nogo_since_ns", cut.nogo_since_ns, 0, cut.at_ns),
    ):
        if not low_ns <= found_ns <= high_ns:
            yield Contradiction(
                equation=Equation.ENDING,
                where=f"{MANIFEST}: ending.cut.{key}",
                found=str(found_ns),
                other=f"{MANIFEST}: phases, ending",
                wanted=f"{low_ns} … {high_ns}",
            )
    if cut.due_records > facts.manifest.planned_records:
        yield from _manifest(
            Equation.ENDING,
            "ending.cut.due_records",
            cut.due_records,
            "planned_records",
            facts.manifest.planned_records,
        )


def _account(facts: Facts) -> Iterator[Contradiction]:
    """A load that began is counted in the end, by every worker that did not vanish."""
    if not (facts.record.sealed and facts.load_began):
        return
    unreadable = {fault.file for fault in facts.record.faults}
    everybody = {worker.id for worker in facts.manifest.workers}
    nobody_told = everybody <= facts.lost_workers
    for name, there in (
        ("ledger.json", facts.record.ledger is not None),
        ("latency.json", (facts.record.directory / "record" / "latency.json").exists()),
        ("events.jsonl", bool(facts.record.events)),
    ):
        if not there and name not in unreadable and (name == "events.jsonl" or not nobody_told):
            yield Contradiction(
                equation=Equation.ACCOUNT_ABSENT,
                where=f"record/{name}",
                found="–",
                other=f"{MANIFEST}: phases, workers",
                wanted=len(everybody),
            )


# Events.


def of_events(facts: Facts) -> Iterator[Contradiction]:
    """The events tell the same story as manifest and ledger. A record whose writer died has no other."""
    manifest, ending = facts.manifest, facts.manifest.ending
    if ending is None:
        return
    began = [
        (event["phase"], event["kind"], event["records"], event["planned_s"], event["at_ns"])
        for event in facts.record.events
        if event["event"] == "phase_started"
    ]
    played = [(one.name, one.kind, one.records, one.planned_s, one.start_ns) for one in manifest.phases]
    if began != played:
        at = next((n for n, pair in enumerate(zip(began, played, strict=False)) if pair[0] != pair[1]), None)
        at = min(len(began), len(played)) if at is None else at
        yield _event(
            f"phase_started ({at})", str(began[at : at + 1]), f"{MANIFEST}: phases.{at}", str(played[at : at + 1])
        )
    yield from _named(facts, "run_started", {"run_id": manifest.run_id})
    started = [event["at_ns"] for event in facts.record.events if event["event"] == "run_started"]
    if started and played and started[0] > played[0][-1]:
        yield _event("run_started, at_ns", str(started[0]), f"{MANIFEST}: phases.0.start_ns", str(played[0][-1]))
    yield from _named(facts, "run_ended", {"how": ending.how, "detail": ending.detail})
    if ending.cut is not None:
        cut = ending.cut.model_dump(exclude={"at_ns", "due_records"})
        yield from _named(facts, "load_cut_short", cut)
    elif cuts := [event for event in facts.record.events if event["event"] == "load_cut_short"]:
        yield _event("load_cut_short", str(cuts[0]["criterion"]), f"{MANIFEST}: ending.cut", "null")
    for number, event in enumerate(facts.record.events, start=1):
        if not manifest.started_at_ns <= event["at_ns"] <= ending.at_ns + SLACK_NS:
            yield Contradiction(
                equation=Equation.EVENTS_AND_MANIFEST,
                where=f"{EVENTS}: line {number}, at_ns",
                found=str(event["at_ns"]),
                other=f"{MANIFEST}: started_at_ns … ending.at_ns",
                wanted=f"{manifest.started_at_ns} … {ending.at_ns}",
            )
    yield from _vanished(facts)


def _named(facts: Facts, name: str, wanted: dict[str, object]) -> Iterator[Contradiction]:
    """An event of that name is there, once, and says this."""
    found = [event for event in facts.record.events if event["event"] == name]
    if len(found) != 1:
        yield _event(name, len(found), MANIFEST, 1)
        return
    for key, value in wanted.items():
        if found[0].get(key) != value:
            yield _event(f"{name}, {key}", str(found[0].get(key)), MANIFEST, str(value))


def _event(what: str, found: str | int, other: str, wanted: str | int) -> Contradiction:
    return Contradiction(
        equation=Equation.EVENTS_AND_MANIFEST, where=f"{EVENTS}: {what}", found=found, other=other, wanted=wanted
    )


def _vanished(facts: Facts) -> Iterator[Contradiction]:
    """Who is unaccounted for has vanished, or gave no account; and who did is unaccounted for, unless it gave its
    account after all."""
    ledger = facts.record.ledger
    if ledger is None:
        return
    unaccounted = {one["worker"] for one in ledger["unaccounted"]}
    numbers = {worker.id: worker.index for worker in facts.manifest.workers}
    senders = {one["sender"] for one in ledger["streams"]}
    for worker in sorted(unaccounted - (facts.lost_workers & numbers.keys())):
        yield _worker(worker, "unaccounted", f"{EVENTS}: worker_lost, account_missing")
    if not facts.load_began:
        return
    for worker, number in numbers.items():
        if worker not in unaccounted and number not in senders:
            yield _worker(worker, "streams", f"{MANIFEST}: workers.{number}")


def _worker(worker: str, where: str, other: str) -> Contradiction:
    return Contradiction(equation=Equation.VANISHED, where=f"{LEDGER}: {where}", found=worker, other=other, wanted="–")
