"""The REST systems tried by clients that are not ours: schemathesis on their descriptions, a browser on their docs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import jsonschema
import pytest
from rest_client import client_of, free_ports, set_day

from sources.systems.clock import Clock
from sources.systems.government.app import create_app
from sources.systems.government.departments import DEPARTMENTS
from sources.systems.process import Process
from sources.systems.rest.server import process

NAMES = ("government", "bureau", "market")
CHROMIUM = Path("/usr/bin/chromium")
# A cursor that was made up fits the description but leads nowhere: 400 is right for it.
SETTINGS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "429", "5xx"]
"""


@pytest.fixture(scope="module")
def served(loaded: Path, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, str]]]:
    """The three servers on free ports: system → address and the header that opens it."""
    home = tmp_path_factory.mktemp("served") / "sources"
    shutil.copytree(loaded, home)
    Clock(home).start(world)
    patch = pytest.MonkeyPatch()
    for name, value in {"RATE_PER_SECOND": "100000", "RATE_BURST": "100000", "TOKEN_SECONDS": "36000"}.items():
        patch.setenv(f"SOURCES_{name}", value)
    servers: dict[str, Process] = {}
    try:
        for name, port in zip(NAMES, free_ports(3), strict=True):
            servers[name] = process(name, home, port)
            servers[name].start()
        yield {name: _opened(home, name, server.port) for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.stop()
        patch.undo()


def _opened(home: Path, name: str, port: int) -> tuple[str, str]:
    url = f"http://127.0.0.1:{port}"
    clients = json.loads((home / name / "credentials.json").read_text())["clients"]
    client = next(client for client in clients if client["client_id"] == "lakehouse")
    if name == "market":
        return url, f"X-Api-Key: {client['client_secret']}"
    asked = {"grant_type": "client_credentials"}
    answer = httpx.post(f"{url}/oauth/token", data=asked, auth=("lakehouse", client["client_secret"]))
    return url, f"Authorization: Bearer {answer.json()['access_token']}"


@pytest.mark.services
@pytest.mark.parametrize("name", NAMES)
def test_schemathesis_finds_nothing(served: dict[str, tuple[str, str]], name: str, tmp_path: Path) -> None:
    """Every operation with made-up data, valid and not: answers are as described, errors too, none is a crash."""
    url, header = served[name]
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(SETTINGS)
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "--config-file", str(settings), "run", f"{url}/openapi.json", "-H", header]
    bounds = ["--max-examples", "3", "--seed", "1", "--no-color"]
    done = subprocess.run([*command, *bounds], capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@pytest.mark.services
@pytest.mark.parametrize("name", NAMES)
def test_a_browser_reads_the_docs_page(served: dict[str, tuple[str, str]], name: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    url, _ = served[name]
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        try:
            tab = browser.new_page()
            asked, errors = [], []
            tab.on("request", lambda request: asked.append(request.url))
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.goto(f"{url}/docs")
            first = tab.locator("details").first
            first.locator("summary").click()
            assert first.locator("table").first.is_visible()
            assert tab.title()
            assert not errors
            assert all(address.startswith(url) for address in asked)
        finally:
            browser.close()


@pytest.mark.parametrize("day", [date(2019, 2, 15), date(2019, 7, 15), date(2021, 1, 29)], ids=str)
def test_every_record_fits_the_description_of_its_day(home: Path, settings, day: date) -> None:
    """All fields of real records against the day's schema, and no list is without records at the end."""
    set_day(home, day)
    http = client_of(create_app(home), home / "government")
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    for department in DEPARTMENTS:
        for dataset in department.datasets:
            rows = http.get(f"/v1/{department.name}/{dataset.name}", params={"limit": 300}).json()["data"]
            validator = jsonschema.Draft202012Validator(schemas[f"{department.name}.{dataset.name}"])
            for row in rows:
                validator.validate(row)
            assert rows or day < date(2021, 1, 1)
