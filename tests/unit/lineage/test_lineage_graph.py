"""The project's own lineage: complete, as precise as promised, and with nothing of the bureau in the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from lakehouse import contracts
from lakehouse.cli import main
from lakehouse.errors import ConfigError
from lakehouse.settings import PROJECT_DIR, get_settings
from lineage import forbidden, models, store, tree
from lineage import graph as lineage
from lineage.graph import FEATURES, OUTCOMES, ROWS, VALUE, Graph

KNOWN = contracts.load_all(PROJECT_DIR / "contracts")
MODEL = "enterprise_scorecard"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return lineage.build(KNOWN, PROJECT_DIR, [models.candidates(PROJECT_DIR)])


@pytest.fixture
def planted(tmp_path: Path):
    """The graph of a copy of the project after texts of its dbt models were replaced."""

    def plant(*edits: tuple[str, str, str]) -> Graph:
        shutil.copytree(PROJECT_DIR / "dbt_project", tmp_path / "dbt_project", dirs_exist_ok=True)
        for name, old, new in edits:
            path = tmp_path / "dbt_project" / "models" / name
            text = path.read_text(encoding="utf-8")
            assert old in text
            path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return lineage.build(KNOWN, tmp_path, [models.candidates(tmp_path)])

    return plant


def features(graph: Graph, column: str, kinds: tuple[str, ...] = (VALUE, ROWS)) -> set[str]:
    return {n.rpartition(".")[2] for n in graph.below([column], kinds) if n.startswith(f"{FEATURES}.")}


def test_every_table_is_followed_and_every_feature_comes_from_a_source(graph: Graph) -> None:
    from spark_jobs import feature_docs

    assert graph.notes == [], "a table of silver does what lineage/frames.py does not know: teach it"
    for feature in feature_docs.definitions():
        above = graph.above([f"{feature.table}.{feature.name}"], (VALUE,))
        assert any(graph.nodes[n].kind == "source" for n in above), feature.name
    for contract in KNOWN.values():
        for column in contract.columns:
            assert f"{contract.bronze_table}.{column.name}" in graph.below([f"{contract.id}.{column.name}"], (VALUE,))
            if contract.silver:
                table = contract.silver.table
                assert f"{table}.{column.name}" in graph.below([f"{contract.id}.{column.name}"], (VALUE,))
    assert all(edge.source in graph.nodes and edge.target in graph.nodes for edge in graph.edges)


def test_models_that_readers_get_are_called_gold_and_steps_dbt(graph: Graph) -> None:
    tables = {n.id for n in graph.nodes.values() if n.is_table and n.id.startswith(("gold.", "dbt."))}
    # What is carried on from an earlier date is what would be computed: of that model nothing is made.
    names = {path.stem for path in (PROJECT_DIR / "dbt_project" / "models").glob("**/*.sql")} - {"int_carried"}
    others = "gold.enterprise_source_features"
    findings = {"gold.contradiction", "gold.trade_match", "gold.trade_unmatched"}
    assert {name.partition(".")[2] for name in tables - findings} == names | {
        "enterprise_score",
        "enterprise_source_features",
    }
    bases = {"gold.invoice_change", "gold.enterprise_flow_daily", "gold.enterprise_pair_monthly"}
    gold = {"gold.enterprise_features", others, *bases}
    assert {name for name in tables if name.startswith("gold.")} == gold | findings | {lineage.SCORES}


def test_findings_are_made_of_the_sources_that_their_statements_compare(graph: Graph) -> None:
    def sources(column: str) -> set[str]:
        return {n.partition("__")[0] for n in graph.above([column], (VALUE,)) if graph.nodes[n].kind == "source"}

    assert sources("gold.trade_match.amount") == {"payments", "platform"}
    assert sources("gold.trade_match.invoice_number") == {"vat_invoices"}
    assert {"customs", "social_insurance", "payments", "land", "platform"} <= sources("gold.contradiction.evidence")
    assert "bureau" not in sources("gold.contradiction.evidence")
    assert not features(graph, "silver.land_plot.claimed_area_mu") and "gold.contradiction.checks" in graph.below(
        ["silver.land_plot.claimed_area_mu"]
    )


def test_an_invoice_s_tax_reaches_the_features_of_tax_and_no_others(graph: Graph) -> None:
    found = features(graph, "gov_tax__sale_invoice.tax_cny")
    assert {"sales_tax_12m_cny", "vat_gap_12m_ratio", "sales_untaxed_amount_12m_ratio"} <= found
    assert all("tax" in name or "vat" in name for name in found)
    assert "sales_amount_12m_cny" in features(graph, "gov_tax__sale_invoice.amount_excl_tax_cny", (VALUE,))
    # Another remark makes another version, which features count by, but no feature is made of it.
    assert not features(graph, "vat_invoices__invoice.remark", (VALUE,))


def test_what_is_known_when_decides_every_feature(graph: Graph) -> None:
    everything = {n.rpartition(".")[2] for n in graph.columns(FEATURES)}
    assert features(graph, "silver.vat_invoice.known_at") == everything
    assert features(graph, "silver.vat_invoice.known_at", (VALUE,)) < everything


def test_the_graph_is_the_same_each_time_and_whichever_way_it_is_walked(graph: Graph) -> None:
    again = lineage.build(dict(reversed(KNOWN.items())), PROJECT_DIR, [models.candidates(PROJECT_DIR)])
    assert again.edges == graph.edges and set(again.nodes) == set(graph.nodes)
    for column in ("bureau__report.accounts", "gov_tax__sale_invoice.tax_cny", "silver.enterprise.known_at"):
        assert all(column in graph.above([reached]) for reached in graph.below([column]))


def test_no_bureau_column_reaches_the_model(graph: Graph) -> None:
    assert forbidden.reaching(graph, "bureau", MODEL) == []
    assert forbidden.reaching(graph, "personal", MODEL) == []
    told = {way.source for way in forbidden.reaching(graph, "bureau", MODEL, outcomes=True)}
    assert "bureau__report.adverse" in told, "loans at other lenders tell outcomes"
    assert forbidden.reaching(graph, "vat_invoices", MODEL)


def test_a_bureau_column_planted_in_a_feature_is_found_with_its_way(planted) -> None:
    graph = planted(
        ("features/features_days.sql", "from spine\n",
         "from spine\nleft join (select enterprise_id, max(dpd31_on) as late_on from {{ source('silver', 'loan') }} "
         "group by enterprise_id) as late on spine.enterprise_id = late.enterprise_id\n"),
        ("features/features_days.sql", "-- tenure", "datediff(spine.as_of, late_on) as since_late_days,\n -- tenure"),
        ("features/features_days.yml", "      - name: since_last_sale_days",
         "      - name: since_late_days\n        config: {meta: {group: recency}}\n      - name: since_last_sale_days"),
    )  # fmt: skip
    ways = {way.source: way for way in forbidden.reaching(graph, "bureau", MODEL)}
    way = ways["bureau__report.adverse"]
    assert [edge.target for edge in way.edges] == [
        "bronze.bureau__report.adverse", "silver.bureau_report.adverse", "silver.loan.dpd31_on",
        "dbt.features_days.since_late_days", "gold.enterprise_features.since_late_days", MODEL,
    ]  # fmt: skip
    assert "silver.loan.dpd31_on" in forbidden.text(graph, way)


def test_a_bureau_column_that_only_picks_firms_is_found(planted) -> None:
    graph = planted(
        ("features/enterprise_features.sql", "from {{ ref('int_spine') }} as spine\n",
         "from (select * from {{ ref('int_spine') }} where enterprise_id not in (select enterprise_id "
         "from {{ source('silver', 'loan') }} where dpd90_on is not null)) as spine\n"),
    )  # fmt: skip
    ways = forbidden.reaching(graph, "bureau", MODEL)
    assert any(ROWS in {edge.kind for edge in way.edges} for way in ways)
    assert "decides the rows of gold.enterprise_features" in forbidden.text(graph, ways[0])


def test_a_bureau_column_planted_in_silver_s_code_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from spark_jobs import silver, silver_economy

    def enterprise(reader):
        rated = reader.silver("silver.bureau_report").selectExpr("uscc AS enterprise_id", "balance_cny").distinct()
        return (
            silver_economy.enterprise(reader).join(rated, "enterprise_id").where("balance_cny > 0").drop("balance_cny")
        )

    files, makers = silver.CONFORMED["silver.enterprise"]
    monkeypatch.setitem(silver.CONFORMED, "silver.enterprise", (files, (makers[0], enterprise)))
    lineage._of_texts.cache_clear()
    try:
        graph = lineage.build(KNOWN, PROJECT_DIR, [models.candidates(PROJECT_DIR)])
        assert "bureau__report.balance_cny" in {way.source for way in forbidden.reaching(graph, "bureau", MODEL)}
    finally:
        lineage._of_texts.cache_clear()


def test_code_that_cannot_be_followed_counts_as_made_of_all_that_it_may_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from spark_jobs import silver

    def breaks(reader):
        raise RuntimeError("needs rows")

    monkeypatch.setitem(silver.CONFORMED, "silver.credit_record", (("bank__credit_record",), (breaks,)))
    lineage._of_texts.cache_clear()
    try:
        graph = lineage.build(KNOWN, PROJECT_DIR)
        assert "silver.credit_record" in graph.notes[0]
        assert OUTCOMES in graph.below(["bank__credit_record.name"])
    finally:
        lineage._of_texts.cache_clear()


def test_who_is_who_is_made_of_all_that_departments_are_asked_for(graph: Graph) -> None:
    pytest.importorskip("spark_jobs.identity.job")
    above = graph.above(["silver.enterprise_key"])
    assert {"gas__account.certificate_number", "business_registry__enterprise.uscc", "gas__account.name"} <= set(above)
    assert "gas__bill.volume_m3" not in above and "silver.enterprise_key" not in graph.above(["silver.gas_account"])


def test_a_table_that_nobody_makes_is_noted(planted) -> None:
    last = ") as as_of) where as_of >= (select max(day) from {{ source('silver', 'calendar') }})"
    graph = planted(("intermediate/int_as_of.sql", ") as as_of)", last))
    assert graph.notes == ["silver.calendar is read, and nothing says what it is made of"]
    assert "silver.calendar" in graph.above(["silver.calendar.day"])


def test_words_and_columns_that_nobody_knows_are_told_with_close_names(graph: Graph) -> None:
    with pytest.raises(ConfigError) as error:
        graph.find("silver.vat_invoice.tax_cyn")
    assert "silver.vat_invoice.tax_cny" in str(error.value)
    assert graph.find("sales_tax_12m_cny").id == f"{FEATURES}.sales_tax_12m_cny"
    with pytest.raises(ConfigError, match="did you mean"):
        forbidden.reaching(graph, "burau", MODEL)


def test_json_holds_both_directions_in_order(graph: Graph) -> None:
    told = tree.as_json(graph, "silver.credit_record.is_bad", True, True)
    assert [n["id"] for n in told["nodes"]] == [
        "bank__credit_record.is_bad", "bronze.bank__credit_record.is_bad", "outcome", "silver.credit_record.is_bad",
    ]  # fmt: skip
    assert told["nodes"][0]["system"] == "bank" and told["nodes"][0]["classification"] == "confidential"
    assert {"from": "silver.credit_record.is_bad", "to": "outcome", "kind": "value"} in told["edges"]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`vinelake` on a data folder of its own, without a tracking server."""
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("VINELAKE_MLFLOW_PORT", "1")
    get_settings.cache_clear()
    yield lambda *words: CliRunner().invoke(main, ["lineage", *words])
    get_settings.cache_clear()


def test_the_command_shows_a_tree_and_keeps_the_graph(command, tmp_path: Path) -> None:
    shown = command("gov_tax__sale_invoice.tax_cny", "--down")
    assert shown.exit_code == 0, shown.output
    assert (
        "bronze.gov_tax__sale_invoice.tax_cny → silver.vat_invoice.tax_cny → dbt.stg_vat_invoice.tax_fen"
        in shown.output
    )
    assert "candidate features" in shown.output and "registry of models was not asked" in shown.stderr
    kept = (tmp_path / "var" / "lineage" / "graph.json").stat().st_mtime_ns
    again = command("gov_tax__sale_invoice.tax_cny", "--down", "--json")
    assert (tmp_path / "var" / "lineage" / "graph.json").stat().st_mtime_ns == kept
    told = json.loads(again.stdout)
    assert {"id": MODEL, "kind": "model", "rows": False, "inputs by": models.CANDIDATES} in told["nodes"]
    assert command("silver.nothing.here").exit_code == 1


def test_the_graph_is_read_anew_when_a_statement_or_catalogue_changes() -> None:
    watched = {path for pattern in store.TEXTS for path in PROJECT_DIR.glob(pattern)}
    folders = [PROJECT_DIR / "dbt_project" / name for name in ("models", "macros", "contradictions", "source_features")]
    read = {path for folder in folders for end in ("sql", "yaml") for path in folder.rglob(f"*.{end}")}
    assert len(read) > 60 and read <= watched


def test_the_command_ends_with_one_where_a_forbidden_column_arrives(command) -> None:
    clean = command("--forbid", "bureau", MODEL)
    assert clean.exit_code == 0 and "nothing of bureau reaches" in clean.stdout and "--outcomes" in clean.stderr
    found = command("--forbid", "bureau", MODEL, "--outcomes")
    assert found.exit_code == 1 and "tells the outcomes of" in found.stdout
    reached = command("--forbid", "vat_invoices", MODEL, "--json")
    assert reached.exit_code == 1
    assert all(json.loads(line)["target"] == MODEL for line in reached.stdout.splitlines())


@pytest.mark.services
def test_a_registered_version_is_told_by_its_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature

    from ml import tracking

    class Nothing(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return [0.0] * len(model_input)

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = tracking.client(uri)
    assert models.known(PROJECT_DIR, uri=uri)[1] == "no version is registered with an alias yet"
    inputs = pd.DataFrame({"sales_tax_12m_cny": [1.0], "vat_gap_12m_ratio": [0.1]})
    with tracking.run("test", {"author": "engineer"}) as run_id:
        logged = mlflow.pyfunc.log_model(
            name="scorecard", python_model=Nothing(), signature=infer_signature(inputs), pip_requirements=["mlflow"]
        )
    number = tracking.register(client, logged.model_uri, run_id, {"kind": "scorecard"})
    tracking.Registry(client).set_alias("champion", number)
    (found,), reason = models.known(PROJECT_DIR, uri=uri)
    assert reason is None and found.features == ("sales_tax_12m_cny", "vat_gap_12m_ratio")
    graph = lineage.build(KNOWN, PROJECT_DIR, [found])
    assert features(graph, "silver.vat_invoice.tax_cny") & {
        e.source.rpartition(".")[2] for e in graph.parents(found.id, (VALUE,))
    }
    assert f"{MODEL}.{number} (champion): inputs by its registered signature" in tree.told_by(graph)
