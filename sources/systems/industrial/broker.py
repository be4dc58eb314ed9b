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
    """The broker as a supervised process; its settings file is written anew each time, ports may have changed."""
    settings = get_settings()
    return Process(
        name="industrial",
        home=home,
        command=[*_java(home, f"-Xmx{settings.industrial_memory}"), "kafka.Kafka", str(_write_settings(home))],
        port=settings.industrial_port,
        port_setting="SOURCES_INDUSTRIAL_PORT",
        ready=_answers,
        cwd=_dir(home),
        start_seconds=60,
    )


def format_storage(home: Path) -> None:
    """Gives the log's folder its cluster id, unless it has one."""
    if (_dir(home) / "log" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster]
    command = [*_java(home, "-Xmx256m"), *tool, "-c", str(_write_settings(home))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=_dir(home))
    if done.returncode:
        raise SourcesError(
            f"Kafka's storage cannot be formatted: {(done.stderr or done.stdout).strip()[-400:]}",
            where=str(_dir(home)),
        )


def _dir(home: Path) -> Path:
    folder = home / "industrial"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _java(home: Path, heap: str) -> list[str]:
    logging = _dir(home) / "log4j2.properties"
    logging.write_text(LOG4J)
    return [
        *(jars.JAVA, heap, "-XX:+UseSerialGC", "-Djava.net.preferIPv4Stack=true"),
        *(f"-Dlog4j2.configurationFile={logging}", "-cp", jars.class_path()),
    ]


def _write_settings(home: Path) -> Path:
    port, controller = get_settings().industrial_port, get_settings().industrial_controller_port
    lines = {
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
    path = _dir(home) / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return path


def _answers() -> bool:
    if not port_open(get_settings().industrial_port):
        return False
    try:
        return bool(AdminClient(client()).list_topics(timeout=5).brokers)
    except KafkaException:
        return False
