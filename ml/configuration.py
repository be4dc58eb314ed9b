"""Modelling policy as typed, versioned data: `ml/config/*.yaml`, read once and checked.

The files hold what a risk committee decides (target, scaling, grades, gates, wording); code holds none
of these figures.
"""

from __future__ import annotations

import hashlib
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lakehouse import plain_yaml
from lakehouse.errors import ConfigError

CONFIG_DIR = Path(__file__).resolve().parent / "config"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Exclusions(_Frozen):
    already_bad: bool
    no_exposure: bool
    thin_file: bool


class Undated(_Frozen):
    drop_groups: list[str]


class Target(_Frozen):
    """Target definition; windows in months, lag in days."""

    version: str
    valid_from: date
    valid_to: date | None
    source: str
    grain: str
    label_source: Literal["auto", "loan", "credit_record"]
    performance_window_months: int = Field(gt=0)
    reporting_lag_days: int = Field(ge=0)
    bad_events: list[str] = Field(min_length=1)
    indeterminate_events: list[str]
    exclusions: Exclusions
    undated: Undated
    observation_step_months: int = Field(ge=1)
    out_of_time_share: float = Field(gt=0, lt=1)


class Scaling(_Frozen):
    """Points scale: `pdo` points double the good:bad odds, `base_score` stands at `base_odds`:1."""

    pdo: float = Field(gt=0)
    base_score: float
    base_odds: float = Field(gt=0)


class Binning(_Frozen):
    prebins: int = Field(ge=2)
    max_bins: int = Field(ge=2)
    min_bin_share: float = Field(gt=0, le=0.5)
    trend: str
    trend_with_turn: str
    min_bads_for_turn: int = Field(ge=0)
    smoothing: float = Field(ge=0)
    min_missing: int = Field(ge=0)


class Selection(_Frozen):
    min_iv: float
    max_correlation: float = Field(gt=0, le=1)
    max_features: int = Field(ge=1)
    min_filled_share: float = Field(ge=0, le=1)


class Regression(_Frozen):
    c: float = Field(gt=0)
    min_point_range: float = Field(ge=0)


class Calibration(_Frozen):
    method: Literal["platt", "intercept"]


class MinimumHistory(_Frozen):
    """A firm with less is referred: calendar months since its first invoice, months with sales of the last 24."""

    months: int = Field(ge=0)
    active_sale_months: int = Field(ge=0)


class GradeBand(_Frozen):
    grade: str
    pd_below: float


class Grades(_Frozen):
    """PD bands in ascending order; the last one must reach beyond 1."""

    version: str
    bands: list[GradeBand]

    @model_validator(mode="after")
    def _ascending(self) -> Grades:
        bounds = [band.pd_below for band in self.bands]
        if bounds != sorted(set(bounds)) or bounds[-1] <= 1:
            raise ValueError("bands must ascend strictly in pd_below and the last must exceed 1")
        return self


class CrossValidation(_Frozen):
    folds: int = Field(ge=2)
    repeats: int = Field(ge=1)
    enough_bads: int = Field(ge=1)
    repeats_with_enough_bads: int = Field(ge=1)
    seed: int
    bootstrap: int = Field(ge=100)


class ScorecardConfig(_Frozen):
    version: str
    scaling: Scaling
    binning: Binning
    selection: Selection
    regression: Regression
    calibration: Calibration
    minimum_history: MinimumHistory
    grades: Grades
    crossval: CrossValidation


class Approval(_Frozen):
    valid_days: int = Field(gt=0)
    default_condition: str
    coverage_condition: str
    shift_condition: str
    leak_condition: str
    pilot_condition: str


class PromotionPolicy(_Frozen):
    version: str
    min_auc: float
    suspicious_auc: float
    min_gain_over_champion_lower: float
    min_gain_over_plain_regression_lower: float
    max_calibration_gap: float
    min_hosmer_lemeshow_p: float
    stability_confidence: float = Field(gt=0.5, lt=1)
    material_psi: float = Field(ge=0)
    min_bads: int
    low_default_bads: int = Field(ge=0)
    min_features: int
    required_artifacts: list[str]
    approval: Approval


class Family(_Frozen):
    """Features that tell one story: found by name pattern, explained to a client by one reason code."""

    name: str
    code: str
    patterns: list[str]
    text_en: str
    text_zh: str


class FeatureConfig(_Frozen):
    version: str
    keys: list[str]
    never: list[str]
    size: dict[str, str]
    history: dict[str, str]
    families: list[Family]

    @model_validator(mode="after")
    def _one_text_per_code(self) -> FeatureConfig:
        codes = [family.code for family in self.families]
        if len(codes) != len(set(codes)):
            raise ValueError("a reason code may belong to one family only")
        return self


class ModelConfig(_Frozen):
    """All modelling policy, with a fingerprint of the files it was read from (sha256, hex)."""

    target: Target
    scorecard: ScorecardConfig
    promotion: PromotionPolicy
    features: FeatureConfig
    fingerprint: str


_PARTS = {
    "target": Target,
    "scorecard": ScorecardConfig,
    "promotion": PromotionPolicy,
    "features": FeatureConfig,
}


def load_config(folder: Path = CONFIG_DIR) -> ModelConfig:
    """Read and check the policy files in a folder; `ConfigError` names file, field and fault."""
    parts: dict[str, object] = {}
    digest = hashlib.sha256()
    for name, model in _PARTS.items():
        path = folder / f"{name}.yaml"
        if not path.is_file():
            raise ConfigError(
                f"modelling policy file {path.name} is missing",
                where=str(path),
                remedy="restore it from version control",
            )
        raw = path.read_bytes()
        digest.update(name.encode() + b"\0" + raw)
        try:
            parts[name] = model.model_validate(plain_yaml.load(raw))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(step) for step in first["loc"])
            raise ConfigError(
                f"modelling policy is not usable: {first['msg']}",
                where=f"{path}: {field or 'whole file'}",
                remedy="correct the field; its meaning is in the comments of the file",
            ) from error
    return ModelConfig(**parts, fingerprint=digest.hexdigest())


@lru_cache(maxsize=1)
def get_config() -> ModelConfig:
    """The project's modelling policy, read once per process."""
    return load_config()
