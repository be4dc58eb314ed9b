"""Gate reports: counts that a person can read, text that cannot become markup, an index that survives."""

from __future__ import annotations

from expectations import report
from expectations.gate import Finding
from lakehouse.settings import Settings

GOOD = Finding("silver.loan", "column_values_to_not_be_null: column loan_id", True, 1_234_567, 0)
BAD = Finding("silver.<b>loan</b>", "status in <set> & more", False, 10, 3, "<script>alert(1)</script>")


def test_a_page_shows_verdict_counts_and_versions_and_escapes_text(settings: Settings) -> None:
    page = report.write("silver", "2020-03-01", "run1", {"silver.loan": 7}, [GOOD, BAD])
    html = page.read_text(encoding="utf-8")
    assert page.name == "silver-2020-03-01-run1.html"
    assert "1 of 2 expectations failed: nothing was published" in html
    assert "1,234,567" in html and "version 7" in html
    assert "<script>" not in html and "<b>loan" not in html and "&lt;script&gt;" in html
    assert "all 1 expectations held" in report.write("silver", "2020-03-01", "run2", {}, [GOOD]).read_text()
    index = (settings.reports_dir / "index.html").read_text()
    assert index.count("1 failed") == 1 and index.count("published") == 1
    assert "silver-2020-03-01-run1.html" in index


def test_a_report_cut_short_by_a_kill_does_not_stop_the_next_gate(settings: Settings) -> None:
    settings.reports_dir.mkdir(parents=True, exist_ok=True)
    (settings.reports_dir / "silver-2020-03-01-dead.draft").write_text('{"layer": ')
    page = report.write("gold", "2020-03-01", "run3", {}, [GOOD])
    assert page.exists() and page.with_suffix(".json").exists()
    assert not page.with_suffix(".draft").exists()
