"""Master and workers play the same run as one process: exact totals, one verdict; and a lost worker is named."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lab.handles import Lab
from lab.ports import free_ports
from tests.lab.runs import LOCUST, ROOT, SHORT, SHORT_RECORDS, Run, assert_drained, short_is_go


@contextmanager
def master_and_workers(
    lab: Lab, runs: Path, workers: int, *, scenario: str = SHORT
) -> Iterator[tuple[Run, list[subprocess.Popen[bytes]]]]:
    """A headless master with workers, as on several machines."""
    port = free_ports(("master",))["master"]
    address = ("--master-bind-host", "127.0.0.1", "--master-bind-port", str(port))
    master = Run.start(
        scenario, lab, runs, (*LOCUST, "--headless"), "--master", "--expect-workers", str(workers), *address
    )
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*LOCUST, "--worker", "--master-host", "127.0.0.1", "--master-port", str(port)],
                    cwd=ROOT,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            for _ in range(workers)
        ]
        try:
            yield master, processes
        finally:
            for process in processes:
                process.kill()


def test_master_and_two_workers_add_up_exactly(lab: Lab, tmp_path: Path) -> None:
    with master_and_workers(lab, tmp_path, 2) as (master, workers):
        assert master.wait() == 0, master.output
        assert [worker.wait(60) for worker in workers] == [0, 0]
    assert master.outcome == short_is_go()
    assert len(master.record.manifest.workers) == 2


def test_processes_2_adds_up_exactly(lab: Lab, tmp_path: Path) -> None:
    run = Run.start(SHORT, lab, tmp_path, (*LOCUST, "--headless"), "--processes", "2")
    assert run.wait() == 0, run.output
    assert run.outcome == short_is_go()
    assert len(run.record.manifest.workers) == 2


def test_killed_worker_leaves_its_partitions_inconclusive_by_name_and_the_run_ends_in_time(
    lab: Lab, tmp_path: Path
) -> None:
    with master_and_workers(lab, tmp_path, 2) as (master, workers):
        master.until_phase("steady")
        workers[0].kill()
        code = master.wait()
    assert code == 30, master.output
    assert master.record.ledger is not None
    (lost,) = master.record.ledger["unaccounted"]
    assert len(lost["owned"]) == 6
    # The worker that lived accounts for its half, to the last record.
    assert master.totals["sent"] == master.totals["acked"] == master.totals["arrived"] == SHORT_RECORDS // 2
    assert master.criteria["lost"]["verdict"] == "INCONCLUSIVE"
    assert lost["owned"][0] in master.fiche


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_processes_2_leaves_a_whole_record(lab: Lab, tmp_path: Path, number: signal.Signals) -> None:
    run = Run.start(SHORT, lab, tmp_path, (*LOCUST, "--headless"), "--processes", "2")
    run.until_phase("rising")
    if number == signal.SIGINT:
        run.signal_group(number)
    else:
        run.signal(number)
    assert run.wait() == 50, run.output
    assert run.record.sealed
    assert_drained(run.record)


def test_run_time_ends_the_run_with_a_whole_record(lab: Lab, tmp_path: Path) -> None:
    run = Run.start(SHORT, lab, tmp_path, (*LOCUST, "--headless"), "--run-time", "6s")
    assert run.wait() == 50, run.output
    assert run.record.sealed
    assert run.record.manifest.ending is not None
    assert run.record.manifest.ending.how == "run_time"
