"""Files that are made to hurt: one sentence for each thing wrong, exit code 64, within a second."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from scenarios.errors import ExitCode, SpecError
from scenarios.file_patterns import MOST_NAMES
from scenarios.plan import load_plan
from scenarios.scenario import LIBRARY, library_names, parse_scenario
from scenarios.yaml_file import MOST_BYTES, _loaded
from tests.scenarios.examples import ENVIRONMENT, SCENARIO, environment, plan
from tests.scenarios.hostile import BOMB, MERGE_BOMB

ROOT = Path(__file__).resolve().parents[2]
#: CPU seconds that a file may cost, whatever it holds.
MOST_S = 1.0


def problems_of(text: str, *, inside: bool = False) -> list[str]:
    """The problems of a scenario's text, as "key: message"; it must have some, and say so soon."""
    began_s = time.process_time()
    with pytest.raises(SpecError) as refusal:
        parse_scenario(text, file="s.yaml", environment=environment().environment if inside else None)
    assert time.process_time() - began_s < MOST_S
    return [f"{problem.key}: {problem.message}" for problem in refusal.value.problems]


def nested(depth: int) -> str:
    return "x: " + "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(f"x: {BOMB}", "line 1: stands for more than 10,000 values", id="alias bomb"),
        pytest.param(f"x: {MERGE_BOMB}", "line 1: stands for more than 10,000 values", id="merge bomb"),
        pytest.param(f"a: &a {'w' * 500_000}\nx: [*a, *a]", "line 2: stands for more than", id="a long text, aliased"),
        pytest.param(nested(33), "line 1: nested more than 32 deep", id="deep"),
        pytest.param(nested(100_000), "line 1: nested more than 32 deep", id="100 000 deep"),
        pytest.param("x: " + "[" * 100_000, "line 1: nested more than 32 deep", id="100 000 deep, never closed"),
        pytest.param("- " * 100_000, "line 1: nested more than 32 deep", id="100 000 lists in a block"),
        pytest.param(
            "? " * 100_000, ": not plain keys and values: a key must be a word (line 1)", id="100 000 keys of keys"
        ),
        pytest.param("{a: " * 100_000, "line 1: nested more than 32 deep", id="100 000 mappings"),
        pytest.param(
            "a0: &a0 [[[[[[[[[[1]]]]]]]]]]\n"
            + "\n".join(f"a{n}: &a{n} [[[[[[[[[[*a{n - 1}]]]]]]]]]]" for n in range(1, 9)),
            "line 4: nested more than 32 deep",
            id="deep by aliases",
        ),
        pytest.param("x: [" + "a, " * 300_000 + "]", "line 1: stands for more than 10,000 values", id="a long list"),
        pytest.param("#" * (MOST_BYTES + 1), ": is larger than 1 MiB", id="too large"),
        pytest.param("x: *nobody", "line 1: alias *nobody has no anchor &nobody before it", id="no anchor"),
        pytest.param("x: &a [*a]", ": not plain keys and values: alias *a in line 1", id="an alias in itself"),
        pytest.param("x: !!python/object/apply:os.system [x]", "line 1: not valid YAML: the tag !!python", id="python"),
        pytest.param("x: !!binary '!'", "line 1: not valid YAML: the tag !!binary is not taken", id="binary"),
        pytest.param("x: !!timestamp w", "line 1: not valid YAML: the tag !!timestamp is not taken", id="timestamp"),
        pytest.param("x: !!set {a}", "line 1: not valid YAML: the tag !!set is not taken", id="set"),
        pytest.param("x: !mine y", "line 1: not valid YAML: the tag !mine is not taken", id="a tag of one's own"),
        pytest.param("a\x00: b", "line 1: not valid YAML: holds the character U+0000", id="NUL"),
        pytest.param("a: b\nc: \x1b[2J", "line 2: not valid YAML: holds the character U+001B", id="ESC"),
        pytest.param("a: b\n\tc: d", "line 2: not valid YAML: found character '\\t' that cannot", id="a tab"),
        pytest.param("@a: b", "line 1: not valid YAML: found character '@' that cannot start any token", id="a sign"),
    ],
)
def test_a_text_that_cannot_be_read_is_one_sentence(text, says):
    (problem,) = problems_of(text)
    assert problem.startswith(says)


@pytest.mark.parametrize("date", ["2026-02-30", "2026-99-99", "0000-00-00", "2026-01-01T25:61:61Z", "2026-01-01"])
def test_a_date_is_the_word_that_was_typed_possible_or_not(date):
    assert str(plan(SCENARIO.replace("Does it work?", date)).scenario.question) == date


NUMBERS = ["9" * 400, "9" * 5000, "-" + "9" * 400, "1e400", "-1e400", ".inf", ".nan", "0." + "0" * 400 + "1"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:8])
@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("partitions: 4", "partitions: {}", "topics.partitions"),
        ("rate: 10/s", "rate: {}", "phases[0].rate"),
        ("bytes: 200B", "bytes: {}", "payload.bytes"),
    ],
)
def test_a_number_beyond_all_bounds_is_a_problem_of_its_key(number, old, new, key):
    (problem,) = problems_of(SCENARIO.replace(old, new.format(number), 1))
    assert problem.startswith(f"{key}: ")
    assert len(problem) < 300


@pytest.mark.parametrize("quantity", ["9" * 400 + "s", "9" * 50 + "s", "367d", "0." + "0" * 60 + "1s"])
def test_a_time_that_nobody_can_play_is_refused(quantity):
    (problem,) = problems_of(SCENARIO.replace("duration: 10s", f"duration: {quantity}"))
    assert problem.startswith("phases[0].duration: ")


@pytest.mark.parametrize("condition", ["< " + "9" * 80 + " records", "<= " + "9" * 400 + " records"])
def test_a_condition_that_nothing_can_miss_is_refused(condition):
    (problem,) = problems_of(SCENARIO.replace('"== 0 records"', f'"{condition}"'))
    assert problem.startswith("criteria[0].go: ")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("{prefix}{0.__class__}", "may use only {prefix} and {n}"),
        ("{prefix}{n.__class__}", "may use only {prefix} and {n}"),
        ("{prefix}{n!r}", "may use only {prefix} and {n}"),
        ("{prefix}{n:999999999d}", "may use only {prefix} and {n}"),
        ("{prefix}{n:>9}", "may use only {prefix} and {n}"),
        ("{{{prefix}}}", "may use only {prefix} and {n}"),
        ("{topic}", "may use only {prefix} and {n}"),
        ("%s", "Kafka refuses the topic '%s': it may hold only letters A to Z"),
        ("{prefix}a b", "it may hold only letters A to Z"),
        ("{prefix}é", "it may hold only letters A to Z"),
        ("{prefix}a/b", "it may hold only letters A to Z"),
        ("{prefix}{n:3d}", "it may hold only letters A to Z"),
        (".", "it is a directory's name"),
        ("..", "it is a directory's name"),
        ("", "it is empty"),
        ("{prefix}" + "a" * 250, "characters, and at most 249 are allowed"),
        ("{prefix}" + "a" * 235, "Kafka refuses the mirror 'source.mm2gate.aaa"),
    ],
)  # fmt: skip
def test_a_topic_that_kafka_refuses_is_refused_before_it_is_made(name, says):
    (problem,) = problems_of(SCENARIO.replace("count: 1,", f'count: 1, name: "{name}",'), inside=True)
    assert problem.startswith("topics: name: ")
    assert says in problem


@pytest.mark.parametrize("name", ["{prefix}" + "a" * 234, "{prefix}{n}", "{prefix}{n:2d}0", "{prefix}{n:03}._-"])
def test_a_topic_that_kafka_takes_is_taken(name):
    count = 99 if ":2d" in name else 1
    text = SCENARIO.replace("count: 1,", f'count: {count}, name: "{name}",')
    if ":2d" in name:
        text = text.replace("{n:2d}", "{n:02d}")
    assert plan(text).topics


@pytest.mark.parametrize(
    ("topics", "says"),
    [
        ("prefix: 'a b'", "topics: prefix: Kafka takes no topic of the name 'a b'"),
        ("prefix: '{0.__class__}'", "topics: prefix: Kafka takes no topic"),
        ("prefix: \"\\e[2J\"", "topics: prefix: Kafka takes no topic of the name '\\x1b[2J'"),
        ("prefix: " + "a" * 250, "topics.prefix: string should have at most 249 characters"),
        ("prefix: a, remote_name: 'source/{topic}'", "topics: remote_name: Kafka takes no topic of the name 'source/'"),
        ("prefix: a, remote_name: '{topic}{}'", "topics: remote_name: Kafka takes no topic of the name '{}'"),
        ("prefix: a, remote_name: '" + "{topic}" * 5000 + "'", "topics.remote_name: string should have at most 263"),
    ],
)  # fmt: skip
def test_a_name_of_the_environment_that_kafka_refuses_is_refused(topics, says):
    with pytest.raises(SpecError) as refusal:
        environment(ENVIRONMENT.replace("prefix: mm2gate.", topics))
    (problem,) = refusal.value.problems
    assert f"{problem.key}: {problem.message}".startswith(says)


def test_hundreds_of_unknown_keys_are_all_named_within_a_second():
    keys = [f"rate_{number}" for number in range(900)]
    found = problems_of(SCENARIO.replace("rate: 10/s", ", ".join(["rate: 10/s", *(f"{key}: 1" for key in keys)])))
    assert [problem.split(":")[0] for problem in found] == [f"phases[0].{key}" for key in keys]


def test_beyond_a_thousand_problems_the_rest_is_counted():
    found = problems_of(SCENARIO + "".join(f"key_{number}: 1\n" for number in range(4000)))
    assert len(found) == 1001
    assert found[-1] == ": and 3,000 more problems"


def test_all_duplicate_keys_come_at_once_and_with_the_other_problems():
    text = SCENARIO.replace("rate: 10/s", "rate: 10/s, rate: 20/s") + "name: again\nnmae: x\n"
    assert problems_of(text) == [
        'line 7: found duplicate key "rate"; keep one',
        'line 11: found duplicate key "name"; keep one',
        "nmae: unknown key (did you mean name?)",
    ]


@pytest.mark.parametrize("places", ["${" * 200_000, "${x" * 200_000, "$" * 500_000, "${" + "x" * 500_000])
def test_a_text_full_of_places_is_read_in_one_go(places):
    assert problems_of(f"x: '{places}'")


def test_a_pattern_of_files_does_not_walk_a_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("scenarios.file_patterns.MOST_NAMES", 20)
    for number in range(30):
        (tmp_path / f"{number}").mkdir()
    text = SCENARIO.replace("{bytes: 200B}", "{files: ['**/*.json', '*/x', 'x']}")
    with pytest.raises(SpecError) as refusal:
        parse_scenario(text, file="s.yaml", directory=tmp_path)
    assert [problem.message for problem in refusal.value.problems] == [
        "**/*.json: looks through more than 20 files; name the directory",
        "*/x: looks through more than 20 files; name the directory",
        f"x: no such file in {tmp_path}",
    ]
    assert MOST_NAMES >= 10_000


# --- what reading means did not change -------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)


def read_by_ruamel(text: str) -> object:
    return YAML(typ="safe").load(text)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_a_file_means_what_the_library_says_it_means(content):
    import io

    stream = io.StringIO()
    YAML(typ="safe").dump(content, stream)
    assert _loaded(stream.getvalue(), "x")[0] == content


YAML_FILES = [*(LIBRARY / f"{name}.yaml" for name in library_names()), *sorted((ROOT / "tests" / "lab").glob("*.yaml"))]


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.name)
def test_every_file_of_the_project_means_what_it_meant(file):
    text = re.sub(r"\$\{(\w+)\}", r"PLACE_\1_", file.read_text(encoding="utf-8"))
    assert _loaded(text, "x")[0] == read_by_ruamel(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n",
        "a: &x {b: 1}\ne: &y {b: 2, f: 3}\nd: {<<: [*x, *y], g: 4}\n",
        "a: &x [1, 2]\nb: *x\nc: &k word\n*k : d\n",
        "a: 0o17\nb: 0x1F\nc: 1_000\nd: 017\ne: -5\nf: +5\ng: 1.5\nh: 1e3\ni: .5\n",
        "j: ~\nk: true\nl: no\nm: 12:30\nn: '1'\no: TRUE\np: NULL\nq: Yes\nr: 0b101\n",
        'a: |\n  text\n  more\nb: >\n  folded\n  text\nc: "q\\tx"\n',
        "a: !!str 5\nb: ! x\nc: !!map {d: !!seq [!!int 5]}\n",
        "\ufeffa: {en: Why?, fr: Oui ?}\n",
    ],
)
def test_what_yaml_has_beside_plain_values_means_what_it_meant(text):
    assert _loaded(text, "x")[0] == YAML(typ="safe", pure=True).load(text)


# --- files that are none, and what reaches the terminal --------------------------------------------------------------


def test_what_is_no_plain_file_is_said_to_be_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("dir").mkdir()
    for name in ("pipe", "dir", "/dev/zero", "x" * 5000, "a\0b", "", "/dev/null"):
        with pytest.raises(SpecError) as refusal:
            load_plan(name, name)
        assert [problem.file for problem in refusal.value.problems] == [name, name]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "must be a mapping"),
        (b"a" * (MOST_BYTES + 1), "is larger than 1 MiB"),
        ("é".encode("utf-16"), "not UTF-8 text"),
        (b"name: \xff", "not UTF-8 text (byte 0xff in line 1)"),
    ],
)
def test_a_file_of_no_text_is_one_sentence(tmp_path, content, says):
    (tmp_path / "s.yaml").write_bytes(content)
    with pytest.raises(SpecError) as refusal:
        load_plan(str(tmp_path / "s.yaml"), str(tmp_path / "s.yaml"))
    assert len(refusal.value.problems) == 2
    assert all(says in problem.message for problem in refusal.value.problems)


def test_line_ends_and_marks_of_other_systems_change_nothing(tmp_path):
    (tmp_path / "s.yaml").write_bytes(b"\xef\xbb\xbf" + SCENARIO.replace("\n", "\r\n").encode())
    (tmp_path / "e.yaml").write_text(ENVIRONMENT)
    assert load_plan(str(tmp_path / "s.yaml"), str(tmp_path / "e.yaml")).loaded_scenario.text == SCENARIO


def run(*arguments: str | Path, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "runbook", *map(str, arguments)], cwd=cwd, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode()


FORGED = "\x1b[2J\u202e\u2028\n::error::x\nmm2gate: all is well\r"


def test_nothing_that_a_file_or_an_option_holds_reaches_the_terminal_as_it_is(tmp_path):
    hostile = FORGED.replace("\x1b", "\\e").replace("\n", "\\n").replace("\r", "\\r")
    (tmp_path / "s.yaml").write_text(SCENARIO + f'"{hostile}": 1\n', encoding="utf-8")
    login = f'security: {{protocol: SASL_SSL, mechanism: PLAIN, username: "{hostile}", password_file: f}}'
    environment_file = ENVIRONMENT.replace("cluster_id: AAAA", f"cluster_id: AAAA, {login}")
    (tmp_path / "e.yaml").write_text(environment_file, encoding="utf-8")
    (tmp_path / "q.yaml").write_text(SCENARIO.replace("Does it work?", f'"{hostile}"'), encoding="utf-8")
    for code, arguments in (
        (64, ("plan", "s.yaml", "--env", "e.yaml")),
        (0, ("plan", "q.yaml", "--env", "e.yaml")),
        (0, ("scenarios", "show", "q.yaml")),
        (64, ("plan", FORGED, "--env", FORGED, "--rehearsal", FORGED, "--set", FORGED)),
        (64, ("plan", "q.yaml", "--env", "e.yaml", f"--{FORGED}")),
        (64, (FORGED,)),
    ):
        found, said = run(*arguments, cwd=tmp_path)
        assert found == code, said
        lines = said.split("\n")
        assert not {letter for letter in "".join(lines) if letter in FORGED and letter in HIDDEN_LETTERS}, said
        assert not [line for line in lines if line.startswith(("::", "mm2gate: all"))], said


HIDDEN_LETTERS = frozenset("\x1b\u202e\u2028\r")


def test_a_file_that_brought_the_process_down_is_exit_code_64(tmp_path):
    (tmp_path / "s.yaml").write_text(nested(100_000))
    code, said = run("scenarios", "validate", "s.yaml", cwd=tmp_path)
    assert code == ExitCode.BAD_SPEC
    assert said == "mm2gate: s.yaml: line 1: nested more than 32 deep\n"
