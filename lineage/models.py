"""What models read: the signature of registered versions where the registry answers, else the candidate features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import ServiceError, VinelakeError
from lakehouse.settings import get_settings

CANDIDATES = "the candidate features of ml/config, not the registry"


@dataclass(frozen=True)
class ModelInputs:
    """A registered version, or the model that would be trained (`version` empty).

    `features`: what it is computed from. `deciding`: what decides whether a firm is scored or referred. `told_by`:
    where the features are known from.
    """

    name: str
    version: str
    features: tuple[str, ...]
    deciding: tuple[str, ...]
    told_by: str
    aliases: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`model.version`, or the model's name."""
        return f"{self.name}.{self.version}" if self.version else self.name


def candidates(project: Path) -> ModelInputs:
    """What the next training would choose from: every feature that policy allows."""
    from ml import tracking

    return ModelInputs(tracking.model_name(), "", _usable(project), _deciding(), CANDIDATES)


def registered(asked: Sequence[str] = (), uri: str | None = None) -> list[ModelInputs]:
    """Every version with an alias, and those asked for by number; empty where nothing is registered yet.

    `uri`: the tracking server's or a store's. Raises ServiceError where it does not answer.
    """
    from lakehouse.services import mlflow as service
    from ml import tracking

    address = uri or get_settings().mlflow_uri
    if address.startswith("http") and not service.answers(f"{address}/health"):
        raise ServiceError("the tracking server does not answer", where=address, remedy="start it with `vinelake up`")
    registry = tracking.Registry(tracking.client(uri))
    aliases: dict[str, list[str]] = {number: [] for number in asked}
    for alias, number in registry.aliases().items():
        aliases.setdefault(number, []).append(alias)
    return [_version(registry.name, number, sorted(aliases[number])) for number in sorted(aliases, key=int)]


def _version(name: str, number: str, aliases: Sequence[str]) -> ModelInputs:
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        signature = mlflow.models.get_model_info(f"models:/{name}/{number}").signature
    except (MlflowException, OSError) as error:
        told = getattr(error, "message", str(error))[:150]
        raise ServiceError(
            f"version {number} of {name} cannot be read: {told}", where=name, remedy="see `vinelake model candidates`"
        ) from error
    if signature and signature.inputs:
        features, told_by = tuple(signature.inputs.input_names()), "its registered signature"
    else:
        features, told_by = _usable(get_settings().project_dir), "the candidate features, since it has no signature"
    return ModelInputs(name, number, features, _deciding(), told_by, tuple(aliases))


def known(project: Path, asked: Sequence[str] = (), uri: str | None = None) -> tuple[list[ModelInputs], str | None]:
    """The registered versions, or the candidate and why the registry was not asked."""
    try:
        found = registered(asked, uri)
    except (VinelakeError, OSError, ImportError) as error:
        return [candidates(project)], str(getattr(error, "what", error))[:150]
    return (found, None) if found else ([candidates(project)], "no version is registered with an alias yet")


def _usable(project: Path) -> tuple[str, ...]:
    from ml.catalogue import feature_groups, usable_features
    from ml.configuration import get_config

    groups = feature_groups(project)
    return tuple(usable_features(groups, groups, get_config().features))


def _deciding() -> tuple[str, ...]:
    from ml.configuration import get_config

    return tuple(get_config().features.history.values())
