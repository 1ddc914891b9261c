"""Bad input: every problem of both files at once, each with its file and key, before any load (exit 64)."""

from __future__ import annotations

import pytest

from scenarios.errors import ExitCode, Refused, SpecError
from scenarios.plan import load_plan
from scenarios.scenario import library_names, load, parse_scenario
from tests.scenarios.examples import ENVIRONMENT, SCENARIO, environment, plan, with_phases

SMOKE = "{name: smoke, profile: nominal, rate: 10/s, duration: 10s}"


def problems_of(text: str, *, inside: bool = False) -> list[str]:
    """The problems of a scenario's text, as "key: message"."""
    with pytest.raises(SpecError) as refusal:
        parse_scenario(text, file="s.yaml", environment=environment().environment if inside else None)
    assert {problem.file for problem in refusal.value.problems} == {"s.yaml"}
    return [f"{problem.key}: {problem.message}" for problem in refusal.value.problems]


def environment_problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as refusal:
        environment(text)
    return [f"{problem.key}: {problem.message}" for problem in refusal.value.problems]


def test_the_examples_are_right():
    assert plan().record_count == 100


@pytest.mark.parametrize("name", library_names())
def test_every_packaged_scenario_is_right(name):
    assert load(name, environment=environment().environment).scenario.name == name


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rate: 10/s", "rat: 10/s", ["phases[0].rate: missing", "phases[0].rat: unknown key (did you mean rate?)"]),
        ("question:", "questoin:", ["question: missing", "questoin: unknown key (did you mean question?)"]),
        ("{patience: 5s}", "{pateince: 5s}", ["canary.pateince: unknown key (did you mean patience?)"]),
        ("{patience: 5s}", "{zzz: 5s}", ["canary.zzz: unknown key"]),
    ],
)
def test_an_unknown_key_is_named_with_what_was_probably_meant(old, new, says):
    assert problems_of(SCENARIO.replace(old, new)) == says


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("10/s", "10KB", "phases[0].rate", "'10KB' has unit 'KB'; use one of /s"),
        ("10/s", "10", "phases[0].rate", "write the unit, as in '10/s' (got 10)"),
        ("10/s", '"10"', "phases[0].rate", "'10' has no unit"),
        ("10/s", "-10/s", "phases[0].rate", "not a quantity: '-10/s'"),
        ("10/s", "0/s", "phases[0].rate", "greater than 0"),
        ("duration: 10s", "duration: 10", "phases[0].duration", "write the unit, as in '30s'"),
        ("duration: 10s", "duration: 10 parsecs", "phases[0].duration", "has unit 'parsecs'"),
        ("duration: 10s", "duration: 0s", "phases[0].duration", "greater than 0"),
        ("200B", "200", "payload.bytes", "write the unit, as in '1KB'"),
        ("200B", "200ms", "payload.bytes", "has unit 'ms'"),
        ("200B", "99B", "payload.bytes", "greater than or equal to 100"),
        ("200B", "0.3KB", "payload.bytes", "not a whole number of bytes"),
        ("partitions: 4", "partitions: 0", "topics.partitions", "greater than or equal to 1"),
        ("partitions: 4", 'partitions: "4"', "topics.partitions", "valid integer"),
        ("name: small", "name: Small", "name", "match pattern"),
        ("profile: nominal", "profile: nominl", "phases[0]", "nominl"),
        ("ledger.lost", "ledger.losst", "criteria[0]", "unknown measure 'ledger.losst'; known: load.achieved"),
        ('go: "== 0 records"', 'go: "== 0"', "criteria[0].go", "has no unit"),
        ('go: "== 0 records"', 'go: "0"', "criteria[0].go", "not a condition"),
        ('go: "== 0 records"', 'go: "< 5 ms"', "criteria[0]", "is in ms, but ledger.lost is measured in records"),
        (
            'go: "== 0 records"',
            'go: "== 0 records", nogo: "> 5 %"',
            "criteria[0]",
            "nogo: '> 5 %' is in %, but ledger.lost is measured in records",
        ),
        (
            'go: "== 0 records"',
            'go: "< 9 records", nogo: "> 5 records"',
            "criteria[0]",
            "go '< 9 records' and nogo '> 5 records' overlap",
        ),
        (
            'go: "== 0 records"',
            'go: ">= 10 records", nogo: "< 1000 records"',
            "criteria[0]",
            "overlap; a value can only be one of them",
        ),
        (
            'go: "== 0 records"',
            'go: "== 0 records", beside: e2e.pff',
            "criteria[0]",
            "unknown measure 'e2e.pff'",
        ),
    ],
)
def test_one_mistake_is_one_problem_at_its_key(old, new, key, says):
    (problem,) = problems_of(SCENARIO.replace(old, new, 1))
    assert problem.startswith(f"{key}: ")
    assert says in problem


def test_conditions_that_only_touch_do_not_overlap():
    text = SCENARIO.replace('go: "== 0 records"', 'go: "== plan records", nogo: "== 0 records"')
    assert plan(text).scenario.criteria[0].nogo is not None


def test_all_problems_of_a_file_come_at_once():
    text = (
        SCENARIO.replace("rate: 10/s", "rate: 10KB")
        .replace("ledger.lost", "ledger.losst")
        .replace("200B", "5B")
        .replace("question:", "questoin:")
    )
    keys = {problem.split(":")[0] for problem in problems_of(text)}
    assert keys == {"question", "questoin", "payload.bytes", "phases[0].rate", "criteria[0]"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SCENARIO + "name: again\n", 'line 11: found duplicate key "name"; keep one'),
        (SCENARIO.replace("rate: 10/s", "rate: 10/s, rate: 20/s"), 'line 7: found duplicate key "rate"; keep one'),
        ("a: [\n", "line 2: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "line 2: not valid YAML: but found another document"),
        ("", ": must be a mapping of keys to values"),
        ("- a\n- b\n", ": must be a mapping of keys to values"),
        ("just words\n", ": must be a mapping of keys to values"),
        ("? [a, b]\n: c\n", ": not plain keys and values"),
        ("2026-01-01: c\n", ": not plain keys and values"),
        ("x: &a {y: *a}\n", ": not plain keys and values"),
        ("x: !!python/object:os.system {}\n", "line 1: not valid YAML"),
    ],
)
def test_what_is_no_plain_yaml_is_one_sentence(text, says):
    (problem,) = problems_of(text)
    assert problem.startswith(says)


def test_a_word_of_yaml_1_1_stays_the_word_that_was_typed():
    assert str(plan(SCENARIO.replace("question: Does it work?", "question: no")).scenario.question) == "no"


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("5", "question: write a text, or one for each of en and fr"),
        ('""', "question: write a text, or one for each of en and fr"),
        ("{en: Does it work?}", "question.fr: missing"),
        ("{en: Does it work?, fr: Oui ?, de: Ja?}", "question.de: unknown key"),
    ],
)
def test_a_text_is_one_for_all_languages_or_one_for_each(question, says):
    assert problems_of(SCENARIO.replace("question: Does it work?", f"question: {question}")) == [says]


def test_a_text_is_said_in_the_language_of_the_report():
    question = plan(
        SCENARIO.replace("Does it work?", "{en: Does it work?, fr: Est-ce que cela marche ?}")
    ).scenario.question
    assert [question.in_language(one) for one in ("fr", "en", "de")] == [
        "Est-ce que cela marche ?", "Does it work?", "Does it work?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("phases", "says"),
    [
        (
            ["{name: late, profile: silence, duration: 5s}"],
            "phases: they must come as silence, load phases, drain, watch",
        ),
        (
            ["{name: drain, profile: nominal, rate: 1/s, duration: 1s}"],
            "phases: 'drain' is the name of several phases; names must differ",
        ),
        (["{name: d, profile: drain}"], "phases: 2 of profile drain; at most one makes sense"),
        (["{name: w, profile: watch, duration: 5s}"], "phases: they must come as silence, load phases, drain, watch"),
    ],
)
def test_phases_out_of_order_are_refused(phases, says):
    assert says in problems_of(with_phases(SMOKE, *phases))


def test_a_scenario_that_sends_nothing_is_refused():
    text = with_phases("{name: hush, profile: silence, duration: 5s}")
    assert (
        "phases: none of them sends anything; add one of profile nominal, ramp, burst, spike, soak or steps"
        in problems_of(text)
    )


def test_a_load_without_a_drain_is_refused():
    text = SCENARIO.replace("  - {name: drain, profile: drain, patience: 5s, cap: 20s}\n", "")
    assert problems_of(text) == [
        "phases: a drain must follow the load, or late records could not be told from lost ones"
    ]


@pytest.mark.parametrize(
    ("phase", "says"),
    [
        ("{name: up, profile: ramp, from_rate: 0/s, to_rate: 0/s, duration: 5s}", "a ramp must send something"),
        (
            (
                "{name: b, profile: burst, base_rate: 1/s, peak_rate: 5/s, peak_start: 5s, peak_duration: 6s,"
                " duration: 10s}"
            ),
            "ends after the phase's duration",
        ),
        (
            (
                "{name: b, profile: burst, base_rate: 1/s, peak_rate: 0/s, peak_start: 5s, peak_duration: 1s,"
                " duration: 10s}"
            ),
            "greater than 0",
        ),
    ],
)
def test_a_profile_that_cannot_be_played_is_refused(phase, says):
    (problem,) = problems_of(with_phases(phase))
    assert says in problem


FENCED = SCENARIO.replace('ledger.lost, go: "== 0 records"', 'mm2.latency_max, go: "< 1 s"')


def fenced(silence: str, watch: str) -> str:
    lines = FENCED.replace("  - {name: smoke", "  - {name: hush, profile: silence, duration: %s}\n  - {name: smoke")
    return lines.replace("criteria:", "  - {name: watch, profile: watch, duration: %s}\ncriteria:") % (silence, watch)


def test_a_gauge_that_looks_back_needs_silence_before_and_watch_after():
    assert problems_of(FENCED) == [
        ": phases: lost read MM2 gauges that look back 60 s, so a silence of at least 65s must come first (it is 0s)",
        ": phases: lost read MM2 gauges that look back 60 s, so a watch of at least 60s must come last (it is 0s)",
    ]


@pytest.mark.parametrize(("silence", "watch", "short"), [("64s", "60s", "silence"), ("65s", "59s", "watch")])
def test_a_fence_too_short_is_refused(silence, watch, short):
    (problem,) = problems_of(fenced(silence, watch))
    assert f"so a {short} of at least" in problem


def test_a_fence_of_just_the_right_length_is_taken():
    assert plan(fenced("65s", "60s")).scenario.watch_s == 60


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("other-{n}", "topic 'other-1' is outside the prefix 'mm2gate.' of environment desk"),
        ("x{prefix}{n}", "is outside the prefix"),
        ("{prefix}same", "gives 1 names for 2 topics; use {n}"),
        ("{prefix}{q}", "may use only {prefix} and {n}"),
        ("{prefix", "may use only {prefix} and {n}"),
        ("{prefix}{n:zz}", "may use only {prefix} and {n}"),
        ("{prefix}{}", "may use only {prefix} and {n}"),
        ("{prefix.x}", "may use only {prefix} and {n}"),
    ],
)
def test_a_topic_outside_the_prefix_is_never_planned(name, says):
    (problem,) = problems_of(SCENARIO.replace("count: 1,", f'count: 2, name: "{name}",'), inside=True)
    assert problem.startswith("topics: name: ")
    assert says in problem


# --- the environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("name: desk", "naem: desk", ["name: missing", "naem: unknown key (did you mean name?)"]),
        (
            'prometheus: {url: "http://127.0.0.1:4"}',
            'prometheus: {url: "http://u:p@127.0.0.1:4"}',
            [
                "prometheus.url: holds credentials; name them by username and password_file (or password_env) instead",
            ],
        ),
        ("http://127.0.0.1:3", "ftp://127.0.0.1:3", ["connect.urls[0]: not an http(s) URL: 'ftp://127.0.0.1:3'"]),
        ("BBBB", "AAAA", [": source and target have the same cluster_id; MM2 mirrors between two clusters"]),
        (
            "cluster_id: AAAA",
            "cluster_id: AAAA, security: {protocol: SASL_SSL}",
            ["source.security: protocol SASL_SSL needs mechanism, username, password_file or password_env"],
        ),
        (
            "cluster_id: AAAA",
            (
                "cluster_id: AAAA, security: {protocol: SASL_SSL, mechanism: PLAIN, username: u, password_file: f,"
                " password_env: E}"
            ),
            ["source.security: give password_file or password_env, not both"],
        ),
        (
            "cluster_id: AAAA",
            "cluster_id: AAAA, security: {protocol: SASL_SSL, mechanism: PLAIN, username: u, password: hunter2}",
            None,
        ),
        (
            "prefix: mm2gate.",
            'prefix: mm2gate., remote_name: "source.x"',
            ["topics: remote_name must contain {topic}, as in 'source.{topic}'"],
        ),
        ("duration: 5h", "duration: 5", ["ceilings.duration: write the unit, as in '30s' (got 5)"]),
        ("200MiB/s", "200MiB", None),
    ],
)
def test_an_environment_with_a_mistake_is_refused_at_its_key(old, new, says):
    found = environment_problems(ENVIRONMENT.replace(old, new))
    assert says is None or found == says


def test_a_password_in_the_file_is_an_unknown_key_and_is_not_repeated():
    security = "security: {protocol: SASL_SSL, mechanism: PLAIN, username: u, password: hunter2}"
    found = environment_problems(ENVIRONMENT.replace("cluster_id: AAAA", f"cluster_id: AAAA, {security}"))
    assert any("unknown key (did you mean password_" in problem for problem in found)
    assert not any("hunter2" in problem for problem in found)


# --- both ------------------------------------------------------------------------------------------------------------


def test_the_problems_of_both_files_and_of_the_factor_come_at_once(tmp_path):
    scenario, where = tmp_path / "s.yaml", tmp_path / "e.yaml"
    scenario.write_text(SCENARIO.replace("10/s", "10"))
    where.write_text(ENVIRONMENT.replace("name: desk", "nom: desk"))
    with pytest.raises(SpecError) as refusal:
        load_plan(str(scenario), str(where), rehearsal="2")
    assert [problem.file for problem in refusal.value.problems] == [
        "--rehearsal",
        str(where),
        str(where),
        str(scenario),
    ]
    assert refusal.value.exit_code == ExitCode.BAD_SPEC == 64


def test_files_that_are_not_there_are_named_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as refusal:
        load_plan("phase99", "nowhere")
    assert [problem.file for problem in refusal.value.problems] == ["nowhere", "phase99"]
    assert "phase1_smoke" in str(refusal.value)


def test_a_name_in_environments_is_found_and_unknown_ones_are_answered_with_those_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "desk.yaml").write_text(ENVIRONMENT)
    assert load_plan("phase1_smoke", "desk").environment.name == "desk"
    with pytest.raises(SpecError, match="known names: desk"):
        load_plan("phase1_smoke", "dsk")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read"):
        load_plan("phase1_smoke", str(path))


@pytest.mark.parametrize(
    ("phase", "payload", "key"),
    [
        ("{name: a, profile: nominal, rate: 100001/s, duration: 1s}", "{bytes: 100B}", "ceilings.records_per_s"),
        (
            (
                "{name: a, profile: burst, base_rate: 1/s, peak_rate: 100001/s, peak_start: 0s, peak_duration: 1ms,"
                " duration: 1s}"
            ),
            "{bytes: 100B}",
            "ceilings.records_per_s",
        ),
        ("{name: a, profile: nominal, rate: 300/s, duration: 1s}", "{bytes: 1MB}", "ceilings.bytes_per_s"),
        ("{name: a, profile: nominal, rate: 190/s, duration: 10min}", "{bytes: 1MB}", "ceilings.total_bytes"),
        ("{name: a, profile: nominal, rate: 1/s, duration: 5h}", "{bytes: 100B}", "ceilings.duration"),
    ],
)
def test_a_plan_above_a_ceiling_is_refused_by_the_environment(phase, payload, key):
    with pytest.raises(Refused) as refusal:
        plan(with_phases(phase, payload=payload))
    assert f"desk.yaml: {key}: small wants" in str(refusal.value)
    assert "above this ceiling of" in str(refusal.value)
    assert refusal.value.exit_code == ExitCode.REFUSED


def test_all_ceilings_that_are_passed_are_named():
    with pytest.raises(Refused) as refusal:
        plan(with_phases("{name: a, profile: nominal, rate: 200000/s, duration: 6h}", payload="{bytes: 10KB}"))
    assert len(str(refusal.value).splitlines()) == 4


@pytest.mark.parametrize("name", ["prepare", "canary"])
def test_a_name_of_mm2gates_own_is_refused_for_a_phase(name):
    (problem,) = problems_of(SCENARIO.replace("name: smoke", f"name: {name}"))
    assert problem == f"phases: {name!r} is a name of mm2gate's own; choose another"


def test_a_rehearsal_brings_a_long_load_under_the_ceiling_of_duration():
    text = with_phases("{name: a, profile: nominal, rate: 1/s, duration: 10h}")
    assert plan(text, rehearsal="1/30").load_duration_s == pytest.approx(1200)
