"""The government data platform: its departments behind one REST service."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from sources.systems.process import Process
from sources.systems.rest import server
from sources.systems.rest.credentials import credentials_file, ensure_credentials
from sources.systems.settings import HOST, get_settings
from sources.systems.world import code_digest, fingerprint, is_loaded, write_mark

SHAPING = ("departments", "events.py", "fields.py", "history.py", "model.py", "projection.py")


def load(home: Path, world: Path) -> None:
    """Projects the world into logs of publications and files of history, unless that was done already."""
    from sources.systems.government.departments import DEPARTMENTS
    from sources.systems.government.history import write_history
    from sources.systems.government.projection import load_logs

    folder = home / "government"
    folder.mkdir(parents=True, exist_ok=True)
    everything = [department.scope for department in DEPARTMENTS]
    ensure_credentials(folder, {"lakehouse": everything, "tax_office": ["tax_returns:read", "vat_invoices:read"]})
    mark = {"world": fingerprint(world), "code": code_digest(Path(__file__).parent, *SHAPING)}
    if is_loaded(folder, mark):
        return
    for name in ("logs", "history", "loaded.json"):
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink(missing_ok=True)
    rows = load_logs(folder, world)
    files = write_history(folder, world)
    write_mark(folder, mark | {"rows": rows, "history_files": files})


def processes(home: Path, world: Path) -> list[Process]:
    """The one server of the platform."""
    return [server.process("government", home, get_settings().government_port)]


def advance(home: Path, world: Path, until: date) -> None:
    """Nothing to do: the server reads the clock at each request."""


def addresses(home: Path) -> dict[str, str]:
    """Where the platform listens and where its clients' secrets are."""
    url = f"http://{HOST}:{get_settings().government_port}"
    return {"government": f"{url} (docs: {url}/docs; clients: {credentials_file(home / 'government')})"}
