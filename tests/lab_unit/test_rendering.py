"""The lab's configuration, as text: what it promises about doors, secrets and MM2."""

import json
import re
from pathlib import Path

import pytest

from lab import rendering
from lab.accounts import LOAD, REMOTE_PREFIX, TOPIC_PREFIX, grants, read_password, write_passwords
from lab.environment import render, seen_by
from lab.layout import CLUSTERS, SOURCE, TARGET, Layout, make_directories, worker_names
from lab.tools import Java, Toolbox
from scenarios import environment

WORKERS = worker_names(2)
PORTS = {name: 20_000 + number for number, name in enumerate(rendering.port_names(WORKERS))}
IDS = {SOURCE: "4L6g3nShT-eMCtK--X86sw", TARGET: "5L6g3nShT-eMCtK--X86sw"}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(root=tmp_path)
    make_directories(found)
    return found


@pytest.fixture
def passwords(layout: Layout) -> dict[str, str]:
    return write_passwords(layout)


def _toolbox(major: int = 17) -> Toolbox:
    here = Path("/tools")
    java = Java(path=here / "java", major=major)
    return Toolbox(java=java, libs=here, agent=here / "a.jar", prometheus=here, promtool=here, node_exporter=here)


def _pairs(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_passwords_are_new_each_time_and_their_owners_only(layout: Layout, passwords: dict[str, str]):
    assert passwords != write_passwords(layout)
    assert layout.secrets.stat().st_mode & 0o777 == 0o700
    for user in passwords:
        assert layout.password_file(user).stat().st_mode & 0o777 == 0o600
        assert len(read_password(layout, user)) >= 30


def test_the_environment_file_is_one_that_runs_accept(layout: Layout, passwords: dict[str, str]):
    layout.environment_file.write_text(render(PORTS, IDS, layout), encoding="utf-8")
    loaded = environment.load(str(layout.environment_file))
    found = loaded.environment
    assert (found.source.cluster_id, found.target.cluster_id) == (IDS[SOURCE], IDS[TARGET])
    assert found.source.bootstrap_servers == f"127.0.0.1:{PORTS[SOURCE]}"
    assert found.topics.remote("test-prometheus.x") == "source.test-prometheus.x"
    assert found.connect.offset_flush_interval == rendering.OFFSET_FLUSH_INTERVAL_MS / 1000
    assert found.target.security.username == LOAD
    assert loaded.password(found.source.security, of="source") == passwords[LOAD]
    assert not found.production


def test_the_environment_names_kafkas_producer_tool_without_a_path_of_this_machine(layout: Layout, passwords):
    layout.environment_file.write_text(render(PORTS, IDS, layout), encoding="utf-8")
    layout.perf_test.write_text(rendering.perf_test(_toolbox()), encoding="utf-8")
    loaded = environment.load(str(layout.environment_file))
    (program,) = loaded.environment.perf_test
    assert loaded.path(program) == layout.perf_test
    assert str(layout.root) not in loaded.text
    assert layout.perf_test.read_text(encoding="utf-8").endswith(
        "-cp '/tools/*' org.apache.kafka.tools.ProducerPerformance \"$@\"\n"
    )


def test_no_password_is_in_what_connect_or_the_environment_shows(layout: Layout, passwords: dict[str, str]):
    texts = [rendering.worker(name, PORTS, layout) for name in WORKERS]
    texts += [json.dumps(rendering.connectors(PORTS, layout)), render(PORTS, IDS, layout), rendering.prometheus(PORTS)]
    texts += [" ".join(rendering.prometheus_command(PORTS, _toolbox(), layout))]
    for text in texts:
        assert not [user for user, password in passwords.items() if password in text]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_broker_listens_here_only_and_asks_everybody_who_they_are(cluster: str, layout: Layout, passwords):
    pairs = _pairs(rendering.broker(cluster, PORTS, layout, passwords))
    assert re.findall(r"://([^:]+):", pairs["listeners"]) == ["127.0.0.1", "127.0.0.1"]
    assert "PLAINTEXT:PLAINTEXT" not in pairs["listener.security.protocol.map"].replace("SASL_PLAINTEXT", "")
    assert pairs["authorizer.class.name"].endswith("StandardAuthorizer")
    assert pairs["super.users"] == "User:admin"
    assert "allow.everyone.if.no.acl.found" not in pairs


def test_the_load_may_not_alter_anything_nor_leave_its_prefix():
    for cluster, prefix in ((SOURCE, TOPIC_PREFIX), (TARGET, REMOTE_PREFIX)):
        topics = [grant for grant in grants(cluster) if grant.user == LOAD and grant.resource == "TOPIC"]
        assert [grant.name for grant in topics] == [prefix]
        assert not {"ALTER", "ALTER_CONFIGS"} & {name for grant in topics for name in grant.operations}
    assert all("WRITE" not in grant.operations for grant in grants(TARGET) if grant.user == LOAD)


def test_mm2_mirrors_bytes_as_they_are_and_stops_at_errors(layout: Layout):
    for name, config in rendering.connectors(PORTS, layout).items():
        assert config["name"] == name
        assert config["errors.tolerance"] == "none"
        for part in ("key", "value", "header"):
            assert config[f"{part}.converter"].endswith("ByteArrayConverter")
    source = rendering.connectors(PORTS, layout)[rendering.SOURCE_CONNECTOR]
    assert re.fullmatch(source["topics"], "test-prometheus.warmup")
    assert not re.fullmatch(source["topics"], "test-prometheusXwarmup")


def test_connect_keeps_its_state_on_the_target(layout: Layout):
    for name in WORKERS:
        pairs = _pairs(rendering.worker(name, PORTS, layout))
        assert pairs["bootstrap.servers"] == f"127.0.0.1:{PORTS[TARGET]}"
        assert pairs["listeners"] == f"http://127.0.0.1:{PORTS[name]}"
        assert pairs["config.storage.topic"] == "mm2-connect-configs"


def test_prometheus_scrapes_every_part_under_the_names_that_queries_use():
    jobs = {job["job_name"]: job["static_configs"] for job in json.loads(rendering.prometheus(PORTS))["scrape_configs"]}
    assert jobs.keys() == {"kafka", "kafka-connect", "prometheus", "node-exporter"}
    assert [group["labels"]["cluster"] for group in jobs["kafka"]] == [SOURCE, TARGET]
    assert [group["labels"]["worker"] for group in jobs["kafka-connect"]] == [*WORKERS]


@pytest.mark.parametrize("count", [1, 3])
def test_a_lab_of_other_workers_scrapes_and_names_them_all(count: int, layout: Layout):
    workers = worker_names(count)
    ports = {name: 20_000 + number for number, name in enumerate(rendering.port_names(workers))}
    jobs = {job["job_name"]: job["static_configs"] for job in json.loads(rendering.prometheus(ports))["scrape_configs"]}
    scraped = [target for group in jobs["kafka-connect"] for target in group["targets"]]
    assert scraped == [f"127.0.0.1:{ports[f'{name}-jmx']}" for name in workers]
    seen = seen_by(LOAD, ports, {SOURCE: "a", TARGET: "b"}, layout).environment
    assert list(seen.connect.urls) == [f"http://127.0.0.1:{ports[name]}" for name in workers]


def test_a_jvm_logs_into_its_components_file_and_within_bounds(layout: Layout):
    text = rendering.log4j2()
    assert 'fileName: "${sys:mm2gate.log}"' in text
    assert 'SizeBasedTriggeringPolicy: {size: "20 MB"}' in text
    assert "DefaultRolloverStrategy: {max: 2, fileIndex: min}" in text
    role = rendering.JvmRole(name=SOURCE, main="Main", arguments=(), jmx_port=1, jmx_config=Path("c.yml"))
    assert f"-Dmm2gate.log={layout.log(SOURCE)}" in rendering.jvm_command(role, _toolbox(), layout)


def test_newer_javas_are_told_not_to_warn(layout: Layout):
    role = rendering.JvmRole(name=SOURCE, main="Main", arguments=(), jmx_port=1, jmx_config=Path("c.yml"))
    old, new = (rendering.jvm_command(role, _toolbox(major), layout) for major in (17, 25))
    assert set(new) - set(old) == {"--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"}
    assert "-javaagent:/tools/a.jar=127.0.0.1:1:c.yml" in old


def test_a_value_that_a_property_file_would_change_is_refused():
    assert rendering.properties({"a": "b c", "d": 1}) == "a=b c\nd=1\n"
    with pytest.raises(ValueError, match="not a plain property value"):
        rendering.properties({"a": "b\\c"})
