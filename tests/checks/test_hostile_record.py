"""A record is data: judging somebody else's opens no file, asks no address and reads no variable that it names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from checks.evidence import Evidence
from checks.judge import judge_run
from checks.record_inputs import environment_of, to_ask
from checks.report.files import report_run
from run_record.manifest import Ending
from run_record.store import SEAL, RunRecord, sums
from scenarios.environment import HttpLogin, LoadedEnvironment
from scenarios.errors import Refused, RunRecordError, SpecError
from tests.checks.test_collect import connect, prometheus
from tests.support.given import as_played
from tests.support.records import T0_S, environment_text, write_evidence, write_run
from tests.support.servers import Reply, serving

ROOT = Path(__file__).resolve().parents[2]
LOGIN = "login: {username: u, password_file: /etc/passwd}"
SASL = "security: {protocol: SASL_PLAINTEXT, mechanism: PLAIN, username: u, password_file: /etc/shadow}"


def hostile(url: str) -> str:
    """An environment that would read files of whoever judges it, and send them to a server of its own."""
    text = environment_text(prometheus=url, connect=url)
    text = text.replace("offset_flush_interval: 10s", f"offset_flush_interval: 10s\n  {LOGIN}")
    text = text.replace("scrape_interval: 5s", f"scrape_interval: 5s, {LOGIN}")
    return text.replace("cluster_id: source-id", f"cluster_id: source-id, {SASL}")


def audited(*arguments: str, cwd: Path) -> tuple[int, list[tuple[str, str]], str]:
    """Exit code, what was opened, connected to and started, and what was said."""
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests" / "checks" / "audited.py"), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said, _, seen = done.stderr.partition("AUDIT")
    assert seen, done.stderr
    return done.returncode, [tuple(one) for one in json.loads(seen)], done.stdout + said


def places(run: Path) -> tuple[str, ...]:
    """Where a judge may open something: the run's directory, and what Python and the packages are made of."""
    python = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(os.path.realpath(one) for one in (run, ROOT, sys.prefix, sys.base_prefix, *python, os.devnull))


@pytest.mark.parametrize("command", ["judge", "report"])
def test_without_an_environment_nobody_is_asked_and_nothing_is_opened_outside(tmp_path, command):
    with serving(lambda _: Reply.of({})) as canary:
        run = write_run(tmp_path / "somebodys", environment=hostile(canary.url))
        if command == "report":
            judge_run(run)
        code, seen, said = audited(command, str(run), cwd=tmp_path)
        assert canary.requests == []
    assert code == (30 if command == "judge" else 0), said
    # (An installation in development looks for modules in places that do not exist.)
    outside = [one for one in seen if not one[1].startswith(places(run)) and not one[1].endswith(".__path_hook__")]
    assert outside == []
    assert not [one for one in seen if one[0].startswith("socket.")]
    assert any(one[1].endswith("record/manifest.json") for one in seen), "the hook sees what is opened"


def test_what_was_never_collected_is_inconclusive_and_says_what_to_do(tmp_path):
    run = write_run(tmp_path, environment=hostile("http://127.0.0.1:9"))
    judgement = judge_run(run)
    assert (judgement.verdict, judgement.exit_code, judgement.offline) == ("INCONCLUSIVE", 30, True)
    content = json.loads((run / "verdict.json").read_text())
    assert content["evidence"] == ""
    codes = {one["id"]: one["reason"]["code"] for one in content["criteria"]}
    assert codes["poll_total"] == codes["not_running"] == "offline"
    assert "go_met" in codes.values(), "what the record itself tells is judged"
    call = f"mm2gate judge runs/{run.name} --env ENVIRONMENT"
    for name in ("fiche.md", "report.html"):
        text = (run / name).read_text(encoding="utf-8").replace("\u00a0", " ")
        assert "hors ligne" in text
        assert call in text
        assert "evidence//" not in text
    assert not (run / "evidence").exists()
    before = (run / "fiche.md").read_bytes()
    report_run(run, language="fr")
    assert (run / "fiche.md").read_bytes() == before


def test_with_an_environment_it_is_asked_there_and_with_its_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("GIVEN", "given-password")
    with serving(lambda _: Reply.of({})) as canary, serving(prometheus()) as metrics, serving(connect()) as rest:
        ending = Ending(how="sigint", aborted=True, at_ns=(T0_S + 143) * 10**9)  # nothing to wait for
        run = write_run(tmp_path, environment=hostile(canary.url), ending=ending)
        text = hostile("PROMETHEUS").replace('"PROMETHEUS"', json.dumps(rest.url), 1)
        text = text.replace('"PROMETHEUS"', json.dumps(metrics.url))
        text = text.replace("password_file: /etc/passwd", "password_env: GIVEN")
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        code, seen, said = audited("judge", str(run), "--env", str(file), cwd=tmp_path)
        assert canary.requests == []
        assert {request.headers["Authorization"] for request in (*metrics.requests, *rest.requests)} == {
            "Basic dTpnaXZlbi1wYXNzd29yZA=="
        }
    assert code == 50, said
    assert (run / "evidence" / "001").is_dir()
    assert not [one for one in seen if one[1] in ("/etc/passwd", "/etc/shadow")]


def test_a_records_environment_gives_no_secret_and_no_path(tmp_path):
    where = environment_of(RunRecord.open(write_run(tmp_path, environment=hostile("http://h"))).manifest)
    for ask in (
        lambda: where.password(HttpLogin(username="u", password_file="/etc/hostname"), of="connect.login"),
        lambda: where.path("/etc/hostname"),
    ):
        with pytest.raises(Refused, match="opens no file and reads no secret; give the judge one with --env"):
            ask()


# --- which environment -----------------------------------------------------------------------------------------------


def given(run: Path, *changes: tuple[str, str]) -> LoadedEnvironment:
    loaded = as_played(run)
    text = loaded.text
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (run.parent / "given.yaml").write_text(text)
    from scenarios.environment import load

    return load(str(run.parent / "given.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("target-id", "another-id", "target.cluster_id is another-id there, target-id in the record"),
        ("source-id", "another-id", "source.cluster_id is another-id there, source-id in the record"),
        ("mm2-source-connector", "mm2-b", "connect.connectors.source is mm2-b there, mm2-source-connector in the"),
        (", heartbeat: mm2-heartbeat", "", "connect.connectors.heartbeat is not given there, mm2-heartbeat in the"),
        ('"t."', '"u."', "topics.prefix is u. there, t. in the record"),
    ],
)
@pytest.mark.parametrize("collected", [False, True])
def test_another_environment_than_the_one_that_was_played_is_refused(tmp_path, old, new, says, collected):
    run = write_run(tmp_path)
    if collected:
        write_evidence(run)
    with pytest.raises(Refused) as refused:
        judge_run(run, given=given(run, (old, new)))
    assert says in str(refused.value)
    assert refused.value.exit_code == 40
    assert not (run / "verdict.json").exists()


def test_other_addresses_and_logins_of_the_same_deployment_are_fine_and_the_rest_is_the_records(tmp_path):
    run = write_run(tmp_path)
    changes = (("http://127.0.0.1:9", "http://127.0.0.1:7"), ("scrape_interval: 5s", "scrape_interval: 60s"))
    asked = to_ask(RunRecord.open(run).manifest, given(run, *changes)).environment
    assert asked.prometheus.url == "http://127.0.0.1:7"
    assert asked.connect.urls == ("http://127.0.0.1:7",)
    assert asked.prometheus.scrape_interval == 5


def test_to_ask_again_one_must_say_whom(tmp_path):
    run = write_run(tmp_path)
    write_evidence(run)
    with pytest.raises(SpecError, match="--refresh: asks Prometheus and Connect again: say where, with --env") as said:
        judge_run(run, refresh=True)
    assert said.value.exit_code == 64


# --- files that lead out of it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "record/manifest.json", "record/ledger.json", "record/more.json", "record", "evidence", "evidence/001",
        "evidence/001/index.json", "evidence/001/connect-topics.json", "evidence/002", "baseline.json", "live",
        ".hidden",
    ],
)  # fmt: skip
def test_a_link_in_a_record_is_followed_nowhere(tmp_path, name):
    run, elsewhere = write_run(tmp_path / "runs"), tmp_path / "elsewhere"
    write_evidence(run)
    elsewhere.mkdir()
    path = run / name
    if path.is_dir() or path.exists():
        shutil.move(path, elsewhere / path.name)
    else:
        (elsewhere / path.name).write_text("{}")
    path.symlink_to(elsewhere / path.name)
    before = {file: file.read_bytes() for file in elsewhere.rglob("*") if file.is_file()}
    for judge in (judge_run, lambda directory: report_run(directory, language="fr")):
        with pytest.raises(RunRecordError, match="is a link, which no record holds"):
            judge(run)
    assert {file: file.read_bytes() for file in elsewhere.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", ["verdict.json", "fiche.md", "report.html", "junit.xml", "summary.md"])
def test_a_link_in_the_place_of_a_document_is_replaced_and_not_followed(tmp_path, name):
    run, elsewhere = write_run(tmp_path / "runs"), tmp_path / "elsewhere"
    write_evidence(run)
    elsewhere.write_text('{"verdict": "GO"}')
    (run / name).symlink_to(elsewhere)
    judge_run(run)
    assert not (run / name).is_symlink()
    assert elsewhere.read_text() == '{"verdict": "GO"}'


def test_a_pipe_in_a_record_is_not_waited_for(tmp_path):
    run = write_run(tmp_path)
    (run / "record" / "latency.json").unlink()
    os.mkfifo(run / "record" / "latency.json")
    with pytest.raises(RunRecordError, match="is no plain file"):
        judge_run(run)


def test_a_run_that_is_itself_reached_by_a_link_is_judged(tmp_path):
    run = write_run(tmp_path / "runs")
    write_evidence(run)
    (tmp_path / "latest").symlink_to(run)
    assert judge_run(tmp_path / "latest").verdict == "GO"


def naming(run: Path, file: object) -> Path:
    """Evidence, sealed, of which an entry names another file."""
    directory = write_evidence(run)
    index = json.loads((directory / "index.json").read_text())
    next(entry for entry in index["answers"] if entry["kind"] == "connect")["file"] = file
    (directory / "index.json").write_text(json.dumps(index))
    (directory / SEAL).write_text(sums(directory))
    return directory


@pytest.mark.parametrize("file", ["../../../../etc/passwd", "/etc/passwd", "../001/index.json", ".", "..", "a/b"])
def test_evidence_that_names_a_file_elsewhere_is_refused(tmp_path, file):
    run = write_run(tmp_path)
    directory = naming(run, file)
    with pytest.raises(RunRecordError, match="which is no file of this directory"):
        Evidence.open(directory)
    with pytest.raises(RunRecordError, match="which is no file of this directory"):
        judge_run(run)


@pytest.mark.parametrize("file", ["", None, 7, ["x"], "a\\b", "x" * 300])
def test_evidence_that_names_no_file_at_all_cannot_be_read(tmp_path, file):
    run = write_run(tmp_path)
    naming(run, file)
    assert judge_run(run).verdict == "INCONCLUSIVE"


def test_a_password_in_a_comment_of_an_older_records_environment_is_not_shown(tmp_path):
    run = write_run(tmp_path, environment=environment_text() + "# password: hunter2\n")
    write_evidence(run)
    judge_run(run)
    assert "hunter2" not in (run / "report.html").read_text(encoding="utf-8")


def test_what_the_judge_writes_goes_through_no_link_that_lies_ready(tmp_path):
    run = write_run(tmp_path / "runs")
    write_evidence(run)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (run / f".fiche.md.{os.getpid()}").symlink_to(victim)
    with pytest.raises(RunRecordError, match="is a link"):
        judge_run(run)
    assert victim.read_text() == "mine"
