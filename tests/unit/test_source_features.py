"""The catalogue of source features: complete, unambiguous, and made of columns that the contracts know."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from lakehouse import contracts
from lakehouse.errors import ConfigError
from lakehouse.settings import PROJECT_DIR
from spark_jobs import feature_docs
from spark_jobs.source_features import catalogue, statement
from spark_jobs.source_features.statement import Place

FAMILIES = catalogue.load()
SOURCES = [source for family in FAMILIES for source in family.sources]
# Tables that no single contract describes, with the columns that features read.
CONFORMED = {
    "silver.enterprise": {"enterprise_id", "registered_on", "registered_capital_cny", "staff"},
    "silver.loan": {"enterprise_id", "loan_id", "drawn_on", "due_on", "closed_on", "principal_cny"},
    "silver.equipment_reading": {
        "machine_id", "read_at", "running_minutes", "output_units", "energy_kwh", "alarm_code",
    },
}  # fmt: skip
PLACE = Place(
    {table: table for table in ("silver.bank_loan", "silver.platform_machine", *(s.table for s in SOURCES))},
    {source.table: "2020-01-01 00:00:00" for source in SOURCES},
    "source_subject",
    "gold.enterprise_features",
)


def columns_of(table: str) -> set[str]:
    if table in CONFORMED:
        return CONFORMED[table]
    known = contracts.load_all(PROJECT_DIR / "contracts").values()
    contract = next(c for c in known if c.silver and c.silver.table == table)
    return {column.name for column in contract.columns}


def test_every_source_family_has_features_and_together_there_are_hundreds() -> None:
    wanted = {
        "business", "tax", "payroll", "customs", "penalties", "energy", "payments", "pos", "bureau", "loans",
        "equipment", "production", "orders", "stock", "logistics", "network",
    }  # fmt: skip
    assert {family.name for family in FAMILIES} == wanted  # invoices have tables of their own
    features = feature_docs.definitions()
    assert len(features) == len({feature.name for feature in features}) >= 200
    for feature in features:
        assert feature.description and feature.unit and feature.owner and feature.window, feature.name


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.name)
def test_a_source_reads_columns_that_its_contract_has(source: catalogue.Source) -> None:
    measures = [str(sql) for named in source.months.values() for sql in named.values()]
    texts = [source.where, source.day or "true", *measures]
    made = {name for named in source.months.values() for name in named} | {"month_no", "as_of"}
    if not source.months:
        texts += [statement.render(feature) for feature in source.features]
    read = set()
    for text in texts:
        sql = statement.expand(text, source.name)
        read |= {c.name for c in sqlglot.parse_one(f"SELECT {sql}", dialect="spark").find_all(exp.Column)}
    key = {source.subject.column}
    assert read | key <= columns_of(source.table) | made | {"enterprise"}, source.name
    if source.subject.via:
        assert {source.subject.key, source.subject.via["on"]} <= columns_of(source.subject.via["table"])


def test_the_statement_has_every_column_whatever_tables_there_are() -> None:
    names = [n for f in FAMILIES for n in (*(s.coverage for s in f.sources), *(x.name for x in f.features))]
    dates = [date(2020, 1, 1), date(2020, 4, 1)]
    for family in FAMILIES:
        query = sqlglot.parse_one(statement.of_family(family, dates, PLACE), dialect="spark")
        own = [n for s in family.sources for n in (s.coverage, *(f.name for f in s.features))]
        assert query.named_selects == ["as_of", "enterprise_id", *own]
    for made in ({family.name: family.name for family in FAMILIES}, {}):
        query = sqlglot.parse_one(statement.together(FAMILIES, made, statement.INVOICES), dialect="spark")
        told = next(cte for cte in query.find_all(exp.CTE) if cte.alias == "told").this
        columns = [*told.named_selects, *(s.alias for s in query.selects if s.alias)]
        assert sorted(columns) == sorted(["as_of", "enterprise_id", *names])


FAULTS = {
    "unit": ("unit: cny", "unit: fen", "end the name in its unit"),
    "twice": ("name: a_count, window: now, unit: count", "name: b_cny, window: now, unit: cny", "defined twice"),
    "key": ("day: d", "date: d", "unknown"),
    "covers": ("covers: all", "covers: some", "covers is one of"),
    "whose": ("{department: x, key: k}", "{department: x}", "whose"),
    "definition": ("definition: A.", "meaning: A.", "lacks"),
    "yaml": ("sources:", "sources: [", "not readable"),
}
TEXT = """
family: try
title: Try
owner: someone
sources:
  - name: s
    table: silver.tax_return
    subject: {department: x, key: k}
    covers: all
    day: d
    features:
      - {name: a_count, window: now, unit: count, value: "count(*)", definition: A.}
      - {name: b_cny, window: now, unit: cny, value: "{{total('x', 3)}}", definition: B.}
"""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_catalogue_is_named_with_its_file(fault: str, tmp_path: Path) -> None:
    (tmp_path / "try.yaml").write_text(TEXT, encoding="utf-8")
    assert [f.name for f in catalogue.load(tmp_path)[0].features] == ["a_count", "b_cny"]
    before, after, told = FAULTS[fault]
    (tmp_path / "try.yaml").write_text(TEXT.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"try\.yaml") as caught:
        catalogue.load(tmp_path)
    assert told in str(caught.value)


def test_a_value_that_calls_no_function_is_named(tmp_path: Path) -> None:
    (tmp_path / "try.yaml").write_text(TEXT.replace("total(", "sum_of("), encoding="utf-8")
    feature = catalogue.load(tmp_path)[0].features[1]
    with pytest.raises(ConfigError, match="feature b_cny cannot be read"):
        statement.render(feature)
