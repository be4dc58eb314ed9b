"""Promotion: candidate → gate → a second person's decision → champion. The only writer of aliases.

The ledger is written before the registry, so an interrupted promotion can be completed by repeating it,
and an alias that differs from the ledger was moved by somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

import pandas as pd

from lakehouse.errors import ModelError
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition, utc_now
from ml import decisions
from ml.configuration import ModelConfig, get_config
from ml.decisions import APPROVE, CHECK, REGISTER, REJECT, Ledger
from ml.gate import GateReport, assess
from ml.tracking import Registry, Version

CANDIDATE, CHALLENGER, CHAMPION, FALLBACK = "candidate", "challenger", "champion", "fallback"
Comparison = Callable[[Version, Version], dict]


@dataclass
class Promotion:
    """Registry and ledger together; every public step checks first that they agree."""

    registry: Registry
    ledger: Ledger
    config: ModelConfig

    def entries(self) -> list[decisions.Entry]:
        return decisions.verified(self.ledger.entries())

    def apply_aliases(self) -> None:
        """Sets the registry's aliases as the ledger says."""
        expected, actual = decisions.aliases_by_ledger(self.entries()), self.registry.aliases()
        for alias in actual.keys() - expected.keys():
            self.registry.delete_alias(alias)
        for alias, version in expected.items():
            if actual.get(alias) != version:
                self.registry.set_alias(alias, version)

    def champion(self) -> Version | None:
        """The champion in office; raises when the registry names another than the ledger."""
        entries = self.entries()
        decisions.assert_aliases(entries, self.registry.aliases())
        number = decisions.aliases_by_ledger(entries).get(CHAMPION)
        return self.registry.version(number) if number else None

    def register(self, partition: str, alias: str, version: str, actor: str) -> None:
        """Names a new version candidate or challenger; nothing when it is named so already."""
        if alias not in (CANDIDATE, CHALLENGER):
            raise ModelError(
                f"alias {alias} is given by a decision only",
                where=f"version {version}",
                remedy="use `vinelake model approve`",
            )
        entries = self.entries()
        before = decisions.aliases_by_ledger(entries)
        if before.get(alias) != version:
            self._record(partition, version, REGISTER, actor, alias, before, {**before, alias: version})
        self.apply_aliases()

    def check(self, partition: str, compare: Comparison) -> dict:
        """Runs the gate on the partition's candidate and logs the look; raises when it must not be promoted."""
        version = self._candidate(partition)
        entries = self.entries()
        done = decisions.decision_on(entries, version.number)
        if done:
            return {"skipped": f"version {version.number} was decided: {done.action} by {done.actor}"}
        champion = self.champion()
        evidence = self.registry.evidence(version)
        over = compare(version, champion) if champion else None
        report = assess(
            version.number, evidence, self.registry.artifact_names(version.run_id), self.config.promotion, over
        )
        aliases = decisions.aliases_by_ledger(entries)
        self._record(
            partition,
            version.number,
            CHECK,
            "promotion gate",
            "passed" if report.passed else "failed",
            aliases,
            aliases,
            evidence=report.to_dict(),
        )
        self.registry.tag(version.number, "gate", "passed" if report.passed else "failed")
        if not report.passed:
            raise _refused(report)
        return _readable(report, evidence, champion)

    def decide(self, partition: str, approver: str, decision: str, comment: str) -> dict:
        """Enters the approver's decision; repeating the same one changes nothing."""
        if decision not in (APPROVE, REJECT):
            raise ModelError(f"decision {decision!r} is neither approve nor reject", remedy="give one of the two")
        version = self._candidate(partition)
        entries = self.entries()
        done = decisions.decision_on(entries, version.number)
        if done:
            return self._repeat(done, decision)
        decisions.assert_aliases(entries, self.registry.aliases())
        self._assert_may_decide(version, approver, decision, comment, entries)
        entry = self._decision_entry(partition, version, approver, decision, comment, entries)
        self.apply_aliases()
        self.registry.tag(version.number, "decision", decision)
        self.registry.tag(version.number, "decided_by", approver)
        return _decision_summary(entry, repeated=False)

    def _candidate(self, partition: str) -> Version:
        """The version trained for a partition last; it must still be the candidate, or be decided."""
        version = self.registry.find("candidate_of", partition)
        if version is None:
            raise ModelError(
                "no version was trained for this partition",
                where=partition,
                remedy="run training first (`train_risk_models`, or `vinelake model train`)",
            )
        entries = self.entries()
        named = decisions.aliases_by_ledger(entries).get(CANDIDATE)
        if named != version.number and decisions.decision_on(entries, version.number) is None:
            raise ModelError(
                f"version {version.number} is no longer the candidate",
                where=f"candidate is {named}",
                remedy="decide on the present candidate, or train this partition again",
            )
        return version

    def _assert_may_decide(self, version: Version, approver: str, decision: str, comment: str, entries) -> None:
        if not version.author or approver.strip().casefold() == version.author.strip().casefold():
            raise ModelError(
                f"{approver} trained version {version.number} and may not decide on it",
                where=f"author: {version.author or 'unknown'}",
                remedy="a second person has to decide; set VINELAKE_APPROVER for an unattended run",
            )
        if decision == REJECT:
            if not comment.strip():
                raise ModelError(
                    "a rejection needs a reason", where=f"version {version.number}", remedy="give it as the comment"
                )
            return
        look = decisions.last_check(entries, version.number)
        if look is None or look.outcome != "passed":
            state = "was not checked" if look is None else "did not pass the gate"
            raise ModelError(
                f"version {version.number} {state} and cannot be approved",
                where=look.evidence[:500] if look else "no check in the ledger",
                remedy="run the check (`vinelake model check`); a failed one needs a new version",
            )

    def _decision_entry(self, partition, version: Version, approver, decision, comment, entries) -> decisions.Entry:
        before = decisions.aliases_by_ledger(entries)
        after = {alias: number for alias, number in before.items() if alias != CANDIDATE}
        conditions, until = "", ""
        if decision == APPROVE:
            if CHAMPION in before:
                after[FALLBACK] = before[CHAMPION]
            after[CHAMPION] = version.number
            policy = self.config.promotion.approval
            found = json.loads(decisions.last_check(entries, version.number).evidence).get("conditions", [])
            conditions = " ".join([policy.default_condition, *found])
            until = (utc_now() + timedelta(days=policy.valid_days)).date().isoformat()
        return self._record(
            partition,
            version.number,
            decision,
            approver,
            decision,
            before,
            after,
            comment=comment,
            conditions=conditions,
            valid_until=until,
        )

    def _repeat(self, done: decisions.Entry, decision: str) -> dict:
        if done.action != decision:
            raise ModelError(
                f"version {done.version} was decided otherwise: {done.action} by {done.actor}",
                where=f"ledger entry {done.seq}",
                remedy="a decision stands; train a new version",
            )
        # Completes a promotion that was interrupted between ledger and registry.
        if self.entries()[-1].seq == done.seq:
            self.apply_aliases()
        return _decision_summary(done, repeated=True)

    def _record(
        self,
        partition,
        version,
        action,
        actor,
        outcome,
        before,
        after,
        comment="",
        conditions="",
        valid_until="",
        evidence: dict | None = None,
    ) -> decisions.Entry:
        return decisions.record(
            self.ledger,
            partition=partition,
            model=self.registry.name,
            version=version,
            action=action,
            actor=actor,
            outcome=outcome,
            comment=comment,
            conditions=conditions,
            valid_until=valid_until,
            aliases_before=json.dumps(before, sort_keys=True),
            aliases_after=json.dumps(after, sort_keys=True),
            evidence=json.dumps(evidence or {}, ensure_ascii=False, sort_keys=True),
        )


def _refused(report: GateReport) -> ModelError:
    failed = [f"{f.rule}: {f.detail}" for f in report.findings if not f.passed]
    return ModelError(
        f"version {report.version} must not be promoted: {len(failed)} of {len(report.findings)} rules failed",
        where="\n          ".join(failed),
        remedy="the champion stays; mend the cause and train a new version",
    )


def _readable(report: GateReport, evidence: dict, champion: Version | None) -> dict:
    auc = evidence["auc"]["scorecard"]
    return {
        "version": report.version,
        "passed": report.passed,
        "author": evidence["author"],
        "champion": champion.number if champion else None,
        "auc": f"{auc['value']:.3f} ({auc['low']:.3f}–{auc['high']:.3f})",
        **{finding.rule: finding.detail for finding in report.findings},
        "conditions": " ".join(report.conditions),
    }


def _decision_summary(entry: decisions.Entry, repeated: bool) -> dict:
    return {
        "version": entry.version,
        "decision": entry.action,
        "approver": entry.actor,
        "comment": entry.comment,
        "conditions": entry.conditions,
        "valid_until": entry.valid_until,
        "repeated": repeated,
        "aliases": json.loads(entry.aliases_after),
    }


def compare_recipes(registry: Registry, config: ModelConfig) -> Comparison:
    """Candidate against champion on the candidate's sample and folds.

    The champion's recipe (its features) is fitted anew inside the folds, because the champion itself may have
    seen these rows; the candidate's predictions out of fold are those of its training.
    """

    def compare(candidate: Version, champion: Version) -> dict:
        from ml.candidates import ScorecardCandidate
        from ml.experiments import cross_validate
        from ml.scorecard import Scorecard
        from ml.snapshot import load
        from ml.training import datasets_dir
        from ml.validation import bootstrap_weights, paired_auc_gain

        rows = load(datasets_dir() / candidate.tags["snapshot_id"]).rows()
        card = Scorecard.from_json(registry.artifact_text(champion.run_id, "scorecard.json"))
        lacking = [name for name in card.features if name not in rows.columns]
        if lacking:
            raise ModelError(
                f"the champion needs {', '.join(lacking)}, which the sample lacks",
                where=f"champion version {champion.number}",
                remedy="restore the feature or retire the model",
            )
        settings = config.scorecard.crossval
        folds = cross_validate(
            rows,
            rows["is_bad"].to_numpy(),
            rows["enterprise_id"].to_numpy(),
            {"champion": lambda: ScorecardCandidate(card.features, config.scorecard)},
            settings,
        )
        ours = _stored_predictions(registry, candidate, rows)
        weights = bootstrap_weights(folds.is_bad, settings.bootstrap, settings.seed, folds.groups)
        return asdict(paired_auc_gain(folds.is_bad, ours, folds.logits["champion"], weights).gain)

    return compare


def _stored_predictions(registry: Registry, version: Version, rows: pd.DataFrame):
    """The scorecard's predictions out of fold as training logged them: repeats × rows."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        stored = pd.read_parquet(registry.client.download_artifacts(version.run_id, "out_of_fold.parquet", folder))
    wide = stored[stored["model"] == "scorecard"].pivot(index="row", columns="repeat", values="logit").sort_index()
    if len(wide) != len(rows):
        raise ModelError(
            "stored predictions do not fit the frozen sample",
            where=f"version {version.number}",
            remedy="train the model again",
        )
    return wide.to_numpy().T


def office() -> Promotion:
    """The real registry and ledger."""
    from ml.tracking import client

    return Promotion(Registry(client()), decisions.DeltaLedger(), get_config())


def check(partition: str) -> dict:
    """Gate report on the candidate of a partition; raises `ModelError` when it must not be promoted."""
    parse_partition(partition)
    promotion = office()
    return promotion.check(partition, compare_recipes(promotion.registry, promotion.config))


def decide(partition: str, approver: str, decision: str, comment: str) -> dict:
    """An approver's decision on the candidate of a partition; moves alias champion when approved.

    `approver` is the person deciding, `decision` approve or reject. The author is refused, and so is anyone but
    the configured approver.
    """
    parse_partition(partition)
    settings = get_settings()
    if approver != settings.approver:
        raise ModelError(
            f"{approver} is not the approver of this lakehouse",
            where=f"approver: {settings.approver}",
            remedy="have the approver decide, or set VINELAKE_APPROVER",
        )
    return office().decide(partition, approver, decision, comment)


def history() -> list[dict]:
    """All entries of the ledger, verified, oldest first."""
    return [asdict(entry) for entry in office().entries()]


def restore_aliases() -> dict[str, str]:
    """Sets the registry's aliases as the ledger says; returns them."""
    promotion = office()
    promotion.apply_aliases()
    return promotion.registry.aliases()
