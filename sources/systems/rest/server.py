"""Runs one REST system: `python -m sources.systems.rest.server SYSTEM HOME PORT`; on loopback only."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import uvicorn

from sources.systems.process import Process
from sources.systems.settings import HOST


def serve(system: str, home: Path, port: int) -> None:
    """Serves the application of a system until it is told to stop."""
    app = import_module(f"sources.systems.{system}.app").create_app(home)
    uvicorn.run(app, host=HOST, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=3)


def process(system: str, home: Path, port: int) -> Process:
    """The server of a system as a supervised process."""
    return Process(
        name=system,
        home=home,
        command=[sys.executable, "-m", "sources.systems.rest.server", system, str(home), str(port)],
        port=port,
        port_setting=f"SOURCES_{system.upper()}_PORT",
        cwd=Path(__file__).resolve().parents[3],
    )


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
