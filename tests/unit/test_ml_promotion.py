"""The gate and its ledger: who may decide what, what a repeat does, what tampering shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ml_factories import CONFIG, FakeRegistry, good_evidence, interval

from lakehouse.errors import IntegrityError, ModelError
from ml.decisions import MemoryLedger, aliases_by_ledger, verified
from ml.gate import assess
from ml.promotion import CANDIDATE, Promotion

PARTITION, AUTHOR, APPROVER = "2024-01-01", "engineer", "risk_officer"
ARTIFACTS = set(CONFIG.promotion.required_artifacts)
NO_CHAMPION = lambda candidate, champion: pytest.fail("there is no champion to compare with")  # noqa: E731


@pytest.fixture
def promotion() -> Promotion:
    """One registered candidate, version 1, that would pass the gate."""
    office = Promotion(FakeRegistry(), MemoryLedger(), CONFIG)
    office.registry.add("1", good_evidence())
    office.register(PARTITION, CANDIDATE, "1", AUTHOR)
    return office


def approve_first(office: Promotion) -> dict:
    office.check(PARTITION, NO_CHAMPION)
    return office.decide(PARTITION, APPROVER, "approve", "fits its purpose")


def test_the_way_to_champion(promotion):
    assert promotion.registry.aliases() == {"candidate": "1"}
    report = promotion.check(PARTITION, NO_CHAMPION)
    assert report["passed"] and report["champion"] is None
    result = promotion.decide(PARTITION, APPROVER, "approve", "fits its purpose")
    assert result["aliases"] == promotion.registry.aliases() == {"champion": "1"}
    assert result["valid_until"] and "person decides" in result["conditions"]
    assert promotion.champion().number == "1"
    assert [e.action for e in promotion.entries()] == ["register", "check", "approve"]


@pytest.mark.parametrize("name", ["engineer", " Engineer "])
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_the_author_may_not_decide(promotion, name, decision):
    promotion.check(PARTITION, NO_CHAMPION)
    with pytest.raises(ModelError, match="may not decide"):
        promotion.decide(PARTITION, name, decision, "mine")
    assert promotion.registry.aliases() == {"candidate": "1"}


def test_a_version_of_unknown_author_is_not_approved(promotion):
    promotion.registry.versions["1"].tags.pop("author")
    with pytest.raises(ModelError, match="may not decide"):
        promotion.decide(PARTITION, APPROVER, "approve", "")


def test_an_unchecked_version_cannot_be_approved(promotion):
    with pytest.raises(ModelError, match="was not checked"):
        promotion.decide(PARTITION, APPROVER, "approve", "")


def test_a_failed_check_blocks_approval_and_not_rejection(promotion):
    promotion.registry.stored["1"] = good_evidence(bads=3)
    with pytest.raises(ModelError, match="must not be promoted") as refused:
        promotion.check(PARTITION, NO_CHAMPION)
    assert "3 bads" in refused.value.where
    with pytest.raises(ModelError, match="did not pass"):
        promotion.decide(PARTITION, APPROVER, "approve", "")
    promotion.decide(PARTITION, APPROVER, "reject", "too few bads")
    assert promotion.registry.aliases() == {}


def test_a_rejection_needs_a_reason(promotion):
    with pytest.raises(ModelError, match="needs a reason"):
        promotion.decide(PARTITION, APPROVER, "reject", " ")


def test_unknown_versions_decisions_and_aliases(promotion):
    with pytest.raises(ModelError, match="no version was trained"):
        promotion.decide("2024-02-01", APPROVER, "approve", "")
    with pytest.raises(ModelError, match="neither approve nor reject"):
        promotion.decide(PARTITION, APPROVER, "yes", "")
    with pytest.raises(ModelError, match="by a decision only"):
        promotion.register(PARTITION, "champion", "1", AUTHOR)


def test_a_repeat_changes_nothing(promotion):
    first = approve_first(promotion)
    count = len(promotion.entries())
    again = promotion.decide(PARTITION, APPROVER, "approve", "again")
    assert again == {**first, "repeated": True}
    assert "was decided" in promotion.check(PARTITION, NO_CHAMPION)["skipped"]
    promotion.register(PARTITION, "challenger", "1", AUTHOR)
    promotion.register(PARTITION, "challenger", "1", AUTHOR)
    assert len(promotion.entries()) == count + 1


def test_a_decision_stands(promotion):
    approve_first(promotion)
    with pytest.raises(ModelError, match="decided otherwise"):
        promotion.decide(PARTITION, APPROVER, "reject", "second thoughts")


def test_an_interrupted_promotion_is_completed_by_its_repeat(promotion, monkeypatch):
    promotion.check(PARTITION, NO_CHAMPION)
    with monkeypatch.context() as patch:
        patch.setattr(FakeRegistry, "set_alias", lambda *_: (_ for _ in ()).throw(ConnectionError("killed here")))
        with pytest.raises(ConnectionError):
            promotion.decide(PARTITION, APPROVER, "approve", "")
    assert promotion.registry.aliases() != {"champion": "1"}
    assert promotion.decide(PARTITION, APPROVER, "approve", "")["repeated"]
    assert promotion.registry.aliases() == {"champion": "1"}


@pytest.mark.parametrize(
    "tamper",
    [
        lambda r: r.set_alias("champion", "2"),
        lambda r: r.delete_alias("champion"),
        lambda r: r.set_alias("shadow", "1"),
    ],
)
def test_an_alias_moved_past_the_gate_is_found(promotion, tamper):
    approve_first(promotion)
    promotion.registry.add("2", good_evidence(), partition="2024-02-01")
    tamper(promotion.registry)
    with pytest.raises(ModelError, match="past the promotion gate"):
        promotion.champion()
    promotion.apply_aliases()
    assert promotion.champion().number == "1"


def test_the_next_champion_keeps_the_former_as_fallback_and_is_compared_with_it(promotion):
    approve_first(promotion)
    promotion.registry.add("2", good_evidence(), partition="2024-02-01")
    promotion.register("2024-02-01", CANDIDATE, "2", AUTHOR)
    asked = []

    def compare(candidate, champion):
        asked.append((candidate.number, champion.number))
        return interval(0.01, -0.01, 0.03)

    promotion.check("2024-02-01", compare)
    promotion.decide("2024-02-01", APPROVER, "approve", "")
    assert asked == [("2", "1")]
    assert promotion.registry.aliases() == {"champion": "2", "fallback": "1"}


def test_a_superseded_candidate_cannot_be_decided(promotion):
    promotion.registry.add("2", good_evidence(), partition="2024-02-01")
    promotion.register("2024-02-01", CANDIDATE, "2", AUTHOR)
    with pytest.raises(ModelError, match="no longer the candidate"):
        promotion.check(PARTITION, NO_CHAMPION)


@pytest.mark.parametrize(
    "change",
    [
        lambda entries: [entries[0], replace(entries[1], actor="somebody"), *entries[2:]],
        lambda entries: [entries[0], *entries[2:]],
        lambda entries: entries[1:],
    ],
)
def test_an_altered_ledger_is_found(promotion, change):
    approve_first(promotion)
    entries = promotion.entries()
    assert aliases_by_ledger(verified(entries)) == {"champion": "1"}
    with pytest.raises(IntegrityError, match="altered"):
        verified(change(entries))


def report(over=None, artifacts=ARTIFACTS, **changes):
    return assess("1", good_evidence(**changes), artifacts, CONFIG.promotion, over)


def failed(**arguments) -> set[str]:
    return {finding.rule for finding in report(**arguments).findings if not finding.passed}


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"artifacts": ARTIFACTS - {"plots/roc.png"}}, "artefacts"),
        ({"bads": 19}, "sample"),
        ({"features": 2}, "sample"),
        ({"auc": {"scorecard": interval(0.7, 0.59, 0.8)}}, "discrimination"),
        ({"out_of_time": {"bads": 20, "auc": {"scorecard": interval(0.6, 0.5, 0.7)}}}, "discrimination"),
        (
            {
                "gains": {
                    "scorecard over plain_regression": interval(-0.06, -0.11, 0.0),
                    "scorecard over size_only": interval(0, -0.1, 0.1),
                }
            },
            "against plain regression",
        ),
        ({"over": interval(-0.04, -0.06, -0.02)}, "against champion"),
        ({"calibration": {"mean_pd": 0.2, "bad_rate": 0.1, "gap": 0.1, "hosmer_lemeshow_p": 0.4}}, "calibration"),
        ({"calibration": {"mean_pd": 0.1, "bad_rate": 0.1, "gap": 0.0, "hosmer_lemeshow_p": 0.001}}, "calibration"),
        ({"stability": {"time": {"psi": 0.3, "limit": 0.2, "rows_before": 99, "rows_now": 99}}}, "stability: time"),
    ],
)
def test_each_rule_blocks_by_itself(arguments, rule):
    assert failed() == set()
    assert failed(**arguments) == {rule}


@pytest.mark.parametrize(
    ("bads", "auc", "gain", "passes", "is_pilot"),
    [
        (49, interval(0.65, 0.45, 0.8), interval(-0.03, -0.17, 0.1), True, True),
        (49, interval(0.70, 0.61, 0.8), interval(-0.03, -0.09, 0.1), True, False),  # few, and yet it is shown
        (49, interval(0.59, 0.45, 0.8), interval(-0.03, -0.17, 0.1), False, False),
        (49, interval(0.65, 0.45, 0.8), interval(-0.11, -0.17, 0.1), False, True),
        (50, interval(0.65, 0.45, 0.8), interval(0.0, -0.05, 0.1), False, False),
        (50, interval(0.65, 0.61, 0.8), interval(-0.03, -0.17, 0.1), False, False),
    ],
)
def test_a_low_default_portfolio_gets_a_pilot_at_most(bads, auc, gain, passes, is_pilot):
    gains = {"scorecard over plain_regression": gain, "scorecard over size_only": interval(0, -0.1, 0.1)}
    later = {"bads": 6, "auc": {"scorecard": interval(0.4, 0.2, 0.8)}}  # too few out of time say nothing
    found = report(bads=bads, auc={"scorecard": auc}, gains=gains, out_of_time=later)
    assert found.passed == passes
    assert any("Pilot" in condition and str(bads) in condition for condition in found.conditions) == is_pilot


@pytest.mark.parametrize(
    ("psi", "limit", "blocks", "condition"),
    [
        (0.27, 0.30, False, False),  # small samples: chance alone goes that far
        (0.05, 0.01, False, True),  # large samples: beyond chance, but immaterial
        (0.15, 0.12, False, True),
        (0.27, 0.12, True, True),
    ],
)
def test_stability_is_held_against_chance_and_matter(psi, limit, blocks, condition):
    stability = {"time": {"psi": psi, "limit": limit, "rows_before": 100, "rows_now": 100}}
    found = report(stability=stability)
    assert (not found.passed) == blocks
    assert (CONFIG.promotion.approval.shift_condition in found.conditions) == condition


def test_conditions_are_carried_by_the_approval(promotion):
    shift = {"psi": 0.8, "limit": 0.2, "rows_before": 123, "rows_now": 100}
    promotion.registry.stored["1"] = good_evidence(
        stability={"coverage": shift}, auc={"scorecard": interval(0.95, 0.9, 0.98)}
    )
    conditions = approve_first(promotion)["conditions"]
    for expected in (
        CONFIG.promotion.approval.coverage_condition,
        CONFIG.promotion.approval.leak_condition,
        "not testable",
    ):
        assert expected in conditions


def test_no_gain_over_size_is_said_so():
    gains = {
        "scorecard over plain_regression": interval(0, -0.02, 0.02),
        "scorecard over size_only": interval(0.02, -0.03, 0.07),
    }
    [finding] = [f for f in report(gains=gains).findings if f.rule == "over size alone"]
    assert finding.passed and finding.detail.startswith("no gain over size alone is shown")
