"""Who a department's number is, as known at each asked date: the one place where sources meet enterprises.

An enterprise is the firm of one unified social credit code that the registry had told of by D. A department's number
leads to it by the code that the department held at D. A code that by D stood for two enterprises leads to none.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse import known

SUBJECT, REGISTRY = "silver.department_subject", "silver.registered_enterprise"
CODE = "code"
NOTHING = (
    "SELECT cast(null AS date) AS as_of, cast(null AS string) AS department, cast(null AS string) AS department_key, "
    "cast(null AS string) AS enterprise_id WHERE false"
)


def statement(dates: str, relations: Mapping[str, str]) -> str:
    """`as_of`, `department`, `department_key`, `enterprise_id`: one row per number that is resolved at that date.

    Department `code` holds the national codes themselves. `dates`: the relation of asked dates; `relations`: where the
    tables of silver that there are can be read.
    """
    if REGISTRY not in relations:
        return NOTHING
    codes = f"""
        SELECT as_of, code, min(uscc) AS enterprise_id
        FROM (
            SELECT dates.as_of, told.uscc, explode(array(told.uscc, told.registration_number)) AS code
            FROM {relations[REGISTRY]} AS told JOIN {dates} AS dates ON {known_by("told.known_at")}
            WHERE told.uscc IS NOT NULL
        )
        WHERE code IS NOT NULL GROUP BY as_of, code HAVING count(DISTINCT uscc) = 1"""
    listed = f"SELECT as_of, '{CODE}' AS department, code AS department_key, enterprise_id FROM codes"
    if SUBJECT not in relations:
        return f"WITH codes AS ({codes}) {listed}"
    keys = known.record_keys(SUBJECT)
    return f"""WITH codes AS ({codes}), said AS (
        SELECT *, {known.macro("superseded", keys)} AS superseded_when FROM {relations[SUBJECT]}
    )
    SELECT dates.as_of, said.department, said.department_key, codes.enterprise_id
    FROM said JOIN {dates} AS dates
        ON {known_by("said.known_at")} AND {not_yet_known("said.superseded_when")}
    JOIN codes ON codes.as_of = dates.as_of AND codes.code = said.code
    UNION ALL {listed}"""


def known_by(moment: str) -> str:
    """SQL: a moment is not after 00:00 of the asked date."""
    return f"{moment} <= cast(dates.as_of AS timestamp)"


def not_yet_known(moment: str) -> str:
    """SQL: a moment, if any, is after 00:00 of the asked date."""
    return f"({moment} IS NULL OR {moment} > cast(dates.as_of AS timestamp))"
