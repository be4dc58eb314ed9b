"""The dbt models read without dbt: rendered with stand-ins for its functions, parsed, and evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse import plain_yaml
from lakehouse.errors import ConfigError
from lineage.queries import evaluate_query
from lineage.values import Relation, table

# Marks another model in the rendered text; nothing else is named so.
MODEL = "dbt_model"


@dataclass(frozen=True)
class Model:
    """A model: its name as a node, what it makes, and the models and tables that it names."""

    name: str
    table: str
    inputs: tuple[str, ...]
    made: Relation


def load(project: Path, sources: Mapping[str, Relation]) -> dict[str, Model]:
    """Every model of a dbt project, by name, each after those it reads.

    `sources`: the tables that models read, as `schema.table`. Those that readers get are called `gold.<model>`, steps
    on the way `dbt.<model>`. A ConfigError for a model that cannot be rendered or parsed.
    """
    read = {path.stem: _rendered(path, project) for path in sorted((project / "models").glob("**/*.sql"))}
    rendered = {name: model for name, model in read.items() if model}
    found: dict[str, Model] = {}

    def make(name: str, above: tuple[str, ...] = ()) -> Model:
        if name in found:
            return found[name]
        if name not in rendered or name in above:
            raise ConfigError(f"dbt model {name} is missing or reads itself", where=str(project), remedy="mend it")
        query, inputs, published = rendered[name]
        made = evaluate_query(query, lambda wanted: relation_of(wanted, (*above, name)))
        found[name] = Model(name, f"{'gold' if published else 'dbt'}.{name}", inputs, made)
        return found[name]

    def relation_of(wanted: str, above: tuple[str, ...]) -> Relation:
        schema, _, name = wanted.partition(".")
        if schema == MODEL:
            model = make(name, above)
            return table(model.table, model.made.columns)
        known = sources.get(wanted)
        if known is None or known.open:
            return Relation({}, frozenset({wanted}), wanted)
        return table(wanted, known.columns)

    for name in rendered:
        make(name)
    return found


def _rendered(path: Path, project: Path) -> tuple[Any, tuple[str, ...], bool] | None:
    """A model's query, the names that it reads, and whether readers get its table; None for one that is not enabled."""
    import jinja2
    import sqlglot
    from sqlglot import errors

    named: list[str] = []
    config = _folder_config(path, project)
    macros = "\n".join(found.read_text(encoding="utf-8") for found in sorted((project / "macros").glob("*.sql")))
    environment = jinja2.Environment(undefined=jinja2.ChainableUndefined)
    try:
        text = environment.from_string(macros + "\n" + path.read_text(encoding="utf-8"))
        sql = text.render(**_functions(named, config))
        if not config.get("enabled", True):
            return None
        query = sqlglot.parse_one(sql, dialect="spark")
    except (jinja2.TemplateError, errors.SqlglotError, TypeError) as error:
        raise ConfigError(f"the model cannot be read: {error}", where=str(path), remedy="mend it") from error
    published = config.get("materialized", "view") in ("table", "slice") and "schema" not in config
    return query, tuple(dict.fromkeys(named)), published


def _folder_config(path: Path, project: Path) -> dict[str, Any]:
    """What the project's file says of the models of a folder, its `+` left out."""
    file = project / "dbt_project.yml"
    told = plain_yaml.load_file(file) if file.exists() else {}
    level = (told.get("models") or {}).get(told.get("name")) or {}
    config: dict[str, Any] = {}
    for folder in ("", *path.relative_to(project / "models").parts[:-1]):
        level = level.get(folder) or {} if folder else level
        config |= {key.lstrip("+"): value for key, value in level.items() if key.startswith("+")}
    return config


def _functions(named: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    """dbt's functions as a model calls them; `ref` and `source` note what is named, `config` what is set."""

    def ref(*names: str, **_: Any) -> str:
        named.append(names[-1])
        return f"{MODEL}.{names[-1]}"

    def source(schema: str, name: str) -> str:
        named.append(f"{schema}.{name}")
        return f"{schema}.{name}"

    def config(*_: Any, **given: Any) -> str:
        settings.update(given)
        return ""

    return {
        "ref": ref,
        "source": source,
        "config": config,
        # A variable without default is a list of days here; one entry shows what is made of each.
        "var": lambda name, *default: default[0] if default else [name],
        "is_incremental": lambda: False,
    }
