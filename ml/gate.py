"""The promotion gate's rules: evidence in, findings out; pure.

A finding blocks or attaches a condition to the approval. Thresholds are policy (`ml/config/promotion.yaml`).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass

from ml.configuration import PromotionPolicy


@dataclass(frozen=True)
class Finding:
    """One rule's answer; a failed rule blocks, a condition must be carried by the approval."""

    rule: str
    passed: bool
    detail: str
    condition: str = ""


@dataclass(frozen=True)
class GateReport:
    """All findings on one version."""

    version: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return all(finding.passed for finding in self.findings)

    @property
    def conditions(self) -> list[str]:
        return [finding.condition for finding in self.findings if finding.condition]

    def to_dict(self) -> dict:
        return {
            "version": self.version,
            "passed": self.passed,
            "conditions": self.conditions,
            "findings": [asdict(finding) for finding in self.findings],
        }


def assess(
    version: str, evidence: Mapping, artifacts: Set[str], policy: PromotionPolicy, over_champion: Mapping | None
) -> GateReport:
    """Every rule on a version.

    `evidence`: what training stored (evidence.json); `artifacts`: paths of its run; `over_champion`: paired
    interval of the AUC gain over the champion's recipe on the same folds, None without a champion.
    """
    findings = [
        _artifacts(artifacts, policy),
        _sample(evidence, policy),
        _discrimination(evidence, policy),
        _plain_regression(evidence, policy),
        _champion(over_champion, policy),
        _calibration(evidence, policy),
        *_stability(evidence, policy),
        _size(evidence),
    ]
    return GateReport(version, tuple(findings))


def _artifacts(artifacts: Set[str], policy: PromotionPolicy) -> Finding:
    missing = [name for name in policy.required_artifacts if name not in artifacts]
    return Finding("artefacts", not missing, f"missing: {', '.join(missing)}" if missing else "all present")


def _sample(evidence: Mapping, policy: PromotionPolicy) -> Finding:
    enough = evidence["bads"] >= policy.min_bads and evidence["features"] >= policy.min_features
    return Finding(
        "sample",
        enough,
        f"{evidence['bads']} bads (at least {policy.min_bads}), {evidence['features']} "
        f"features (at least {policy.min_features})",
    )


def _discrimination(evidence: Mapping, policy: PromotionPolicy) -> Finding:
    """Out of time where enough went bad there to tell, else cross-validated; of a low-default portfolio by its value.

    The interval of a few dozen bads is wider than any model is good: its lower end would refuse every model.
    """
    auc, source = evidence["auc"]["scorecard"], "cross-validated"
    later = evidence.get("out_of_time")
    if later and later["bads"] >= policy.min_bads:
        auc, source = later["auc"]["scorecard"], "out of time"
    elif later:
        source += f" ({later['bads']} bads out of time are too few)"
    shown = auc["low"] >= policy.min_auc
    pilot = not shown and _is_low_default(evidence, policy) and auc["value"] >= policy.min_auc
    measure = "value" if pilot else "lower end"
    detail = f"AUC {auc['value']:.3f} ({auc['low']:.3f}–{auc['high']:.3f}), {source}; {measure} at least "
    conditions = [policy.approval.pilot_condition.format(bads=evidence["bads"])] if pilot else []
    if auc["value"] > policy.suspicious_auc:
        conditions.append(policy.approval.leak_condition)
    return Finding("discrimination", shown or pilot, f"{detail}{policy.min_auc:.2f}", " ".join(conditions))


def _is_low_default(evidence: Mapping, policy: PromotionPolicy) -> bool:
    return evidence["bads"] < policy.low_default_bads


def _gain(name: str, gain: Mapping, least: float, measure: str = "low") -> Finding:
    words = {"low": "lower end", "value": "value, in a low-default portfolio,"}[measure]
    return Finding(
        name,
        gain[measure] >= least,
        f"AUC gain {gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f}); {words} at least {least:+.2f}",
    )


def _plain_regression(evidence: Mapping, policy: PromotionPolicy) -> Finding:
    return _gain(
        "against plain regression",
        evidence["gains"]["scorecard over plain_regression"],
        policy.min_gain_over_plain_regression_lower,
        "value" if _is_low_default(evidence, policy) else "low",
    )


def _champion(over_champion: Mapping | None, policy: PromotionPolicy) -> Finding:
    if over_champion is None:
        return Finding("against champion", True, "there is no champion yet")
    return _gain("against champion", over_champion, policy.min_gain_over_champion_lower)


def _calibration(evidence: Mapping, policy: PromotionPolicy) -> Finding:
    check = evidence["calibration"]
    good = check["gap"] <= policy.max_calibration_gap and check["hosmer_lemeshow_p"] >= policy.min_hosmer_lemeshow_p
    return Finding(
        "calibration",
        good,
        f"mean PD {check['mean_pd']:.1%} against {check['bad_rate']:.1%} (gap at most "
        f"{policy.max_calibration_gap:.0%}), Hosmer–Lemeshow p {check['hosmer_lemeshow_p']:.3f} (at least "
        f"{policy.min_hosmer_lemeshow_p})",
    )


def _stability(evidence: Mapping, policy: PromotionPolicy) -> list[Finding]:
    """Over time: a shift beyond chance is a condition, and blocks when it is material.

    Of coverage (firms without outcome against those with one): a condition, since it is no drift.
    """
    findings = []
    for name, item in evidence["stability"].items():
        shifted = item["psi"] > item["limit"]
        blocking = shifted and item["psi"] > policy.material_psi
        detail = (
            f"PSI {item['psi']:.3f}, chance alone up to {item['limit']:.3f}, material from {policy.material_psi:.2f} "
            f"({item['rows_before']} against {item['rows_now']} rows)"
        )
        if name == "coverage":
            condition = policy.approval.coverage_condition if shifted else ""
            findings.append(Finding("coverage", True, detail, condition))
        else:
            condition = policy.approval.shift_condition if shifted else ""
            findings.append(Finding(f"stability: {name}", not blocking, detail, condition))
    if not any(name != "coverage" for name in evidence["stability"]):
        findings.append(
            Finding(
                "stability",
                True,
                "only one observation date: not testable over time yet",
                "Stability over time was not testable; test it with the next drop.",
            )
        )
    return findings


def _size(evidence: Mapping) -> Finding:
    gain = evidence["gains"]["scorecard over size_only"]
    claim = "better than size alone" if gain["low"] > 0 else "no gain over size alone is shown"
    return Finding(
        "over size alone", True, f"{claim}: {gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"
    )
