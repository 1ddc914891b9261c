"""The documentation says what the code is: links, commands, keys, defaults, fields and measures are compared with it.

`python -m tests.test_docs` rewrites the list of measures in docs/scenarios.md.
"""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Iterator
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import click
import pytest
from pydantic import BaseModel, RootModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from ruamel.yaml import YAML

from checks.verdict import Verdict
from lab.accounts import LOAD, SOURCE, TARGET, grants
from run_record.closing import Change, PartitionFacts, Restart, SideFacts, TopicFacts, Trim
from run_record.closing import Closing as ClosingFacts
from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from run_record.manifest import Manifest
from run_record.timeline import LatencySummary, TimelineRow
from runbook.cli import cli
from scenarios import environment, scenario
from scenarios.measures import MEASURES, Group
from scenarios.plan import make_plan
from scenarios.text import Text
from scenarios.units import UNITS
from tests.test_imports import MAY_IMPORT

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]

OPENING, CLOSING = re.compile(r"<!-- measures:.*?-->\n"), "<!-- /measures -->"


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """The text under a heading of the second level."""
    _, found, rest = text_of(page).partition(f"\n## {heading}\n")
    assert found, f"docs/{page} has no section {heading!r}"
    return rest.partition("\n## ")[0]


def words_in_code(text: str) -> set[str]:
    """Everything that stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


# --- links and commands ----------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_relative_links_resolve(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of every `mm2gate …` that stands in code, up to a comment or the end of the command."""
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    lines = [line for block in fenced for line in block.splitlines()] + [" ".join(span.split()) for span in spans]
    for line in lines:
        for command in re.findall(r"(?:^|[\s(`])mm2gate ([^)|&#`\"]*)", line):
            # In a table-like block prose follows after two blanks.
            yield re.split(r"\s{2,}|;", command)[0].split()


def fault_of(words: list[str]) -> str | None:
    """What is wrong with the words of a command line, if anything is."""
    command: click.Command = cli
    for word in words:
        if word.startswith("-"):
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            if word.split("=")[0] not in known | {"--help", "-h", "--version"}:
                return f"{command.name} has no option {word}"
        elif isinstance(command, click.Group):
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = command.commands[word]
    return None


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_exist(page):
    for words in commands_in(page.read_text(encoding="utf-8")):
        assert fault_of(words) is None, " ".join(words)


def test_commands_are_found_and_wrong_ones_told():
    text = "Type `mm2gate judge RUN --nope`.\n```sh\nmm2gate campaign start  # soon\nmm2gate lab up   about 16 s\n```\n"
    found = list(commands_in(text))
    assert found == [["campaign", "start"], ["lab", "up"], ["judge", "RUN", "--nope"]]
    assert [fault_of(words) is None for words in found] == [False, True, False]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`|&& )make ([a-z-]+)", text, flags=re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_files_that_are_named_exist(page):
    rooms = "|".join([*MAY_IMPORT, "tests"])
    for word in words_in_code(page.read_text(encoding="utf-8")):
        if re.fullmatch(rf"(?:{rooms})/[\w./-]*", word):
            assert (ROOT / word).exists(), word


def test_import_arrows_are_those_of_the_import_test():
    arrows = dict(re.findall(r"^(\w+) +-> (.+)$", section("architecture.md", "Who may import whom"), re.MULTILINE))
    assert set(arrows) == set(MAY_IMPORT)
    for room, may in MAY_IMPORT.items():
        said = arrows[room].partition("  ")[0]
        if said.startswith("all"):
            named = set(re.findall(r"\w+", said)) - {"all", "but"}
            assert frozenset(MAY_IMPORT) - named == may, room
        else:
            named = set() if said == "nothing of ours" else set(said.split(", "))
            assert named == may, room


def test_architecture_names_every_room():
    rooms = words_in_code(section("architecture.md", "Rooms"))
    assert {f"{room}/" for room in MAY_IMPORT} <= rooms


# --- keys of the two files -------------------------------------------------------------------------------------------


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models of an annotation: none for a scalar or a text, several for a union of profiles."""
    if annotation is Text:
        return []
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return models_in(annotation.model_fields["root"].annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, tuple, Union, types.UnionType):
        return [model for part in get_args(annotation) for model in models_in(part)]
    return []


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted keys of everything below a model, as the pages write them."""
    for name, field in model.model_fields.items():
        below = models_in(field.annotation)
        if not below:
            yield f"{prefix}{name}", field
        elif name == "phases":
            yield name, field
            for phase in below:
                (profile,) = get_args(phase.model_fields["profile"].annotation)
                for key, inner in phase.model_fields.items():
                    yield (f"phases[].{key}" if key in ("name", "profile") else f"{profile}.{key}"), inner
        elif name == "criteria":
            yield name, field
            yield from keys_of(below[0], "criteria[].")
        else:
            yield from keys_of(below[0], f"{prefix}{name}.")


def rows_of(page: str) -> dict[str, list[str]]:
    """Key → cells, of the page's tables of keys."""
    rows = [re.split(r" \| ", line.strip("| ")) for line in text_of(page).splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): [cell.strip(" |") for cell in cells] for cells in rows if len(cells) >= 3}


ENVIRONMENT_KEYS = [(key, field) for key, field in keys_of(environment.Environment) if not key.startswith("target.")]
KEYS = [("environments.md", key, field) for key, field in ENVIRONMENT_KEYS] + [
    ("scenarios.md", key, field) for key, field in dict(keys_of(scenario.Scenario)).items()
]


@pytest.mark.parametrize(("page", "key", "field"), KEYS, ids=[f"{page}:{key}" for page, key, _ in KEYS])
def test_every_key_is_described_with_its_default(page, key, field):
    rows = rows_of(page)
    assert key in rows, f"docs/{page} does not describe {key}"
    said = rows[key][2]
    if field.is_required():
        assert said == "required"
    elif field.default is None:
        assert said == "–"
    else:
        assert field.default is not PydanticUndefined
        written = YAML(typ="safe", pure=True).load(said.strip("`"))
        kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        assert TypeAdapter(kind).validate_python(written) == field.default


SOURCES = [path.read_text(encoding="utf-8") for path in (ROOT / "checks").rglob("*.py")]


@pytest.mark.parametrize("key", [key for key, _ in ENVIRONMENT_KEYS if key.startswith(("prometheus.jobs.", "cpu."))])
def test_a_key_that_measures_read_is_not_said_to_be_idle(key):
    name = ".".join(key.split(".")[-2:])
    read = any(re.search(rf"\b{re.escape(name)}\b", source) for source in SOURCES)
    assert ("no measure reads it" in rows_of("environments.md")[key][3]) is not read


@pytest.mark.parametrize(
    ("page", "keys"),
    [
        ("environments.md", {key for key, _ in ENVIRONMENT_KEYS}),
        ("scenarios.md", {key for key, _ in keys_of(scenario.Scenario)} | set(MEASURES)),
    ],
)
def test_no_key_is_described_that_does_not_exist(page, keys):
    assert {key for key in rows_of(page) if re.fullmatch(r"[a-z_0-9]+(\[\])?(\.[a-z_0-9]+)*", key)} <= keys


def yaml_in(page: str) -> str:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return text


def test_examples_are_valid_and_fit_together(tmp_path):
    file = tmp_path / "example.yaml"
    file.write_text(yaml_in("environments.md"))
    where = environment.load(str(file))
    what = scenario.parse_scenario(yaml_in("scenarios.md"), file="example", environment=where.environment)
    assert make_plan(what, where, rehearsal=Fraction(1)).record_count > 0


def test_every_unit_is_listed():
    listed = words_in_code(text_of("scenarios.md").partition("### Units")[2].partition("\n## ")[0])
    kinds = {unit for unit, (kind, _) in UNITS.items() if kind != "throughput"}
    assert kinds <= listed


def test_rights_are_those_that_the_lab_grants_the_load():
    rows = [line.split(" | ") for line in section("environments.md", "Rights").splitlines() if line.startswith("| ")]
    said = {
        (cells[0].strip("| "), name, operation.strip())
        for cells in rows[1:]
        for name in words_in_code(cells[1])
        for operation in cells[2].split(",")
    }
    lab = {
        (cluster, f"{grant.name}*", operation)
        for cluster in (SOURCE, TARGET)
        for grant in grants(cluster)
        if grant.user == LOAD
        for operation in grant.operations
    }
    # The lab also lets the load describe its groups at the source, where no consumer of ours ever is.
    assert said == lab - {(SOURCE, "mm2gate-*", "DESCRIBE")}


def asked_of_connect() -> Iterator[tuple[str, str]]:
    """Verb and path of every request that our programs make of Connect; the lab's own connectors are its own."""
    client = ast.parse((ROOT / "clients/connect.py").read_text(encoding="utf-8"))
    methods = {node.name: ast.unparse(node) for node in ast.walk(client) if isinstance(node, ast.FunctionDef)}
    rooms = ("checks", "locust_session", "mm2_users", "runbook")
    sources = "".join(path.read_text(encoding="utf-8") for room in rooms for path in (ROOT / room).rglob("*.py"))
    called = set(re.findall(r"onnect(?:\.of\(\w+\))?\.(\w+)\(", sources)) & set(methods)
    bodies = [methods[name] for name in called] + [methods["status"]] * ("wait_running" in called)
    for body in bodies:
        for verb, path in re.findall(r"_(?:request|ask)\('(\w+)',(?: url,)? f?['\"]([^'\"]+)", body):
            yield verb, re.sub(r"^/connectors/\{.*\}", "", path).partition("?")[0]


def test_every_request_of_connect_is_told_to_who_grants_rights():
    text = section("environments.md", "Requests")
    asked = set(asked_of_connect())
    assert ("PUT", "/config") in asked
    assert ("GET", "/offsets") in asked
    assert {path for _, path in asked} <= words_in_code(text)
    assert {verb for verb, _ in asked} == set(re.findall(r"\b(?:GET|PUT|POST|DELETE)\b", text))


# --- measures --------------------------------------------------------------------------------------------------------


def measures_table() -> str:
    lines = ["| measure | unit | group | samples | meaning |", "|---|---|---|--:|---|"]
    for spec in MEASURES.values():
        meaning = spec.meaning.replace("|", r"\|") + (". Looks back" if spec.looks_back else "")
        meaning += ". Stretch" if spec.stretch else ""
        meaning += "" if spec.phase else ". Whole run"
        lines.append(f"| `{spec.name}` | {spec.unit} | {spec.group} | {spec.min_samples} | {meaning} |")
    return "\n".join(lines) + "\n"


def with_measures(text: str) -> str:
    opening = OPENING.search(text)
    assert opening is not None
    return text[: opening.end()] + measures_table() + text[text.index(CLOSING) :]


def test_list_of_measures_is_current():
    text = text_of("scenarios.md")
    assert with_measures(text) == text, "run: python -m tests.test_docs"


# --- the run record --------------------------------------------------------------------------------------------------


def fields_of(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name
        for below in models_in(field.annotation):
            yield from fields_of(below)


CLOSING_MODELS = (ClosingFacts, SideFacts, TopicFacts, PartitionFacts, Trim, Change, Restart)


def strings_in(path: str, functions: set[str]) -> set[str]:
    """Keys of the dictionaries that these functions of a module write down."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    bodies = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in functions]
    assert {body.name for body in bodies} == functions
    dictionaries = [node for body in bodies for node in ast.walk(body) if isinstance(node, ast.Dict)]
    return {key.value for one in dictionaries for key in one.keys if isinstance(key, ast.Constant)}


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("record/manifest.json", set(fields_of(Manifest))),
        ("record/timeline.jsonl", {one.name for part in (TimelineRow, LatencySummary) for one in fields(part)}),
        ("record/ledger.json", set(Counts().to_json()) | strings_in("run_record/account.py", {"merge"})),
        ("record/ledger.json", strings_in("mm2_users/account.py", {"account"}) - {"latency", "last_error"}),
        ("record/ledger.json", {"unaccounted"} | strings_in("locust_session/crew.py", {"unaccounted"})),
        ("record/ledger.json", {name for model in CLOSING_MODELS for name in model.model_fields}),
        ("record/latency.json", set(LatencyHistogram().to_json())),
        (
            "verdict.json",
            strings_in(
                "checks/verdict_file.py", {"verdict_content", "_criterion", "_beside", "_reason", "_since", "_window"}
            ),
        ),
        (
            "evidence/NNN/",
            strings_in(
                "checks/collect.py",
                {"_ask_metric", "_metric_entry", "_connect_entry", "_head", "_clock_offset", "seal"},
            ),
        ),
    ],
)
def test_run_record_page_names_every_field(heading, names):
    described = words_in_code(section("run-record.md", heading))
    assert names <= described | {"answers"}, sorted(names - described)


def test_run_record_page_and_glossary_name_every_verdict_and_group():
    rows = [line for line in section("run-record.md", "verdict.json").splitlines() if line.startswith("| `verdict` |")]
    of_the_run, of_a_criterion = rows
    assert all(verdict in of_a_criterion for verdict in Verdict)
    assert all((verdict in of_the_run) is (verdict is not Verdict.NOT_RUN) for verdict in Verdict)
    glossary = text_of("glossary.md").splitlines()
    assert all(any(line.startswith(f"| verdict {verdict} |") for line in glossary) for verdict in Verdict)
    (groups,) = [line for line in glossary if line.startswith("| group |")]
    assert all(group in groups for group in Group)


def test_run_record_page_names_every_event():
    files = (ROOT / "locust_session" / name for name in ("chronicle.py", "conductor.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    events = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ("event", "_note")]
    names = {call.args[0].value for call in events if isinstance(call.args[0], ast.Constant)}
    fields = {keyword.arg for call in events for keyword in call.keywords if keyword.arg not in (None, "at_ns")}
    assert {"run_started", "canary", "worker_lost"} <= names
    described = words_in_code(section("run-record.md", "record/events.jsonl"))
    assert names | fields <= described


if __name__ == "__main__":
    page = DOCS / "scenarios.md"
    page.write_text(with_measures(page.read_text(encoding="utf-8")), encoding="utf-8")
