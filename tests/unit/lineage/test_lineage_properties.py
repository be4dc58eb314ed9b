"""Lineage is never too little: what DuckDB shows to depend on a column is told to be made of it, for random queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import duckdb
import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.queries import evaluate_query
from lineage.values import Relation, table

TABLES = {"t": ("k", "a", "b", "c"), "u": ("k", "v", "w")}
ROWS = {
    "t": [(1, 3, 0, 5), (1, -2, 4, 4), (2, 7, 7, 1), (3, 0, -1, 2), (4, 5, 5, -3)],
    "u": [(1, 2, 9), (2, 0, 4), (2, 6, -1), (5, 1, 1)],
}


@st.composite
def expressions(draw: st.DrawFn, columns: list[str], depth: int = 2) -> str:
    """A number made of columns."""
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(columns))
    one, two = (draw(expressions(columns, depth - 1)) for _ in range(2))
    form = draw(
        st.sampled_from(
            [
                "({0} + {1})",
                "abs({0} - {1})",
                "coalesce({0}, {1})",
                "greatest({0}, {1})",
                "case when {0} > {1} then {1} end",
            ]
        )
    )
    return form.format(one, two)


@st.composite
def selects(draw: st.DrawFn, columns: list[str], source: str) -> tuple[list[str], str]:
    """A query over a source with the given columns, and the names of its own."""
    pick = lambda: draw(expressions(columns))  # noqa: E731
    where = f" where {pick()} > {draw(st.integers(-2, 4))}" if draw(st.booleans()) else ""
    kind = draw(st.sampled_from(["plain", "grouped", "window", "distinct", "union"]))
    if kind == "grouped":
        key = pick()
        sums = [f"sum({pick()})", f"count({pick()})", "count(*)", f"max({pick()}) filter (where {pick()} > 1)"]
        chosen = draw(st.lists(st.sampled_from(sums), min_size=1, max_size=3, unique=True))
        items = [f"{key} as g", *(f"{s} as s{n}" for n, s in enumerate(chosen))]
        having = f" having sum({pick()}) > 0" if draw(st.booleans()) else ""
        return [
            "g",
            *(f"s{n}" for n in range(len(chosen))),
        ], f"select {', '.join(items)} from {source}{where} group by 1{having}"
    if kind == "window":
        key = pick()
        over = f"over (partition by {key} order by {', '.join(columns)})"
        items = [
            f"{pick()} as x",
            f"sum({pick()}) over (partition by {pick()}) as p",
            f"row_number() {over} as n",
            f"lag({pick()}) {over} as l",
        ]
        return ["x", "p", "n", "l"], f"select {', '.join(items)} from {source}{where}"
    if kind == "union":
        first, second = (f"select {pick()} as x, {pick()} as y from {source}{where}" for _ in range(2))
        return ["x", "y"], f"{first} union all {second}"
    distinct = "distinct " if kind == "distinct" else ""
    return ["x", "y"], f"select {distinct}{pick()} as x, {pick()} as y from {source}{where}"


@st.composite
def queries(draw: st.DrawFn) -> str:
    """A query in steps: a join, something made of it, and something made of that."""
    join = draw(
        st.sampled_from([
            "t", "t inner join u using (k)", "t left join u using (k)", "t left join u on t.k = u.k and u.v > t.b",
            "t full outer join u using (k)", "t cross join (select max(v) as v, sum(w) as w from u) as u",
            "t left semi join u on t.k = u.k", "t inner join (select k, v, w from u where w > 0) as u on t.k = u.k",
        ])
    )  # fmt: skip
    columns = ["t.a", "t.b", "t.c"] if join == "t" or "semi" in join else ["t.a", "t.b", "t.c", "u.v", "u.w"]
    names, first = draw(selects(columns, join))
    names, second = draw(selects(names, "first_step"))
    names, third = draw(selects(names, "second_step"))
    return f"with first_step as ({first}), second_step as ({second}) {third}"


def outcome(connection: duckdb.DuckDBPyConnection, steps: str, rows: dict[str, list[tuple]]) -> dict[str, Counter]:
    """The values of each column of a query (its `with` left out), as often as they occur."""
    given = [
        f"{name}({', '.join(columns)}) as (values {', '.join(map(str, rows[name]))})"
        for name, columns in TABLES.items()
    ]
    found = connection.execute(f"with {', '.join(given)}, {steps}")
    names, values = [d[0] for d in found.description], found.fetchall()
    return {name: Counter(row[place] for row in values) for place, name in enumerate(names)}


def in_duckdb(query: str) -> str:
    """A query that begins with `with`, in DuckDB's words and without that one."""
    return sqlglot.transpile(query, read="spark", write="duckdb")[0].removeprefix("WITH ")


def changes() -> Iterator[tuple[str, dict[str, list[tuple]]]]:
    """Each column in turn with other values, and each table with other rows."""
    for name, columns in TABLES.items():
        for place, column in enumerate(columns):
            for shift in (1, -4):
                changed = [
                    tuple(v + shift * (n + 1) if p == place else v for p, v in enumerate(row))
                    for n, row in enumerate(ROWS[name])
                ]
                yield f"{name}.{column}", {**ROWS, name: changed}
        yield name, {**ROWS, name: [*ROWS[name], ROWS[name][0]]}


def told(relation: Relation, column: str) -> frozenset[str]:
    """All that a column of a query is said to be made of, the rows of the query among it."""
    value = relation.columns[column.lower()]
    return value.computed | value.decided_by | relation.rows


@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(query=queries())
def test_whatever_changes_a_result_is_told(query: str) -> None:
    relation = evaluate_query(sqlglot.parse_one(query, dialect="spark"), lambda name: table(name, TABLES[name]))
    steps = in_duckdb(query)
    with duckdb.connect(config={"threads": 1}) as connection:
        before = outcome(connection, steps, ROWS)
        for changed, rows in changes():
            after = outcome(connection, steps, rows)
            for column in before:
                if after[column] != before[column]:
                    assert changed in told(relation, column), f"{column} depends on {changed}: {query}"


def test_the_test_above_can_fail() -> None:
    query = "with s as (select a, b from t where c > 1) select a + b as x from s"
    relation = evaluate_query(sqlglot.parse_one(query, dialect="spark"), lambda name: table(name, TABLES[name]))
    assert told(relation, "x") == {"t", "t.a", "t.b", "t.c"}
    changed = next(rows for name, rows in changes() if name == "t.c")
    with duckdb.connect() as connection:
        assert outcome(connection, in_duckdb(query), changed) != outcome(connection, in_duckdb(query), ROWS)
    assert "u.v" not in told(relation, "x")
    with pytest.raises(KeyError):
        told(relation, "none")
