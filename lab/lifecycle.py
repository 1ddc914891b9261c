"""`up`, `down`, and what lies between: a lab that is stale, half dead, or already there.

    nothing there, or remains of a lab that died    →  made from scratch
    all parts alive                                 →  left alone
    some parts dead or frozen                       →  those are started again, with their data
    an `up` that was killed half way                →  its remains are ended, then made from scratch

An `up` that fails or is interrupted takes everything down again: a lab is whole or it is not there.
"""

from __future__ import annotations

import base64
import signal
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from lab import process, rendering
from lab import state as states
from lab.accounts import write_passwords
from lab.bring_up import Announcer, bring_up, ensure_connectors
from lab.cache import cache_dir, write_atomically
from lab.environment import render as render_environment
from lab.handles import Lab
from lab.jars import DEFAULT_KAFKA_VERSION
from lab.layout import (
    CLUSTERS,
    DEFAULT_WORKERS,
    NODE_EXPORTER,
    PROMETHEUS,
    Layout,
    claim,
    clear,
    erase,
    layout_of,
    locked,
    make_directories,
    worker_names,
    workers_among,
)
from lab.ports import free_ports
from lab.process import Life
from lab.state import LabState, Stage
from lab.tools import Toolbox, load_toolbox
from scenarios.errors import LabError

_DOWN_GRACE_S = 10.0
_FAILED_UP_GRACE_S = 3.0


def up(
    state_dir: Path,
    *,
    warm_s: float,
    announcer: Announcer,
    workers: int | None = None,
    kafka_version: str | None = None,
    ports: Mapping[str, int] | None = None,
) -> Lab:
    """Make the lab, or see that it is there. `warm_s` 0 skips the warm-up; `ports` replaces the free ones.

    `workers` and `kafka_version` are for a new lab; raises LabError when the one that is there has others.
    """
    layout = layout_of(state_dir)
    layout.root.mkdir(parents=True, exist_ok=True)
    with locked(layout):
        claim(layout)
        found = states.load(layout.state_file)
        if found is not None:
            lab = Lab(layout, found)
            alive = [component for component in lab.components if component.life is not Life.GONE]
            if found.stage is Stage.UP and alive:
                _require_as_wanted(lab, workers, kafka_version)
                toolbox = load_toolbox(cache_dir(), found.kafka_version)
                _heal(lab, toolbox, announcer)
                return lab
            why = (
                "an `up` that did not finish" if found.stage is Stage.STARTING else "a lab whose processes are all gone"
            )
            announcer.note(f"{layout.root} holds the remains of {why}: clearing them")
            _end_processes(found, grace_s=_FAILED_UP_GRACE_S)
        clear(layout)
        kafka_version = kafka_version or DEFAULT_KAFKA_VERSION
        toolbox = load_toolbox(cache_dir(), kafka_version)
        ports = ports or free_ports(rendering.port_names(worker_names(workers or DEFAULT_WORKERS)))
        return _make(layout, toolbox, kafka_version, dict(ports), warm_s, announcer)


def _require_as_wanted(lab: Lab, workers: int | None, kafka_version: str | None) -> None:
    has = (len(lab.workers), lab.state.kafka_version)
    if has != (workers or has[0], kafka_version or has[1]):
        raise LabError(
            f"the lab in {lab.layout.root} has {has[0]} Connect workers and Kafka {has[1]}, which is not what is asked "
            "for: `mm2gate lab down` first, or give another --state-dir"
        )


def down(state_dir: Path, *, keep_logs: bool, announcer: Announcer) -> None:
    """End the lab's processes and remove its files; harmless where there is none."""
    layout = layout_of(state_dir)
    if not layout.root.exists():
        announcer.note(f"no lab in {layout.root}: nothing to take down")
        return
    with locked(layout):
        if not layout.marker.exists():
            raise LabError(f"{layout.root} is not a lab's directory; nothing in it was touched")
        found = states.load(layout.state_file)
        ended = _end_processes(found, grace_s=_DOWN_GRACE_S) if found is not None else 0
        left = erase(layout, keep_logs=keep_logs)
    announcer.note(f"lab in {layout.root} is down: {ended} processes ended, files removed")
    if left:
        announcer.note(f"left in {layout.root}: {', '.join(left)}")


def _make(
    layout: Layout, toolbox: Toolbox, kafka_version: str, ports: dict[str, int], warm_s: float, announcer: Announcer
) -> Lab:
    state = LabState(
        lab_id=uuid.uuid4().hex,
        stage=Stage.STARTING,
        kafka_version=kafka_version,
        ports=ports,
        cluster_ids={cluster: new_cluster_id() for cluster in CLUSTERS},
        commands=_commands(ports, toolbox, layout),
    )
    # Before the first process: whatever happens to us now, `down` knows which lab this was.
    states.save(state, layout.state_file)
    try:
        make_directories(layout)
        _write_configuration(layout, ports)
        lab = Lab(layout, state)
        bring_up(lab, toolbox, warm_s=warm_s, announcer=announcer)
        _write_environment(lab, toolbox)
        lab.mark(Stage.UP)
    except BaseException as error:
        with _uninterrupted():
            # Who gave up does not need to know why.
            keep_logs = not isinstance(error, KeyboardInterrupt)
            left = f"; its logs stay in {layout.logs} until the next `lab up` or `lab down` there" if keep_logs else ""
            announcer.note(f"taking the lab down again{left}")
            _end_processes(states.load(layout.state_file) or state, grace_s=_FAILED_UP_GRACE_S)
            erase(layout, keep_logs=keep_logs)
        if isinstance(error, OSError):
            raise LabError(f"the lab in {layout.root} could not be written or started: {error}") from error
        raise
    return lab


def _heal(lab: Lab, toolbox: Toolbox, announcer: Announcer) -> None:
    ill = [component for component in lab.components if component.life is not Life.RUNNING]
    for component in ill:
        announcer.note(f"{component.name} is {component.life}: starting it again")
        if component.life is Life.FROZEN:
            component.thaw()
        else:
            component.start()
    for component in lab.components:
        if not component.is_ready():
            raise LabError(
                f"{component.name} runs but does not answer on port {component.port}: see `mm2gate lab logs "
                f"{component.name}`, or make a new lab with `mm2gate lab down` and `mm2gate lab up`"
            )
    ensure_connectors(lab)
    _write_environment(lab, toolbox)
    announcer.note("the lab is whole again" if ill else "the lab is already up")


def _end_processes(state: LabState, *, grace_s: float) -> int:
    """End what this lab started, workers before the brokers they need; how many were alive."""
    waves = [
        [known for name, known in state.processes.items() if name not in CLUSTERS],
        [known for name, known in state.processes.items() if name in CLUSTERS],
    ]
    ended = 0
    for wave in waves:
        alive = [known for known in wave if process.life(known) is not Life.GONE]
        process.end(alive, grace_s=grace_s)
        ended += len(alive)
    # Started and not yet noted when an `up` was killed, or formatting a cluster.
    strays = process.marked(state.lab_id)
    process.end(strays, grace_s=grace_s)
    return ended + len(strays)


def _commands(ports: Mapping[str, int], toolbox: Toolbox, layout: Layout) -> dict[str, tuple[str, ...]]:
    mains = {
        **dict.fromkeys(CLUSTERS, ("kafka.Kafka", "broker.yml")),
        **dict.fromkeys(workers_among(ports), ("org.apache.kafka.connect.cli.ConnectDistributed", "connect.yml")),
    }
    commands = {
        name: rendering.jvm_command(
            rendering.JvmRole(
                name=name,
                main=main,
                arguments=(str(layout.conf / f"{name}.properties"),),
                jmx_port=ports[f"{name}-jmx"],
                jmx_config=layout.conf / jmx,
            ),
            toolbox,
            layout,
        )
        for name, (main, jmx) in mains.items()
    }
    commands[PROMETHEUS] = rendering.prometheus_command(ports, toolbox, layout)
    commands[NODE_EXPORTER] = rendering.node_exporter_command(ports, toolbox)
    return commands


def _write_configuration(layout: Layout, ports: Mapping[str, int]) -> None:
    passwords = write_passwords(layout)
    for cluster in CLUSTERS:
        text = rendering.broker(cluster, ports, layout, passwords)
        write_atomically(layout.conf / f"{cluster}.properties", text, mode=0o600)
    for name in workers_among(ports):
        write_atomically(layout.conf / f"{name}.properties", rendering.worker(name, ports, layout))
    write_atomically(layout.conf / "log4j2.yaml", rendering.log4j2())
    write_atomically(layout.conf / "prometheus.yml", rendering.prometheus(ports))
    # A copy: the agent reads its file again whenever it changes, and a checkout changes under a running lab.
    for name in ("broker.yml", "connect.yml"):
        text = resources.files("monitoring").joinpath("jmx", name).read_text(encoding="utf-8")
        write_atomically(layout.conf / name, text)


def _write_environment(lab: Lab, toolbox: Toolbox) -> None:
    write_atomically(lab.layout.perf_test, rendering.perf_test(toolbox), mode=0o700)
    text = render_environment(lab.state.ports, lab.state.cluster_ids, lab.layout)
    write_atomically(lab.environment_file, text)


def new_cluster_id() -> str:
    """A random UUID in URL-safe base64, as Kafka makes them; no leading `-`, which its tools take for an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not text.startswith("-"):
            return text


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not stop the clearing up after the first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
