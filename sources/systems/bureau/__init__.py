"""The credit bureau: reports by consent, purpose and fee, one subject at a time."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sources.systems.process import Process
from sources.systems.rest import server
from sources.systems.rest.credentials import credentials_file, ensure_credentials
from sources.systems.settings import HOST, get_settings
from sources.systems.world import code_digest, fingerprint, is_loaded, read_mark, write_mark


def load(home: Path, world: Path) -> None:
    """Projects the world into the bureau's files, unless that was done already; another world begins a new book."""
    from sources.systems.bureau.app import INSTITUTIONS, SCOPES
    from sources.systems.bureau.projection import project

    folder = home / "bureau"
    folder.mkdir(parents=True, exist_ok=True)
    ensure_credentials(folder, {name: list(SCOPES) for name in INSTITUTIONS})
    mark = {"world": fingerprint(world), "code": code_digest(Path(__file__).parent, "projection.py")}
    if is_loaded(folder, mark):
        return
    if read_mark(folder).get("world") != mark["world"]:
        for file in folder.glob("ledger.sqlite*"):
            file.unlink()
    (folder / "loaded.json").unlink(missing_ok=True)
    write_mark(folder, mark | {"rows": project(folder, world)})


def processes(home: Path, world: Path) -> list[Process]:
    """The one server of the bureau."""
    return [server.process("bureau", home, get_settings().bureau_port)]


def advance(home: Path, world: Path, until: date) -> None:
    """Nothing to do: the server reads the clock at each request."""


def addresses(home: Path) -> dict[str, str]:
    """Where the bureau listens and where its members' secrets are."""
    url = f"http://{HOST}:{get_settings().bureau_port}"
    return {"bureau": f"{url} (docs: {url}/docs; clients: {credentials_file(home / 'bureau')})"}
