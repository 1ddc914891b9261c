"""`mm2gate report`: a run's documents again, in another language, or two runs side by side. Opens no socket."""

from __future__ import annotations

from pathlib import Path

import click

from runbook.output import say


@click.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--lang", default="fr", show_default=True, envvar="MM2GATE_LANG", help="language of the report")
@click.option("--compare", metavar="OTHER", type=click.Path(path_type=Path), help="another run, set beside RUN")
def report(run_directory: Path, lang: str, compare: Path | None) -> None:
    """Write fiche.md and report.html of RUN again, from its record and evidence; or compare it with OTHER.

    The run must have been judged before. A comparison goes to RUN/compare-OTHER.html.
    """
    from checks.report.files import compare_runs, report_run

    if compare is not None:
        say(f"comparison: {compare_runs(run_directory, compare, language=lang)}")
        return
    fiche_file, report_file = report_run(run_directory, language=lang)
    say(f"fiche: {fiche_file}\nreport: {report_file}")
