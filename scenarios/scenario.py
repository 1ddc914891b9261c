"""A scenario: a question, the load that asks it (topics, payload, phases) and the criteria that answer it.

Phases come in one order: silence, load phases, drain, watch. Silence, drain and watch are stretches of time around the
load that the measurements need, so a rehearsal never scales them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, model_validator

from scenarios import topic_names
from scenarios.criterion import Criterion
from scenarios.environment import Environment
from scenarios.errors import Problem, SpecError
from scenarios.payload import DIRECTORY, Payload, Payloads
from scenarios.phases import MOST_PHASES, Drain, LoadPhase, Phase, Silence, Steps, Watch, in_order
from scenarios.plain_file import is_plain_file
from scenarios.text import Text
from scenarios.units import DurationS, SizeBytes, shown
from scenarios.variables import OPTION, Variable, filled, left_open
from scenarios.yaml_file import Problems, StrictModel, parse, read_text

LIBRARY = resources.files("scenarios") / "library"
#: MM2's -avg and -max gauges look back over two Kafka metric windows of 30 s; one scrape more makes 65.
LOOK_BACK_SILENCE_S = 65.0
LOOK_BACK_WATCH_S = 60.0


#: What a topic's name may leave to be filled in.
_PLACE_IN_NAME = re.compile(r"\{(?:prefix|n(?::0?[1-9][0-9]?d?)?)\}")
MOST_CRITERIA = 1000


class HotPartition(StrictModel):
    """A partition of every topic that gets `weight` times the records of any other: keys that are not evenly spread."""

    partition: int = Field(ge=0)
    weight: int = Field(10, ge=2, le=1000)


class TopicPlan(StrictModel):
    """Which source topics are written: `count` of them, named by `name` with {prefix} and {n} filled in."""

    name: str = "{prefix}generated-data-{n:02d}.json"
    count: int = Field(1, ge=1, le=1000)
    partitions: int = Field(12, ge=1, le=10_000)
    retention: DurationS = 86_400.0
    hot: HotPartition | None = None

    @model_validator(mode="after")
    def _hot_partition_exists(self) -> Self:
        if self.hot is not None and self.hot.partition >= self.partitions:
            raise ValueError(f"hot.partition: there is no partition {self.hot.partition} of {self.partitions}")
        return self

    @model_validator(mode="after")
    def _name_can_be_filled(self) -> Self:
        # Not tried out: `{n:999999999d}` is a format too.
        if set("{}") & set(_PLACE_IN_NAME.sub("", self.name)):
            raise ValueError(f"name: {shown(self.name)} may use only {{prefix}} and {{n}} (or {{n:02d}})")
        names = set(self.names("p."))
        for name in sorted(names):
            if why := topic_names.why_refused(name):
                raise ValueError(f"name: Kafka refuses the topic {shown(name)}: {why}")
        if len(names) != self.count:
            raise ValueError(f"name: {self.name!r} gives {len(names)} names for {self.count} topics; use {{n}}")
        return self

    @model_validator(mode="after")
    def _inside_the_prefix(self, info: ValidationInfo) -> Self:
        environment = (info.context or {}).get("environment")
        if environment is None:
            return self
        prefix = environment.topics.prefix
        outside = [name for name in self.names(prefix) if not name.startswith(prefix)]
        if outside:
            raise ValueError(
                f"name: topic {outside[0]!r} is outside the prefix {prefix!r} of environment {environment.name}; "
                "only topics inside it may be written"
            )
        for name in self.names(prefix):
            for what, one in (("topic", name), ("mirror", environment.topics.remote(name))):
                if why := topic_names.why_refused(one):
                    raise ValueError(f"name: in environment {environment.name} Kafka refuses the {what} {one!r}: {why}")
        return self

    def names(self, prefix: str) -> tuple[str, ...]:
        """The topics' names in an environment with this prefix."""
        return tuple(self.name.format(prefix=prefix, n=n) for n in range(1, self.count + 1))


class ProducerSettings(StrictModel):
    """Settings of the load's producer; the defaults are the runbook's."""

    acks: Literal["all"] = "all"
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "gzip"
    linger: DurationS = 0.010
    batch: SizeBytes = 16 * 1024
    buffer: SizeBytes = 32 * 1024**2


class Canary(StrictModel):
    """The first record of every partition. Without `patience`, it is awaited max(60 s, 2 × topic refresh)."""

    patience: DurationS | None = None


class ConnectorWanted(StrictModel):
    """What MM2's source connector must be set to. `mm2gate run` sets it, and restores what was; Locust only checks."""

    tasks_max: int | None = Field(None, ge=1, le=1000)


def _ids_differ(criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
    repeated = _repeated(criterion.id for criterion in criteria)
    if repeated:
        raise Problems(f"{name!r} is the id of several criteria; ids must differ" for name in repeated)
    return criteria


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


class Scenario(StrictModel):
    """The whole file. `runbook_phase` names the page whose fiche it fills.

    `variables` are places `${name}` in the file that a run fills (`--set name=value`); `variants` are sets of values
    for them, each of which `mm2gate run` plays as a run of its own.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    question: Text
    runbook_phase: int | None = Field(None, ge=0, le=8)
    topics: TopicPlan = TopicPlan()
    payload: Payloads = Payloads((Payload(),))
    producer: ProducerSettings = ProducerSettings()
    canary: Canary = Canary()
    connector: ConnectorWanted = ConnectorWanted()
    variables: dict[str, Variable] = {}  # noqa: RUF012 - pydantic copies it
    variants: tuple[dict[str, str], ...] = ()
    phases: Annotated[tuple[Phase, ...], AfterValidator(in_order)] = Field(min_length=1, max_length=MOST_PHASES)
    criteria: Annotated[tuple[Criterion, ...], AfterValidator(_ids_differ)] = Field(
        min_length=1, max_length=MOST_CRITERIA
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        problems = [
            *_misfits(self.phases, self.criteria),
            *self._variant_problems(),
            *self.payload.problems(self.topics.count),
        ]
        if problems:
            raise Problems(problems)
        return self

    @classmethod
    def further_problems(cls, content: Mapping[str, Any]) -> Iterator[str]:
        """What does not fit together in a file of which other parts are wrong, as far as it can be told."""
        written, criteria = _valid(Phases, content.get("phases")), content.get("criteria")
        if written is not None and isinstance(criteria, list):
            known = (_valid(OneCriterion, one) for one in criteria[:MOST_CRITERIA])
            yield from _misfits(written, tuple(one for one in known if one is not None))

    def _variant_problems(self) -> Iterator[str]:
        for number, variant in enumerate(self.variants, start=1):
            if missing := sorted(self.variables.keys() ^ variant.keys()):
                yield f"variants: number {number} and the variables differ in {', '.join(missing)}"

    @property
    def load_phases(self) -> tuple[LoadPhase, ...]:
        return tuple(phase for phase in self.phases if isinstance(phase, LoadPhase))

    @property
    def drain(self) -> Drain:
        return next(phase for phase in self.phases if isinstance(phase, Drain))

    @property
    def silence(self) -> Silence | None:
        return next((phase for phase in self.phases if isinstance(phase, Silence)), None)

    @property
    def watch(self) -> Watch | None:
        return next((phase for phase in self.phases if isinstance(phase, Watch)), None)

    @property
    def silence_s(self) -> float:
        return self.silence.duration if self.silence else 0.0

    @property
    def watch_s(self) -> float:
        return self.watch.duration if self.watch else 0.0

    @property
    def load_s(self) -> float:
        """Duration of the load as it is written, not scaled."""
        return sum(phase.duration for phase in self.load_phases)

    @property
    def staircase(self) -> Steps | None:
        """The load, where it is a staircase."""
        return next((phase for phase in self.phases if isinstance(phase, Steps)), None)


Phases = TypeAdapter(Annotated[tuple[Phase, ...], AfterValidator(in_order), Field(max_length=MOST_PHASES)])
OneCriterion = TypeAdapter(Criterion)


def _valid(adapter: TypeAdapter[Any], content: Any) -> Any:
    try:
        return adapter.validate_json(json.dumps(content, default=str))
    except (ValidationError, TypeError, ValueError):
        return None


def _misfits(written: tuple[Any, ...], criteria: tuple[Criterion, ...]) -> Iterator[str]:
    """What criteria ask that the phases do not give."""
    loads = [phase for phase in written if isinstance(phase, LoadPhase)]
    names = [step.name for phase in loads if isinstance(phase, Steps) for step in phase.ladder() if step.kind == "ramp"]
    names += [phase.name for phase in loads if not isinstance(phase, Steps)]
    load_s = sum(phase.duration for phase in loads)
    for criterion in criteria:
        if criterion.between is not None and criterion.between[1] > load_s:
            yield f"criteria: {criterion.id} looks until {criterion.between[1]:g}s, but the load ends after {load_s:g}s"
        if criterion.phase is not None and criterion.phase not in names:
            yield f"criteria: {criterion.id} looks at {criterion.phase!r}, no load phase; there are {', '.join(names)}"
    yield from _fence_problems(written, ", ".join(criterion.id for criterion in criteria if criterion.looks_back))


def _fence_problems(written: tuple[Any, ...], who: str) -> Iterator[str]:
    """Gauges that look back need time around the load in which nothing else happens; `who` reads them."""
    fences = [
        ("a silence of", "must come first", _longest(written, Silence, "duration"), LOOK_BACK_SILENCE_S),
        ("a watch of", "must come last", _longest(written, Watch, "duration"), LOOK_BACK_WATCH_S),
    ]
    if any(isinstance(phase, Steps) for phase in written):
        fences.append(("a rest of", "must part the steps", _longest(written, Steps, "rest"), LOOK_BACK_SILENCE_S))
    for what, where, is_s, needed_s in fences:
        if who and is_s < needed_s:
            yield (
                f"phases: {who} read MM2 gauges that look back 60 s, so {what} at least {needed_s:g}s {where} "
                f"(it is {is_s:g}s)"
            )


def _longest(written: tuple[Any, ...], kind: type[StrictModel], key: str) -> float:
    return max((float(getattr(phase, key)) for phase in written if isinstance(phase, kind)), default=0.0)


class LoadedScenario(StrictModel):
    """A scenario and the text it came from; the text is what the run record keeps, and its hash names it.

    `unset`: variables of the text that have no value yet; the scenario was read with their examples.
    """

    file: str
    text: str
    scenario: Scenario
    unset: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def library_names() -> tuple[str, ...]:
    """Names of the packaged scenarios, in order."""
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in LIBRARY.iterdir() if entry.name.endswith(".yaml"))
    )


def load(
    name_or_path: str, *, environment: Environment | None = None, settings: Mapping[str, str] | None = None
) -> LoadedScenario:
    """A packaged scenario by its name, or any by its path.

    With an environment, its topics must also lie inside the prefix there. `settings` are values for its variables.
    SpecError lists every problem.
    """
    if name_or_path in library_names():
        text = (LIBRARY / f"{name_or_path}.yaml").read_text(encoding="utf-8")
        return parse_scenario(text, file=f"{name_or_path}.yaml", environment=environment, settings=settings)
    path = Path(name_or_path)
    if is_plain_file(path):
        directory = path.parent.resolve()
        return parse_scenario(
            read_text(path), file=str(path), environment=environment, settings=settings, directory=directory
        )
    message = f"no such scenario: give a path, or one of {', '.join(library_names())}"
    raise SpecError([Problem(file=name_or_path, key="", message=message)])


def parse_scenario(
    text: str,
    *,
    file: str,
    environment: Environment | None = None,
    settings: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> LoadedScenario:
    """The scenario of a text; `file` names it in messages. SpecError lists every problem.

    With a directory, files of payloads must lie there; a judge reads the scenario without them.
    """
    settings = settings or {}
    played = filled(text, settings)
    unset = left_open(played)
    examples: dict[str, str] = {}
    if unset or settings:
        declared = parse(filled(text, dict.fromkeys(left_open(text), "0")), _Declared, file=file).variables
        problems = [
            Problem(file=file, key="", message=f"${{{name}}} is not among its variables; declare it, with an example")
            for name in unset
            if name not in declared
        ]
        problems += [
            Problem(file=OPTION, key=name, message=f"no variable of {file}; it has {', '.join(declared) or 'none'}")
            for name in settings
            if name not in declared
        ]
        if problems:
            raise SpecError(problems)
        examples = {name: variable.example for name, variable in declared.items()}
    context = {"environment": environment, DIRECTORY: directory}
    scenario = parse(filled(played, examples), Scenario, file=file, context=context)
    return LoadedScenario.model_construct(file=file, text=played, scenario=scenario, unset=unset)


class _Declared(StrictModel):
    """Of a scenario's file, the variables alone."""

    model_config = ConfigDict(extra="ignore")

    variables: dict[str, Variable] = Field(default_factory=dict)
