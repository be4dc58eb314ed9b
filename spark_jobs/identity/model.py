"""The model by which names, addresses and telephones are compared: one set of Splink settings for both back ends.

Every expression is SQL that DuckDB and Spark both know, on columns made beforehand (`mentions`). The parameters are
trained once and kept in `model.json`, so a pair has one weight for ever, whatever else is known: that makes a day's
run equal a rebuild. Term frequencies are left out for the same reason; `STRONG` names guard against shared addresses.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa

FILE = Path(__file__).with_name("model.json")
LINK_WEIGHT = 7.0  # log2 of the odds; above it a pair links by itself
REVIEW_WEIGHT = -4.0  # from here up to LINK_WEIGHT a person decides
MARGIN = 4.0  # the best enterprise must lead the next by this much, else a person decides
# Two firms of one name: by law there is none within a registration authority, so the chance is set, not counted.
# The share of pairs that are one firm is that of one among a million.
PRIOR = 1e-6
# Of mentions of one firm, those with the same address (or telephone): firms move, and offices hear of it late.
KEPT = 0.85
SAME_PLACE = "(place_l = place_r OR place_l IS NULL OR place_r IS NULL)"


def differing(a: str, b: str, longest: int = 16) -> str:
    """SQL for the number of places at which two texts of one length differ.

    DuckDB's `levenshtein` counts bytes, three to a Chinese character; Spark's counts characters.
    """
    return " + ".join(
        f"CASE WHEN substr({a}, {i}, 1) <> substr({b}, {i}, 1) THEN 1 ELSE 0 END" for i in range(1, longest + 1)
    )


# (what it is, when it holds, chance among mentions of one firm, among different firms); None where it is counted.
# The others are set: too rare for a sample, or a habit that the firms of a training world do not have.
NAME_LEVELS: tuple[tuple[str, str, float | None, float | None], ...] = (
    ("same name", "whole_l = whole_r", None, 1e-11),
    ("same sound", "whole_sound_l = whole_sound_r", None, 3e-11),
    ("same name, a place is missing", "core_l = core_r AND (place_l IS NULL OR place_r IS NULL)", 0.02, 1e-9),
    ("same sound, a place is missing", "core_sound_l = core_sound_r AND (place_l IS NULL OR place_r IS NULL)",
     0.002, 3e-9),
    ("one character differs",
     f"length(core_l) = length(core_r) AND length(core_l) > 3 AND {differing('core_l', 'core_r')} = 1 AND {SAME_PLACE}",
     None, None),
    ("same brand and place", "brand_sound_l = brand_sound_r AND place_l = place_r", 0.001, None),
    ("same place and trade", "place_l = place_r AND trade_l = trade_r", None, None),
)  # fmt: skip
# Gammas count from the last level up. These may link by themselves; a shared address or telephone never does.
GAMMA_STRONG = len(NAME_LEVELS) - 4  # the first four levels, and one character's difference
COLUMNS = ("profile_id", "place", "core", "trade", "whole", "core_sound", "whole_sound", "brand_sound", "head_sound",
           "tail_sound", "address_key", "phone_key")  # fmt: skip
# Equal pairs of columns are few by themselves; of an address or telephone that many share only like names are taken.
BLOCKS = (
    "l.whole_sound = r.whole_sound",
    "l.core_sound = r.core_sound AND (l.place IS NULL OR r.place IS NULL)",
    "l.phone_key = r.phone_key AND l.head_sound = r.head_sound",
    "l.phone_key = r.phone_key AND l.tail_sound = r.tail_sound",
    "l.address_key = r.address_key AND l.head_sound = r.head_sound",
    "l.address_key = r.address_key AND l.tail_sound = r.tail_sound",
)


def settings() -> dict[str, Any]:
    """Untrained settings: comparisons of name, address and telephone, and blocking rules."""
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "profile_id",
        "probability_two_random_records_match": PRIOR,
        "retain_matching_columns": True,
        "retain_intermediate_calculation_columns": False,
        "blocking_rules_to_generate_predictions": [{"blocking_rule": rule} for rule in BLOCKS],
        "comparisons": [_name(), _equal("address", "address_key"), _equal("phone", "phone_key")],
    }


def load() -> dict[str, Any]:
    """The trained settings; they hold the same comparisons and blocks as `settings`."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def train(labelled: pa.Table) -> dict[str, Any]:
    """Settings with parameters: m from profiles of one `enterprise_id`, u from random pairs.

    labelled: COLUMNS and `enterprise_id`, one row a profile and enterprise that a sound code has shown. Codes are no
    part of the comparison, so what they label is as faulty as what they cannot.
    """
    from splink import DuckDBAPI, Linker

    logging.getLogger("splink").setLevel(logging.ERROR)
    api = DuckDBAPI()
    linker = Linker(api.register(labelled), settings(), log_level=None)
    linker.training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
    linker.training.estimate_m_from_label_column("enterprise_id")
    return _rounded(linker.misc.save_model_to_json())


def strong(gamma: str = "gamma_name") -> str:
    """SQL that holds where the names are alike enough to link by themselves."""
    return f"{gamma} >= {GAMMA_STRONG}"


def _name() -> dict[str, Any]:
    levels: list[dict[str, Any]] = [
        {"sql_condition": "whole_l IS NULL OR whole_r IS NULL", "label_for_charts": "no name", "is_null_level": True}
    ]
    for label, condition, same, different in NAME_LEVELS:
        level: dict[str, Any] = {"sql_condition": condition, "label_for_charts": label}
        if same is not None:
            level |= _set(same)
        if different is not None:
            level |= {"u_probability": different, "fix_u_probability": True}
        levels.append(level)
    return {"output_column_name": "name", "comparison_levels": [*levels, _else(0.001)]}


def _equal(name: str, column: str) -> dict[str, Any]:
    missing = f"{column}_l IS NULL OR {column}_r IS NULL"
    return {
        "output_column_name": name,
        "comparison_levels": [
            {"sql_condition": missing, "label_for_charts": "not told", "is_null_level": True},
            {"sql_condition": f"{column}_l = {column}_r", "label_for_charts": "equal", **_set(KEPT)},
            _else(1 - KEPT),
        ],
    }


def _else(same: float) -> dict[str, Any]:
    return {"sql_condition": "ELSE", "label_for_charts": "all other", **_set(same)}


def _set(same: float) -> dict[str, Any]:
    return {"m_probability": same, "fix_m_probability": True}


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    """Four digits of a chance are enough, and make the file readable."""
    for comparison in told["comparisons"]:
        for level in comparison["comparison_levels"]:
            for name in ("m_probability", "u_probability"):
                if level.get(name) is not None:
                    level[name] = float(f"{level[name]:.4g}")
    return {name: told[name] for name in (*settings(), "bayes_factor_column_prefix") if name in told}
