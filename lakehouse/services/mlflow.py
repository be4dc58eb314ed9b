"""The MLflow server: runs and registry in PostgreSQL, artifacts in the lakehouse's folder."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

from lakehouse.services import postgres
from lakehouse.services.process import Process
from lakehouse.settings import get_settings


def artifacts_dir() -> Path:
    """Where the server keeps what runs log."""
    return get_settings().home / "mlflow" / "artifacts"


def process() -> Process:
    """The server as a supervised process. It needs PostgreSQL."""
    settings = get_settings()
    return Process(
        name="mlflow",
        command=[
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(settings.mlflow_port), "--workers", "1"),
            *("--serve-artifacts", "--artifacts-destination", artifacts_dir().as_uri()),
        ],
        port=settings.mlflow_port,
        ready=lambda: answers(f"{settings.mlflow_uri}/health"),
        # The address holds a password: an environment variable does not show in the list of processes.
        env={
            "MLFLOW_BACKEND_STORE_URI": postgres.uri("mlflow"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_LOGGING_LEVEL": "WARNING",
        },
        cwd=artifacts_dir().parent,
        start_timeout=180,
    )


def prepare() -> None:
    """Makes the folders that the server expects."""
    artifacts_dir().mkdir(parents=True, exist_ok=True)


def answers(url: str) -> bool:
    """Whether an address of a local service answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False
