"""Who reads a column of a contract: tables of silver, dbt models, features, gates, labels and registered models.

All but the registered models are told from the project's own texts; nothing is run and no engine is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from contracting import dbt_models, silver_code
from contracting.derivation import WORD, Derivation
from lakehouse.contracts import Contract
from lakehouse.errors import VinelakeError

FEATURES = "enterprise_features"
KINDS = ("bronze", "silver", "gate", "dbt model", "feature", "label", "model")


@dataclass(frozen=True)
class Reader:
    """Something that reads a column: its kind (one of KINDS), its name, and which columns of its own come of it."""

    kind: str
    name: str
    columns: tuple[str, ...] = ()


class Readers:
    """The readers of every contract of a project as it stands."""

    def __init__(self, known: Mapping[str, Contract], project: Path) -> None:
        self.known, self.project = known, project

    def of(self, contract: Contract, columns: Iterable[str]) -> list[Reader]:
        """Everything that reads one of the columns of a contract, in the order in which data flow."""
        names = set(columns)
        found: dict[Reader, None] = {Reader("bronze", contract.bronze_table, tuple(sorted(names))): None}
        gates = self._gates(contract.bronze_table, names)
        for table, derived in self._silver(contract, names).items():
            found[Reader("silver", table, tuple(sorted(derived)))] = None
            gates += self._gates(table, derived)
            for model, results in dbt_models.follow(self._models, table, derived).items():
                found |= dict.fromkeys(self._features(model, results))
            found |= dict.fromkeys(self._labels(table, derived))
        found |= dict.fromkeys(gates)
        return sorted(_merged(found), key=lambda reader: (KINDS.index(reader.kind), reader.name))

    def _silver(self, contract: Contract, names: set[str]) -> dict[str, set[str]]:
        """Tables of silver that read the columns, with their own columns that come of them."""
        found: dict[str, set[str]] = {}
        if contract.silver:
            found[contract.silver.table] = set(names)
            if (subject := contract.silver.subject) and names & {subject.key, subject.name, *subject.codes}:
                found["silver.department_subject"] = {"department_key", "name", "code", "enterprise_id"}
        for table, ids, derivation in self._conformed:
            if contract.id in ids and (derivation.mentions(names) or derivation.has_star):
                found.setdefault(table, set()).update(derivation.reached(names))
        return found

    @cached_property
    def _conformed(self) -> list[tuple[str, frozenset[str], Derivation]]:
        """Tables that code makes: for each of their makers the contracts that it names, and what it says."""
        from spark_jobs import silver

        found = []
        for table in silver.plan(self.known):
            for make in () if table.versioned else silver_code.makers(table.make):
                derivation, texts = silver_code.derivation(make)
                found.append((table.name, frozenset(texts) & frozenset(table.contracts), derivation))
        return found

    @cached_property
    def _models(self) -> dict[str, dbt_models.Model]:
        return dbt_models.load(self.project / "dbt_project")

    @cached_property
    def _feature_names(self) -> set[str]:
        from spark_jobs import feature_docs

        return {feature.name for feature in feature_docs.definitions()}

    def _features(self, model: str, results: set[str]) -> Iterator[Reader]:
        if model != FEATURES:
            yield Reader("dbt model", model, tuple(sorted(results)))
        else:
            yield from (Reader("feature", name) for name in sorted(results & self._feature_names))

    def _gates(self, table: str, names: set[str]) -> list[Reader]:
        """The expectations and identities that name one of the columns."""
        from expectations import suites

        own = suites.SILVER.get(table, ())
        if table.startswith("bronze."):
            contract = self.known.get(table.partition(".")[2])
            own = suites.bronze_suite(contract) if contract else ()
        read = {name for e in own for name in _named(e.arguments.values())}
        for identity in suites.SILVER_IDENTITIES:
            if f"{{{table}}}" in identity.left + identity.right:
                read |= set(WORD.findall(identity.left + " " + identity.right))
        touched = names & read
        return [Reader("gate", f"expectations on {table}", tuple(sorted(touched)))] if touched else []

    def _labels(self, table: str, names: set[str]) -> list[Reader]:
        """What labels are made of."""
        from ml import tables_io

        read = {"silver.loan": tables_io.LOAN_COLUMNS, "silver.credit_record": tables_io.RECORD_COLUMNS}
        touched = names & set(read.get(table, ()))
        return [Reader("label", "who turned bad (ml/labels.py)", tuple(sorted(touched)))] if touched else []


def models_with(features: Iterable[str]) -> tuple[list[Reader], str | None]:
    """(registered models in office or candidates that take one of the features, why none could be asked for)."""
    wanted = set(features)
    if not wanted:
        return [], None
    try:
        return list(_registered(wanted)), None
    except (VinelakeError, OSError, ImportError) as error:
        return [], getattr(error, "what", str(error))[:150]


def _registered(wanted: set[str]) -> Iterator[Reader]:
    from ml import tracking

    client = tracking.client()
    registry = tracking.Registry(client)
    import mlflow
    from mlflow.exceptions import MlflowException

    for alias, number in sorted(registry.aliases().items()):
        try:
            info = mlflow.models.get_model_info(f"models:/{registry.name}/{number}")
        except MlflowException as error:
            raise VinelakeError(f"version {number} of {registry.name} cannot be read: {error.message[:120]}") from error
        taken = set(info.signature.inputs.input_names()) if info.signature and info.signature.inputs else set()
        if touched := wanted & taken:
            yield Reader("model", f"{registry.name} version {number} ({alias})", tuple(sorted(touched)))


def _merged(found: Iterable[Reader]) -> Iterator[Reader]:
    """One reader a kind and name, with the columns of all."""
    columns: dict[tuple[str, str], set[str]] = {}
    for reader in found:
        columns.setdefault((reader.kind, reader.name), set()).update(reader.columns)
    for (kind, name), names in columns.items():
        yield Reader(kind, name, tuple(sorted(names)))


def _named(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _named(value)
