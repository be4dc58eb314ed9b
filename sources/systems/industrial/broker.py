"""One Kafka node on loopback, broker and controller at once (KRaft)."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from sources.systems.errors import SourcesError
from sources.systems.industrial import jars
from sources.systems.process import Process, port_open
from sources.systems.settings import HOST, get_settings

FOREVER = 2**63 - 1
LOG4J = """
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


def bootstrap() -> str:
    """The address that clients connect to first."""
    return f"{HOST}:{get_settings().industrial_port}"


def client(**more: object) -> dict:
    """Settings of any client of this broker."""
    return {"bootstrap.servers": bootstrap(), "broker.address.family": "v4", "log_level": 2} | {
        name.replace("_", "."): value for name, value in more.items()
    }


def process(home: Path) -> Process:
    """The broker as a supervised process; `prepare` must have been there before its start."""
    settings = get_settings()
    return Process(
        name="industrial",
        home=home,
        command=[*_java(home, f"-Xmx{settings.industrial_memory}"), "kafka.Kafka", str(_settings_file(home))],
        port=settings.industrial_port,
        port_setting="SOURCES_INDUSTRIAL_PORT",
        ready=_answers,
        cwd=_dir(home),
        start_seconds=60,
    )


def prepare(home: Path) -> None:
    """Fetches the jars, writes the settings anew (ports may have changed), and gives the log's folder its cluster id.

    Does only what is missing.
    """
    jars.ensure()
    _dir(home).mkdir(parents=True, exist_ok=True)
    _logging_file(home).write_text(LOG4J)
    _settings_file(home).write_text("".join(f"{name}={value}\n" for name, value in _broker_settings(home).items()))
    if (_dir(home) / "log" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    named = f"--cluster-id={cluster}"  # in one word, as it may begin with a dash
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", named]
    command = [*_java(home, "-Xmx256m"), *tool, "-c", str(_settings_file(home))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=_dir(home))
    if done.returncode:
        raise SourcesError(
            f"Kafka's storage cannot be formatted: {(done.stderr or done.stdout).strip()[-400:]}",
            where=str(_dir(home)),
        )


def _dir(home: Path) -> Path:
    return home / "industrial"


def _logging_file(home: Path) -> Path:
    return _dir(home) / "log4j2.properties"


def _settings_file(home: Path) -> Path:
    return _dir(home) / "server.properties"


def _java(home: Path, heap: str) -> list[str]:
    return [
        *(jars.JAVA, heap, "-XX:+UseSerialGC", "-Djava.net.preferIPv4Stack=true"),
        *(f"-Dlog4j2.configurationFile={_logging_file(home)}", "-cp", str(jars.jar_dir() / "*")),
    ]


def _broker_settings(home: Path) -> dict[str, object]:
    port, controller = get_settings().industrial_port, get_settings().industrial_controller_port
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": _dir(home) / "log",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 2,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # The world's years pass in minutes: age never removes a message nor closes a segment.
        "log.retention.ms": -1,
        "log.roll.ms": FOREVER,
        "log.message.timestamp.before.max.ms": FOREVER,
        "log.message.timestamp.after.max.ms": FOREVER,
    }


def _answers() -> bool:
    if not port_open(get_settings().industrial_port):
        return False
    try:
        return bool(AdminClient(client()).list_topics(timeout=5).brokers)
    except KafkaException:
        return False
