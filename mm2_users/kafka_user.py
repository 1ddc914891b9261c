"""`KafkaUser`: a Locust User for tasks of one's own on Kafka. See docs/custom-users.md.

Importing it adds --env and --confirm to Locust's options, checks the environment before a test, and flushes and closes
the process's connections when a test stops.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, ClassVar, Literal, NoReturn

import gevent
from gevent import GreenletExit
from locust import User, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, WorkerRunner
from pydantic import ValidationError

from locust_session import options
from locust_session.output import make_logs_visible, say
from locust_session.web_guard import guard
from mm2_users.kafka_client import KafkaClient
from mm2_users.shared_clients import SharedClients, Side
from scenarios.errors import Mm2gateError, Refused
from scenarios.scenario import ProducerSettings

LOG = logging.getLogger("mm2gate.users")

#: Attribute of Locust's environment: the SharedClients of this process.
SHARED = "mm2gate_kafka"
#: The same: the guards' sentences of this test that were said. And a worker's message to its master, with one of them.
REFUSED = "mm2gate_kafka_refused"
#: The same: the greenlet that starts this test's users.
STARTER = "mm2gate_kafka_starter"
#: Among Locust's options: the hash of the environment file that the master has checked, for its workers.
ENVIRONMENT = "mm2gate_environment_sha256"
#: Between the last order to start users, and the one to stop them.
LAST_ORDER_S = 0.1


class KafkaUser(User):
    """Has a `client` of one of the environment's two clusters. Abstract: subclass it, and give it tasks."""

    abstract = True
    cluster: ClassVar[Literal["source", "target"]] = "source"
    """Which of the environment's clusters `client` talks to."""
    producer: ClassVar[dict[str, str]] = {"compression": "none", "linger": "5ms"}
    """Settings of the producer, as a scenario's `producer` words them."""
    answer_within_s: ClassVar[float] = 60.0
    """A record without the broker's answer for so long is a failure."""
    stay_inside_prefix: ClassVar[bool] = True
    """Whether only topics inside the environment's prefix (to read: and their mirrors) may be used."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = KafkaClient(
            _shared(environment),
            self.cluster,
            settings=_settings(type(self)),
            answer_within_s=self.answer_within_s,
            stay_inside_prefix=self.stay_inside_prefix,
            fire=environment.events.request.fire,
            refuse=lambda error: _stop_user(environment, error),
            context=self.context,
        )


def _settings(user_class: type[KafkaUser]) -> ProducerSettings:
    try:
        return ProducerSettings.model_validate(user_class.producer)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise Refused(f"{user_class.__name__}.producer: {said}") from None


def _shared(environment: Environment) -> SharedClients:
    """Of this process; Locust as a library fires no `init`, so the first user sets it up."""
    if SHARED not in vars(environment):
        _install(environment)
    shared: SharedClients = vars(environment)[SHARED]
    return shared


def _install(environment: Environment) -> None:
    vars(environment)[SHARED] = SharedClients(lambda: _options(environment))

    def close(**_: Any) -> None:
        _shared(environment).close()

    environment.events.test_stop.add_listener(close)


def _options(environment: Environment) -> tuple[str, str]:
    """--env, and --confirm where it counts: a master that serves a web UI confirms nothing."""
    parsed = environment.parsed_options
    confirmable = isinstance(environment.runner, WorkerRunner) or environment.web_ui is None
    return str(getattr(parsed, "env", "")), str(getattr(parsed, "confirm", "")) if confirmable else ""


def _kafka_users(environment: Environment) -> list[type[KafkaUser]]:
    return [one for one in environment.user_classes if issubclass(one, KafkaUser)]


def _check(environment: Environment) -> None:
    """Raises what a guard says. The master plays no user, but says no before its workers start."""
    users = _kafka_users(environment)
    for user in users:
        _settings(user)
    sides: frozenset[Side] = frozenset(user.cluster for user in users)
    parsed = {} if environment.parsed_options is None else vars(environment.parsed_options)
    is_worker = isinstance(environment.runner, WorkerRunner)
    # Locust hands on what is among the master's options, known to it or not.
    parsed[ENVIRONMENT] = _shared(environment).check(sides, masters=parsed.get(ENVIRONMENT) if is_worker else None)


@events.init_command_line_parser.add_listener
def _add_options(parser: LocustArgumentParser) -> None:
    options.add_environment(parser)


@events.init.add_listener
def _init(environment: Environment, **_: Any) -> None:
    """A headless test is checked at once: a guard that refuses ends the process here, with its sentence. A web UI is
    guarded too."""
    if isinstance(environment.runner, MasterRunner):
        environment.runner.register_message(REFUSED, _worker_refused)
    if not _kafka_users(environment):
        return
    make_logs_visible()
    _install(environment)
    environment.events.test_start.add_listener(lambda **_: _test_start(environment))
    try:
        if environment.web_ui is not None:
            guard(environment.web_ui, getattr(environment.parsed_options, "web_hosts", ""))
        elif not isinstance(environment.runner, WorkerRunner):
            _check(environment)
    except Mm2gateError as error:
        say(error)
        sys.exit(error.exit_code)


def _test_start(environment: Environment) -> None:
    """Checks what a web UI's form, or a worker's master, has chosen; a headless test was checked at init."""
    if environment.web_ui is None and not isinstance(environment.runner, WorkerRunner):
        return
    if vars(environment).pop(REFUSED, None):
        environment.process_exit_code = None  # of the test before
    vars(environment)[STARTER] = gevent.getcurrent()
    try:
        _check(environment)
    except Mm2gateError as error:
        if isinstance(environment.runner, WorkerRunner):
            _refuse(environment, error)
            return
        if _is_new(environment, str(error)):
            say(error)
        _forget_start(environment)
        raise GreenletExit from None  # ends `runner.start`, which fired this event, before it orders the first user


def _refuse(environment: Environment, error: Mm2gateError) -> None:
    """Says it once, and ends the test. A worker leaves that to its master, which knows whether another may follow."""
    if not _is_new(environment, str(error)):
        return
    say(error)
    if isinstance(environment.runner, WorkerRunner):
        environment.process_exit_code = int(error.exit_code)
        environment.runner.send_message(REFUSED, {"said": str(error), "exit_code": int(error.exit_code)})
    else:
        _end_test(environment, int(error.exit_code))


def _worker_refused(environment: Environment, msg: Message, **_: Any) -> None:
    """What a worker could not do, the test cannot: its users there would stand still."""
    if _is_new(environment, msg.data["said"]):
        say(Refused(f"worker {msg.node_id}: {msg.data['said']}"))
        _end_test(environment, msg.data["exit_code"])


def _is_new(environment: Environment, said: str) -> bool:
    """Whether nobody has said so in this test."""
    sentences = vars(environment).setdefault(REFUSED, set())
    new = said not in sentences
    sentences.add(said)
    return new


def _end_test(environment: Environment, exit_code: int) -> None:
    """The process too, unless a web UI is there to start another test."""
    runner = environment.runner
    if runner is None:
        return
    if environment.web_ui is None:
        environment.process_exit_code = exit_code
        gevent.spawn(runner.quit)
    else:
        gevent.spawn(_stop_test, environment)


def _forget_start(environment: Environment) -> None:
    """Of a test that never began: what listeners opened at its start they may close, and another can be started."""
    environment.events.test_stop.fire(environment=environment)
    runner = environment.runner
    if runner is not None and runner.shape_greenlet is not None:
        runner.shape_greenlet.kill(block=False)
        runner.shape_greenlet = runner.shape_last_tick = None


def _stop_test(environment: Environment) -> None:
    """As the web UI's Stop does: who still starts users would go on, and call the test a running one in the end."""
    starter = vars(environment).get(STARTER)
    if isinstance(starter, gevent.Greenlet):
        starter.kill()
        gevent.sleep(LAST_ORDER_S)
    if environment.runner is not None:
        environment.runner.stop()


def _stop_user(environment: Environment, error: Mm2gateError) -> NoReturn:
    _refuse(environment, error)
    raise StopUser(str(error)) from None
