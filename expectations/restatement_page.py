"""The report of a restatement as one readable page, beside the gate's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from expectations.report import STYLE
from lakehouse.gate_policy import BAND_MOVES, MOVE_THAT_MATTERS
from lakehouse.restatements import WAITS, OfEnterprise, OfFeature, OfSource, bands_first, most_moved
from lakehouse.settings import get_settings

LISTED = 200  # rows of a table on the page; the tables in schema control hold all


def write(
    sources: Sequence[OfSource],
    features: Sequence[OfFeature],
    enterprises: Sequence[OfEnterprise],
    model_version: str | None,
) -> Path:
    """Writes `restatement-<partition>-<run>.html` beside the gates'; returns its path. `sources`: at least one."""
    first, folder = sources[0], get_settings().reports_dir
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"restatement-{first.partition}-{first.run_id}.html"
    page.write_text("".join(_parts(first, sources, features, enterprises, model_version)), encoding="utf-8")
    return page


def _parts(
    first: OfSource,
    sources: Sequence[OfSource],
    features: Sequence[OfFeature],
    enterprises: Sequence[OfEnterprise],
    model_version: str | None,
) -> Iterable[str]:
    held = [s for s in sources if s.outcome == WAITS]
    verdict = (
        f'<span class="bad">{len(held)} of {len(sources)} batches restate more than may pass without approval: nothing '
        "of silver was published</span>"
        if held
        else '<span class="ok">within its limits, or approved</span>'
    )
    yield f"<!doctype html><meta charset=utf-8><title>Restatement {first.partition}</title><style>{STYLE}</style>"
    yield f"<h1>Restatement, partition {first.partition}</h1><p>{verdict}</p>"
    yield (
        f"<p class=lead>Run {first.run_id}, checked at {first.checked_at:%Y-%m-%dT%H:%M:%S} (UTC). Features as known "
        f"at {first.as_of}, with the restating rows against without them; {first.enterprises:,} enterprises are known. "
        f"A move matters from {MOVE_THAT_MATTERS:.0%} of a value on, of ratios and logarithms of 1 at least.</p>"
        "<h2>Sources</h2>"
    )
    yield _table(
        "table contract department batch restated deleted late touched moved bands outcome",
        [
            (s.table_name, s.contract, s.department or "", s.batch_id, s.restated, s.deleted, s.late, s.touched,
             s.moved, "no champion" if s.band_moves is None else s.band_moves,
             f"waived by {s.waived}" if s.waived else s.outcome)
            for s in sources
        ],
    )  # fmt: skip
    yield "<h2>Bands</h2>"
    if model_version is None:
        yield "<p>There is no champion: no score can move.</p>"
    else:
        crossed = Counter(
            (e.band_before or "", e.band_after or "") for e in enterprises if e.band_before != e.band_after
        )
        yield f"<p>By champion version {escape(model_version)}; up to {BAND_MOVES:.0%} of enterprises may change.</p>"
        yield _table("before after enterprises", [(*bands, n) for bands, n in sorted(crossed.items())])
    yield "<h2>Enterprises</h2>"
    yield _table(
        "enterprise features_moved largest of band_before band_after score_before score_after",
        [
            (e.enterprise_id, e.features, _share(e.largest_change), e.largest_feature or "", e.band_before or "",
             e.band_after or "", e.score_before, e.score_after)
            for e in bands_first(enterprises)
        ],
    )  # fmt: skip
    yield "<h2>Features</h2>"
    yield _table(
        "feature enterprises median largest",
        [(f.feature, f.enterprises, _share(f.median_change), _share(f.largest_change)) for f in most_moved(features)],
    )


def _table(columns: str, rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return "<p>none</p>"
    head = "".join(f"<th>{name.replace('_', ' ')}" for name in columns.split())
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:LISTED])
    more = f"<p class=lead>and {len(rows) - LISTED:,} more</p>" if len(rows) > LISTED else ""
    return f"<table><tr>{head}</tr>{body}</table>{more}"


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"<td class=n>{value:,}"
    return f"<td>{'' if value is None else escape(str(value))}"


def _share(change: float | None) -> str:
    return "from or to nothing" if change is None else f"{change:+.1%}"
