"""Penalties by authorities, and cases and judgments of courts."""

from __future__ import annotations

from sources.systems.government.fields import coded, day, text, yuan
from sources.systems.government.model import Dataset, Department, Lag, Stage

PENALTIES = Department(
    "penalties",
    "penalties",
    "Credit office: administrative penalties",
    "Penalties that departments published; they name the party, seldom its code.",
    (
        Dataset(
            name="decisions",
            about="Published penalties.",
            grain="one record a decision",
            sql="""
                SELECT p.penalty_id, p.firm_id, p.department AS office, p.decided_on, p.kind, p.amount_fen,
                       p.published_on, p.published_on AS event_on, h.name,
                       coalesce(h.uscc, h.registration_number) AS code
                FROM penalty p
                JOIN held h ON h.department = 'penalties' AND h.firm_id = p.firm_id AND h.first_key
                    AND p.decided_on >= h.since AND p.decided_on < h.until
                WHERE p.published_on IS NOT NULL""",
            key=("penalty_id",),
            subject="firm_id",
            fields=(
                text("dsrbh", "subject_key", "the party's number in the office's files", "D000512345"),
                text("dsrmc", "name", "party, as written in the decision", "示例机械"),
                text("dsrdm", "code", "credit code or old registration number, where written", "91330106MA2K00001X"),
                text("cfjg", "office", "deciding office", "environment"),
                day("cfrq", "decided_on", "decided on", "%Y年%m月%d日"),
                text("cflb", "kind", "kind of penalty", "fine"),
                yuan("fkje", "amount_fen", "fine"),
                day("gsrq", "published_on", "published on", "%Y年%m月%d日"),
            ),
            lag=Lag(1, 6, 0.05, 60),
            prefix="X",
        ),
    ),
)

COURTS = Department(
    "courts",
    "courts",
    "Courts",
    "Civil cases and enforcement in which a party is registered here; parties are named, seldom coded.",
    (
        Dataset(
            name="cases",
            about="Civil cases; judgement, enforcement and closure are new revisions.",
            grain="one record a case",
            sql="""
                SELECT c.case_id, c.case_number, c.kind, c.filed_on, c.amount_fen, c.judged_on, c.enforced_on,
                       c.closed_on, c.filed_on AS event_on, coalesce(ph.name, p.name) AS plaintiff_name,
                       CASE WHEN ph.key IS NULL THEN p.uscc ELSE coalesce(ph.uscc, ph.registration_number) END
                           AS plaintiff_code,
                       coalesce(dh.name, d.name) AS defendant_name,
                       CASE WHEN dh.key IS NULL THEN d.uscc ELSE coalesce(dh.uscc, dh.registration_number) END
                           AS defendant_code
                FROM court_case c
                LEFT JOIN party p ON p.party_id = c.plaintiff_id
                LEFT JOIN party d ON d.party_id = c.defendant_id
                LEFT JOIN held ph ON ph.department = 'courts' AND ph.firm_id = c.plaintiff_id AND ph.first_key
                    AND c.filed_on >= ph.since AND c.filed_on < ph.until
                LEFT JOIN held dh ON dh.department = 'courts' AND dh.firm_id = c.defendant_id AND dh.first_key
                    AND c.filed_on >= dh.since AND c.filed_on < dh.until
                WHERE ph.key IS NOT NULL OR dh.key IS NOT NULL""",
            key=("case_id",),
            stages=(
                Stage("judged_on", ("judged_on",)),
                Stage("enforced_on", ("enforced_on",)),
                Stage("closed_on", ("closed_on",)),
            ),
            fields=(
                text("ah", "case_number", "case number", "（2019）浙0106民初123号"),
                text("yg", "plaintiff_name", "plaintiff, as written", "上海外部贸易有限公司"),
                text("ygdm", "plaintiff_code", "plaintiff's code, where written", "91310000MA1K00002X"),
                text("bg", "defendant_name", "defendant, as written", "示例机械"),
                text("bgdm", "defendant_code", "defendant's code, where written", "91330106MA2K00001X"),
                text("ay", "kind", "cause of action", "sales_contract"),
                day("larq", "filed_on", "filed on", "%d.%m.%Y"),
                yuan("bdje", "amount_fen", "amount in dispute"),
                day("pjrq", "judged_on", "judged on", "%d.%m.%Y"),
                day("zxrq", "enforced_on", "enforcement opened on", "%d.%m.%Y"),
                day("jarq", "closed_on", "closed on", "%d.%m.%Y"),
                coded(
                    "zt",
                    """CASE WHEN closed_on IS NOT NULL THEN 'closed' WHEN enforced_on IS NOT NULL THEN 'enforced'
                       WHEN judged_on IS NOT NULL THEN 'judged' ELSE 'filed' END""",
                    "state",
                    {
                        "filed": ("1", "filed"),
                        "judged": ("2", "judged"),
                        "enforced": ("3", "in enforcement"),
                        "closed": ("4", "closed"),
                    },
                    "9",
                ),
            ),
            lag=Lag(10, 35, 0.1, 120),
            prefix="A",
        ),
    ),
)
