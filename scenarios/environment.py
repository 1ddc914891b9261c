"""Where a run plays: source and target cluster, Connect, Prometheus, and the guards that stand outside any scenario.

An environment never holds a secret: passwords are named by file or by environment variable and resolved by each node
when it connects. Clusters are recognised by their cluster id, not by their addresses.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from scenarios.errors import Problem, Refused, SpecError
from scenarios.plain_file import is_plain_file
from scenarios.secret_shapes import looks_secret, without_secrets
from scenarios.secrets import keep_hidden
from scenarios.topic_names import ALLOWED, LONGEST, only_allowed
from scenarios.units import DurationS, RatePerS, SizeBytes, ThroughputBytesPerS, shown
from scenarios.yaml_file import StrictModel, parse, read_text

NAMED_ENVIRONMENTS = Path("environments")


def _http_url(url: str) -> str:
    """An address alone. What may hold a secret is refused, and not repeated."""
    before, _, after = url.partition("://")
    if "@" in before or "@" in re.split(r"[/?#\\]", after)[0]:
        raise ValueError("holds credentials; name them by username and password_file (or password_env) instead")
    if sign := re.search("[?#]", url):
        raise ValueError(
            f"holds more than an address: what follows {sign[0]} may be a token; leave it out, and name a login by "
            "username and password_file (or password_env)"
        )
    if looks_secret(url):
        raise ValueError("holds what looks like a key or a token; give the address alone")
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"not an http(s) URL: {url!r}")
    return url.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http_url)]


def _servers(servers: str) -> str:
    if "@" in servers or looks_secret(servers):
        raise ValueError("holds credentials; name them by security.username and security.password_file instead")
    return servers


def _variable_name(name: str | None) -> str | None:
    if name is not None and not _VARIABLE.fullmatch(name):
        # Not repeated: it may be the password itself.
        raise ValueError("is no name of an environment variable (letters, digits, _); name the one that holds it")
    return name


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: As such names are usually written; any other is not repeated in a sentence, since it may be the password itself.
_USUAL_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class Secret(StrictModel):
    """Mixin: a password by reference. Exactly one of the two keys, or none."""

    password_file: str | None = Field(None, description="path, relative to the environment file")
    password_env: Annotated[str | None, AfterValidator(_variable_name)] = Field(
        None, description="name of an environment variable"
    )

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if self.password_file and self.password_env:
            raise ValueError("give password_file or password_env, not both")
        return self


class Security(Secret):
    """How Kafka clients log in; names as in librdkafka."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "SASL_SSL"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = None
    ca_file: str | None = Field(None, description="PEM, relative to the environment file; the system's CAs otherwise")

    @model_validator(mode="after")
    def _sasl_is_whole(self) -> Self:
        if self.protocol.startswith("SASL"):
            missing = [key for key in ("mechanism", "username") if getattr(self, key) is None]
            if not (self.password_file or self.password_env):
                missing.append("password_file or password_env")
            if missing:
                raise ValueError(f"protocol {self.protocol} needs {', '.join(missing)}")
        return self


class Cluster(StrictModel):
    """One Kafka cluster. `cluster_id` is what it must answer; `alias` is MM2's word for it."""

    alias: str = Field(min_length=1)
    bootstrap_servers: Annotated[str, AfterValidator(_servers)] = Field(min_length=1)
    cluster_id: str = Field(min_length=1)
    security: Security = Security(protocol="PLAINTEXT")


class HttpLogin(Secret):
    """Basic authentication of an HTTP API."""

    username: str = Field(min_length=1)


class Connectors(StrictModel):
    """The names under which MM2's connectors run on Connect."""

    source: str = "mm2-source-connector"
    checkpoint: str | None = None
    heartbeat: str | None = None


class Connect(StrictModel):
    """The Connect workers' REST API, one URL per worker; none where MM2 runs by itself (dedicated mode)."""

    urls: tuple[HttpUrl, ...] = ()
    connectors: Connectors = Connectors()
    offset_flush_interval: DurationS = Field(60.0, description="the workers' offset.flush.interval.ms")
    login: HttpLogin | None = None


class PrometheusJobs(StrictModel):
    """Names of the scrape jobs."""

    connect: str = "kafka-connect"
    brokers: str = "kafka"
    nodes: str = "node-exporter"


#: How exporters' configurations name MM2's metrics: Connect's part, and the mirrors' part where it is another's.
MetricProfileName = Literal[
    "confluent_mirror",
    "confluent_strimzi",
    "confluent_kafka43",
    "official_mirror",
    "official_strimzi",
    "official_kafka43",
    "strimzi_mirror",
    "strimzi",
    "strimzi_kafka43",
]


class Prometheus(StrictModel):
    """The Prometheus that scrapes the workers, and how often it does."""

    url: HttpUrl
    scrape_interval: DurationS = 15.0
    jobs: PrometheusJobs = PrometheusJobs()
    metric_profile: MetricProfileName | None = Field(None, description="found by what Prometheus has, unless named")
    login: HttpLogin | None = None


class Topics(StrictModel):
    """Topics that may be touched: those whose name starts with `prefix`, and their mirrors, and nothing else.

    In `remote_name` {topic} is the source topic's name, and {alias} the source cluster's alias, which the environment
    fills in.
    """

    prefix: str = Field(min_length=1, max_length=LONGEST)
    remote_name: str = Field(
        "{alias}.{topic}",
        max_length=LONGEST + len("{alias}{topic}"),
        description="MM2's replication policy: what it calls a topic's mirror",
    )
    replication_factor: int = Field(3, ge=1)

    @model_validator(mode="after")
    def _remote_has_topic(self) -> Self:
        if "{topic}" not in self.remote_name:
            raise ValueError("remote_name must contain {topic}, as in 'source.{topic}'")
        return self

    @model_validator(mode="after")
    def _kafka_takes_them(self) -> Self:
        for key, text in (
            ("prefix", self.prefix),
            ("remote_name", self.remote_name.replace("{topic}", "").replace("{alias}", "")),
        ):
            if not only_allowed(text):
                raise ValueError(f"{key}: Kafka takes no topic of the name {shown(text)}: it may hold only {ALLOWED}")
        return self

    def remote(self, topic: str) -> str:
        """The mirror's name on the target of a source topic."""
        return self.remote_name.replace("{topic}", topic)

    def source_of(self, name: str) -> str | None:
        """The source topic that a topic of the target is the mirror of; None when no name mirrors to it."""
        first, *others = (re.escape(part) for part in self.remote_name.split("{topic}"))
        match = re.fullmatch(rf"{first}(.+)" + r"\1".join(others), name)
        return None if match is None else match[1]


class MirrorMaker(StrictModel):
    """What the run must know of MM2's configuration."""

    refresh_topics_interval: DurationS = Field(600.0, description="refresh.topics.interval.seconds")


class Cpu(StrictModel):
    """Whose CPU is 'the workers': their own processes, or the whole node (node_exporter) where they run alone."""

    workers: Literal["process", "node"] = "node"


class Ceilings(StrictModel):
    """Limits that no scenario can raise."""

    records_per_s: RatePerS
    bytes_per_s: ThroughputBytesPerS
    total_bytes: SizeBytes
    duration: DurationS


class Environment(StrictModel):
    """One deployment of MM2 that runs are played against."""

    unshown = frozenset({"security", "login", "url", "urls", "bootstrap_servers"})

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    production: bool = False
    source: Cluster
    target: Cluster
    connect: Connect
    prometheus: Prometheus
    topics: Topics
    mm2: MirrorMaker = MirrorMaker()
    cpu: Cpu = Cpu()
    ceilings: Ceilings
    perf_test: tuple[str, ...] = Field(
        ("kafka-producer-perf-test.sh",), min_length=1, description="Kafka's producer tool, for --load perf-test"
    )

    @field_validator("topics")
    @classmethod
    def _named_after_the_source(cls, topics: Topics, info: ValidationInfo) -> Topics:
        """Mirrors are called after the alias that this environment gives its source, as MM2's default policy does."""
        source = info.data.get("source")  # not there when its own keys are wrong, which is said
        if source is None:
            return topics
        remote_name = topics.remote_name.replace("{alias}", source.alias)
        if not only_allowed(remote_name.replace("{topic}", "")):
            raise ValueError(f"remote_name: the alias {shown(source.alias)} makes names of it that Kafka does not take")
        return topics.model_copy(update={"remote_name": remote_name})

    @model_validator(mode="after")
    def _two_clusters(self) -> Self:
        if self.source.cluster_id == self.target.cluster_id:
            raise ValueError("source and target have the same cluster_id; MM2 mirrors between two clusters")
        return self

    def require_confirmed(self, confirmed: str) -> None:
        """Refuses a production environment, unless its name was typed out. Raises Refused."""
        if self.production and confirmed != self.name:
            raise Refused(f"{self.name} is a production environment; start it headless, with --confirm {self.name}")


class LoadedEnvironment(StrictModel):
    """An environment and the file it came from, which its relative paths start at; `text` as it may be recorded."""

    file: Path
    text: str
    environment: Environment

    @property
    def sha256(self) -> str:
        """Of its text: names the file, wherever it lies."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def key_of(self, cluster: Cluster) -> str:
        """Under which key a cluster stands in the file: what a sentence names in the place of its login."""
        return next((key for key in ("source", "target") if getattr(self.environment, key) == cluster), cluster.alias)

    def password(self, secret: Secret, *, of: str) -> str:
        """The secret itself, read now, and hidden from here on; `of`, its place in the file, names it in the message.

        Raises Refused when it cannot be had.
        """
        value = self._password(secret, of)
        keep_hidden(value, login=getattr(secret, "username", None))
        return value

    def _password(self, secret: Secret, of: str) -> str:
        if (name := secret.password_env) is not None:
            value = os.environ.get(name)
            if not value:
                called = name if _USUAL_VARIABLE.fullmatch(name) else f"that {self.file} names there"
                raise Refused(f"password of {of}: environment variable {called} is not set; export it")
            return value
        if secret.password_file is None:
            raise Refused(f"password of {of}: {self.file} names neither password_file nor password_env")
        path = self.path(secret.password_file)
        try:
            value = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Refused(f"password of {of}: {path} cannot be read ({error.strerror}); see {self.file}") from None
        except UnicodeDecodeError:
            raise Refused(f"password of {of}: {path} is not UTF-8 text; see {self.file}") from None
        if not value:
            raise Refused(f"password of {of}: {path} is empty")
        return value

    def path(self, name: str) -> Path:
        """A path of the file, made absolute. Refused when it can be none."""
        try:
            return (self.file.parent / Path(name).expanduser()).resolve()
        except (OSError, RuntimeError) as error:  # a home of nobody, links in a circle, too long
            raise Refused(f"{self.file}: {name} is no path on this machine ({error})") from None


def named() -> tuple[str, ...]:
    """Names of the environments in `environments/`, in order."""
    return tuple(sorted(file.stem for file in NAMED_ENVIRONMENTS.glob("*.yaml")))


def find(name_or_path: str) -> Path:
    """The file that `--env` means: a path, or a name in `environments/`."""
    path = Path(name_or_path)
    if is_plain_file(path):
        return path
    file = NAMED_ENVIRONMENTS / f"{name_or_path}.yaml"
    if is_plain_file(file):
        return file
    hint = f"known names: {', '.join(known)}" if (known := named()) else f"there is no {NAMED_ENVIRONMENTS}/ here"
    raise SpecError([Problem(file=name_or_path, key="", message=f"no such environment file, and {hint}")])


def load(name_or_path: str) -> LoadedEnvironment:
    """The environment; SpecError lists every problem of its file."""
    path = find(name_or_path)
    text = read_text(path)
    environment = parse(text, Environment, file=str(path))
    recorded = _recordable(text, environment)
    return LoadedEnvironment.model_construct(file=path.resolve(), text=recorded, environment=environment)


def _recordable(text: str, environment: Environment) -> str:
    """The text as it goes into each record: a password that was left in a comment is hidden."""
    shown = without_secrets(text)
    try:
        same = shown == text or parse(shown, Environment, file="") == environment
    except SpecError:
        same = False
    return shown if same else text
