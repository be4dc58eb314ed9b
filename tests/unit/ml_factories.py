"""Small data with known properties, and stand-ins for the registry, for tests of models."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.binning import FeatureBins
from ml.configuration import load_config
from ml.scorecard import Scorecard
from ml.tracking import Version

CONFIG = load_config()
SIZE = list(CONFIG.features.size.values())
FEATURES = [*SIZE, "customer_hhi_12m_ratio", "sales_cv_12m_ratio", "since_last_sale_days", "sales_growth_12m_ratio"]


def portfolio(rows: int, seed: int = 1, strength: float = 1.2) -> pd.DataFrame:
    """Firms whose ln odds of bad fall with size and rise with concentration; the other features are noise."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=rows)
    concentration = rng.normal(size=rows)
    logit = -1.3 - strength * size + 0.8 * concentration
    frame = pd.DataFrame(
        {
            "enterprise_id": [f"E{i:05d}" for i in range(rows)],
            "as_of": pd.Timestamp("2020-01-01"),
            "history_months": 36,
            "sales_active_24m_months": 20,
            SIZE[0]: np.exp(13 + 1.5 * size),
            SIZE[1]: np.round(np.exp(5 + size + rng.normal(scale=0.5, size=rows))),
            SIZE[2]: np.exp(12 + 1.5 * size + rng.normal(scale=0.7, size=rows)),
            "customer_hhi_12m_ratio": 1 / (1 + np.exp(-concentration)),
            "sales_cv_12m_ratio": rng.gamma(2, 0.3, rows),
            "since_last_sale_days": rng.integers(0, 60, rows).astype(float),
            "sales_growth_12m_ratio": rng.uniform(-1, 1, rows),
            "is_bad": (rng.uniform(size=rows) < 1 / (1 + np.exp(-logit))).astype("int8"),
            "true_logit": logit,
        }
    )
    frame.loc[rng.choice(rows, rows // 20, replace=False), "sales_cv_12m_ratio"] = np.nan
    return frame


def bins(feature: str, splits: tuple[float, ...], woe: tuple[float, ...], missing_woe: float = 0.0) -> FeatureBins:
    """Bins with given weights of evidence; counts do not matter to scoring."""
    counts = (10,) * len(woe)
    return FeatureBins(feature, splits, woe, missing_woe, counts, counts, 0, 0, 0.1, "ascending")


def card(*features: FeatureBins, betas: tuple[float, ...], intercept: float) -> Scorecard:
    return Scorecard(tuple(features), betas, intercept, CONFIG.scorecard.scaling, CONFIG.scorecard.grades)


class FakeRegistry:
    """Versions, aliases and artefacts in memory, with the interface of `ml.tracking.Registry`."""

    name = "enterprise_scorecard"

    def __init__(self) -> None:
        self.versions: dict[str, Version] = {}
        self.stored: dict[str, dict] = {}
        self.named: dict[str, str] = {}
        self.artifacts: set[str] = set(CONFIG.promotion.required_artifacts)

    def add(self, number: str, evidence: dict, author: str = "engineer", partition: str = "2024-01-01") -> Version:
        tags = {"author": author, "kind": "scorecard", "candidate_of": partition, "snapshot_id": "s" + number}
        self.versions[number] = Version(number, f"run{number}", tags)
        self.stored[number] = evidence
        return self.versions[number]

    def version(self, number: str) -> Version | None:
        return self.versions.get(number)

    def aliases(self) -> dict[str, str]:
        return dict(self.named)

    def set_alias(self, alias: str, number: str) -> None:
        self.named[alias] = number

    def delete_alias(self, alias: str) -> None:
        self.named.pop(alias)

    def tag(self, number: str, key: str, value: str) -> None:
        self.versions[number].tags[key] = value

    def artifact_names(self, run_id: str) -> set[str]:
        return self.artifacts

    def evidence(self, version: Version) -> dict:
        return self.stored[version.number]

    def find(self, tag: str, value: str) -> Version | None:
        found = [v for v in self.versions.values() if v.tags.get(tag) == value]
        return max(found, key=lambda v: int(v.number)) if found else None


def interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def good_evidence(**changes: object) -> dict:
    """Evidence that passes every rule of the gate; `changes` replace parts of it."""
    return {
        "author": "engineer",
        "bads": 200,
        "features": 8,
        "auc": {"scorecard": interval(0.8, 0.76, 0.84)},
        "gains": {
            "scorecard over plain_regression": interval(-0.01, -0.03, 0.01),
            "scorecard over size_only": interval(0.04, 0.01, 0.07),
        },
        "calibration": {"mean_pd": 0.1, "bad_rate": 0.11, "gap": 0.01, "hosmer_lemeshow_p": 0.4},
        "stability": {"time": {"psi": 0.02, "limit": 0.05, "rows_before": 900, "rows_now": 400}},
        "out_of_time": None,
        **changes,
    }
