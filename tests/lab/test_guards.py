"""Trouble before the load: one sentence, what to do, exit 40, and nothing written to any cluster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clients.kafka_admin import Admin
from lab.handles import Lab
from scenarios import environment as environments
from tests.lab.runs import SHORT, mm2gate

UNTOUCHED = "test-prometheus.untouched-1"


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        pytest.param(r"127\.0\.0\.1:\d+", "127.0.0.1:9", "source cluster at 127.0.0.1:9: no answer", id="broker down"),
        pytest.param(r"cluster_id: .*", "cluster_id: another", "says another", id="another cluster"),
        pytest.param(r"secrets/load\.password", "wrong.password", "login by source.security failed", id="login"),
        pytest.param(r"password_file: \S+?}", "password_file: none}", "cannot be read", id="no password file"),
        pytest.param(r"urls: .*", 'urls: ["http://127.0.0.1:9"]', "Connect at http://127.0.0.1:9", id="Connect down"),
        pytest.param(r"url: .*", "url: http://127.0.0.1:9", "Prometheus at http://127.0.0.1:9", id="Prometheus down"),
    ],
)
def test_guard_refuses_in_one_sentence(lab: Lab, tmp_path: Path, pattern: str, replacement: str, said: str) -> None:
    text = lab.environment_file.read_text(encoding="utf-8")
    text, count = re.subn(pattern, replacement, text, count=1)
    assert count == 1
    text = text.replace("secrets/", f"{lab.environment_file.parent}/secrets/")
    (tmp_path / "wrong.password").write_text("not the password", encoding="utf-8")
    (tmp_path / "environment.yaml").write_text(text, encoding="utf-8")
    scenario = Path(SHORT).read_text(encoding="utf-8").replace("short-{n}", "untouched-{n}")
    (tmp_path / "scenario.yaml").write_text(scenario, encoding="utf-8")
    done = mm2gate("run", str(tmp_path / "scenario.yaml"), "--env", str(tmp_path / "environment.yaml"), cwd=tmp_path)
    assert done.returncode == 40, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    assert said in sentence
    assert not (tmp_path / "runs").exists()
    environment = environments.load(str(lab.environment_file))
    assert UNTOUCHED not in Admin(environment.environment.source, environment).partitions()
