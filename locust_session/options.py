"""The options that every locustfile of ours adds to Locust's own. None of them is, or leads to, a secret."""

from __future__ import annotations

from typing import Any

from locust.argument_parser import LocustArgumentParser

from locust_session.ports import require_free

#: Who sends: see mm2_users.foreign.
LOADS = ("own", "perf-test", "none")


def add(parser: LocustArgumentParser) -> None:
    """Listener of `init_command_line_parser`: all options of a run."""
    parser.add_argument(
        "--scenario", default="", help="name of a packaged scenario, or path of one", env_var="MM2GATE_SCENARIO"
    )
    add_environment(parser)
    parser.add_argument("--rehearsal", default="1", help="factor on the load's durations, as in 1/30")
    parser.add_argument(
        "--runs-dir",
        default="runs",
        help="where run records go",
        env_var="MM2GATE_RUNS_DIR",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--set",
        default="",
        help="values for the scenario's variables, as in capacity=7000/s,size=1KB",
        env_var="MM2GATE_SET",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--load",
        default="own",
        choices=LOADS,
        help="own: ours, with envelopes; perf-test: Kafka's producer tool; none: whatever others send",
        include_in_web_ui=False,
    )
    # Locust's table every two seconds would bury the progress line; its summary at the end stays.
    parser.set_defaults(only_summary=True)
    require_free(parser)


def add_environment(parser: LocustArgumentParser) -> None:
    """Listener of `init_command_line_parser`: where to play, which is all that users of one's own need.

    A locustfile may have both kinds of users; the options are added once.
    """
    if parser.get_default("env") is not None:
        return
    parser.add_argument(
        "--env", default="", help="environment: a path, or a name in environments/", env_var="MM2GATE_ENV"
    )
    parser.add_argument(
        "--confirm", default="", help="name of a production environment, typed out", include_in_web_ui=False
    )
    parser.add_argument(
        "--web-hosts",
        default="",
        help="further names under which the web UI may be reached (a proxy's, this machine's), with commas between",
        env_var="MM2GATE_WEB_HOSTS",
        include_in_web_ui=False,
    )
    # Whoever reaches the web UI can start a load: this machine only, unless --web-host says otherwise ("*": everyone).
    parser.set_defaults(web_host="127.0.0.1")


def of(parsed_options: Any) -> dict[str, str]:
    """Our options as text."""
    return {
        name: str(getattr(parsed_options, name))
        for name in ("scenario", "env", "rehearsal", "runs_dir", "confirm", "load", "set")
    }
