"""The tracking server: runs, artefacts, versions and aliases of the registered model.

Everything that touches MLflow is here. Aliases are written by `promotion` alone.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.errors import ModelError, ServiceError
from lakehouse.settings import get_settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

MODEL = "enterprise_scorecard"
PIP_REQUIREMENTS = ["mlflow", "numpy", "pandas", "scikit-learn", "optbinning"]


def model_name() -> str:
    """The registered model's and the experiment's name, prefixed where an environment is set."""
    environment = get_settings().environment
    return f"{environment}_{MODEL}" if environment else MODEL


@dataclass(frozen=True)
class Version:
    """One registered version and what its tags say; `kind` is scorecard or booster."""

    number: str
    run_id: str
    tags: Mapping[str, str]

    @property
    def author(self) -> str:
        return self.tags.get("author", "")

    @property
    def kind(self) -> str:
        return self.tags.get("kind", "")


def client(uri: str | None = None) -> MlflowClient:
    """A client of the tracking server, failing fast when it does not answer."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow
    from mlflow.tracking import MlflowClient

    address = uri or get_settings().mlflow_uri
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(address)
    return MlflowClient(address, address)


class Registry:
    """Versions and aliases of one registered model; the only part of MLflow that promotion sees."""

    def __init__(self, mlflow_client: MlflowClient, name: str | None = None) -> None:
        self.client, self.name = mlflow_client, name or model_name()

    def version(self, number: str) -> Version | None:
        """A version by number; None when there is no such version."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_model_version(self.name, str(number))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise ServiceError(
                f"the model registry refused: {error.message[:200]}",
                where=f"{self.name} version {number}",
                remedy="see `vinelake status`",
            ) from error
        return Version(str(found.version), found.run_id, dict(found.tags))

    def aliases(self) -> dict[str, str]:
        """Alias → version number, as the registry has them now; empty before the first version."""
        from mlflow.exceptions import MlflowException

        try:
            model = self.client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise ServiceError(
                f"the model registry does not answer: {str(error)[:200]}",
                where=get_settings().mlflow_uri,
                remedy="start it with `vinelake up`",
            ) from error
        return {alias: str(number) for alias, number in dict(model.aliases).items()}

    def set_alias(self, alias: str, number: str) -> None:
        self.client.set_registered_model_alias(self.name, alias, str(number))

    def delete_alias(self, alias: str) -> None:
        self.client.delete_registered_model_alias(self.name, alias)

    def tag(self, number: str, key: str, value: str) -> None:
        self.client.set_model_version_tag(self.name, str(number), key, value)

    def artifact_names(self, run_id: str) -> set[str]:
        """Paths of all artefacts of a run."""
        found, folders = set(), [""]
        while folders:
            for item in self.client.list_artifacts(run_id, folders.pop()):
                if item.is_dir:
                    folders.append(item.path)
                else:
                    found.add(item.path)
        return found

    def artifact_text(self, run_id: str, path: str) -> str:
        """One artefact as text."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            try:
                local = self.client.download_artifacts(run_id, path, folder)
            except Exception as error:
                raise ModelError(
                    f"artefact {path} of a model's run cannot be read: {error}",
                    where=f"run {run_id}",
                    remedy="train the model again",
                ) from error
            return Path(local).read_text(encoding="utf-8")

    def evidence(self, version: Version) -> dict[str, Any]:
        """The figures training stored for the gate."""
        return json.loads(self.artifact_text(version.run_id, "evidence.json"))

    def find(self, tag: str, value: str) -> Version | None:
        """The newest version with a tag; None when there is none."""
        found = [
            item for item in self.client.search_model_versions(f"name = '{self.name}'") if item.tags.get(tag) == value
        ]
        if not found:
            return None
        newest = max(found, key=lambda item: int(item.version))
        return self.version(str(newest.version))


@contextlib.contextmanager
def run(name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """An MLflow run, ended as failed when its block raises; yields the run id."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.set_experiment(model_name())
    except MlflowException as error:
        raise ServiceError(
            "the tracking server does not answer",
            where=get_settings().mlflow_uri,
            remedy="start it with `vinelake up`; its log is mlflow.log in the log folder",
        ) from error
    with mlflow.start_run(run_name=name, tags=dict(tags)) as active:
        yield active.info.run_id


def log_scorecard(folder: Path, example) -> str:
    """Log the card in `folder` (scorecard.json, scorecard.sql) as a pyfunc; returns its model uri."""
    import mlflow
    from mlflow.models import infer_signature

    from ml.pyfunc import ScorecardModel
    from ml.scorecard import Scorecard

    card = Scorecard.from_json((folder / "scorecard.json").read_text(encoding="utf-8"))
    inputs = example[card.features].astype(float)
    model = ScorecardModel()
    model.card = card
    info = mlflow.pyfunc.log_model(
        name="scorecard",
        python_model=ScorecardModel(),
        artifacts={"scorecard": str(folder / "scorecard.json"), "sql": str(folder / "scorecard.sql")},
        signature=infer_signature(inputs, model.predict(None, inputs)),
        pip_requirements=PIP_REQUIREMENTS,
    )
    return info.model_uri


def log_booster(model) -> str:
    """Log the boosted challenger; returns its model uri."""
    import mlflow.xgboost

    return mlflow.xgboost.log_model(model, name="booster", pip_requirements=["mlflow", "xgboost-cpu"]).model_uri


def register(mlflow_client: MlflowClient, uri: str, run_id: str, tags: Mapping[str, str]) -> str:
    """Register a logged model as a new version with tags; returns its number."""
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException):
        mlflow_client.create_registered_model(model_name())
    model_id = uri.removeprefix("models:/")
    made = mlflow_client.create_model_version(model_name(), uri, run_id, tags=dict(tags), model_id=model_id)
    return str(made.version)


def list_versions(mlflow_client: MlflowClient) -> list[dict[str, str | None]]:
    """All versions, newest first: number, kind, aliases, and what their tags say of data and decision."""
    aliases: dict[str, list[str]] = {}
    for alias, number in Registry(mlflow_client).aliases().items():
        aliases.setdefault(number, []).append(alias)
    found = mlflow_client.search_model_versions(f"name = '{model_name()}'")
    tags = ("kind", "partition", "author", "gate", "decision", "decided_by")
    return [
        {
            "version": str(item.version),
            "aliases": ", ".join(sorted(aliases.get(str(item.version), []))) or None,
            **{tag: item.tags.get(tag) for tag in tags},
        }
        for item in sorted(found, key=lambda item: -int(item.version))
    ]


def document(mlflow_client: MlflowClient, number: str | None, name: str) -> str:
    """A text document of a version; of the champion where no number is given."""
    registry = Registry(mlflow_client)
    number = number or registry.aliases().get("champion")
    version = registry.version(number) if number else None
    if version is None:
        raise ModelError(
            f"there is no version {number or 'in office'}",
            where=registry.name,
            remedy="see `vinelake model candidates`",
        )
    return registry.artifact_text(version.run_id, name)
