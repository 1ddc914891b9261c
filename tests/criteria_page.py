"""The tables of docs/criteria.md: every criterion of every scenario, and what each measure asks.

    python -m tests.criteria_page       rewrites them; tests/test_criteria_page.py says when that is due

A criterion's line of the runbook is that of the scenario's page (report_templates/pages), and the comment it stands
under in the scenario. What a measure asks is seen by measuring it on a healthy synthetic run.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from checks.evidence import Evidence, Metric
from checks.measures import REGISTRY, Run
from checks.metric_profiles import CONFLUENT_MIRROR, Role
from checks.pages import Page, page_of
from checks.record_inputs import environment_of
from checks.windows import Windows
from run_record.store import RunRecord
from scenarios.criterion import Criterion
from scenarios.environment import Environment
from scenarios.measures import MEASURES, Group
from scenarios.scenario import Scenario, library_names, load
from scenarios.yaml_file import parse
from tests.support.phase2 import phase2_metrics, write_phase2
from tests.support.records import environment_text, write_evidence

PAGE = Path(__file__).resolve().parents[1] / "docs" / "criteria.md"
OPENING = "<!-- written by python -m tests.criteria_page -->\n"
CLOSING = "<!-- end -->\n"
_CRITERION = re.compile(r"^  - \{id: ([a-z0-9_]+),")
_HEADING = re.compile(r"^  # (.+)$")


def tables() -> str:
    """The generated part of the page."""
    with tempfile.TemporaryDirectory() as directory:
        run = _healthy_run(Path(directory))
        asked = {name: list(dict.fromkeys(_asked(name, run))) for name in sorted(_measures())}
    parts = ["## Criteria, scenario by scenario\n", _legend()]
    parts += [_scenario(load(name).scenario, load(name).text) for name in library_names()]
    parts += ["## What each measure asks\n", _queries(asked)]
    return "\n".join(parts)


def with_tables(text: str) -> str:
    """The page with its generated part as it should be."""
    head, _, rest = text.partition(OPENING)
    _, _, tail = rest.partition(CLOSING)
    return f"{head}{OPENING}\n{tables()}\n{CLOSING}{tail}"


def _legend() -> str:
    return """\
*Over*: the whole run, a stretch of the load, or a phase. NOGO *otherwise*: one limit, and its complement. INCONCLUSIVE
*otherwise*: a criterion on the load itself. *Beside*: shown with it, not judged. `baseline`: the same measure's value
in the phase 1 run that was named with `--baseline`.
"""


def _measures() -> set[str]:
    """Measures that any scenario judges or shows."""
    criteria = [criterion for name in library_names() for criterion in load(name).scenario.criteria]
    return {name for one in criteria for name in (one.measure, one.beside) if name is not None}


# Criteria.


def _scenario(scenario: Scenario, text: str) -> str:
    headings, page = _headings(text), page_of(scenario)
    lines = _page_lines(page) if page is not None else {}
    phase = f", phase {scenario.runbook_phase} of the runbook" if scenario.runbook_phase is not None else ""
    rows = [
        f"### `{scenario.name}`{phase}\n",
        f"{scenario.question}\n",
        "| runbook | criterion | measure | over | GO | NOGO | beside |",
        "|---|---|---|---|---|---|---|",
    ]
    for criterion in scenario.criteria:
        where = "; ".join(lines.get(criterion.id, ())) or headings.get(criterion.id, "")
        rows.append(f"| {_cell(where)} | {_row(criterion)} |")
    return "\n".join(rows) + "\n"


def _row(criterion: Criterion) -> str:
    cells = [
        f"`{criterion.id}`" + (", advisory" if criterion.advisory else ""),
        f"[`{criterion.measure}`](#{_anchor(criterion.measure)})",
        _over(criterion),
        f"`{criterion.go.text}`",
        _nogo(criterion),
        f"`{criterion.beside}`" if criterion.beside is not None else "",
    ]
    return " | ".join(cells)


def _over(criterion: Criterion) -> str:
    if criterion.phase is not None:
        return f"`{criterion.phase}`"
    if criterion.between is None:
        return ""
    start_s, end_s = criterion.between
    return f"{_span(start_s)} to {_span(end_s)}"


def _span(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _nogo(criterion: Criterion) -> str:
    stop = ""
    if criterion.stop is not None:
        stop = f"; lasting {_span(criterion.stop.after)}, it ends the load"
    if criterion.spec.group is Group.LOAD:
        return "INCONCLUSIVE otherwise" + stop
    return (f"`{criterion.nogo.text}`" if criterion.nogo is not None else "otherwise") + stop


def _headings(text: str) -> dict[str, str]:
    """Criterion → the comment that it stands under in the scenario's file; what the file says of itself, otherwise."""
    found, heading = {}, re.split(r"[:.] ", text.removeprefix("# ").partition("\n")[0])[0]
    for line in text.partition("\ncriteria:\n")[2].splitlines():
        if match := _HEADING.match(line):
            heading = match[1]
        elif match := _CRITERION.match(line):
            found[match[1]] = heading
    return found


def _page_lines(page: Page) -> dict[str, list[str]]:
    """Criterion → the lines of the runbook's page that it fills, directly or as part of a box."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in page.lines:
        for criterion in (
            [line.criterion] if line.criterion else page.boxes.get((line.cell or "").removeprefix("box_"), ())
        ):
            found[criterion].append(line.page)
    return found


# Queries.


class _Recording(Evidence):
    """Evidence that notes which roles it was asked for."""

    @cached_property
    def asked(self) -> list[Role]:
        return []

    def metric(self, role: Role) -> Metric:
        self.asked.append(role)
        return super().metric(role)


def _healthy_run(directory: Path) -> Run:
    path = write_phase2(directory)
    write_evidence(path, phase2_metrics())
    record, found = RunRecord.open(path), Evidence.open(path / "evidence" / "001")
    environment = environment_of(record.manifest).environment
    return Run(
        record=record,
        evidence=_Recording(directory=found.directory, index=found.index),
        environment=environment,
        windows=Windows.of(record, environment),
    )


def _asked(name: str, run: Run) -> Iterator[str]:
    """The queries of a measure, or the file of the record that it reads."""
    if name not in REGISTRY:
        yield "the verdicts of the steps"
        return
    assert isinstance(run.evidence, _Recording)
    run.evidence.asked.clear()
    measurement = REGISTRY[name](run, MEASURES[name])
    roles = [role for role in run.evidence.asked if role is not Role.UP]
    environment = parse(environment_text(), Environment, file="environment.yaml")
    if "record/" in measurement.source or not roles:
        yield f"`{measurement.source}`"
    for role in roles:
        yield f"`{CONFLUENT_MIRROR.selector(role, environment)}`"


def _queries(asked: dict[str, list[str]]) -> str:
    lines = [
        """\
Selectors under the profile `confluent_mirror` ([others](metric-profiles.md)), with connector `mm2-source-connector` and
prefix `t.`; each is asked as raw points over the run's windows, never as a rate or an increase. What Prometheus says
must also pass `up` of the job: every worker scraped for 90 % of the window.
"""
    ]
    for name, queries in asked.items():
        lines += [f"### {name}\n", f"{MEASURES[name].meaning}\n", *(f"- {query}" for query in queries), ""]
    return "\n".join(lines)


def _anchor(measure: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "", measure)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
