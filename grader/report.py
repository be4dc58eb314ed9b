"""The report: one row a measure. Joins answers to the truth's firms and hands both to the scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from datetime import date, timedelta

import numpy as np
import pandas as pd

from grader import scoring
from grader.ask import Answer
from grader.scoring import Share
from grader.truth import World


@dataclass(frozen=True)
class Row:
    """One measure; `low` and `high` are its 95 % interval, `cases` what it is a share of or rests on."""

    question: str
    measure: str
    kind: str
    value: float | None
    low: float | None = None
    high: float | None = None
    cases: int | None = None
    note: str = ""


COLUMNS = [item.name for item in fields(Row)]


def share_row(question: str, measure: str, kind: str, share: Share, note: str = "") -> Row:
    """A share with its interval."""
    low, high = share.interval()
    return Row(question, measure, kind, share.value, low, high, share.of, note)


def report(world: World, answers: dict[str, Answer], as_of: date) -> list[tuple]:
    """All rows, rounded for print; nan becomes null."""
    firms = link_enterprises(world, answers, as_of)
    rows = [
        *identity(world, answers["identity"], as_of),
        *frauds(world, answers["frauds"], firms, as_of),
        *defaults(world, answers["defaults"], firms, as_of),
        *flows(world, answers["flows"], as_of),
        *leads(world, answers["alerts"], firms, as_of),
    ]
    return [tuple(_plain(value) for value in astuple(row)) for row in rows]


def _plain(value: object) -> object:
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else round(float(value), 4)
    return int(value) if isinstance(value, np.integer) else value


def unanswered(answer: Answer) -> list[Row]:
    """The row of a question without an answer."""
    return [Row(answer.question.name, "not answered yet", "", None, note=answer.missing)]


def link_enterprises(world: World, answers: dict[str, Answer], as_of: date) -> pd.Series:
    """Which firm of the world each enterprise_id is: by most of its keys, else by its code.

    An enterprise that mixes two firms counts for the one with more keys, so a wrong merge shows as errors elsewhere.
    """
    linked = pd.Series(dtype="int64")
    if answers["enterprises"].given:
        rows = answers["enterprises"].rows.dropna(subset=["uscc"]).merge(world.codes(), on="uscc")
        linked = rows.drop_duplicates("enterprise_id").set_index("enterprise_id")["firm_id"]
    if answers["identity"].given:
        rows = _with_truth(world, answers["identity"], as_of)
        most = rows.groupby(["enterprise_id", "firm_id"]).size().reset_index(name="keys")
        most = most.sort_values(["keys", "firm_id"], ascending=[False, True]).drop_duplicates("enterprise_id")
        by_key = most.set_index("enterprise_id")["firm_id"]
        linked = pd.concat([by_key, linked[~linked.index.isin(by_key.index)]])
    return linked


def _with_truth(world: World, answer: Answer, as_of: date) -> pd.DataFrame:
    keys = ["system", "department", "key"]
    return answer.rows.drop_duplicates(keys).merge(world.keys(as_of), on=keys)


def _by_firm(answer: Answer, firms: pd.Series) -> pd.DataFrame:
    """Rows of an answer with firm_id; −1 for an enterprise that is no firm of the world."""
    found = answer.rows["enterprise_id"].map(firms)
    return answer.rows.assign(firm_id=found.fillna(-1).astype("int64"))


def identity(world: World, answer: Answer, as_of: date) -> Iterator[Row]:
    """Pairwise precision and recall of linked keys, and how many of the keys in use the lakehouse has met."""
    if not answer.given:
        yield from unanswered(answer)
        return
    rows = _with_truth(world, answer, as_of)
    for kind, some in (("all keys", None), ("pairs with a key without code", rows["without_code"].to_numpy(bool))):
        precision, recall = scoring.pairwise(rows["enterprise_id"].to_numpy(), rows["firm_id"].to_numpy(), some)
        yield share_row("identity", "pairwise precision", kind, precision)
        yield share_row("identity", "pairwise recall", kind, recall)
    yield share_row("identity", "keys known to the lakehouse", "", Share(len(rows), len(world.keys(as_of))))
    unknown = len(answer.rows) - len(rows)
    if unknown:
        yield Row("identity", "keys that no department uses", "", float(unknown), cases=len(answer.rows))


def frauds(world: World, answer: Answer, firms: pd.Series, as_of: date) -> Iterator[Row]:
    """Precision over findings and recall over episodes, by kind; look-alikes apart."""
    if not answer.given:
        yield from unanswered(answer)
        return
    planted = world.planted(as_of)
    planted["look_alike"] = planted["look_alike"].astype(bool)
    findings = _by_firm(answer, firms)
    findings["found_on"] = pd.to_datetime(findings["found_on"])
    judged = scoring.judge_findings(findings, planted)
    episodes = scoring.judge_episodes(findings[findings["firm_id"] >= 0], planted)
    for kind in ["all", *sorted(set(planted["kind"]) | set(judged["kind"]))]:
        of_kind = judged if kind == "all" else judged[judged["kind"] == kind]
        lies = episodes if kind == "all" else episodes[episodes["kind"] == kind]
        alike = lies[lies["look_alike"]]
        lies = lies[~lies["look_alike"]]
        right = of_kind["verdict"] == "right"
        yield share_row("frauds", "precision", kind, Share(int(right.sum()), len(of_kind)))
        yield share_row("frauds", "recall", kind, Share(int(lies["found"].sum()), len(lies)))
        knowing = lies[lies["knows_rule"].astype(bool)]
        yield share_row(
            "frauds", "recall of those who know the rule", kind, Share(int(knowing["found"].sum()), len(knowing))
        )
        yield share_row("frauds", "look-alikes accused", kind, Share(int(alike["found"].sum()), len(alike)))
        found = lies.loc[lies["found"], "days"]
        yield Row("frauds", "median days to find", kind, float(found.median()), cases=len(found))


def defaults(world: World, answer: Answer, firms: pd.Series, as_of: date) -> Iterator[Row]:
    """AUC and KS of the score's PD for each date whose twelve months lie in the world, beside the bound."""
    if not answer.given:
        yield from unanswered(answer)
        return
    scored = _by_firm(answer, firms)
    scored = scored[scored["pd"].notna() & (scored["firm_id"] >= 0)].assign(as_of=lambda f: pd.to_datetime(f["as_of"]))
    events = world.defaults()
    mature = pd.Timestamp(world.last_day) + timedelta(days=1) - scoring.HORIZON
    dates = sorted(d for d in scored["as_of"].unique() if d <= pd.Timestamp(as_of) and d <= mature)
    if not dates:
        yield Row(
            "defaults",
            "AUC",
            "",
            None,
            note=f"no score of a firm of the world up to {mature.date()}, when outcomes end",
        )
    for day in dates:
        yield from _one_date(world, scored[scored["as_of"] == day], events, pd.Timestamp(day))


def _one_date(world: World, scored: pd.DataFrame, events: pd.DataFrame, day: pd.Timestamp) -> Iterator[Row]:
    at = day.date()
    borrowers = set(world.borrowers(at)["firm_id"])
    rows = scored[scored["firm_id"].isin(borrowers)].drop_duplicates("firm_id").merge(events, on="firm_id", how="left")
    bad = ((rows["defaulted_on"] >= day) & (rows["defaulted_on"] < day + scoring.HORIZON)).to_numpy()
    score = rows["pd"].to_numpy(float)
    value, error = scoring.auc(score, bad), scoring.auc_error(score, bad)
    note = f"{int(bad.sum())} defaults"
    yield Row("defaults", "AUC", f"{at}", value, value - 1.96 * error, min(1.0, value + 1.96 * error), len(rows), note)
    yield Row("defaults", "KS", f"{at}", scoring.ks(score, bad), cases=len(rows))
    yield Row("defaults", "PD said against defaults seen", f"{at}", float(score.mean() - bad.mean()), cases=len(rows))
    yield share_row("defaults", "borrowers scored", f"{at}", Share(len(rows), len(borrowers)))
    futures = world.true_pd(at)
    if futures is not None:
        both = rows.merge(futures, on="firm_id", suffixes=("", "_true"))
        true = scoring.auc_under_pd(both["pd"].to_numpy(float), both["pd_true"].to_numpy(float))
        yield Row("defaults", "AUC under true PD", f"{at}", true, cases=len(both), note="no draw of outcomes")
    known = world.bound(at)
    if known is None:
        yield Row("defaults", "bound", f"{at}", None, note="not computed: vinelake economy bound")
        return
    best = known["bound"]
    spread = 1.96 * best["error_firms"]
    yield Row("defaults", "bound", f"{at}", best["auc"], best["auc"] - spread, best["auc"] + spread, best["firms"])


def flows(world: World, answer: Answer, as_of: date) -> Iterator[Row]:
    """Precision and recall of the links from invoices to orders, deliveries and payments."""
    if not answer.given:
        yield from unanswered(answer)
        return
    said = answer.rows.assign(occurred_on=pd.to_datetime(answer.rows["occurred_on"]))
    # Yuan to fen; units stay as they are.
    factor = np.where(said["record"] == "payment", 100, 1)
    said["amount"] = np.rint(said["amount"].astype(float) * factor).astype("int64")
    for row in scoring.matched_links(said, world.links(as_of)).itertuples():
        yield share_row("flows", "precision", row.record, Share(row.right, row.said))
        yield share_row("flows", "recall", row.record, Share(row.right, row.true))


def leads(world: World, answer: Answer, firms: pd.Series, as_of: date) -> Iterator[Row]:
    """By source: median days from the first alert to the default, share of defaults warned of, share of true alerts."""
    if not answer.given:
        yield from unanswered(answer)
        return
    alerts = _by_firm(answer, firms)
    alerts = alerts.assign(alerted_on=pd.to_datetime(alerts["alerted_on"]))
    events = world.defaults()
    past = events[events["defaulted_on"] < pd.Timestamp(as_of)]
    lead = scoring.lead_times(alerts[alerts["firm_id"] >= 0], past)
    true = scoring.true_alerts(alerts, events, pd.Timestamp(min(as_of, world.last_day)))
    for source in ["any", *sorted(alerts["source"].unique())]:
        days = lead if source == "any" else lead[lead["source"] == source]
        days = days.groupby("firm_id")["days"].max()
        low, high = days.quantile([0.25, 0.75]) if len(days) else (np.nan, np.nan)
        note = "interval: middle half"
        yield Row("alerts", "median lead in days", source, float(days.median()), low, high, len(days), note)
        yield share_row("alerts", "defaults warned of", source, Share(len(days), len(past)))
        if source in true:
            yield share_row("alerts", "alerts before a default", source, true[source])
