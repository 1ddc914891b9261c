"""Imports go one way (design.md §2), and each third party has one door: read from the syntax tree of every module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (
    "locustfiles",
    "mm2_users",
    "locust_session",
    "scenarios",
    "run_record",
    "clients",
    "checks",
    "report_templates",
    "runbook",
    "lab",
    "monitoring",
)
EVERYTHING = frozenset(ROOMS)
LOAD = {"locustfiles", "mm2_users", "locust_session"}
MAY_IMPORT: dict[str, frozenset[str]] = {
    "scenarios": frozenset(),
    "run_record": frozenset({"scenarios"}),
    "clients": frozenset({"scenarios"}),
    "locust_session": frozenset({"scenarios", "run_record"}),
    "mm2_users": frozenset({"scenarios", "run_record", "clients", "locust_session"}),
    "checks": frozenset({"scenarios", "run_record"}),
    "lab": frozenset({"scenarios", "clients"}),
    "runbook": EVERYTHING - LOAD,
    "locustfiles": EVERYTHING,
    "report_templates": frozenset(),
    "monitoring": frozenset(),
}
#: Third party → what may import it: a room, or the path of a module without its suffix.
DOORS: dict[str, tuple[str, ...]] = {
    "confluent_kafka": ("clients", "mm2_users"),
    "requests": ("clients", "lab"),
    "prometheus_api_client": ("clients",),
    "jinja2": ("checks",),
    "flask": ("locust_session/web_ui", "locust_session/web_guard"),
    "markdown_it": ("locust_session/web_pages", "checks/report/html"),
    "ruamel": ("scenarios/yaml_file",),
    "locust": (
        "locust_session",
        "mm2_users/replication_user",
        "mm2_users/kafka_user",
        "scenarios/shape",
        "locustfiles",
    ),
}
#: What the load may know of confluent_kafka beside its door: the types of what the door hands over, and versions.
MESSAGE_TYPES = {"KafkaError", "Message", "libversion", "version"}

MODULES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
IDS = [str(path.relative_to(ROOT)) for path in MODULES]


def imports_of(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Absolute names of the modules imported anywhere in the file, functions included."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            yield ".".join([*start, *([node.module] if node.module else [])]), node


def arrows_of(path: Path) -> set[str]:
    """Our own rooms that the module imports, its own left out."""
    own = path.relative_to(ROOT).parts[0]
    return {name.split(".")[0] for name, _ in imports_of(path)} & EVERYTHING - {own}


def allowed(path: Path) -> frozenset[str]:
    room, *rest = path.relative_to(ROOT).parts
    if room == "checks" and rest[0].startswith("collect"):
        return MAY_IMPORT[room] | {"clients"}
    return MAY_IMPORT[room]


def test_every_room_of_the_design_is_walked():
    rooms = {path.relative_to(ROOT).parts[0] for path in MODULES}
    assert {"scenarios", "run_record", "clients", "locust_session", "mm2_users", "locustfiles"} <= rooms


def test_every_package_at_the_root_is_a_room():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests", "benchmarks"} <= EVERYTHING


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_imports_go_one_way(path):
    assert arrows_of(path) <= allowed(path)


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_third_parties_have_one_door(path):
    here = path.relative_to(ROOT).with_suffix("").as_posix()
    for name, _ in imports_of(path):
        doors = DOORS.get(name.split(".")[0])
        assert doors is None or any(here == door or here.startswith(f"{door}/") for door in doors), name


@pytest.mark.parametrize("path", sorted((ROOT / "mm2_users").rglob("*.py")), ids=lambda path: path.name)
def test_the_load_knows_only_kafkas_message_types(path):
    for name, node in imports_of(path):
        if name.split(".")[0] != "confluent_kafka":
            continue
        if isinstance(node, ast.ImportFrom):
            assert {alias.name for alias in node.names} <= MESSAGE_TYPES
        else:  # `import confluent_kafka`: look at what is taken from it
            tree = ast.parse(path.read_text(encoding="utf-8"))
            taken = {
                one.attr
                for one in ast.walk(tree)
                if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == name
            }
            assert taken <= MESSAGE_TYPES


def test_the_load_and_the_checks_never_meet():
    for path, seen in ((path, arrows_of(path)) for path in MODULES):
        room = path.relative_to(ROOT).parts[0]
        assert not (room == "checks" and seen & LOAD), path
        assert not (room in LOAD - {"locustfiles"} and "checks" in seen), path


def test_a_relative_import_is_seen_as_the_absolute_one_it_is(tmp_path, monkeypatch):
    (tmp_path / "checks").mkdir()
    module = tmp_path / "checks" / "verdict.py"
    module.write_text("from ..mm2_users import ledger\ndef f():\n    import clients.kafka\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert arrows_of(module) == {"mm2_users", "clients"}
