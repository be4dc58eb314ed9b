"""The report over a world written by hand: perfect answers, known errors, and questions without an answer."""

from __future__ import annotations

import json
from datetime import date

import pandas as pd
import pytest

from grader import report
from grader.ask import Answer
from grader.questions import QUESTIONS
from grader.truth import World
from lakehouse.errors import ConfigError

AS_OF = date(2024, 1, 1)
FIRMS = range(6)
KEYS = [("tax", "tax_returns", f"T{f}", f) for f in FIRMS] + [("water", "water", f"W{f}", f) for f in FIRMS]
SINCE = date(2022, 3, 1)  # when the planted lies begin


PERFECT = {
    "enterprises": [(f"e{f}", f"U{f}") for f in FIRMS],
    "identity": [(f"e{f}", system, department, key) for system, department, key, f in KEYS],
    "frauds": [("e1", "pos_ring", SINCE), ("e2", "pos_ring", date(2022, 4, 1)), ("e4", "farm_area", date(2022, 3, 31))],
    "defaults": [(f"e{f}", date(2022, 1, 1), 0.9 if f == 5 else 0.01 * f) for f in FIRMS],
    "flows": [("N1", "order", date(2021, 5, 1), 7), ("N5", "order", date(2021, 5, 1), 2),
              ("N1", "delivery", date(2021, 5, 1), 7),
              ("N1", "payment", date(2021, 6, 1), 123.45)],
    "alerts": [("e5", date(2022, 2, 1), "orders"), ("e4", date(2023, 3, 3), "court")],
}  # fmt: skip


def answers(**changes: list[tuple] | None) -> dict[str, Answer]:
    """Perfect answers, some replaced; None leaves the question unanswered."""
    given = {}
    for name, question in QUESTIONS.items():
        rows = changes.get(name, PERFECT[name])
        frame = None if rows is None else pd.DataFrame(rows, columns=list(question.columns))
        given[name] = Answer(question, frame, "" if rows is not None else f"{question.table} is not published")
    return given


def graded(world: World, **changes: list[tuple] | None) -> dict[tuple[str, str, str], report.Row]:
    rows = [report.Row(*row) for row in report.report(world, answers(**changes), AS_OF)]
    found = {(row.question, row.measure, row.kind): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_perfect_answers_are_ones(world):
    found = graded(world)
    whole = {"pairwise precision", "pairwise recall", "precision", "recall", "AUC", "KS"}
    judged = [row for row in found.values() if row.measure in whole and row.cases]
    assert len(judged) >= 15
    assert {row.value for row in judged} == {1}
    warned = {kind: row.value for (_, measure, kind), row in found.items() if measure == "defaults warned of"}
    assert warned == {"any": 1, "orders": 0.5, "court": 0.5}
    assert found["frauds", "look-alikes accused", "pos_ring"].value == 0
    assert found["frauds", "median days to find", "farm_area"].value == 30
    assert found["identity", "keys known to the lakehouse", ""].cases == len(KEYS)
    assert found["alerts", "median lead in days", "orders"].value == 120
    assert found["alerts", "defaults warned of", "any"].cases == 2


def test_known_errors_give_known_scores(world):
    merged = [("e1" if row[0] == "e2" else row[0], *row[1:]) for row in PERFECT["identity"]]
    found = graded(
        world,
        identity=[*merged, ("e9", "tax", "tax_returns", "nobody's")],
        frauds=[("e1", "pos_ring", date(2022, 3, 1)), ("e3", "pos_ring", date(2022, 3, 1))],
        flows=[("N1", "order", date(2021, 5, 1), 8), ("N2", "order", date(2021, 5, 1), 9)],
    )
    # Firms 1 and 2 share an enterprise of four keys: six pairs linked there, two of them right; four other pairs.
    assert found["identity", "pairwise precision", "all keys"].value == 0.6
    assert found["identity", "pairwise recall", "all keys"].value == 1
    assert found["identity", "keys that no department uses", ""].value == 1
    assert found["frauds", "precision", "pos_ring"].value == 0.5
    assert found["frauds", "recall", "pos_ring"].value == 1
    assert found["frauds", "recall", "farm_area"].value == 0
    assert found["frauds", "recall", "all"].value == 0.5
    assert found["frauds", "look-alikes accused", "pos_ring"].value == 1
    assert found["flows", "precision", "order"].value == 0
    assert found["flows", "recall", "payment"].value == 0


def test_pairs_with_a_key_without_code_are_counted_apart(world):
    apart = [(f"w{row[0]}" if row[1] == "water" else row[0], *row[1:]) for row in PERFECT["identity"]]
    found = graded(world, identity=apart)
    assert found["identity", "pairwise recall", "pairs with a key without code"].value == 0
    assert found["identity", "pairwise recall", "pairs with a key without code"].cases == len(FIRMS)


def test_only_borrowers_without_an_earlier_default_are_judged(world):
    scores = [(f"e{f}", day, 0.5) for f in FIRMS for day in (date(2022, 1, 1), date(2023, 1, 1))]
    found = graded(world, defaults=scores)
    assert found["defaults", "AUC", "2022-01-01"].cases == 5  # firm 0 has no loan any more
    assert found["defaults", "AUC", "2023-01-01"].cases == 4  # firm 5 defaulted in 2022
    assert found["defaults", "AUC", "2023-01-01"].value == 0.5


def test_scores_whose_year_is_not_over_are_not_judged(world):
    found = graded(world, defaults=[("e1", date(2023, 1, 2), 0.5)])
    assert "2023-01-01" in found["defaults", "AUC", ""].note
    assert found["defaults", "AUC", ""].value is None


def test_the_bound_and_the_true_pd_stand_beside_the_score(world):
    at = "2022-01-01"
    rows = [(f, future, f == 5 and future % 2 == 0, True) for f in range(1, 6) for future in range(8)]
    fork = pd.DataFrame(rows, columns=["firm_id", "future", "default", "at_risk"])
    fork.to_parquet(world.folder / f"fork-{at}.parquet")
    (world.folder / f"bound-{at}.json").write_text(
        json.dumps({"bound": {"auc": 0.81, "error_firms": 0.01, "firms": 5}})
    )
    found = graded(world)
    assert found["defaults", "AUC under true PD", at].value == 1
    assert found["defaults", "bound", at].value == 0.81
    assert found["defaults", "bound", at].low == 0.7904


def test_questions_without_an_answer_are_said_to_be(world):
    found = graded(world, **dict.fromkeys(QUESTIONS))
    assert {key[1] for key in found} == {"not answered yet"}
    assert {key[0] for key in found} == set(QUESTIONS) - {"enterprises"}
    assert found["alerts", "not answered yet", ""].note == "gold.alert is not published"


def test_enterprises_are_known_by_code_where_no_keys_are_linked(world):
    assert graded(world, identity=None)["frauds", "recall", "all"].value == 1
    assert graded(world, identity=None, enterprises=None)["frauds", "recall", "all"].value == 0


def test_a_folder_without_a_world_names_the_command(tmp_path):
    with pytest.raises(ConfigError, match="vinelake economy generate"):
        World.open(tmp_path)
