"""The shipped model: it is the one that the code states, and its weights say what the page says of them."""

from __future__ import annotations

import math

import pytest

from spark_jobs.identity import model


def weights(comparison: str) -> list[float]:
    """Of each level, most alike first: log2 of how much likelier it is among mentions of one firm."""
    found = next(c for c in model.load()["comparisons"] if c["output_column_name"] == comparison)
    levels = [level for level in found["comparison_levels"] if not level.get("is_null_level")]
    return [math.log2(level["m_probability"] / level["u_probability"]) for level in levels]


def test_the_shipped_model_is_what_the_code_compares() -> None:
    stated, shipped = model.settings(), model.load()
    for now, kept in zip(stated["comparisons"], shipped["comparisons"], strict=True):
        assert [level["sql_condition"] for level in now["comparison_levels"]] == [
            level["sql_condition"] for level in kept["comparison_levels"]
        ]
    rules = [r["blocking_rule"] for r in shipped["blocking_rules_to_generate_predictions"]]
    assert rules == list(model.BLOCKS)
    assert shipped["probability_two_random_records_match"] == model.PRIOR


@pytest.mark.parametrize("comparison", ["address", "phone"])
def test_agreement_weighs_for_and_difference_against(comparison: str) -> None:
    equal, different = weights(comparison)
    assert equal > 0 > different


def test_the_more_alike_the_names_the_more_they_weigh() -> None:
    found = weights("name")
    assert found[: model.GAMMA_STRONG + 2] == sorted(found[: model.GAMMA_STRONG + 2], reverse=True)
    assert found[-1] < 0


def test_what_links_by_itself_and_what_does_not() -> None:
    names, prior = weights("name"), math.log2(model.PRIOR / (1 - model.PRIOR))
    (address, moved), (phone, other_phone) = weights("address"), weights("phone")
    same, sound, short, short_sound, one_character = names[:5]
    assert prior + same + moved + other_phone >= model.LINK_WEIGHT  # the full name is enough
    assert prior + sound >= model.LINK_WEIGHT > prior + sound + moved + other_phone
    assert prior + short + address >= model.LINK_WEIGHT > prior + short
    assert prior + short_sound + phone >= model.LINK_WEIGHT > prior + short_sound
    assert prior + one_character + address + phone >= model.LINK_WEIGHT > prior + one_character + address
    assert prior + one_character + address >= model.REVIEW_WEIGHT
    assert prior + names[6] + address + phone < model.LINK_WEIGHT  # neighbours of one trade


def test_places_at_which_texts_differ_are_counted_in_characters() -> None:
    import duckdb

    for one, other, count in (("和安仓储", "和泰仓储", 1), ("和安仓储", "和安仓储", 0), ("金属材料", "全蜀材料", 2)):
        told = duckdb.sql(f"SELECT {model.differing('a', 'b')} FROM (SELECT '{one}' AS a, '{other}' AS b)")
        assert told.fetchall() == [(count,)]
