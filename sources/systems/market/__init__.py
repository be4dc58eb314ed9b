"""The commodity market: daily prices with their time of publication, gap days and stale quotes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sources.systems.process import Process
from sources.systems.rest import server
from sources.systems.rest.credentials import credentials_file, ensure_credentials
from sources.systems.settings import HOST, get_settings
from sources.systems.world import code_digest, connect, define_views, fingerprint, is_loaded, write_mark


def load(home: Path, world: Path) -> None:
    """Copies the world's prices in the order of publication, unless that was done already."""
    folder = home / "market"
    folder.mkdir(parents=True, exist_ok=True)
    ensure_credentials(folder, {"lakehouse": ["prices"]})
    mark = {"world": fingerprint(world), "code": code_digest(Path(__file__).parent, "__init__.py")}
    if is_loaded(folder, mark):
        return
    (folder / "loaded.json").unlink(missing_ok=True)
    database = connect(spill=folder)
    define_views(database, world, ["commodity_price"])
    # The row's number in the order of publication is the position that a cursor names.
    database.execute(f"""
        COPY (SELECT row_number() OVER (ORDER BY published_at, good, day) AS number, * FROM commodity_price ORDER BY 1)
        TO '{folder / "price.parquet"}' (FORMAT parquet)""")
    database.close()
    write_mark(folder, mark)


def processes(home: Path, world: Path) -> list[Process]:
    """The one server of the market."""
    return [server.process("market", home, get_settings().market_port)]


def advance(home: Path, world: Path, until: date) -> None:
    """Nothing to do: the server reads the clock at each request."""


def addresses(home: Path) -> dict[str, str]:
    """Where the market listens and where its key is."""
    url = f"http://{HOST}:{get_settings().market_port}"
    return {"market": f"{url} (docs: {url}/docs; key: {credentials_file(home / 'market')})"}
