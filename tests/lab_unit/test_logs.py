"""Logs within bounds, with a real Java that has much to say."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

from lab import process, rendering
from lab.cache import cache_dir
from lab.layout import Layout, make_directories
from lab.ports import free_ports
from lab.tools import load_toolbox

TALKER = "org.apache.kafka.tools.ProducerPerformance"


def test_a_log_that_reached_its_size_is_put_aside_and_only_so_many_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rendering, "LOG_SIZE", "1 KB")
    layout = Layout(root=tmp_path)
    make_directories(layout)
    (layout.conf / "log4j2.yaml").write_text(rendering.log4j2(), encoding="utf-8")
    (layout.conf / "jmx.yml").write_text("rules: []\n", encoding="utf-8")
    nobody = free_ports(("nobody", "jmx"))
    # It tries to connect, and says each time that it could not.
    arguments = (
        f"--topic t --num-records 1 --record-size 1 --throughput 1 --bootstrap-server 127.0.0.1:{nobody['nobody']}"
    )
    role = rendering.JvmRole(
        name="talker", main=TALKER, arguments=tuple(arguments.split()), jmx_port=nobody["jmx"],
        jmx_config=layout.conf / "jmx.yml",
    )  # fmt: skip
    (layout.data / "tmp-talker").mkdir()
    command = rendering.jvm_command(role, load_toolbox(cache_dir()), layout)
    talker = process.start(command, log=layout.log("talker"), environment={}, directory=layout.data / "tmp-talker")
    oldest, deadline = layout.logs / "talker.log.2", time.monotonic() + 120
    try:
        seen: set[int] = set()
        while len(seen) < 2:
            assert time.monotonic() < deadline, layout.log("talker").read_text()
            with suppress(FileNotFoundError):
                seen.add(oldest.stat().st_ino)
            time.sleep(0.05)
    finally:
        process.end([talker], grace_s=20)
    assert sorted(path.name for path in layout.logs.iterdir()) == ["talker.log", "talker.log.1", "talker.log.2"]
    assert all(path.stat().st_size < 20_000 for path in layout.logs.iterdir())
