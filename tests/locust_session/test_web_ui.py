"""The web UI: what its form may ask for, what a refusal looks like, what is served and what is not; nothing listens."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from types import SimpleNamespace

import gevent
import pytest
from locust import web
from locust.env import Environment
from locust.web import WebUI

from checks.words import Words
from locust_session import conductor as conductor_module
from locust_session import session as session_module
from locust_session import web_pages
from locust_session.asking import Asked
from locust_session.web_form import LOCUSTS, Known, wanted
from locust_session.web_ui import WebUi
from scenarios.errors import ExitCode, Refused
from tests.locust_session.fakes import FakeMaster, NoJudge, nothing_asked
from tests.scenarios.examples import ENVIRONMENT, SCENARIO

HOSTILE = '<script>alert("x")</script>'


# --- the form --------------------------------------------------------------------------------------------------------

KNOWN = Known(scenarios=("phase1_smoke", "./mine.yaml"), environments=("desk",))
NOW = {"scenario": "phase1_smoke", "env": "desk", "rehearsal": "1", "runs_dir": "runs", "confirm": ""}


def test_what_the_form_does_not_say_stays_as_it_was():
    assert wanted({"rehearsal": " 1/30 "}, KNOWN, NOW) == {
        "scenario": "phase1_smoke",
        "env": "desk",
        "rehearsal": "1/30",
    }


def test_locusts_own_fields_are_let_through():
    assert wanted(dict.fromkeys(LOCUSTS, "1"), KNOWN, NOW)["scenario"] == "phase1_smoke"


@pytest.mark.parametrize("field", ["runs_dir", "confirm", "headless", "web_host", "loglevel", "user_classes", "../x"])
def test_any_other_field_is_refused(field):
    with pytest.raises(Refused, match="the form may not set"):
        wanted({field: "x"}, KNOWN, NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [("scenario", "nosuch"), ("scenario", "/etc/passwd"), ("scenario", ""), ("env", "prod"), ("env", "")],
)
def test_a_name_that_was_not_known_at_start_is_refused(field, value):
    with pytest.raises(Refused, match="was not known when this process started"):
        wanted({field: value}, KNOWN, NOW)


def test_known_are_the_packaged_the_named_and_the_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "desk.yaml").write_text(ENVIRONMENT)
    known = Known.at_start({"scenario": "mine.yaml", "env": "desk"})
    assert known.scenarios[:2] == ("mine.yaml", "phase1_smoke")
    assert known.environments == ("desk",)


# --- the process -----------------------------------------------------------------------------------------------------


@pytest.fixture
def ui(tmp_path, monkeypatch):
    """A web UI that does not listen, on a session whose master is made of memory and which has no node."""
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("good", SCENARIO),
        ("desk", ENVIRONMENT),
        ("prod", ENVIRONMENT.replace("name: desk", "name: prod") + "production: true\n"),
    ):
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "prod.yaml").write_text((tmp_path / "prod.yaml").read_text())
    monkeypatch.setattr(session_module, "_catch_signals", lambda *_, **__: None)
    monkeypatch.setattr(session_module, "judge", lambda directory, _: (int(ExitCode.NOGO), f"judged {directory}\n"))
    monkeypatch.setattr(session_module, "follow", lambda *_: NoJudge())
    monkeypatch.setattr(session_module, "ask", nothing_asked)
    monkeypatch.setattr(conductor_module, "READY_WITHIN_S", 5.0)
    options = Namespace(
        scenario="good.yaml",
        env="desk.yaml",
        rehearsal="1",
        runs_dir="runs",
        confirm="",
        load="own",
        set="",
        headless=False,
        run_time=None,
        web_base_path="",
        num_users=None,
        spawn_rate=None,
        stats_history_enabled=False,
    )
    # Locust reads the command line anew for each page, which is pytest's here.
    found = {name: {"choices": None, "default_value": "", "help_text": ""} for name in ("env", "rehearsal", "scenario")}
    monkeypatch.setattr(web.argument_parser, "ui_extra_args_dict", lambda: found)
    environment = Environment(parsed_options=options)
    runner = environment.create_local_runner()
    started: list[str] = []
    environment.shape_class = SimpleNamespace(use_common_options=True)
    monkeypatch.setattr(runner, "start_shape", lambda: started.append("shape"))
    web_ui = WebUI(environment, "127.0.0.1", 0, delayed_start=True)
    master = FakeMaster()
    session_module.install(environment, make_master=lambda _: master, make_load=lambda *_: None)
    session = vars(environment)[session_module.SESSION]
    return SimpleNamespace(
        client=web_ui.app.test_client(), environment=environment, session=session, started=started, master=master
    )


def answer(ui, **form) -> dict:
    return ui.client.post("/swarm", data=form).get_json()


def play(ui) -> None:
    """What Locust's shape does a moment later."""
    ui.environment.events.test_start.fire(environment=ui.environment)
    gevent.sleep(0.05)


def test_a_sound_form_starts_the_shape(ui):
    assert answer(ui, scenario="good.yaml", env="desk.yaml", rehearsal="1/2", run_time="")["success"]
    assert ui.started == ["shape"]
    assert ui.environment.parsed_options.rehearsal == "1/2"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"scenario": "nosuch"}, "was not known"),
        ({"env": "/etc/passwd"}, "was not known"),
        ({"runs_dir": "/elsewhere"}, "may not set 'runs_dir'"),
        ({"confirm": "prod", "env": "prod"}, "may not set 'confirm'"),
        ({"env": "prod"}, "production"),
        ({"rehearsal": "banana"}, "write it as in 1/30"),
        ({"rehearsal": "2"}, "write it as in 1/30"),
    ],
)
def test_a_refused_form_starts_nothing_changes_nothing_and_says_why(ui, caplog, form, said):
    before = dict(vars(ui.environment.parsed_options))
    refused = answer(ui, **form)
    assert refused["success"] is False
    assert said in refused["message"]
    assert said in caplog.text
    assert not ui.started
    assert vars(ui.environment.parsed_options) == before
    assert said in ui.client.get("/mm2gate/state").get_json()["text"]
    assert answer(ui)["success"], "and the next start is not spoilt"


def test_a_guard_that_refuses_is_shown_in_the_form(ui, monkeypatch):
    monkeypatch.setattr(ui.master, "identify", lambda: (_ for _ in ()).throw(Refused("source cluster: no answer")))
    assert answer(ui) == {"success": False, "message": "source cluster: no answer"}
    assert not ui.started


def test_names_that_are_wrong_are_shown_in_the_form_with_all_else_that_is(ui, monkeypatch):
    wrong = Asked(
        moment="before_load", refusals=("we look for a, and MM2 writes b; correct it", "no job c; correct it")
    )
    monkeypatch.setattr(session_module, "ask", lambda *_, **__: wrong)
    assert answer(ui) == {"success": False, "message": "\n".join(wrong.refusals)}
    assert "we look for a, and MM2 writes b" in ui.client.get("/mm2gate/state").get_json()["text"]
    monkeypatch.setattr(ui.master, "identify", lambda: (_ for _ in ()).throw(Refused("source cluster: no answer")))
    assert answer(ui)["message"].splitlines() == ["source cluster: no answer", *wrong.refusals]
    assert not ui.started


def test_one_run_at_a_time(ui):
    assert answer(ui)["success"]
    assert "is being started" in answer(ui)["message"]
    play(ui)
    assert "stop it first" in answer(ui)["message"]


def test_a_run_time_of_one_run_does_not_end_the_next(ui):
    assert answer(ui, run_time="10s")["success"]
    assert ui.environment.parsed_options.run_time == 10
    ui.session.forget()
    assert answer(ui, run_time="")["success"]
    assert ui.environment.parsed_options.run_time is None


def test_a_bad_run_time_is_locusts_to_refuse_and_spoils_nothing(ui):
    assert "Valid run_time formats" in answer(ui, run_time="soon")["message"]
    assert answer(ui)["success"]


def test_stop_answers_at_once_and_counts_as_running_until_the_verdict(ui, monkeypatch):
    judging = gevent.event.Event()
    monkeypatch.setattr(session_module, "judge", lambda *_: (judging.wait(), (int(ExitCode.NOGO), ""))[1])
    answer(ui)
    play(ui)
    with gevent.Timeout(1):
        assert ui.client.post("/stop").get_json()["success"]
    gevent.sleep(0.2)
    assert ui.session.conductor.how == "stopped"
    assert "judging" in ui.client.get("/mm2gate/state").get_json()["text"]
    assert "being judged" in answer(ui)["message"]
    assert ui.client.get("/stats/requests").get_json()["state"] == "running"
    judging.set()
    gevent.sleep(0.05)
    assert not ui.session.busy


def test_stop_before_the_start_has_begun_takes_it_back(ui):
    answer(ui)
    ui.client.post("/stop")
    assert not ui.session.starting


def test_a_process_that_started_nothing_leaves_with_0(ui):
    ui.environment.events.quitting.fire(environment=ui.environment)
    assert ui.environment.process_exit_code == 0


def test_a_page_of_another_site_can_do_nothing(ui):
    evil = {"Origin": "http://evil.example"}
    assert ui.client.post("/swarm", data={}, headers=evil).status_code == 403
    assert ui.client.post("/stop", headers=evil).status_code == 403
    assert ui.client.get("/mm2gate/state", headers=evil).status_code == 403
    assert not ui.started
    own = ui.client.get("/mm2gate/state", headers={"Origin": "http://localhost"})
    assert own.status_code == 200
    assert not [name for name, _ in own.headers if name.startswith("Access-Control")]


def test_users_cannot_be_edited(ui):
    assert ui.client.post("/user", data="{}").status_code == 403


# --- what is served --------------------------------------------------------------------------------------------------


@pytest.fixture
def run(ui, tmp_path):
    """A run of this process, that was judged."""
    directory = tmp_path / "runs" / "20260301T100000Z-good"
    for part in ("live", "record", "figures"):
        (directory / part).mkdir(parents=True)
    ui.session.runs[directory.name] = directory
    criterion = {"id": "lost", "verdict": "INCONCLUSIVE", "value": 1234567, "unit": "records", "go": "== 0 records"}
    criterion |= {"nogo": None, "reason": {"code": "late_may_be_lost", "params": {"label": HOSTILE}}}
    content = {"run_id": directory.name, "verdict": "GREY", "rehearsal": True, "criteria": [criterion]}
    (directory / "verdict.json").write_text(json.dumps(content))
    (directory / "fiche.md").write_text(f"# Fiche\n\n{HOSTILE}\n\n[x](javascript:alert(1))\n\n| a |\n|---|\n| b |\n")
    (directory / "figures" / "lag.svg").write_text("<svg/>")
    (directory / "secret.txt").write_text("secret")
    return directory


def test_the_verdict_tab_has_a_line_for_the_run_and_one_for_each_criterion(ui, run):
    (table,) = ui.client.get("/stats/requests").get_json()["extended_stats"]
    assert table["key"] == "verdict"
    first, lost = table["data"]
    assert first["verdict"] == "GRIS"
    assert first["why"] == "REHEARSAL"
    assert (lost["verdict"], lost["measured"]) == ("INDÉTERMINÉ", "1,234,567 records")
    assert all(isinstance(cell, str) for row in table["data"] for cell in row.values())


def test_the_live_verdict_stands_until_the_verdict_is_there(run):
    (run / "verdict.json").rename(run / "live" / "verdict.json")
    assert web_pages.verdict_of(run)["verdict"] == "GREY"
    (run / "live" / "verdict.json").write_text("{torn")
    assert web_pages.verdict_of(run) is None


def test_hostile_text_is_shown_never_obeyed(ui, run):
    for path in ("/mm2gate/", f"/mm2gate/runs/{run.name}/fiche"):
        response = ui.client.get(path)
        assert response.status_code == 200
        assert "<script" not in response.text
        assert "&lt;script&gt;" in response.text
        assert 'href="javascript' not in response.text
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_fiche_is_rendered_and_its_figures_are_served(ui, run):
    assert "<td>b</td>" in ui.client.get(f"/mm2gate/runs/{run.name}/fiche").text
    assert ui.client.get(f"/mm2gate/runs/{run.name}/fiche.md").mimetype == "text/markdown"
    assert ui.client.get(f"/mm2gate/runs/{run.name}/figures/lag.svg").mimetype == "image/svg+xml"
    assert ui.client.get("/mm2gate/fiche").headers["Location"].endswith(f"runs/{run.name}/fiche")


def test_a_fiche_that_many_look_at_is_rendered_when_it_has_changed(ui, run, monkeypatch):
    rendered = []
    html_of = web_pages.html_of
    monkeypatch.setattr(web_pages, "html_of", lambda text: rendered.append(text) or html_of(text))
    fiche = run / "live" / "fiche.md"
    for number in range(2):
        fiche.write_text(f"# Fiche {number}\n")
        os.utime(fiche, ns=(number, number))  # a clock may be too coarse for two that follow each other so soon
        for _ in range(3):
            assert f"<h1>Fiche {number}</h1>" in ui.client.get(f"/mm2gate/runs/{run.name}/live-fiche").text
    assert len(rendered) == 2


@pytest.mark.parametrize(
    "path",
    [
        "secret.txt",
        "../../secret",
        "..%2fsecret.txt",
        "figures/..%2f..%2fsecret.txt",
        "figures/../secret.txt",
        "record",
    ],
)
def test_nothing_else_can_be_read(ui, run, path):
    assert ui.client.get(f"/mm2gate/runs/{run.name}/{path}").status_code in (404, 308)
    assert ui.client.get(f"/mm2gate/runs/another/{path}").status_code in (404, 308)


def test_before_any_run_the_pages_say_so(ui):
    assert "No run was started" in ui.client.get("/mm2gate/").text
    assert ui.client.get("/mm2gate/fiche").status_code == 404


def test_reading_is_all_that_can_be_done(ui, run):
    for method in (ui.client.post, ui.client.put, ui.client.delete):
        assert method(f"/mm2gate/runs/{run.name}/fiche").status_code == 405


def test_locusts_page_has_the_dropdowns_and_the_foot_line(ui):
    page = ui.client.get("/").text
    arguments = json.loads(page.partition("window.templateArgs = ")[2].partition("\n")[0])
    assert list(arguments["extra_options"]) == ["scenario", "env", "rehearsal"]
    assert arguments["extra_options"]["scenario"]["choices"][:2] == ["good.yaml", "phase1_smoke"]
    assert arguments["extra_options"]["env"]["choices"] == ["desk.yaml", "prod"]
    assert arguments["extended_tabs"] == [{"title": "Verdict", "key": "verdict"}]
    assert '<script src="./mm2gate/panel.js" defer></script>' in page
    assert ui.client.get("/mm2gate/panel.js").mimetype == "text/javascript"


def test_a_base_path_moves_our_pages_too(ui):
    ui.environment.parsed_options.web_base_path = "/load"
    moved = WebUI(ui.environment, "127.0.0.1", 0, web_base_path="/load", delayed_start=True)
    WebUi(ui.session, moved).install()
    client = moved.app.test_client()
    assert client.get("/load/mm2gate/state").status_code == 200
    assert client.post("/load/swarm", data={"scenario": "nosuch"}).get_json()["success"] is False


def test_words_are_those_of_the_fiches():
    words = Words.load("fr").catalogue.verdicts
    assert {name: web_pages.word(name) for name in words} == words
