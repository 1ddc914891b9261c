"""`mm2gate lab …`, also `python -m lab`: two clusters, MirrorMaker 2 and Prometheus on this machine."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from lab.jars import DEFAULT_KAFKA_VERSION, known_versions
from lab.layout import DEFAULT_WORKERS, MOST_WORKERS, SOURCE, TARGET, layout_of
from lab.process import Life
from scenarios.errors import ConnectFailure, Mm2gateError
from scenarios.visible import one_line, visible

if TYPE_CHECKING:
    from lab.handles import Lab

DEFAULT_WARM_S = 20.0

_FOLLOW_POLL_S = 0.2
_STATUS_TIMEOUT_S = 5.0

_state_dir = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".lab"),
    show_default=True,
    help="the lab's directory; another one is another lab",
)


class _Group(click.Group):
    """Turns our errors into messages wherever a command is called from."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Mm2gateError as error:
            click.echo(visible(f"lab: {error}"), err=True)
            ctx.exit(int(error.exit_code))


class _Teller:
    """Says what `up` and `down` do, line by line; on a terminal the warm-up is a bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def ready(self, what: str, took_s: float, remark: str) -> None:
        """One part is ready."""
        with self._lock:
            self._close_bar()
            self._print(f"  {what:<14} {took_s:5.1f} s  {remark}")

    def note(self, text: str) -> None:
        """A remark."""
        with self._lock:
            self._close_bar()
            self._print(text)

    def warming(self, elapsed_s: float, total_s: float) -> None:
        """Move the bar; off a terminal say once that this takes a while."""
        with self._lock:
            if self._bar is None:
                columns = (
                    TextColumn("  warming MM2"),
                    BarColumn(),
                    TextColumn("{task.completed:.0f}/{task.total:.0f} s"),
                )
                self._bar = Progress(
                    *columns, console=self._console, transient=True, disable=not self._console.is_terminal
                )
                self._bar.start()
                self._task = self._bar.add_task("", total=total_s)
                if not self._console.is_terminal:
                    self._print(f"  warming MM2 for {total_s:.0f} s …")
            if self._task is not None:
                self._bar.update(self._task, completed=min(elapsed_s, total_s))

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self, text: str) -> None:
        self._console.print(visible(text), markup=False, highlight=False)


@click.group(name="lab", cls=_Group)
def lab() -> None:
    """Two real Kafka clusters, Connect with MirrorMaker 2 and Prometheus, on 127.0.0.1."""


@lab.command()
@_state_dir
@click.option(
    "--warm-s", type=click.FloatRange(min=0), default=DEFAULT_WARM_S, show_default=True, help="warm-up, seconds"
)
@click.option("--no-warm", is_flag=True, help="skip the warm-up: the first seconds of a run will look slow")
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    help=f"Connect workers of a new lab  [default: {DEFAULT_WORKERS}]",
)
@click.option(
    "--kafka-version",
    type=click.Choice(known_versions()),
    help=f"of brokers, Connect and MM2 of a new lab  [default: {DEFAULT_KAFKA_VERSION}]",
)
def up(state_dir: Path, warm_s: float, no_warm: bool, workers: int | None, kafka_version: str | None) -> None:
    """Bring the lab up, or see that it is up. Restarts the parts of it that died."""
    from lab import lifecycle

    began = time.monotonic()
    console = Console(soft_wrap=True)
    # Both: started in the background of a script, a process begins life with Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        found = lifecycle.up(
            state_dir,
            warm_s=0.0 if no_warm else warm_s,
            announcer=_Teller(console),
            workers=workers,
            kafka_version=kafka_version,
        )
    except KeyboardInterrupt:
        left = "see `lab status` for what runs" if layout_of(state_dir).state_file.exists() else "nothing of it is left"
        click.echo(f"lab: interrupted; {left}", err=True)
        sys.exit(130)
    lines = [
        f"lab is up after {time.monotonic() - began:.1f} s in {found.layout.root}",
        f"  Connect      {'  '.join(found.connect_urls)}",
        f"  Prometheus   {found.prometheus_url}",
        f"  environment  {found.environment_file}",
        "next:",
        f"  mm2gate run phase1_smoke --env {_short(found.environment_file)}",
    ]
    console.print("\n".join(lines), markup=False, highlight=False)


@lab.command()
@_state_dir
@click.option("--keep-logs", is_flag=True, help="leave the components' logs in the directory")
def down(state_dir: Path, keep_logs: bool) -> None:
    """End the lab's own processes and remove its files."""
    from lab import lifecycle

    lifecycle.down(state_dir, keep_logs=keep_logs, announcer=_Teller(Console(soft_wrap=True)))


@lab.command()
@_state_dir
def status(state_dir: Path) -> None:
    """Show every part of the lab; exit code 0 when all are up and at work, 1 otherwise."""
    from lab.handles import Lab

    found = Lab.open(state_dir)
    parts, connectors = _part_rows(found), _connector_rows(found)
    console = Console(soft_wrap=True)
    for headings, rows in ((("component", "pid", "port", "state"), parts), (("connector", "state"), connectors)):
        table = Table(*headings, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row.cells))
        console.print(table, markup=False, highlight=False)
    if not all(row.well for row in (*parts, *connectors)):
        sys.exit(1)


@lab.command()
@click.argument("cluster", type=click.Choice((SOURCE, TARGET)))
@click.argument("limit", metavar="LIMIT")
@_state_dir
def throttle(cluster: str, limit: str, state_dir: Path) -> None:
    """Make MM2 slow at the source or the target: LIMIT is as 300KB/s, or off.

    It limits bytes as they travel: compressed from the source, uncompressed to the target.
    """
    from lab.handles import Lab
    from scenarios.units import THROUGHPUT_BYTES_PER_S, parse_quantity

    try:
        wanted = None if limit == "off" else int(parse_quantity(limit, THROUGHPUT_BYTES_PER_S, example="300KB/s"))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="LIMIT") from None
    if wanted == 0:
        raise click.BadParameter("nothing would cross: pause the connector instead", param_hint="LIMIT")
    Lab.open(state_dir).throttle(cluster, wanted)
    click.echo(f"{cluster}: MM2 is limited to {limit}" if wanted else f"{cluster}: MM2 is not limited")


@lab.command()
@click.argument("component", required=False)
@_state_dir
@click.option("-n", "--lines", type=click.IntRange(min=0), default=20, show_default=True, help="how many lines of each")
@click.option("-f", "--follow", is_flag=True, help="go on printing what comes, until Ctrl-C")
def logs(component: str | None, state_dir: Path, lines: int, follow: bool) -> None:
    """Print the last lines of one component's log, or of all."""
    from lab.handles import Lab

    found = Lab.open(state_dir)
    parts = [found.component(component)] if component else list(found.components)
    for part in parts:
        if len(parts) > 1:
            click.echo(f"==> {part.name} <==")
        for line in part.tail(lines):
            click.echo(visible(line))
    if follow:
        try:
            _follow({part.name: part.log for part in parts})
        except KeyboardInterrupt:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of a status table."""

    cells: tuple[str, ...]
    well: bool


def _part_rows(found: Lab) -> list[_Row]:
    rows = []
    for part in found.components:
        life, ready = part.life, part.is_ready()
        word = "up" if ready else "does not answer" if life is Life.RUNNING else str(life)
        pid = str(part.process.pid) if part.process is not None and life is not Life.GONE else "-"
        rows.append(_Row(cells=(part.name, pid, str(part.port), word), well=ready))
    return rows


def _connector_rows(found: Lab) -> list[_Row]:
    from clients.connect import Connect
    from lab.bring_up import is_whole
    from lab.rendering import CONNECTORS

    connect = Connect(found.connect_urls, timeout_s=_STATUS_TIMEOUT_S, rebalance_budget_s=_STATUS_TIMEOUT_S)
    rows = []
    for name in CONNECTORS:
        try:
            connector = connect.status(name)
        except ConnectFailure as error:
            rows.append(_Row(cells=(name, str(error)), well=False))
            continue
        counts = Counter(task.state for task in connector.tasks)
        tasks = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none"
        rows.append(_Row(cells=(name, f"{connector.state}, tasks: {tasks}"), well=is_whole(connector)))
    return rows


def _follow(files: dict[str, Path]) -> None:
    opened: dict[str, TextIO] = {
        name: path.open(encoding="utf-8", errors="replace") for name, path in files.items() if path.exists()
    }
    for file in opened.values():
        file.seek(0, os.SEEK_END)
    while True:
        quiet = True
        for name, file in opened.items():
            for line in file:
                click.echo(visible(f"{name}: {line}" if len(opened) > 1 else line), nl=False)
                quiet = False
        if quiet:
            _reopen_rotated(opened, files)
            time.sleep(_FOLLOW_POLL_S)


def _reopen_rotated(opened: dict[str, TextIO], files: dict[str, Path]) -> None:
    """A log that reached its size was renamed, and a new one begun."""
    for name, path in files.items():
        with suppress(FileNotFoundError):
            if name not in opened or path.stat().st_ino != os.fstat(opened[name].fileno()).st_ino:
                opened[name] = path.open(encoding="utf-8", errors="replace")


def _short(path: Path) -> str:
    """As one would type it from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
