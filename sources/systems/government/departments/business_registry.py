"""The business registry: who is registered, and what changed."""

from __future__ import annotations

from sources.systems.government.fields import coded, day, number, text
from sources.systems.government.model import Dataset, Department, Lag, Stage

REGISTRY = Department(
    "business_registry",
    "registry",
    "Market regulation: business registry",
    "Every enterprise registered in the region, its changes and its shareholders.",
    (
        Dataset(
            name="enterprises",
            about="Enterprises as registered; a change or a closure is a new revision.",
            grain="one record an enterprise",
            sql="SELECT * FROM enterprise_state",
            key=("subject",),
            subject="subject",
            states=True,
            fields=(
                text("ztbh", "subject_key", "the registry's own key", "330106190004213"),
                text("tyshxydm", "uscc", "unified social credit code", "91330106MA2K00001X"),
                text("zch", "registration_number", "old registration number", "330106000012345"),
                text("qymc", "name", "registered name", "杭州示例机械有限公司"),
                text("qylx", "kind", "kind of business", "manufacturer"),
                text("hydm", "industry_code", "industry, GB/T 4754-2017", "C3360"),
                text("xzqh", "region_code", "region, GB/T 2260", "330106"),
                text("zs", "address", "registered address", "杨柳路1号"),
                text("lxdh", "phone", "telephone", "13800000001"),
                text("fddbr", "legal_person_name", "legal person", "张三"),
                text("fddbr_zjhm", "legal_person_number", "legal person's identity number", "330106197001010011"),
                number("zczb", "capital_fen / 1000000.0", "registered capital", 500.0, "10,000 CNY", 4),
                day("clrq", "founded_on", "founded on"),
                coded("djzt", "state", "state", {"open": ("1", "in being"), "closed": ("2", "deregistered")}, "9"),
                day("zxrq", "closed_on", "deregistered on"),
            ),
            lag=Lag(1, 4, 0.02, 20),
            prefix="Q",
        ),
        Dataset(
            name="changes",
            about="Entries of the register's change book.",
            grain="one record a change",
            sql="""
                SELECT c.change_id, c.firm_id, c.kind, c.changed_on, c.changed_on AS event_on,
                       CASE WHEN c.kind LIKE '%legal%' THEN before.name ELSE c.old_value END AS old_text,
                       CASE WHEN c.kind LIKE '%legal%' THEN later.name ELSE c.new_value END AS new_text,
                       other.uscc AS other_code
                FROM firm_change c
                LEFT JOIN person before ON c.kind LIKE '%legal%' AND before.person_id = try_cast(c.old_value AS INT)
                LEFT JOIN person later ON c.kind LIKE '%legal%' AND later.person_id = try_cast(c.new_value AS INT)
                LEFT JOIN party other ON other.party_id = c.other_firm_id""",
            key=("change_id",),
            subject="firm_id",
            fields=(
                text("ztbh", "subject_key", "the registry's own key", "330106190004213"),
                day("bgrq", "changed_on", "day of the change"),
                text("bgsx", "kind", "what changed", "renamed"),
                text("bgqnr", "old_text", "before", "杭州示例机械有限公司"),
                text("bghnr", "new_text", "after", "杭州新例机械有限公司"),
                text("xgztdm", "other_code", "credit code of the other enterprise", "91330106MA2K00002X"),
            ),
            lag=Lag(2, 6, 0.05, 30),
            prefix="B",
        ),
        Dataset(
            name="shareholders",
            about="Shares held; the end of a holding is a new revision.",
            grain="one record a holding",
            sql="""
                SELECT o.owner_id, o.firm_id, o.from_on, o.to_on, o.share_ratio, o.owner_is_firm, o.from_on AS event_on,
                       CASE WHEN o.owner_is_firm THEN f.name ELSE p.name END AS owner_name,
                       CASE WHEN o.owner_is_firm THEN f.uscc ELSE p.id_number END AS owner_code
                FROM ownership o
                LEFT JOIN party f ON o.owner_is_firm AND f.party_id = o.owner_id
                LEFT JOIN person p ON NOT o.owner_is_firm AND p.person_id = o.owner_id""",
            key=("owner_id", "owner_is_firm", "firm_id", "from_on"),
            subject="firm_id",
            stages=(Stage("to_on", ("to_on",)),),
            fields=(
                text("ztbh", "subject_key", "the registry's own key", "330106190004213"),
                text("gdmc", "owner_name", "shareholder", "张三"),
                coded(
                    "gdlx",
                    "owner_is_firm",
                    "kind of shareholder",
                    {"true": ("1", "enterprise"), "false": ("2", "natural person")},
                    "9",
                ),
                text("gdzjhm", "owner_code", "credit code or identity number", "330106197001010011"),
                number("cgbl", "share_ratio * 100", "share", 60.0, "%", 4),
                day("qsrq", "from_on", "held from"),
                day("jsrq", "to_on", "held until"),
            ),
            lag=Lag(3, 10),
            prefix="G",
        ),
    ),
)
