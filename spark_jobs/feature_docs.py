"""What the features are: definitions read from the dbt YAML, and the reference page made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings
from spark_jobs import dbt_run

KEYS = ("as_of", "enterprise_id")
FAMILIES = ("volume", "shape", "quality", "partner", "days", "ticket")


@dataclass(frozen=True)
class Feature:
    """One column of `gold.enterprise_features` with its meaning.

    `window` is in months (`12m`) or days (`90d`), or `all`; `source_feature` is its number in the catalogue
    of credit features the project follows; `bounds` are the least and greatest possible value, None where open.
    """

    name: str
    description: str
    data_type: str
    group: str
    unit: str
    owner: str
    window: str
    source_feature: int | None
    null_reason: tuple[str, ...]
    bounds: tuple[float | None, float | None]
    model: str


def definitions() -> list[Feature]:
    """Every feature, in the order of the families and of the columns in their YAML files."""
    models = dbt_run.project_dir() / "models" / "features"
    return [feature for name in FAMILIES for feature in _of_file(models / f"features_{name}.yml")]


def _of_file(path: Path) -> Iterator[Feature]:
    for model in YAML(typ="safe").load(path)["models"]:
        for column in model["columns"]:
            if column["name"] in KEYS:
                continue
            meta = (column.get("config") or {}).get("meta") or {}
            missing = {"group", "unit", "owner", "window"} - set(meta)
            if missing or not column.get("description"):
                raise ConfigError(
                    f"feature {column['name']} lacks {', '.join(sorted(missing)) or 'a description'}",
                    where=str(path),
                    remedy="give every feature a description and meta: group, unit, owner, window",
                )
            yield Feature(
                name=column["name"],
                description=" ".join(column["description"].split()),
                data_type=column["data_type"],
                group=meta["group"],
                unit=meta["unit"],
                owner=meta["owner"],
                window=meta["window"],
                source_feature=meta.get("source_feature"),
                null_reason=tuple(meta.get("null_reason", ())),
                bounds=tuple(meta.get("bounds", (None, None))),
                model=model["name"],
            )


def page() -> str:
    """The reference page, as Markdown."""
    features = definitions()
    groups: dict[str, list[Feature]] = {}
    for feature in features:
        groups.setdefault(feature.group, []).append(feature)
    lines = [
        "# Features",
        "",
        f"`gold.enterprise_features`: one row per enterprise and as-of date, {len(features)} features in "
        f"{len(groups)} groups.",
        "Generated from `dbt_project/models/features/*.yml` by `python -m spark_jobs.feature_docs`; change it there.",
        "",
        "## Conventions",
        "",
        _conventions(),
    ]
    for name, members in groups.items():
        title = name.replace("_", " ").capitalize()
        lines += ["", f"## {title}", "", "| feature | definition | window | NULL |", "|---|---|---|---|"]
        lines += [_row(feature) for feature in members]
    return "\n".join(lines) + "\n"


def _row(feature: Feature) -> str:
    # A bar would end the cell, and two backticked bars read worse than the escape.
    definition = feature.description.replace("|", "\\|")
    reasons = ", ".join(f"`{reason}`" for reason in feature.null_reason) or "never"
    return f"| `{feature.name}` | {definition} | {feature.window} | {reasons} |"


def _conventions() -> str:
    text = (dbt_run.project_dir() / "models" / "features" / "conventions.md").read_text(encoding="utf-8")
    return re.sub(r"{%.*?%}", "", text).strip()


def page_path() -> Path:
    """Where the committed page lives."""
    return get_settings().project_dir / "docs" / "reference" / "features.md"


if __name__ == "__main__":
    page_path().parent.mkdir(parents=True, exist_ok=True)
    page_path().write_text(page(), encoding="utf-8")
