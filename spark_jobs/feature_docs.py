"""What the features are: definitions from the dbt YAML and the catalogue of sources, and the page made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse import plain_yaml
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings
from spark_jobs import dbt_run, features
from spark_jobs.source_features import catalogue, job

KEYS = ("as_of", "enterprise_id")
SOURCES = """
The time, sums and formulas of above hold here too: month 1 is the last full month before D, month 0 the part of D's
own month before D. Of every record its newest version known at D 00:00 counts, and an event on D or later does not
exist.

Missing is a code. Every source has a column `…_coverage`, never NULL: `covered`; `not_covered` (the department knows
no number of the enterprise by D, or has sent no row of it, where that is the rule); `not_yet_known` (the source's
first row came after D); `no_source` (this lakehouse has no such source). Where it is not `covered` the source's
features are NULL; where it is, a sum or count without activity is 0, and an undefined one is NULL for the reason that
its definition names. A feature made of several sources is NULL where one of them is. `short_history`: fewer months
since the enterprise's first row than both windows need. How fresh a source was is told by `gold.source_freshness`.

Whose a row is, is told by the code that the department held at D and the registry as known at D; see
`spark_jobs/source_features/identity.py`.
""".strip()
FAMILIES = ("volume", "shape", "quality", "partner", "days", "ticket")


@dataclass(frozen=True)
class Feature:
    """One column of `gold.enterprise_features` or `gold.enterprise_source_features` with its meaning.

    `window` is in months (`12m`) or days (`90d`), or `all`; `source_feature` is its number in the catalogue
    of credit features the project follows; `bounds` are the least and greatest possible value, None where open;
    `coverage` is the column that says why a feature of a source is missing altogether.
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
    coverage: str = ""

    @property
    def table(self) -> str:
        """The table of gold that has it as a column."""
        return job.TABLE if self.model == "enterprise_source_features" else features.TABLE


def definitions() -> list[Feature]:
    """Every feature: of invoices first, then of the other sources, in the order of their files."""
    return [*invoice_features(), *source_features()]


def source_features() -> list[Feature]:
    """The columns of `gold.enterprise_source_features` that are features."""
    return [
        Feature(f.name, f.definition, f.data_type, family.name, f.unit, f.owner, f.window, f.source_feature,
                f.null_reason, (None, None), "enterprise_source_features", coverage)
        for family in catalogue.load()
        for f, coverage in family.with_coverage()
    ]  # fmt: skip


def invoice_features() -> list[Feature]:
    """The columns of `gold.enterprise_features` that are features, in the order of the groups' YAML files."""
    models = dbt_run.project_dir() / "models" / "features"
    return [feature for name in FAMILIES for feature in _of_file(models / f"features_{name}.yml")]


def _of_file(path: Path) -> Iterator[Feature]:
    for model in plain_yaml.load_file(path)["models"]:
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
    known = definitions()
    groups: dict[str, list[Feature]] = {}
    for feature in known:
        groups.setdefault(feature.group, []).append(feature)
    lines = [
        "# Features",
        "",
        f"{len(known)} features in {len(groups)} groups, one row per enterprise and as-of date: "
        f"{len(invoice_features())} of invoices in `gold.enterprise_features`, "
        f"{len(source_features())} of all other sources in `{job.TABLE}`.",
        "Generated from `dbt_project/models/features/*.yml` and `dbt_project/source_features/*.yaml` by "
        "`python -m spark_jobs.feature_docs`; change them there.",
        "",
        "## Conventions",
        "",
        _conventions(),
    ]
    titles = {family.name: family.title for family in catalogue.load()}
    for name, members in groups.items():
        if name == next(iter(titles)):
            lines += ["", "## Other sources", "", SOURCES]
        title = titles.get(name, name.replace("_", " ").capitalize())
        lines += ["", f"## {title}", "", "| feature | definition | unit | owner | window | NULL |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [_row(feature) for feature in members]
    return "\n".join(lines) + "\n"


def _row(feature: Feature) -> str:
    # A bar would end the cell, and two backticked bars read worse than the escape.
    definition = feature.description.replace("|", "\\|")
    reasons = [reason for reason in (feature.coverage, *feature.null_reason) if reason]
    told = ", ".join(f"`{reason}`" for reason in reasons) or "never"
    return f"| `{feature.name}` | {definition} | {feature.unit} | {feature.owner} | {feature.window} | {told} |"


def _conventions() -> str:
    text = (dbt_run.project_dir() / "models" / "features" / "conventions.md").read_text(encoding="utf-8")
    return re.sub(r"{%.*?%}", "", text).strip()


def page_path() -> Path:
    """Where the committed page lives."""
    return get_settings().project_dir / "docs" / "reference" / "features.md"


if __name__ == "__main__":
    page_path().parent.mkdir(parents=True, exist_ok=True)
    page_path().write_text(page(), encoding="utf-8")
