"""`make ui`: a lab on this machine, and Locust's web UI on it, until Ctrl-C. A lab that was up before stays up."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lab.handles import Lab
from lab.process import Life
from lab.state import Stage
from runbook.children import Children
from runbook.output import say
from runbook.run import locustfile_path
from scenarios.errors import ExitCode, LabError


def is_up(state_directory: Path) -> bool:
    """Whether a lab lives there already."""
    try:
        lab = Lab.open(state_directory)
    except LabError:
        return False
    return lab.state.stage is Stage.UP and any(part.life is not Life.GONE for part in lab.components)


@click.command()
@click.option("--state-dir", type=click.Path(path_type=Path), default=Path(".lab"), show_default=True, help="the lab's")
@click.option("--port", default=8089, show_default=True, help="of the web UI")
@click.option("--runs-dir", default="runs", show_default=True, help="where run records go")
def ui(state_dir: Path, port: int, runs_dir: str) -> None:
    """Bring the lab up, open the web UI on it, and take the lab down again at the end."""
    children, was_up = Children(), is_up(state_dir)
    code = int(ExitCode.INTERNAL)
    try:
        code = children.run("-m", "runbook", "lab", "up", "--state-dir", str(state_dir))
        if code == ExitCode.GO and not children.stopped:
            say(f"web UI: http://127.0.0.1:{port} (Ctrl-C ends it{'' if was_up else ', and the lab'})")
            code = children.run(*_locust(str(state_dir / "environment.yaml"), port, runs_dir))
    finally:
        if was_up:
            say(f"the lab in {state_dir} was up before, and stays up")
        else:
            children.run("-m", "runbook", "lab", "down", "--state-dir", str(state_dir))
    sys.exit(code)


def _locust(environment: str, port: int, runs_dir: str) -> list[str]:
    options = ["--web-host", "127.0.0.1", "--web-port", str(port), "--loglevel", "WARNING"]
    ours = ["--scenario", "phase1_smoke", "--env", environment, "--runs-dir", runs_dir]
    return ["-m", "locust", "-f", str(locustfile_path("mm2")), *options, *ours]


if __name__ == "__main__":
    ui()
