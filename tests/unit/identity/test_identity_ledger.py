"""A small region by hand: who is linked to whom, by what, since when; and that nothing comes from the future."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from identity_rows import change, changes, day, registered, row, rows, uscc

from spark_jobs.identity import ledger
from spark_jobs.identity.ledger import Ledger, identity_as_of

ROAD, PHONE = "苏州市科技路372号", "13800000001"
OTHER_ROAD, OTHER_PHONE = "苏州市人民路5号", "13900000002"

ROWS = rows(
    registered(1, "苏州和安仓储有限公司", address=ROAD, phone=PHONE),
    registered(2, "苏州鑫源钢铁有限公司", address=OTHER_ROAD),
    registered(3, "宁波永达食品有限公司"),
    registered(4, "宁波昌隆建材有限公司", address="宁波市长江路1号", phone="13700000003"),
    # By codes
    row("vat_invoices", uscc(1), "苏州和安仓储有限公司", code=uscc(1)),
    row("tax_returns", uscc(2)[2:17], "苏州鑫源钢铁有限公司"),
    row("social_insurance", "S1", "苏州和安仓储有限公司", code="320500000000001"),
    row("environment", f"{uscc(3)}001R", "宁波永达食品有限公司"),
    row("payments", "P9", "泉州外地物流有限公司", code=uscc(9), phone="15000000009"),  # no register holds it
    # By name alone, or with address and telephone
    row("water", "W1", "苏州和安仓储有限公司"),
    row("water", "W2", "苏州新原钢铁有限公司"),
    row("gas", "G1", "蘇州和安倉儲"),
    row("gas", "G4", "宁波吕隆建材有限公司", address="宁波市长江路1号", phone="13700000003"),
    row("gas", "G9", "泉州外地物流"),
    row("field", "F1", "和安仓储", address=ROAD),
    # Not to be linked by themselves
    row("field", "F2", "和安仓储"),
    row("field", "F4", "宁波吕隆建材有限公司", address="宁波市长江路1号"),
    row("courts", "C5", "苏州大河商贸有限公司", address=ROAD, phone=PHONE),  # the neighbour's address and telephone
    row("courts", "C6", "成都某某服装有限公司"),
    row("land", "L6", "成都某某服装有限公司"),
    # Codes not to be trusted
    row("bureau", "B1", "泉州远大纺织有限公司", code=uscc(1)),
    row("bureau", "B2", "宁波永达食品有限公司", code=uscc(2)),
    row("bureau", "B3", "佛山无名家具有限公司", code=uscc(3)[:-1] + ("0" if uscc(3)[-1] != "0" else "1")),
    # Later
    row("electricity", "E3", "宁波永达食品有限公司"),
    row("electricity", "E7", "宁波正丰建材有限公司", known=10),
    registered(7, "宁波正丰建材有限公司", known=40),
    row("electricity", "E8", "宁波远航建材有限公司", known=60),
)  # fmt: skip
CHANGES = changes(
    change(3, "merged_into", date(2020, 1, 20), 25, other_uscc=uscc(4)),
    change(1, "renamed", date(2020, 2, 1), 35, value_before="苏州和安仓储有限公司", value_after="苏州德盛仓储有限公司"),
    change(4, "branch_opened", date(2020, 2, 2), 50, value_after="宁波远航建材有限公司第一分公司"),
)  # fmt: skip


@pytest.fixture(scope="module")
def built() -> Ledger:
    return ledger.build(ROWS, CHANGES)


def who(built: Ledger, department: str, key: str, days: int = 1000, on: date | None = None) -> str | None:
    """The enterprise a key is linked to as known some days after the first; None for one that stands alone."""
    for found in identity_as_of(built, day(days), on).to_pylist():
        if (found["department"], found["local_key"]) == (department, key):
            return found["enterprise_id"] if found["linked"] else None
    return "unknown"


@pytest.mark.parametrize(
    ("department", "key", "number"),
    [("vat_invoices", uscc(1), 1), ("tax_returns", uscc(2)[2:17], 2), ("social_insurance", "S1", 1),
     ("environment", f"{uscc(3)}001R", 3), ("payments", "P9", 9), ("business_registry", "R7", 7)],
)  # fmt: skip
def test_codes_lead_to_the_enterprise(built: Ledger, department: str, key: str, number: int) -> None:
    assert who(built, department, key) == uscc(number)


@pytest.mark.parametrize(
    ("department", "key", "number"),
    [("water", "W1", 1), ("water", "W2", 2), ("gas", "G1", 1), ("gas", "G4", 4), ("gas", "G9", 9), ("field", "F1", 1)],
)
def test_names_lead_to_the_enterprise(built: Ledger, department: str, key: str, number: int) -> None:
    assert who(built, department, key) == uscc(number)


@pytest.mark.parametrize(
    ("department", "key"), [("field", "F2"), ("field", "F4"), ("courts", "C5"), ("courts", "C6"), ("bureau", "B1")]
)
def test_what_is_uncertain_stands_alone(built: Ledger, department: str, key: str) -> None:
    assert who(built, department, key) is None


def test_doubts_wait_for_a_person_and_nothing_else_does(built: Ledger) -> None:
    waiting = {(r["local_key"], r["reason"], r["candidate_id"]) for r in built.review.to_pylist()}
    assert waiting == {
        ("F2", "weak", uscc(1)), ("F4", "weak", uscc(4)), ("B1", "name contradicts code", uscc(1)),
        ("B3", "code unsound", None),
    }  # fmt: skip


def test_a_code_of_somebody_else_gives_way_to_the_name(built: Ledger) -> None:
    assert who(built, "bureau", "B2") == uscc(3)


def test_strangers_of_one_name_stand_together(built: Ledger) -> None:
    alone = {r["key"]: r["enterprise_id"] for r in built.key.to_pylist() if not r["linked"]}
    assert alone["C6"] == alone["L6"]
    assert len({alone["C5"], alone["C6"], alone["F2"], alone["B3"]}) == 4


def test_a_merger_passes_meters_on_from_its_day_and_no_permits(built: Ledger) -> None:
    before, after = date(2020, 1, 19), date(2020, 1, 20)
    assert who(built, "electricity", "E3", on=before) == uscc(3)
    assert who(built, "electricity", "E3", on=after) == uscc(4)
    assert who(built, "electricity", "E3", days=24, on=after) == uscc(3)  # the change book had not said it yet
    assert who(built, "environment", f"{uscc(3)}001R", on=after) == uscc(3)


def test_the_register_may_come_later(built: Ledger) -> None:
    assert who(built, "electricity", "E7", days=9) == "unknown"
    assert who(built, "electricity", "E7", days=39) is None
    assert who(built, "electricity", "E7", days=40) == uscc(7)


def test_a_branch_is_its_head_office(built: Ledger) -> None:
    assert who(built, "electricity", "E8") == uscc(4)


def test_old_and_new_names_are_one_enterprise(built: Ledger) -> None:
    later = ledger.build(rows(row("water", "W5", "苏州德盛仓储有限公司", known=90)), CHANGES, before=built)
    assert who(later, "water", "W5") == who(later, "water", "W1") == uscc(1)


def test_relations_are_kept_by_both_times(built: Ledger) -> None:
    found = {(r["kind"], r["enterprise_id"], r["effective_on"], r["known_at"]) for r in built.relation.to_pylist()}
    assert found == {
        ("merged_into", uscc(3), date(2020, 1, 20), day(25)), ("branch_opened", uscc(4), date(2020, 2, 2), day(50))
    }  # fmt: skip


def test_a_code_given_out_again_belongs_to_who_bore_the_name() -> None:
    told = rows(
        registered(1, "苏州和安仓储有限公司", founded_on=date(2001, 1, 1)),
        registered(2, "泉州远大纺织有限公司", code=uscc(1), founded_on=date(2019, 1, 1)),
        row("bureau", "B1", "苏州和安仓储有限公司", code=uscc(1)),
        row("bureau", "B2", "泉州远大纺织有限公司", code=uscc(1)),
    )
    built = ledger.build(told)
    assert {who(built, "bureau", "B1"), who(built, "bureau", "B2")} == {
        who(built, "business_registry", "R1"), who(built, "business_registry", "R2")
    }  # fmt: skip
    assert who(built, "bureau", "B1") != who(built, "bureau", "B2")


def test_two_enterprises_of_one_name_are_a_persons_choice() -> None:
    told = rows(
        registered(1, "苏州和安仓储有限公司"), registered(2, "苏州和安仓储有限责任公司"),
        row("gas", "G1", "苏州和安仓储有限公司"),
    )  # fmt: skip
    built = ledger.build(told)
    assert who(built, "gas", "G1") is None
    assert [r["reason"] for r in built.review.to_pylist()] == ["ambiguous"]


def test_other_names_under_a_key_are_the_same_party() -> None:
    told = rows(
        registered(1, "苏州和安仓储有限公司"),
        row("gas", "G1", "苏州和安仓储有限公司", code=uscc(1)),
        row("gas", "G1", "苏州远新仓储有限公司", known=5, valid_from=date(2020, 1, 3)),  # a rename nobody has told yet
        row("gas", "G1", "佛山大海家具有限公司", known=9, valid_from=date(2020, 1, 8)),  # a new tenant of the meter
    )
    built = ledger.build(told)
    assert who(built, "gas", "G1", days=6) == uscc(1)
    assert who(built, "gas", "G1", days=9) is None
    assert who(built, "gas", "G1", days=9, on=date(2020, 1, 7)) == uscc(1)


@pytest.mark.parametrize("days", [9, 25, 45, 60])
def test_a_past_date_sees_what_a_build_of_that_day_sees(built: Ledger, days: int) -> None:
    then = ledger.build(known_by(ROWS, days), known_by(CHANGES, days))
    for name in ("link", "key", "relation"):
        full, part = known_by(getattr(built, name), days), getattr(then, name)
        assert full.to_pylist() == part.to_pylist()
    assert identity_as_of(built, day(days)).equals(identity_as_of(then, day(days)))


@pytest.mark.parametrize("days", [9, 30, 40, 1000])
def test_every_key_known_has_one_enterprise_at_each_moment(built: Ledger, days: int) -> None:
    known = known_by(built.mention, days).select(["department", "local_key"]).group_by(["department", "local_key"])
    found = identity_as_of(built, day(days)).select(["department", "local_key"]).to_pylist()
    assert sorted(map(repr, found)) == sorted(map(repr, known.aggregate([]).to_pylist()))


def test_day_by_day_ends_where_a_build_at_once_ends(built: Ledger) -> None:
    by_day, last = None, -1
    for days in (0, 10, 40, 60):
        new = known_by(ROWS, days).filter(pc.greater(known_by(ROWS, days)["known_at"], pa.scalar(day(last))))
        by_day, last = ledger.build(new, known_by(CHANGES, days), before=by_day), days
    for name in ("mention", "pair", "link", "key", "review", "relation"):
        assert getattr(by_day, name).to_pylist() == getattr(built, name).to_pylist()


def test_a_day_compares_its_own_blocks_alone(built: Ledger) -> None:
    nothing = ledger.build(ROWS.slice(0, 0), CHANGES, before=built)
    assert nothing.compared == 0
    one = ledger.build(rows(row("water", "W8", "宁波永达食品有限公司", known=80, phone=PHONE)), CHANGES, before=built)
    assert 0 < one.compared < built.compared / 5


def test_repeating_a_day_changes_nothing(built: Ledger) -> None:
    again = ledger.build(ROWS, CHANGES, before=built)
    assert again.compared == 0
    assert again.link.equals(built.link)


def known_by(table: pa.Table, days: int) -> pa.Table:
    return table.filter(pc.less_equal(table["known_at"], pa.scalar(day(days))))
