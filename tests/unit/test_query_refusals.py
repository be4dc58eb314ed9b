"""Questions of people: what is refused before it reaches the engine."""

from __future__ import annotations

import pytest

from lakehouse import query
from lakehouse.errors import ConfigError

REFUSED = {
    "SELECT * FROM silver_build.loan": "no gate has passed",
    "SELECT * FROM silver_BUILD.loan": "no gate has passed",
    "SELECT * FROM `silver_build`.`loan`": "no gate has passed",
    "SELECT * FROM spark_catalog.silver_build.loan": "no gate has passed",
    "WITH x AS (SELECT * FROM silver_build.loan) SELECT 1 FROM gold.grade": "no gate has passed",
    "SELECT (SELECT max(principal) FROM silver_build.loan)": "no gate has passed",
    "SELECT * FROM gold.grade WHERE EXISTS (SELECT 1 FROM silver_build.loan)": "no gate has passed",
    "DESCRIBE HISTORY silver_build.loan": "no gate has passed",
    "SELECT * FROM delta.`/data/silver_build/loan`": "names files",
    "SELECT * FROM csv.`/etc/hostname`": "names files",
    "DELETE FROM silver.loan": "reading only",
    "INSERT INTO silver.loan SELECT * FROM silver.loan": "reading only",
    "MERGE INTO silver.loan AS a USING gold.grade AS b ON a.x = b.x WHEN MATCHED THEN DELETE": "reading only",
    "DROP VIEW silver.loan": "reading only",
    "CREATE TABLE x AS SELECT 1": "reading only",
    "SELECT 1; DROP VIEW silver.loan": "reading only",
    "SET spark.sql.ansi.enabled = false": "",
    "VACUUM silver.loan": "",
    "OPTIMIZE silver.loan": "",
    "RESTORE TABLE silver.loan TO VERSION AS OF 0": "",
    "SELEC 1": "",
    "SELECT FROM WHERE": "",
    "": "",
}  # fmt: skip


@pytest.mark.parametrize(("statement", "words"), REFUSED.items())
def test_builds_files_and_writes_are_refused(statement: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        query.run(None, statement)  # type: ignore[arg-type]
    assert words in caught.value.what
    assert caught.value.remedy
