"""Documents that are read by their labels: what a PDF tells, and what it does not."""

from __future__ import annotations

import pytest
from fpdf import FPDF

from lakehouse.errors import ContractError
from spark_jobs.pull import files_form

WORDS = {"debt": ["Bank loans", "银行借款"], "long": "Bank loans, long-term", "year": "Year"}
LABELS = files_form.labels_of({"labels": WORDS})


def page(*lines: tuple[str, str], pages: int = 1) -> bytes:
    pdf = FPDF()
    pdf.set_font("helvetica", size=11)
    for _ in range(pages):
        pdf.add_page()
        for label, value in lines:
            pdf.cell(70, 9, label, border=1)
            pdf.cell(0, 9, value, border=1, new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


def test_a_line_tells_the_field_whose_label_it_begins_with() -> None:
    told = files_form.read(page(("Annual statement", ""), ("Year", "2021"), ("Bank loans", "1,234.50")), LABELS)
    assert told == {"year": "2021", "debt": "1,234.50"}


def test_a_longer_label_is_another_field_and_another_word_is_none() -> None:
    lines = ("Bank loans, long-term", "7.00"), ("Yearly sales", "9"), ("Bank loans:", "5.00"), ("Year", "")
    assert files_form.read(page(*lines), LABELS) == {"long": "7.00", "debt": "5.00", "year": ""}


def test_what_is_said_twice_is_read_where_it_is_said_alike() -> None:
    assert files_form.read(page(("Year", "2021"), pages=2), LABELS) == {"year": "2021"}
    assert files_form.read(page(("Year", "2021"), ("Year", "2020")), LABELS) is None


def test_scans_damaged_files_and_other_documents_tell_nothing() -> None:
    sound = page(("Year", "2021"))
    for content in (page(), page(("Lease", "5")), b"", b"%PDF-1.4 no more", sound[: len(sound) // 2], b"\xff" * 99):
        assert files_form.read(content, LABELS) is None


def test_a_label_of_two_fields_is_a_fault_of_the_contract() -> None:
    assert files_form.labels_of({}) == {}
    for labels in ({"a": "Year", "b": ["Sum", "Year"]}, {"a": [" "]}):
        with pytest.raises(ContractError, match="option `labels`"):
            files_form.labels_of({"labels": labels})
