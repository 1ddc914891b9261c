"""`mm2gate`: every command, its options, and the exit codes that scripts may rely on."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from lab.cli import lab
from runbook.output import say, say_as_it_is, unread
from runbook.report import report
from scenarios.errors import EXIT_CODE_MEANINGS, ExitCode, Mm2gateError
from scenarios.secrets import hidden

EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"  {code:>2}  {text}" for code, text in EXIT_CODE_MEANINGS.items())

scenario_argument = click.argument("scenario")
env_option = click.option("--env", required=True, help="environment: a path, or a name in environments/")
rehearsal_option = click.option("--rehearsal", default="1", show_default=True, help="factor on the load's durations")


set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="a variable of the scenario: capacity=7000/s, or capacity=@RUN of a phase 4",
)

language_option = click.option(
    "--lang", default="fr", show_default=True, envvar="MM2GATE_LANG", help="language of the reports"
)


class _Commands(click.Group):
    """Where what is printed is not `say`'s (help, `mm2gate lab logs -f | head`) a reader that leaves ends the command,
    as Ctrl-C does. click by itself would leave with 1, which is no answer of ours."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Reads the arguments; prints the help."""
        with _ended_by_its_reader():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        with _ended_by_its_reader():
            return super().invoke(ctx)


@contextmanager
def _ended_by_its_reader() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        unread()
        raise click.exceptions.Exit(ExitCode.ABORTED) from None


@click.group(cls=_Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mm2gate")
def cli() -> None:
    """May this MirrorMaker 2 go to production? Plays the runbook's tests and writes the go/no-go sheet."""


@cli.command(epilog=EXIT_CODES)
@scenario_argument
@env_option
@rehearsal_option
@click.option("--runs-dir", default="runs", show_default=True, help="where run records go")
@click.option("--confirm", default="", help="name of a production environment, typed out (asked for on a terminal)")
@click.option(
    "--load",
    type=click.Choice(["own", "perf-test", "none"]),
    default="own",
    show_default=True,
    help="who sends: ours, Kafka's producer tool, or whoever does anyway (then only watched)",
)
@set_option
@click.option("--baseline", default="", metavar="RUN", help="a run whose figures criteria may be compared with")
@language_option
def run(
    scenario: str,
    env: str,
    rehearsal: str,
    runs_dir: str,
    confirm: str,
    load: str,
    settings: tuple[str, ...],
    baseline: str,
    lang: str,
) -> NoReturn:
    """Play SCENARIO against an environment, and judge it.

    The same run as `locust -f "$(mm2gate locustfile mm2)" --headless --scenario SCENARIO --env ENV`; but variants of a
    scenario are played one after the other, and a tasks.max that it wants is set before and restored after.
    """
    from runbook.run import Wanted, ask_to_confirm, play

    wanted = Wanted(
        scenario=scenario,
        env=env,
        rehearsal=rehearsal,
        runs_dir=runs_dir,
        confirm=confirm or ask_to_confirm(env),
        load=load,
        settings=",".join(settings),
        baseline=baseline,
        language=lang,
    )
    sys.exit(play(wanted))


@cli.command()
@scenario_argument
@env_option
@rehearsal_option
@set_option
def plan(scenario: str, env: str, rehearsal: str, settings: tuple[str, ...]) -> None:
    """Say what SCENARIO would do there: records, bytes, minutes, rights. Touches nothing."""
    from runbook.plan_text import plan_text
    from scenarios.plan import load_plan

    say(plan_text(load_plan(scenario, env, rehearsal=rehearsal, settings=",".join(settings))))


@cli.command(hidden=True, epilog=EXIT_CODES)
@scenario_argument
@env_option
@rehearsal_option
@click.option("--load", type=click.Choice(["own", "perf-test", "none"]), default="own", show_default=True)
@set_option
@click.option(
    "--moment",
    type=click.Choice(["before_load", "canary_crossed", "canary_lost"]),
    default="before_load",
    show_default=True,
    help="what has happened by now, and so what must be there",
)
def names(scenario: str, env: str, rehearsal: str, load: str, settings: tuple[str, ...], moment: str) -> NoReturn:
    """Ask whether the names in SCENARIO and ENV are those of Connect and Prometheus; print the answers as JSON.

    What a run asks of itself before its load, started by it as a program; it ends when that does.
    """
    from runbook.preflight import program
    from runbook.preflight.answers import Moment
    from scenarios.plan import load_plan

    program.end_with_parent()
    plan = load_plan(scenario, env, rehearsal=rehearsal, settings=",".join(settings))
    answers = program.ask(plan, load=load, moment=Moment(moment))
    say(program.to_json(answers, Moment(moment)))
    sys.exit(ExitCode.REFUSED if any(answer.refused for answer in answers) else ExitCode.GO)


@cli.command(epilog=EXIT_CODES)
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--env",
    default="",
    help="the environment that was played, a path or a name in environments/: where to ask, and as whom. Without it "
    "nothing is asked",
)
@click.option("--refresh", is_flag=True, help="collect new evidence from Prometheus and Connect, beside the old")
@click.option(
    "--follow",
    is_flag=True,
    help="while the run goes on, keep its live/ files up to date; decides nothing: leaves with 30, whatever the run "
    "comes to",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="RUN",
    envvar="MM2GATE_BASELINE",
    help="a judged run whose figures criteria may be compared with; its values are kept beside this run",
)
@language_option
def judge(run_directory: Path, env: str, refresh: bool, follow: bool, baseline: Path | None, lang: str) -> NoReturn:
    """Judge a run from its record: writes verdict.json and fiche.md.

    Evidence is collected once, from the Prometheus and the Connect of --env; from then on nobody is asked. What a
    record names is never opened or asked: without --env, a run without evidence is INCONCLUSIVE.

    Writes junit.xml and summary.md too, and says more where GITHUB_ACTIONS or GITLAB_CI is set: docs/ci.md.
    """
    from scenarios import environment as environments

    given = environments.load(env) if env else None
    if follow:
        from checks.follow import follow_run

        if refresh:
            raise click.UsageError("--follow looks at a run that goes on, --refresh at one that is over: give one")
        follow_run(run_directory, language=lang, given=given)
        # What it wrote was provisional: the verdict is that of the judge, on the sealed record.
        sys.exit(ExitCode.INCONCLUSIVE)
    from checks.judge import judge_run
    from runbook.ci import for_ci
    from runbook.verdict_text import verdict_text

    judgement = judge_run(run_directory, given=given, refresh=refresh, baseline=baseline, language=lang)
    if judgement.offline:
        say("judged offline: no environment was given (--env), so neither Prometheus nor Connect was asked", err=True)
    say(verdict_text(judgement, language=lang))
    for_ci(judgement.verdict_file, say=say_as_it_is)
    sys.exit(judgement.exit_code)


@cli.command(epilog=EXIT_CODES)
@env_option
@click.option(
    "--yes",
    is_flag=True,
    help="do not ask; a production environment, and a prefix with topics that no run known here has made, want "
    "--confirm all the same",
)
@click.option("--confirm", default="", help="the environment's name, typed out (asked for on a terminal)")
@click.option(
    "--runs-dir",
    type=click.Path(path_type=Path),
    default="runs",
    show_default=True,
    help="where run records are: they say which topics are ours, and one that is being written refuses the cleaning of "
    "its environment",
)
def clean(env: str, yes: bool, confirm: str, runs_dir: Path) -> None:
    """Delete the topics inside the environment's prefix, and their mirrors on the target. Lists them first."""
    from runbook.clean import load_and_clean

    load_and_clean(env, runs_dir=runs_dir, yes=yes, confirm=confirm)


@cli.group(invoke_without_command=True)
@click.pass_context
def scenarios(context: click.Context) -> None:
    """List the packaged scenarios; show or validate one."""
    if context.invoked_subcommand is None:
        from scenarios import scenario

        for name in scenario.library_names():
            say(f"{name:<20} {' '.join(str(scenario.load(name).scenario.question).split())}")


@scenarios.command()
@scenario_argument
def show(scenario: str) -> None:
    """Print SCENARIO's text: a start for one of your own."""
    from scenarios.scenario import load

    say(load(scenario).text, nl=False)


@scenarios.command()
@scenario_argument
def validate(scenario: str) -> None:
    """Read SCENARIO strictly, and say all that is wrong with it."""
    from scenarios.scenario import load

    loaded = load(scenario)
    say(f"{loaded.file}: valid ({len(loaded.scenario.phases)} phases, {len(loaded.scenario.criteria)} criteria)")


@cli.command()
@click.argument("name", type=click.Choice(["mm2"]))
def locustfile(name: str) -> None:
    """Print the path of a packaged locustfile, for `locust -f`."""
    from runbook.run import locustfile_path

    say(str(locustfile_path(name)))


cli.add_command(lab)
cli.add_command(report)


def main() -> NoReturn:
    """The console script. Foreseen trouble is one sentence and an exit code; only a bug of ours shows a traceback."""
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.GO)
    except click.exceptions.Exit as exit_request:
        sys.exit(exit_request.exit_code)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(file=shown)
        say(shown.getvalue(), err=True, nl=False)
        sys.exit(ExitCode.BAD_SPEC)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(ExitCode.ABORTED)
    except Mm2gateError as error:
        for line in str(error).split("\n"):
            say(f"mm2gate: {line}", err=True)
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001 - the last line of defence
        say(hidden(traceback.format_exc()), err=True, nl=False)
        say("mm2gate: this is a bug in mm2gate; the lines above are what its authors need", err=True)
        sys.exit(ExitCode.INTERNAL)
