"""docker-compose.yml is well-formed, refers only to what exists, keeps its secrets out, and matches the code."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from lakehouse.services import airflow
from lakehouse.services.postgres import DATABASES, SUPERUSER
from lakehouse.settings import get_settings

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / "docker" / "env.example"
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::?([-?+])([^}]*))?\}")

NAME = {"type": "string", "pattern": r"^[a-zA-Z0-9._-]+$"}
DURATION = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(us|ms|s|m|h))+$"}
WORDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SCALARS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
CONDITIONS = ["service_started", "service_healthy", "service_completed_successfully"]
# The part of the Compose Specification that this file may use; anything else is a slip or needs a decision.
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image"],
    "properties": {
        "image": {"type": "string", "pattern": r"^[a-z0-9./_-]+:[A-Za-z0-9._-]+$"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["context", "dockerfile"],
            "properties": {"context": {"type": "string"}, "dockerfile": {"type": "string"}},
        },
        "command": WORDS,
        "init": {"type": "boolean"},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "environment": SCALARS,
        "networks": {"type": "array", "items": NAME, "uniqueItems": True, "minItems": 1},
        "volumes": {"type": "array", "items": {"type": "string", "pattern": ":/"}, "uniqueItems": True},
        "ports": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["condition"],
                "properties": {"condition": {"enum": CONDITIONS}},
            },
        },
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "required": ["test", "interval", "timeout", "retries"],
            "properties": {
                "test": {**WORDS, "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}]},
                "interval": DURATION,
                "timeout": DURATION,
                "start_period": DURATION,
                "retries": {"type": "integer", "minimum": 1},
            },
        },
    },
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "services"],
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {"type": "object", "propertyNames": NAME, "additionalProperties": SERVICE},
        "networks": {
            "type": "object",
            "propertyNames": NAME,
            "additionalProperties": {"type": ["object", "null"]},
        },
        "volumes": {
            "type": "object",
            "propertyNames": NAME,
            "additionalProperties": {"type": ["object", "null"]},
        },
    },
}


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(FILE.read_text())


def example_names() -> list[str]:
    return re.findall(r"^([A-Z0-9_]+)=", EXAMPLE.read_text(), flags=re.M)


def faults(file: dict) -> list[str]:
    """What is wrong with a compose file: schema first, then references."""
    found = [
        f"{'/'.join(map(str, e.path))}: {e.message}" for e in jsonschema.Draft202012Validator(SCHEMA).iter_errors(file)
    ]
    if found:
        return found
    services = file["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if needed not in services:
                found.append(f"{name} depends on {needed}, which is no service")
            elif how["condition"] == "service_healthy" and "healthcheck" not in services[needed]:
                found.append(f"{name} waits for {needed}, which has no health check")
            elif how["condition"] == "service_completed_successfully" and services[needed].get("restart") != "no":
                found.append(f"{name} waits for the end of {needed}, which is restarted")
        found += [f"{name}: no network {n}" for n in service["networks"] if n not in (file.get("networks") or {})]
        for volume in service.get("volumes", []):
            source = VARIABLE.sub(lambda match: match.group(3) or "./x", volume).split(":")[0]
            if not source.startswith((".", "/")) and source not in (file.get("volumes") or {}):
                found.append(f"{name}: no volume {source}")
        text = json.dumps({key: service.get(key) for key in ("command", "environment", "healthcheck")})
        for host in re.findall(r"(?:sc|spark|http|tcp)://([a-z-]+):\d+|@([a-z-]+):\d+/", text):
            if (target := "".join(host)) not in {*services, "localhost"}:
                found.append(f"{name} talks to {target}, which is no service")
    return found + cycles(services)


def cycles(services: dict) -> list[str]:
    """Services that wait for themselves."""
    done: set[str] = set()
    while ready := [n for n, s in services.items() if n not in done and set(s.get("depends_on", {})) <= done]:
        done.update(ready)
    return [f"{name} can never start" for name in services if name not in done]


def test_the_file_has_no_faults(compose):
    assert faults(compose) == []


BREAKS = {
    "a service nobody defined": lambda c: c["services"]["mlflow"]["depends_on"].update(
        nobody={"condition": "service_started"}
    ),
    "an unknown key": lambda c: c["services"]["mlflow"].update(helthcheck={}),
    "an undeclared volume": lambda c: c["services"]["postgres"]["volumes"].append("lost:/x"),
    "an undeclared network": lambda c: c["services"]["postgres"].update(networks=["outside"]),
    "a condition that does not exist": lambda c: c["services"]["mlflow"]["depends_on"]["postgres"].update(
        condition="healthy"
    ),
    "waiting for one without a health check": lambda c: c["services"]["postgres"].pop("healthcheck"),
    "an image without a version": lambda c: c["services"]["postgres"].update(image="postgres"),
    "a circle": lambda c: c["services"]["postgres"].update(depends_on={"mlflow": {"condition": "service_started"}}),
    "an address of no service": lambda c: c["services"]["mlflow"]["environment"].update(
        SPARK_REMOTE="sc://elsewhere:15002"
    ),
    "a duration without a unit": lambda c: c["services"]["postgres"]["healthcheck"].update(interval="10"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_the_check_notices(compose, name):
    broken = copy.deepcopy(compose)
    BREAKS[name](broken)
    assert faults(broken), name


def test_every_variable_is_explained_in_the_example_and_every_example_is_used():
    used = {match[0] for match in VARIABLE.findall(FILE.read_text())}
    assert used == set(example_names())


def test_no_secret_has_a_value_or_a_default_in_the_repository():
    secret = re.compile("PASSWORD|SECRET|KEY")
    for name, sign, default in VARIABLE.findall(FILE.read_text()):
        assert not (secret.search(name) and sign == "-" and default), name
    for line in EXAMPLE.read_text().splitlines():
        name, _, value = line.partition("=")
        assert not (name.isupper() and secret.search(name) and value), line


def test_pages_are_published_on_loopback_unless_said_otherwise(compose):
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:"), name


def test_all_that_is_needed_is_there(compose):
    needed = {
        "postgres",
        "storage",
        "spark-master",
        "spark-worker",
        "spark-connect",
        "mlflow",
        "airflow-init",
    }
    needed |= {f"airflow-{component}" for component in airflow.COMPONENTS}
    assert set(compose["services"]) == needed
    assert all("healthcheck" in s for n, s in compose["services"].items() if n != "airflow-init")


def test_the_databases_are_those_of_the_code(compose):
    assert compose["services"]["postgres"]["environment"]["POSTGRES_USER"] == SUPERUSER
    made = re.findall(r"create database (\w+);", (ROOT / "docker" / "postgres-init.sql").read_text())
    assert sorted(made) == sorted(DATABASES)


def test_the_pools_are_those_of_the_code():
    pools = json.loads((ROOT / "docker" / "pools.json").read_text())
    assert {name: (p["slots"], p["description"]) for name, p in pools.items()} == airflow.POOLS


def test_airflow_is_configured_as_it_is_locally(compose, tmp_path, monkeypatch):
    """Where both name an option, they agree, except for addresses, paths, secrets and log levels."""
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    local = airflow.configuration(get_settings())
    get_settings.cache_clear()
    differs = re.compile("url|conn$|key$|secret|folder|file|host$|port|users")
    shared = 0
    for name, value in compose["services"]["airflow-scheduler"]["environment"].items():
        if name.startswith("AIRFLOW__"):
            section, option = name.removeprefix("AIRFLOW__").lower().split("__", 1)
            if option in local.get(section, {}) and not differs.search(option):
                assert value == local[section][option], name
                shared += 1
    assert shared >= 8


def test_the_dockerfile_copies_only_what_is_there():
    for line in (ROOT / "docker" / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            for source in line.split()[2:-1]:
                assert (ROOT / source).exists(), line


def test_the_reference_library_loads_the_file(tmp_path):
    """The Compose project's own Go library, with the full specification; needs Go and its module proxy."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    program = tmp_path / "composecheck"
    try:
        built = subprocess.run(
            [go, "build", "-gcflags=all=-N -l", "-ldflags=-s -w", "-o", str(program), "."],  # it runs for a moment
            cwd=ROOT / "tools" / "composecheck",
            env={**os.environ, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=240,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the Go module proxy did not deliver compose-go in time")
    if built.returncode and re.search("dial tcp|no such host|proxy|TLS|timeout", built.stderr):
        pytest.skip(f"the Go module proxy cannot be reached: {built.stderr.strip()[-200:]}")
    assert built.returncode == 0, built.stderr
    environment = {**os.environ, **dict.fromkeys(example_names(), "x")}
    environment |= {"PUBLISH_ADDRESS": "127.0.0.1", "INBOX_DIR": "./inbox"}
    loaded = subprocess.run([program, str(FILE)], capture_output=True, text=True, env=environment)
    assert loaded.returncode == 0, loaded.stderr
    assert "airflow-scheduler" in loaded.stdout.split()
    unset = {name: value for name, value in environment.items() if name != "POSTGRES_PASSWORD"}
    refused = subprocess.run([program, str(FILE)], capture_output=True, text=True, env=unset)
    assert refused.returncode == 1
    assert "POSTGRES_PASSWORD" in refused.stderr
