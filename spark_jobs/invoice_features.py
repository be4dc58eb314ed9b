"""Features of invoices from any relations, by the very models that dbt builds: for asking what if, not for publishing.

dbt builds its tables in place, once. Here the same models are rendered to views of a session over relations that the
caller names, such as silver with and without some rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import plain_yaml
from lakehouse.errors import ConfigError
from spark_jobs import dbt_run

if TYPE_CHECKING:
    import jinja2
    from pyspark.sql import DataFrame, SparkSession

MODEL = "enterprise_features"


def compute(spark: SparkSession, dates: Sequence[date], relations: Mapping[str, str], prefix: str) -> DataFrame:
    """The rows of `gold.enterprise_features` of some dates, from `relations` (table of silver → where it is read).

    Views of the session are made, named with the prefix, until `release`. What dbt would store is computed at once and
    kept in the engine: as views of views alone the models are planned for minutes.
    """
    for name, query, stored in rendered(dates, relations, prefix):
        rows = spark.sql(query)
        (rows.localCheckpoint() if stored else rows).createOrReplaceTempView(f"{prefix}_{name}")
    return spark.table(f"{prefix}_{MODEL}")


def release(spark: SparkSession, prefix: str) -> None:
    """Lets go of the views that `compute` has made."""
    for name in _paths():
        spark.catalog.dropTempView(f"{prefix}_{name}")


def rendered(dates: Sequence[date], relations: Mapping[str, str], prefix: str) -> Iterator[tuple[str, str, bool]]:
    """Each model that the features are made of, after those it reads: name, query, and whether dbt stores its rows.

    ConfigError for a model that cannot be rendered, or reads a table that no relation is given for.
    """
    paths, done, macros, configs = _paths(), set(), _macros(), _folder_configs()

    def make(name: str) -> Iterator[tuple[str, str, bool]]:
        if name in done:
            return
        done.add(name)
        query, read, stored = _render(paths[name], macros, configs, dates, relations, prefix)
        for other in read:
            yield from make(other)
        yield name, query, stored

    yield from make(MODEL)


def _render(
    path: Path,
    macros: str,
    configs: Mapping[str, Any],
    dates: Sequence[date],
    relations: Mapping[str, str],
    prefix: str,
) -> tuple[str, list[str], bool]:
    import jinja2

    read: list[str] = []
    config = {key.lstrip("+"): value for key, value in (configs.get(path.parent.name) or {}).items()}

    def ref(name: str) -> str:
        read.append(name)
        return f"{prefix}_{name}"

    def configure(**given: Any) -> str:
        config.update(given)
        return ""

    functions = {
        "ref": ref,
        "source": lambda schema, name: relations[f"{schema}.{name}"],
        "config": configure,
        "var": lambda name, *default: default[0] if default else {"as_of_dates": [str(day) for day in dates]}[name],
        "execute": True,
    }
    try:
        template = _template(f"{macros}\n{path.read_text(encoding='utf-8')}")
        return template.render(**functions).strip(), read, config.get("materialized") in ("table", "slice")
    except (jinja2.TemplateError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the model cannot be rendered without dbt: {error!r}",
            where=f"dbt_project/models/{path.parent.name}/{path.name}",
            remedy="use ref, source, config and var('as_of_dates') alone; give a relation for every source",
        ) from error


@lru_cache(maxsize=64)
def _template(text: str) -> jinja2.Template:
    """Compiled once: an impact report renders the same models for both of its sides."""
    import jinja2

    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)


def _folder_configs() -> dict[str, Any]:
    """What the project's file says of the models of each folder."""
    told = plain_yaml.load_file(dbt_run.project_dir() / "dbt_project.yml")
    return dict(told["models"][told["name"]])


def _paths() -> dict[str, Path]:
    return {path.stem: path for path in sorted((dbt_run.project_dir() / "models").glob("**/*.sql"))}


def _macros() -> str:
    folder = dbt_run.project_dir() / "macros"
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql")))
