"""The data dictionary of the sources, generated from the contracts: one home per fact, never written by hand."""

from __future__ import annotations

from pathlib import Path

from lakehouse import contracts
from lakehouse.contracts import Column, Contract
from lakehouse.feeds import Variant
from lakehouse.settings import get_settings

HEAD = """# Sources

Generated from `contracts/` by `vinelake contract generate`; do not edit.
"""


EFFECTS = {"degrade": "say so", "refer": "go to a person", "stop": "are not given"}


def path() -> Path:
    """Where the dictionary is kept."""
    return get_settings().project_dir / "docs" / "reference" / "sources.md"


def write() -> Path:
    """Writes the dictionary; returns its path."""
    path().parent.mkdir(parents=True, exist_ok=True)
    path().write_text(render(), encoding="utf-8")
    return path()


def render() -> str:
    """The dictionary as Markdown, entities by id."""
    known = contracts.load_all(get_settings().contracts_dir)
    return "\n".join([HEAD, *(_entity(c) for c in known.values())])


def _entity(contract: Contract) -> str:
    lines = [
        f"## {contract.id}",
        "",
        f"{contract.title}, version {contract.version}; owner: {contract.owner}. {_origin(contract)} "
        f"Grain: {contract.grain}.",
        "",
        contract.purpose,
        f"Limits: {contract.limitations}",
        "",
        f"Known: {_known(contract)}",
        "",
        "| column | in the source | type | rules | meaning |",
        "| --- | --- | --- | --- | --- |",
        *(_column(c) for c in contract.columns),
        "",
    ]
    if contract.row_rules:
        lines += ["Row rules (a row that breaks one is quarantined with its name):", ""]
        lines += [f"- `{r.name}`: `{r.condition}`. {r.description}" for r in contract.row_rules] + [""]
    return "\n".join(lines)


def _origin(contract: Contract) -> str:
    feed = contract.feed
    if feed is None:
        return f"Files `{contract.file_pattern}`, {contract.encoding}."
    return (
        f"Pulled from `{feed.path}` of `{feed.connection}` ({feed.protocol}). When its schema changes: "
        f"{feed.schema_change}. Older than {feed.stale_after_days} days: scores {EFFECTS[feed.when_stale]}."
    )


def _known(contract: Contract) -> str:
    rule = contract.known_at
    if rule.history == "received":
        return "when it was received."
    if rule.history == "published":
        return (
            f"the first pull, which brings the history, is taken as known at `{rule.event_column}` and marked as "
            "assumed; later records when they were received."
        )
    return (
        f"a subject's first delivery is taken as known {rule.lag_days} day(s) after `{rule.event_column}` and "
        "marked as assumed; later deliveries when they were received."
    )


def _column(column: Column) -> str:
    rules = []
    if column.key_position:
        rules.append(f"key {column.key_position}")
    if column.required:
        rules.append("required")
    if column.codes:
        rules.append(", ".join(f"{k} → {v}" for k, v in column.codes.items()))
    if column.pattern:
        rules.append(f"`{column.pattern}`".replace("|", "\\|"))
    bounds = f"{column.minimum or '…'} to {column.maximum or '…'}"
    if column.minimum or column.maximum:
        rules.append(bounds)
    if column.not_after_received:
        rules.append("not after receipt")
    if column.is_outcome:
        rules.append("outcome: never a feature")
    if column.is_personal:
        rules.append(_sealing(column))
    if column.scale:
        rules.append(f"times {column.scale}")
    if column.group_separator:
        rules.append(f"thousands parted by `{column.group_separator}`")
    rules += [_variant(variant) for variant in column.variants]
    if column.is_transport:
        rules.append("of the delivery, not of the record")
    if column.references:
        rules.append(f"known in {column.references.contract}.{column.references.column}")
    unit = f", {column.unit}" if column.unit else ""
    return (
        f"| {column.name} | {column.source_name} | {column.spark_type}{unit} | {'; '.join(rules)} | "
        f"{column.description} |"
    )


def _sealing(column: Column) -> str:
    cases = " and ".join(f"{name} is {' or '.join(values)}" for name, values in column.impersonal_where.items())
    return f"personal: a token of kind {column.token_kind or column.name}" + (f", unless {cases}" if cases else "")


def _variant(variant: Variant) -> str:
    facts = [f"named {variant.source_name}"] if variant.source_name else []
    facts += [f"times {variant.scale}"] if variant.scale else []
    facts += [f"coded {', '.join(f'{k} → {v}' for k, v in variant.codes.items())}"] if variant.codes else []
    return f"from schema version {variant.schema_version} on {', '.join(facts)}"
