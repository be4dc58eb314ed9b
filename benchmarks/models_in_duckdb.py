"""The dbt models as DuckDB reads them: rendered as for a what-if, translated by sqlglot, plan and all.

What sqlglot leaves as it was is rewritten here. Only what the models use is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import sqlglot
from sqlglot import exp

from spark_jobs import invoice_features

PREFIX = "duck"


def statements(dates: Sequence[date], relations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each model's name and the statement that makes it, after those it reads.

    What dbt stores is a table here too, and so is each family of features: the last statement would hold all at once.
    """
    for name, query, stored in invoice_features.rendered(dates, relations, PREFIX):
        kind = "TABLE" if stored or name.startswith("features_") else "VIEW"
        yield name, f"CREATE OR REPLACE {kind} {PREFIX}_{name} AS {translated(query)}"


def same_plan(dates: Sequence[date], relations: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Each model's name and the statements that make it."""
    made = statements(dates, relations)
    return [(n, list(_by_date(dates, relations)) if n == "features_ticket" else [statement]) for n, statement in made]


def _by_date(dates: Sequence[date], relations: Mapping[str, str]) -> Iterator[str]:
    """Statements that make `features_ticket` date by date: of all dates at once, the invoices of a year with their
    buyers' records spill more than 60 GB of 20 million."""
    made = f"{PREFIX}_features_ticket"
    for place, day in enumerate(dates):
        found = dict(statements([day], relations))
        yield from (found[name] for name in ("int_as_of", "int_current_invoice", "features_ticket"))
        rows = f"FROM {made} WHERE as_of = DATE '{day}'"
        yield f"INSERT INTO tickets {rows}" if place else f"CREATE OR REPLACE TABLE tickets AS {rows}"
    yield f"CREATE OR REPLACE TABLE {made} AS FROM tickets"
    yield dict(statements(dates, relations))["int_as_of"]


def plain_statements(day: date, relations: Mapping[str, str]) -> list[str]:
    """What makes the features of one date the plain way, without bases that hold what was known when: a window function
    finds each invoice's latest version known by then, and the features are made of these rows."""
    known = (
        f"SELECT * EXCLUDE (known_day, superseded_day), DATE '{day}' AS known_on, 1 AS sign "
        f"FROM {PREFIX}_stg_vat_invoice WHERE known_day <= DATE '{day}' "
        "QUALIFY row_number() OVER (PARTITION BY invoice_id ORDER BY version_no DESC) = 1"
    )
    plain = f"CREATE OR REPLACE TABLE {PREFIX}_invoice_change AS {known}"
    return [plain if name == "invoice_change" else made for name, made in statements([day], relations)]


def translated(query: str) -> str:
    """A query of Spark's in DuckDB's words."""
    tree = sqlglot.parse_one(query, read="spark")
    for only_sparks in list(tree.find_all(exp.Hint, exp.Sort)):
        only_sparks.pop()
    return tree.transform(_rewritten).sql(dialect="duckdb", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)


def _rewritten(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.DateTrunc | exp.TimestampTrunc) and node.unit.name == "MM":
        return exp.cast(exp.Anonymous(this="date_trunc", expressions=[exp.Literal.string("month"), node.this]), "date")
    if isinstance(node, exp.Quantile):  # between neighbours, as Spark's percentile
        return exp.Anonymous(this="quantile_cont", expressions=[node.this, node.args["quantile"]])
    if isinstance(node, exp.DayOfWeek):  # Sunday is 0 here, 1 there
        day = exp.Anonymous(this="dayofweek", expressions=[node.this])
        return exp.paren(exp.Add(this=day, expression=exp.Literal.number(1)))
    if isinstance(node, exp.Exists):
        kept = exp.Anonymous(this="list_filter", expressions=[node.this, node.expression])
        return exp.GT(this=exp.Anonymous(this="len", expressions=[kept]), expression=exp.Literal.number(0))
    if isinstance(node, exp.Reduce) and node.args.get("finish"):
        return _longest_run_of_zeros(node.this)
    if isinstance(node, exp.Transform) and len(node.expression.expressions) > 1:
        return _counted_from_one(node)
    if isinstance(node, exp.Anonymous) and node.name.upper() == "ZIP_WITH":
        return _zipped(*node.expressions)
    if isinstance(node, exp.Anonymous) and node.name.upper() == "ARRAY_REPEAT":
        value, times = node.expressions
        return exp.Anonymous(this="list_resize", expressions=[exp.Array(expressions=[value]), times, value])
    return node


def _zipped(left: exp.Expression, right: exp.Expression, made: exp.Lambda) -> exp.Expression:
    """`zip_with(a, b, (x, y) -> …)`: a list of pairs, of which each is made."""
    places = {argument.name: number for number, argument in enumerate(made.expressions, start=1)}

    def of_pair(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column | exp.Identifier) and node.name in places and not node.args.get("table"):
            return exp.Bracket(this=exp.column("pair"), expressions=[exp.Literal.number(places[node.name] - 1)])
        return node

    body = made.this.transform(of_pair)
    pairs = exp.Anonymous(this="list_zip", expressions=[left, right])
    return exp.Anonymous(
        this="list_transform",
        expressions=[pairs, exp.Lambda(this=body, expressions=[exp.to_identifier("pair")])],
    )


def _counted_from_one(node: exp.Transform) -> exp.Transform:
    """`transform(xs, (x, i) -> …)`: the place of an element is counted from 0 there, from 1 here."""
    place = node.expression.expressions[1].name
    body = node.expression.this.transform(
        lambda n: (
            exp.paren(exp.Sub(this=exp.column(place), expression=exp.Literal.number(1)))
            if isinstance(n, exp.Column | exp.Identifier) and n.name == place and not isinstance(n.parent, exp.Column)
            else n
        )
    )
    node.expression.set("this", body)
    return node


def _longest_run_of_zeros(counts: exp.Expression) -> exp.Expression:
    """The one fold with a state of its own: DuckDB's folds give what the list holds."""
    text = (
        "coalesce(list_max(list_transform(string_split(array_to_string(list_transform(counts, "
        "lambda x: if(x = 0, '0', '1')), ''), '1'), lambda run: len(run))), 0)"
    )
    tree = sqlglot.parse_one(text, read="duckdb")
    return tree.transform(lambda n: counts if isinstance(n, exp.Column) and n.name == "counts" else n)
