"""Locust's web UI, made fit for our runs: its form, its Start and Stop, a Verdict tab, and pages of our own.

    POST /swarm    only what the form may ask for; the guards are asked first, and a refusal is shown in the form
    POST /stop     answers at once; the run drains, is sealed and judged, and meanwhile counts as running
    /              dropdowns of what was known at start; a line at the foot says what the run is doing
    /mm2gate/      the runs of this process: verdicts, fiches, records. Read only, from the runs' own directories

Nothing here decides anything: verdicts are read from the files that the judge's processes write. Who may ask at all is
for `locust_session.web_guard` to say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, make_response, redirect, render_template_string, request
from locust.web import WebUI

from locust_session import options, web_pages
from locust_session.web_form import OURS, Known, wanted
from locust_session.web_guard import guard
from scenarios.errors import Mm2gateError, Refused

if TYPE_CHECKING:
    from locust_session.session import MasterSession

LOG = logging.getLogger("mm2gate.web")
FILES = resources.files("locust_session") / "web"
TAB = "verdict"
PANEL = '<script src="./mm2gate/panel.js" defer></script></body>'
REFRESH_S = 3
#: A page of ours loads nothing from elsewhere, and runs nothing.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
NOTHING_YET = "No run was started from here yet."


class WebUi:
    """One per process that has a web UI."""

    def __init__(self, session: MasterSession, web_ui: WebUI) -> None:
        self._session = session
        self._web_ui = web_ui
        self._parsed_options = web_ui.environment.parsed_options
        self._at_start = options.of(self._parsed_options)
        self._run_time_at_start = getattr(self._parsed_options, "run_time", None)
        self._known = Known.at_start(self._at_start)
        self._base = f"{getattr(self._parsed_options, 'web_base_path', '') or ''}/mm2gate"
        self._checking = False

    def install(self) -> None:
        """Before the server starts: our views in the place of Locust's, and our own routes."""
        app = self._app
        self._locust_swarm = app.view_functions["locust.swarm"]
        ours: dict[str, Callable[..., Any]] = {
            "swarm": self._swarm,
            "stop": self._stop,
            "update_user": self._update_user,
        }
        for endpoint, view in ours.items():
            app.view_functions[f"locust.{endpoint}"] = self._guarded(view)
        routes: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("/", self._page),
            ("/state", self._state),
            ("/panel.js", self._panel),
            ("/fiche", lambda: self._newest("fiche")),
            ("/live-fiche", lambda: self._newest("live-fiche")),
            ("/runs/<run_id>/<name>", self._document),
            ("/runs/<run_id>/figures/<name>", self._figure),
        )
        for rule, view in routes:
            app.add_url_rule(f"{self._base}{rule}", endpoint=f"mm2gate {rule}", view_func=self._guarded(view))
        app.after_request(self._extend)
        guard(self._web_ui, getattr(self._parsed_options, "web_hosts", ""))
        app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}  # the form's fields in our order
        self._extend_form()
        self._web_ui.template_args |= {
            "extended_tabs": [{"title": "Verdict", "key": TAB}],
            "extended_tables": [
                {"key": TAB, "structure": [{"key": key, "title": title} for key, title in web_pages.COLUMNS.items()]}
            ],
            "extended_csv_files": [
                {"href": "./mm2gate/fiche", "title": "Fiche technique of the last run"},
                {"href": "./mm2gate/live-fiche", "title": "Live fiche"},
                {"href": "./mm2gate/", "title": "Verdicts and records of all runs"},
            ],
        }

    @property
    def _app(self) -> Flask:
        app: Flask | None = self._web_ui.app
        if app is None:
            raise Mm2gateError("Locust's web UI has no application")
        return app

    def _guarded(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """With --web-login, only for those who logged in."""
        guarded: Callable[..., Any] = self._web_ui.auth_required_if_enabled(view)
        return guarded

    # --- start and stop ----------------------------------------------------------------------------------------------

    def _swarm(self) -> Any:
        """Start: Locust's own view runs only when the form is sound and the guards have agreed."""
        try:
            self._refuse_while_busy()
            chosen = wanted(request.form, self._known, options.of(self._parsed_options))
            self._checking = True
            try:
                self._session.accept(chosen)
            finally:
                self._checking = False
        except Mm2gateError as error:
            LOG.warning("not started: %s", error)
            if not (self._session.busy or self._session.starting or self._checking):
                self._session.trouble = str(error)
            return jsonify({"success": False, "message": str(error)})
        # An empty field of the form would leave the run before's in force.
        vars(self._parsed_options)["run_time"] = self._run_time_at_start
        answer = make_response(self._locust_swarm())
        if not (answer.get_json(silent=True) or {}).get("success"):
            self._session.forget()
        return answer

    def _refuse_while_busy(self) -> None:
        session = self._session
        if self._checking or session.starting:
            raise Refused("a run is being started; wait until it has")
        if session.busy:
            judging = session.conductor is not None and session.conductor.over.is_set()
            raise Refused("the last run is being judged; a moment" if judging else "a run is going on; stop it first")
        if session.runner.state not in ("ready", "stopped") or session.runner.shape_greenlet is not None:
            raise Refused("Locust is still ending the last run; a moment")

    def _stop(self) -> Response:
        self._session.stop()
        return jsonify({"success": True, "message": "the run is ending: what was sent is drained, sealed and judged"})

    @staticmethod
    def _update_user() -> tuple[Response, int]:
        return jsonify({"success": False, "message": "users are the scenario's, and cannot be edited"}), 403

    # --- Locust's page -----------------------------------------------------------------------------------------------

    def _extend_form(self) -> None:
        """Dropdowns, and no fields that a shape does not heed, each time that Locust describes its form."""
        web_ui, update = self._web_ui, self._web_ui.update_template_args

        def update_template_args() -> None:
            update()
            arguments = web_ui.template_args
            found = arguments["extra_options"]
            for name, names, help_text in (
                ("scenario", self._known.scenarios, "what is sent, and what must come of it"),
                ("env", self._known.environments, "environment: the clusters, Connect and Prometheus"),
            ):
                found[name] = {**found[name], "choices": list(names) or [""], "help_text": help_text}
            arguments |= {
                "extra_options": {name: found[name] for name in OURS} | found,
                "hide_common_options": True,
                "missing_host_warning": False,
                "state": self._shown_state(),
            }

        vars(web_ui)["update_template_args"] = update_template_args

    def _shown_state(self) -> str:
        """Locust's page looks for news only while it believes that a run goes on: until the verdict is there."""
        session = self._session
        return "running" if session.busy or session.starting or self._checking else str(session.runner.state)

    def _extend(self, response: Response) -> Response:
        if response.status_code != 200:
            return response
        if request.endpoint == "locust.request_stats":
            report = response.get_json()
            report["state"] = self._shown_state()
            report["extended_stats"] = [{"key": TAB, "data": self._rows()}]
            return self._app.make_response(jsonify(report))
        if request.endpoint == "locust.index":
            response.set_data(response.get_data(as_text=True).replace("</body>", PANEL))
        return response

    def _rows(self) -> list[web_pages.Row]:
        newest = self._newest_run()
        content = None if newest is None else web_pages.verdict_of(newest)
        return [] if content is None else web_pages.rows(content)

    def _newest_run(self) -> Path | None:
        """Of the run that goes on, or else of the last one; None while one starts that has no directory yet."""
        session = self._session
        if self._checking or session.starting:
            return None
        if session.conductor is not None:
            return session.conductor.directory
        return list(session.runs.values())[-1] if session.runs else None

    # --- our routes --------------------------------------------------------------------------------------------------

    def _state(self) -> Response:
        newest = self._newest_run()
        content = None if newest is None else web_pages.verdict_of(newest)
        links = [{"href": "./mm2gate/", "title": "verdicts and records"}] if self._session.runs else []
        if newest is not None:
            links += [
                {"href": f"./mm2gate/runs/{newest.name}/{name}", "title": title}
                for name, title in (("live-fiche", "live fiche"), ("fiche", "fiche"))
                if web_pages.document_of(newest, web_pages.DOCUMENTS[name][0]) is not None
                and (name == "fiche" or self._session.busy)
            ]
        verdict = "" if content is None or self._status_is_trouble() else web_pages.word(content.get("verdict"))
        return jsonify({"text": self._status(), "verdict": verdict, "links": links, "busy": self._session.busy})

    def _status_is_trouble(self) -> bool:
        return bool(self._session.trouble) and not self._session.busy

    def _status(self) -> str:
        session, conductor = self._session, self._session.conductor
        if self._checking or session.starting:
            return "asking both clusters, Connect and Prometheus"
        if self._status_is_trouble():
            return f"not started: {session.trouble}"
        if conductor is None or conductor.directory is None:
            return "starting" if session.busy else "no run yet"
        name = conductor.directory.name
        if not session.busy:
            return name
        if conductor.over.is_set():
            return f"{name}: judging the record"
        return f"{name}: {conductor.phase}{', ending' if conductor.ending else ''}"

    def _page(self) -> Response:
        session = self._session
        runs = []
        for run_id, directory in reversed(session.runs.items()):
            content = web_pages.verdict_of(directory) or {}
            links = [
                (f"runs/{run_id}/{name}", name)
                for name, (file, _) in web_pages.DOCUMENTS.items()
                if web_pages.document_of(directory, file) is not None
            ]
            runs.append({"id": run_id, "verdict": web_pages.word(content.get("verdict", "")), "links": links})
        return self._html(
            "mm2gate: verdicts",
            links=[("../", "Locust")],
            table=self._rows(),
            runs=runs,
            refresh_s=REFRESH_S if session.busy else 0,
        )

    def _newest(self, name: str) -> Any:
        newest = self._newest_run()
        if newest is None:
            return self._html("mm2gate", links=[("../", "Locust")]), 404
        return redirect(f"runs/{newest.name}/{name}")

    def _document(self, run_id: str, name: str) -> Any:
        """One of a run's documents: both names are looked up, never made into a path."""
        directory, document = self._session.runs.get(run_id), web_pages.DOCUMENTS.get(name)
        links = [("../../../", "Locust"), ("../../", "verdicts and records")]
        if directory is None or document is None:
            return self._html("mm2gate", links=links, nothing="There is no such run, or no such document."), 404
        file, rendered = document
        try:
            path = web_pages.document_of(directory, file) or directory / "not there"
            text = _rendered(path) if rendered else path.read_text(encoding="utf-8")
        except OSError:
            return self._html(run_id, links=links, nothing=f"{file} is not there yet."), 404
        if rendered:
            live = name == "live-fiche" and self._session.busy
            links.append(("fiche.md", "Markdown") if name == "fiche" else ("fiche", "fiche"))
            return self._html(run_id, links=links, body=text, lang="fr", refresh_s=REFRESH_S if live else 0)
        kind = "application/json" if name.endswith(".json") else "text/markdown"
        return _sealed_off(Response(text, content_type=f"{kind}; charset=utf-8"))

    def _figure(self, run_id: str, name: str) -> Any:
        directory = self._session.runs.get(run_id)
        path = None if directory is None else web_pages.figure_of(directory, name)
        if path is None:
            return "no such figure\n", 404
        return _sealed_off(Response(path.read_bytes(), content_type="image/svg+xml"))

    @staticmethod
    def _panel() -> Response:
        return Response((FILES / "panel.js").read_text(encoding="utf-8"), content_type="text/javascript; charset=utf-8")

    def _html(self, title: str, *, links: list[tuple[str, str]], **content: Any) -> Response:
        template = (FILES / "page.html").read_text(encoding="utf-8")
        settings = {"lang": "en", "nothing": NOTHING_YET, "status": self._status(), "columns": web_pages.COLUMNS}
        text = render_template_string(template, title=title, links=links, **{**settings, **content})
        return _sealed_off(Response(text, content_type="text/html; charset=utf-8"))


def _rendered(path: Path) -> str:
    """A Markdown file as HTML. Rendered anew only when it has changed: each viewer asks again every few seconds, and a
    load that this process sends waits meanwhile. Raises OSError."""
    return _rendered_as_of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _rendered_as_of(path: Path, _mtime_ns: int) -> str:
    return web_pages.html_of(path.read_text(encoding="utf-8"))


def _sealed_off(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response
