"""Scores of answers against truth: pure functions on arrays and frames, no files and no lakehouse."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

HORIZON = pd.DateOffset(months=12)


@dataclass(frozen=True)
class Share:
    """A share of cases; nan when there are none."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """hits / of."""
        return self.hits / self.of if self.of else float("nan")

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """95 % interval of a binomial share (Wilson 1927)."""
        if not self.of:
            return float("nan"), float("nan")
        share, n = self.value, self.of
        centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        return max(0.0, float(centre - half)), min(1.0, float(centre + half))


# Identity


def pair_counts(said: np.ndarray, true: np.ndarray) -> tuple[int, int, int]:
    """Pairs of records that are (linked and one firm, linked, one firm); both arrays label the same records."""
    together = pd.DataFrame({"said": said, "true": true})
    return (
        _pairs(together.groupby(["said", "true"], observed=True).size()),
        _pairs(together.groupby("said", observed=True).size()),
        _pairs(together.groupby("true", observed=True).size()),
    )


def _pairs(sizes: pd.Series) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def pairwise(said: np.ndarray, true: np.ndarray, some: np.ndarray | None = None) -> tuple[Share, Share]:
    """Precision and recall over pairs of records; with `some`, over pairs of which at least one is marked."""
    said, true = np.asarray(said), np.asarray(true)
    both, linked, one_firm = pair_counts(said, true)
    if some is not None:
        other = ~np.asarray(some, bool)  # pairs wholly among the others are taken off
        both_other, linked_other, firm_other = pair_counts(said[other], true[other])
        both, linked, one_firm = both - both_other, linked - linked_other, one_firm - firm_other
    return Share(both, linked), Share(both, one_firm)


# Frauds


def judge_findings(findings: pd.DataFrame, planted: pd.DataFrame) -> pd.DataFrame:
    """`findings` with a verdict each: right, look_alike or wrong.

    findings: firm_id, kind, found_on. planted: one row a firm of an episode: planted_id, firm_id, kind, look_alike,
    from_on, to_on. Right means that a lie of that kind by that firm had begun; a firm unknown to the world is wrong.
    """
    found = findings.drop_duplicates(["firm_id", "kind", "found_on"]).reset_index(drop=True)
    found["row"] = found.index
    joined = found.merge(planted, on=["firm_id", "kind"], how="inner")
    begun = joined[joined["from_on"] <= joined["found_on"]]
    lies = set(begun.loc[~begun["look_alike"].astype(bool), "row"])
    alike = set(begun.loc[begun["look_alike"].astype(bool), "row"]) - lies
    found["verdict"] = ["right" if r in lies else "look_alike" if r in alike else "wrong" for r in found["row"]]
    return found.drop(columns="row")


def judge_episodes(findings: pd.DataFrame, planted: pd.DataFrame) -> pd.DataFrame:
    """One row an episode: planted_id, kind, look_alike, knows_rule, found (any of its firms, after it began), days."""
    joined = planted.merge(findings[["firm_id", "kind", "found_on"]], on=["firm_id", "kind"], how="left")
    joined["days"] = (joined["found_on"] - joined["from_on"]).dt.days
    joined.loc[~(joined["days"] >= 0), "days"] = np.nan
    episodes = joined.groupby("planted_id", as_index=False).agg(
        kind=("kind", "first"),
        look_alike=("look_alike", "first"),
        knows_rule=("knows_rule", "first"),
        days=("days", "min"),
    )
    episodes["found"] = episodes["days"].notna()
    return episodes


# Defaults


def auc(score: np.ndarray, bad: np.ndarray) -> float:
    """Area under the ROC curve, ties one half; nan with one class only. Higher scores mean riskier."""
    bad = np.asarray(bad, bool)
    if not bad.any() or bad.all():
        return float("nan")
    ranks = pd.Series(np.asarray(score, float)).rank().to_numpy()
    bads, goods = int(bad.sum()), int((~bad).sum())
    return float((ranks[bad].sum() - bads * (bads + 1) / 2) / (bads * goods))


def auc_error(score: np.ndarray, bad: np.ndarray) -> float:
    """Standard error of the AUC (DeLong, DeLong and Clarke-Pearson 1988); nan with fewer than two of a class."""
    score, bad = np.asarray(score, float), np.asarray(bad, bool)
    bads, goods = score[bad], score[~bad]
    if len(bads) < 2 or len(goods) < 2:
        return float("nan")
    all_ranks = pd.Series(np.concatenate([bads, goods])).rank().to_numpy()
    of_bad = (all_ranks[: len(bads)] - pd.Series(bads).rank().to_numpy()) / len(goods)
    of_good = 1 - (all_ranks[len(bads) :] - pd.Series(goods).rank().to_numpy()) / len(bads)
    return float(np.sqrt(of_bad.var(ddof=1) / len(bads) + of_good.var(ddof=1) / len(goods)))


def ks(score: np.ndarray, bad: np.ndarray) -> float:
    """Largest distance between the distributions of the bad and the good; nan with one class only."""
    score, bad = np.asarray(score, float), np.asarray(bad, bool)
    if not bad.any() or bad.all():
        return float("nan")
    order = np.argsort(score, kind="stable")
    of_bad, of_good = np.cumsum(bad[order]) / bad.sum(), np.cumsum(~bad[order]) / (~bad).sum()
    last = np.append(np.diff(score[order]) > 0, True)  # equal scores are one step
    return float(np.abs(of_bad - of_good)[last].max())


def auc_under_pd(score: np.ndarray, pd_: np.ndarray) -> float:
    """Expected AUC when firm i defaults with chance pd_[i]: no draw of outcomes, hence a far smaller error.

    Each ordered pair i ≠ j counts p_i (1 - p_j); ties of the score count one half.
    """
    values, place = np.unique(np.asarray(score, float), return_inverse=True)
    bad = np.bincount(place, pd_, len(values))
    good = np.bincount(place, 1 - np.asarray(pd_), len(values))
    own = float(np.sum(np.asarray(pd_) * (1 - np.asarray(pd_))))
    below = np.cumsum(good) - good
    pairs = bad.sum() * good.sum() - own
    return float((np.sum(bad * (below + good / 2)) - own / 2) / pairs) if pairs > 0 else float("nan")


# Flows


def matched_links(said: pd.DataFrame, true: pd.DataFrame, days: int = 1) -> pd.DataFrame:
    """Right, said and true links by record: columns record, right, said, true.

    Both frames: invoice_number, record, occurred_on, amount (whole units or fen). A link is right when the invoice
    has a true one of that record and amount within `days`; each true link is used once.
    """
    # Within a key, both sides are taken in the order of days: the first said against the first true, and so on.
    numbered = """
        select *, row_number() over (partition by invoice_number, record, amount order by occurred_on) as place from {}
    """
    query = f"""
        with hit as (
            select record, count(*) as "right"
            from ({numbered.format("said")}) s join ({numbered.format("truth")}) t
                using (invoice_number, record, amount, place)
            where abs(date_diff('day', s.occurred_on, t.occurred_on)) <= {int(days)} group by 1
        ), a as (select record, count(*) as said from said group by 1),
        b as (select record, count(*) as "true" from truth group by 1)
        select record, coalesce("right", 0) as "right", coalesce(said, 0) as said, coalesce("true", 0) as "true"
        from a full join b using (record) left join hit using (record) order by 1
    """
    with duckdb.connect() as connection:
        connection.register("said", said)
        connection.register("truth", true)
        return connection.execute(query).df()


# Lead times


def lead_times(alerts: pd.DataFrame, defaults: pd.DataFrame, longest_days: int = 365) -> pd.DataFrame:
    """One row a default and source: days from the first alert of the year before to the default; none is absent.

    alerts: firm_id, source, alerted_on. defaults: firm_id, defaulted_on.
    """
    joined = alerts.merge(defaults, on="firm_id")
    joined["days"] = (joined["defaulted_on"] - joined["alerted_on"]).dt.days
    early = joined[(joined["days"] > 0) & (joined["days"] <= longest_days)]
    return early.groupby(["firm_id", "source"], as_index=False)["days"].max()


def true_alerts(alerts: pd.DataFrame, defaults: pd.DataFrame, until: pd.Timestamp) -> dict[str, Share]:
    """By source: alerts followed by a default within twelve months, of those whose twelve months are over.

    One alert a firm, source and month counts, so that a source that repeats itself gains nothing.
    """
    mature = alerts[alerts["alerted_on"] + HORIZON <= until].copy()
    mature["month"] = mature["alerted_on"].dt.to_period("M")
    mature = mature.sort_values("alerted_on").drop_duplicates(["firm_id", "source", "month"])
    joined = mature.merge(defaults, on="firm_id", how="left")
    ahead = joined["defaulted_on"].isna() | (joined["defaulted_on"] > joined["alerted_on"])
    joined = joined[ahead]  # an alert after the default is neither true nor false
    hit = joined["defaulted_on"] <= joined["alerted_on"] + HORIZON
    return {source: Share(int(hits.sum()), len(hits)) for source, hits in hit.groupby(joined["source"], observed=True)}
