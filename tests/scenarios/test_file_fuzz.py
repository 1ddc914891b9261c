"""Whatever a file or an option holds: right, or exit 64 (40 above a ceiling), soon, and never a traceback."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from pydantic import ConfigDict

from runbook.plan_text import plan_text
from scenarios.errors import ExitCode, Mm2gateError
from scenarios.plan import load_plan
from scenarios.scenario import LIBRARY, library_names
from scenarios.yaml_file import StrictModel, parse
from tests.scenarios.examples import SCENARIO
from tests.scenarios.hostile import Mutator

#: Kinds of cases, and how many of each.
STRUCTURES, BYTES, OPTIONS = 800, 300, 200
#: CPU seconds of a case.
MOST_S = 5.0
WHOLE_ENVIRONMENT = """\
name: desk
production: false
source:
  alias: source
  bootstrap_servers: "127.0.0.1:1"
  cluster_id: AAAA
  security: {protocol: SASL_SSL, mechanism: PLAIN, username: u, password_file: f, ca_file: c}
target: {alias: target, bootstrap_servers: "127.0.0.1:2", cluster_id: BBBB}
connect:
  urls: ["http://127.0.0.1:3", "https://connect.example"]
  connectors: {source: s, checkpoint: c, heartbeat: h}
  offset_flush_interval: 60s
  login: {username: u, password_env: E}
prometheus:
  url: "http://127.0.0.1:4"
  scrape_interval: 15s
  jobs: {connect: c, brokers: b, nodes: n}
  metric_profile: official_mirror
  login: {username: u, password_file: f}
topics: {prefix: mm2gate., remote_name: "source.{topic}", replication_factor: 1}
mm2: {refresh_topics_interval: 600s}
cpu: {workers: node}
ceilings: {records_per_s: 100000/s, bytes_per_s: 200MiB/s, total_bytes: 100GiB, duration: 5h}
perf_test: [kafka-producer-perf-test.sh, --verbose]
"""


class Anything(StrictModel):
    """Takes every key, to read what a file holds."""

    model_config = ConfigDict(extra="allow", strict=False)


def content_of(text: str) -> dict:
    """A file's content, `${x}` as a word in it."""
    return parse(re.sub(r"\$\{(\w+)\}", r"PLACE_\1_", text), Anything, file="x").model_dump()


SCENARIOS = [SCENARIO, *((LIBRARY / f"{name}.yaml").read_text(encoding="utf-8") for name in library_names())]
SCENARIO_TREES = [content_of(text) for text in SCENARIOS]
ENVIRONMENT_TREE = content_of(WHOLE_ENVIRONMENT)


@pytest.fixture
def files(tmp_path):
    """Paths of a scenario and of an environment, both right."""
    scenario, environment = tmp_path / "s.yaml", tmp_path / "e.yaml"
    scenario.write_text(SCENARIO)
    environment.write_text(WHOLE_ENVIRONMENT)
    return scenario, environment


def tried(scenario: str | Path, environment: str | Path, **options: str) -> int:
    """The exit code that a plan of them comes to."""
    began_s = time.process_time()
    try:
        plan_text(load_plan(str(scenario), str(environment), **options))
    except Mm2gateError as error:
        code, said = int(error.exit_code), str(error)
    else:
        code, said = 0, "nothing"
    took_s = time.process_time() - began_s
    assert took_s < MOST_S, f"{took_s:.1f} s"
    assert said.strip()
    assert len(said) < 10_000_000
    assert code in (0, ExitCode.BAD_SPEC, ExitCode.REFUSED)
    return code


@pytest.mark.parametrize("kind", ["scenario", "environment"])
def test_a_file_of_any_structure_is_right_or_64(files, kind):
    scenario, environment = files
    trees = SCENARIO_TREES if kind == "scenario" else [ENVIRONMENT_TREE]
    codes = set()
    for seed in range(STRUCTURES):
        text = re.sub(r'"PLACE_(\w+)_"', r"${\1}", Mutator(seed).structure(trees[seed % len(trees)]))
        (scenario if kind == "scenario" else environment).write_text(text, encoding="utf-8")
        codes.add(told(seed, scenario, environment))
    assert {0, 64} <= codes, "some are right, some are wrong: else nothing was tried"


@pytest.mark.parametrize("kind", ["scenario", "environment"])
def test_a_file_of_any_bytes_is_right_or_64(files, kind):
    scenario, environment = files
    texts = SCENARIOS if kind == "scenario" else [WHOLE_ENVIRONMENT]
    codes = set()
    for seed in range(BYTES):
        (scenario if kind == "scenario" else environment).write_bytes(Mutator(seed).bytes(texts[seed % len(texts)]))
        codes.add(told(seed, scenario, environment))
    assert {0, 64} <= codes


def test_options_of_any_text_are_right_or_64(files):
    scenario, environment = files
    codes = set()
    for seed in range(OPTIONS):
        word = Mutator(seed).word()
        codes |= {
            told(seed, scenario, environment, rehearsal=word),
            told(seed, scenario, environment, settings=word),
            told(seed, "phase5_soak", environment, settings=f"capacity={word}"),
            told(seed, word, environment),
            told(seed, scenario, word),
        }
    assert {0, 64} <= codes


def told(seed: int, scenario: str | Path, environment: str | Path, **options: str) -> int:
    """`tried`, and which seed it was when it does not hold."""
    try:
        return tried(scenario, environment, **options)
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
