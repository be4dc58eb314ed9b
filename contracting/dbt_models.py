"""The dbt models read without dbt: rendered with stand-ins for its functions, parsed, and followed by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracting.derivation import Derivation
from lakehouse.errors import ConfigError

GRAIN = {"as_of", "enterprise_id", "direction", "*"}


@dataclass
class Model:
    """One model: the models and silver tables that it names, and what it makes of their columns."""

    name: str
    inputs: tuple[str, ...]
    derivation: Derivation = field(default_factory=Derivation)


def load(project: Path) -> dict[str, Model]:
    """Every model of a dbt project, by name; a ConfigError for one that cannot be rendered or parsed."""
    import jinja2
    import sqlglot
    from sqlglot import errors

    macros = "\n".join(path.read_text(encoding="utf-8") for path in sorted((project / "macros").glob("**/*.sql")))
    environment = jinja2.Environment(undefined=jinja2.ChainableUndefined)
    found = {}
    for path in sorted((project / "models").glob("**/*.sql")):
        named: list[str] = []
        try:
            text = macros + "\n" + path.read_text(encoding="utf-8")
            query = sqlglot.parse_one(environment.from_string(text).render(**_functions(named)), dialect="spark")
        except (jinja2.TemplateError, errors.SqlglotError, TypeError) as error:
            raise ConfigError(f"the model cannot be read: {error}", where=str(path), remedy="mend it") from error
        model = Model(path.stem, tuple(dict.fromkeys(named)))
        model.derivation.add_query(query)
        found[path.stem] = model
    return found


def follow(models: Mapping[str, Model], table: str, columns: Iterable[str]) -> dict[str, set[str]]:
    """The models that read columns of a table, at any distance, with their own columns that come of them.

    A model that only filters, joins or groups by them has every column touched but those of its grain.
    """
    reached: dict[str, set[str]] = {table: set(columns)}
    waiting = [table]
    while waiting:
        name = waiting.pop()
        for model in models.values():
            results = model.derivation.results(reached[name]) if name in model.inputs else set()
            if name not in model.inputs or not (results or model.derivation.mentions(reached[name])):
                continue
            results = results or (model.derivation.outputs - GRAIN)
            if model.name not in reached or results - reached[model.name]:
                reached[model.name] = reached.get(model.name, set()) | results
                waiting.append(model.name)
    del reached[table]
    return reached


def _functions(named: list[str]) -> dict[str, Any]:
    """dbt's functions as a model calls them; `ref` and `source` note what is named."""

    def ref(*names: str, **_: Any) -> str:
        named.append(names[-1])
        return names[-1]

    def source(schema: str, table: str) -> str:
        named.append(f"{schema}.{table}")
        return f"{schema}.{table}"

    return {
        "ref": ref,
        "source": source,
        "config": lambda *_, **__: "",
        # A variable without default is a list of days here; one entry shows what is made of each.
        "var": lambda name, default=None: default if default is not None else [name],
        "is_incremental": lambda: False,
    }
