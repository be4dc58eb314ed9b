"""A gate's findings as one readable page and as JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

from lakehouse.gate_policy import BLOCKING
from lakehouse.settings import get_settings
from lakehouse.time import utc_now

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1c2733}
h1{font-size:1.5em;margin-bottom:.2em} h2{font-size:1.1em;margin-top:2em}
table{border-collapse:collapse;width:100%} td,th{padding:.35em .7em;text-align:left;border-bottom:1px solid #dde3ea}
td.n{text-align:right;font-variant-numeric:tabular-nums} .ok{color:#18794e} .bad{color:#b42318;font-weight:600}
.lead{color:#51606e} tr.bad td{background:#fef3f2} .warn{color:#9a6700;font-weight:600} tr.warn td{background:#fffaeb}
"""


@dataclass(frozen=True)
class Finding:
    """One expectation's outcome: table, rule in words, whether it held, rows checked and rows that broke it.

    A broken rule holds its table back if its `severity` is blocking and nobody waived it (`waived`: by whose word).
    `batch_id` is set where the rule is about one batch.
    """

    table: str
    rule: str
    passed: bool
    checked: int | None
    broken: int | None
    detail: str = ""
    severity: str = BLOCKING
    batch_id: str | None = None
    waived: str | None = None
    can_be_waived: bool = True

    @property
    def holds_back(self) -> bool:
        """Whether what it is about must not be published."""
        return not self.passed and self.severity == BLOCKING and self.waived is None

    @property
    def outcome(self) -> str:
        """What came of it: held, broken, warning or waived."""
        if self.passed:
            return "held"
        return "broken" if self.holds_back else "waived" if self.waived else "warning"


def write(
    layer: str,
    partition: str,
    run_id: str,
    tables: Mapping[str, int],
    findings: Sequence[Finding],
    held: Sequence[str] = (),
) -> Path:
    """Writes `<layer>-<partition>-<run>.html` and `.json` and an index of all pages; returns the page's path.

    `held`: the batches that were kept from publication while the rest was published.
    """
    folder = get_settings().reports_dir
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{layer}-{partition}-{run_id}.html"
    body = {
        "layer": layer,
        "partition": partition,
        "run_id": run_id,
        "checked_at": utc_now().isoformat(timespec="seconds"),
        "tables": dict(tables),
        "held_batches": list(held),
        "findings": [asdict(f) | {"outcome": f.outcome} for f in findings],
    }
    page.write_text(_page(body, findings), encoding="utf-8")
    # The index reads every JSON file: a killed gate must not leave half of one.
    draft = page.with_suffix(".draft")
    draft.write_text(json.dumps(body, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
    draft.replace(page.with_suffix(".json"))
    _write_index(folder)
    return page


def _page(body: Mapping[str, object], findings: Sequence[Finding]) -> str:
    verdict = _verdict(findings, body["held_batches"])  # type: ignore[arg-type]
    parts = [
        f"<h1>Gate {escape(str(body['layer']))}, partition {escape(str(body['partition']))}</h1>",
        f"<p>{verdict}</p><p class=lead>Run {body['run_id']}, checked at {body['checked_at']} (UTC). "
        "Rows are counted, never shown.</p>",
    ]
    versions: Mapping[str, int] = body["tables"]  # type: ignore[assignment]
    for table in dict.fromkeys(f.table for f in findings):
        version = f" <span class=lead>version {versions[table]}</span>" if table in versions else ""
        rows = "".join(_row(f) for f in sorted(findings, key=_gravest_first) if f.table == table)
        parts.append(
            f"<h2>{escape(table)}{version}</h2><table><tr><th>rule<th>held<th>checked<th>broken<th>detail</tr>"
            f"{rows}</table>"
        )
    return (
        f"<!doctype html><meta charset=utf-8><title>Gate {body['layer']}</title><style>{STYLE}</style>{''.join(parts)}"
    )


def _verdict(findings: Sequence[Finding], held: Sequence[str]) -> str:
    broken = sum(f.holds_back for f in findings)
    lighter = [f"{n} {word}" for word in ("warning", "waived") if (n := sum(f.outcome == word for f in findings))]
    beside = f" <span class=warn>{', '.join(lighter)}</span>" if lighter else ""
    if not broken:
        kept = len(findings) - sum(not f.passed for f in findings)
        return f'<span class="ok">all {kept} expectations held</span>' + (f", beside them{beside}" if beside else "")
    what = f"nothing of batch {', '.join(held)} was published" if held else "nothing was published"
    return f'<span class="bad">{broken} of {len(findings)} expectations failed: {escape(what)}</span>{beside}'


def _gravest_first(finding: Finding) -> int:
    return ("broken", "waived", "warning", "held").index(finding.outcome)


def _row(finding: Finding) -> str:
    style = {"held": "ok", "broken": "bad"}.get(finding.outcome, "warn")
    word = {"held": "yes", "broken": "no"}.get(finding.outcome, finding.outcome)
    numbers = "".join(f"<td class=n>{'' if n is None else f'{n:,}'}" for n in (finding.checked, finding.broken))
    waived = f"waived by {finding.waived}" if finding.waived else ""
    batch = f"batch {finding.batch_id}" if finding.batch_id else ""
    detail = "; ".join(filter(None, (batch, finding.detail, waived)))
    return (
        f'<tr{"" if finding.passed else f" class={style}"}><td>{escape(finding.rule)}<td class="{style}">{word}'
        f"{numbers}<td>{escape(detail)}</tr>"
    )


def _write_index(folder: Path) -> None:
    rows = []
    for path in sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True):
        body = json.loads(path.read_text(encoding="utf-8"))
        # Pages of earlier releases know neither warnings nor waivers.
        broken = sum(not f["passed"] and f.get("outcome", "broken") == "broken" for f in body["findings"])
        verdict = f'<td class="bad">{broken} failed' if broken else '<td class="ok">published'
        rows.append(
            f"<tr><td><a href='{path.with_suffix('.html').name}'>{body['layer']}</a><td>{body['partition']}"
            f"<td>{body['checked_at']}<td class=n>{len(body['findings'])}{verdict}</tr>"
        )
    (folder / "index.html").write_text(
        f"<!doctype html><meta charset=utf-8><title>Gates</title><style>{STYLE}</style><h1>Gate reports</h1>"
        "<table><tr><th>layer<th>partition<th>checked at (UTC)<th>expectations<th>outcome</tr>"
        f"{''.join(rows)}</table>",
        encoding="utf-8",
    )
