"""The departments of the government data platform: what each publishes, under which names, how late.

Names are those a department would use: abbreviated pinyin in most, English in some. Keys are each department's own.
"""

from __future__ import annotations

from sources.systems.government.fields import coded, day, number, text, whole, yuan, yuan_text
from sources.systems.government.model import Dataset, Department, Lag, Mistake, Stage


def _directory(department: str, name: str, about: str, names: tuple[str, str, str, str, str], lag: Lag) -> Dataset:
    """A department's list of those it knows: key, name as held there, credit code where it has it, address, phone.

    A new name or code is a new revision of the same key.
    """
    key, title, code, address, phone = names
    return Dataset(
        name=name,
        about=about,
        grain="one record a key; a new name is a new revision",
        sql=f"""
            SELECT key AS subject_key, name, coalesce(uscc, registration_number) AS code, address, phone,
                   from_on AS event_on
            FROM held WHERE department = '{department}'""",
        key=("subject_key",),
        fields=(
            text(key, "subject_key", "the department's own key", "3205119847"),
            text(title, "name", "name as held here, not always the registered one", "杭州示例机械有限公司"),
            text(code, "code", "credit code or old registration number, where known", "91330106MA2K00001X"),
            text(address, "address", "address as held here", "杨柳路1号"),
            text(phone, "phone", "telephone", "13800000001"),
        ),
        lag=lag,
        prefix="S",
        states=True,
    )


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

TAX_RETURNS = Department(
    "tax_returns",
    "tax",
    "Taxation: returns",
    "Value-added tax returns, monthly or quarterly, and their payment.",
    (
        _directory(
            "tax_returns",
            "taxpayers",
            "Taxpayers as the tax office knows them.",
            ("nsrsbh", "nsrmc", "shxydm", "scjydz", "lxdh"),
            Lag(3, 10),
        ),
        Dataset(
            name="returns",
            about="Value-added tax returns; payment is a new revision.",
            grain="one record a taxpayer and period",
            sql="SELECT *, filed_on AS event_on FROM tax_return WHERE filed_on IS NOT NULL",
            key=("firm_id", "period"),
            subject="firm_id",
            stages=(Stage("paid_on", ("paid_on", "paid_fen")),),
            fields=(
                text("nsrsbh", "subject_key", "taxpayer number", "91330106MA2K00001X"),
                day("skssq", "period", "tax period", "%Y%m"),
                yuan("xse", "declared_sales_fen", "declared sales without tax"),
                yuan("xxse", "output_tax_fen", "output tax"),
                yuan("jxse", "input_tax_fen", "input tax"),
                yuan("ynse", "payable_fen", "tax due"),
                yuan("yjse", "paid_fen", "tax paid"),
                day("sbrq", "filed_on", "filed on"),
                day("jkrq", "paid_on", "paid on"),
            ),
            lag=Lag(2, 5, 0.03, 40),
            mistake=Mistake("declared_sales_fen", 0.01, 0.1),
            prefix="T",
        ),
    ),
)

VAT_INVOICES = Department(
    "vat_invoices",
    "tax",
    "Taxation: electronic invoice ledger",
    "Value-added tax invoices of which the seller or the buyer is registered here.",
    (
        Dataset(
            name="invoices",
            about="Invoices; voiding one is a new revision, a red letter is a record of its own.",
            grain="one record an invoice",
            sql="""
                SELECT i.invoice_id, i.invoice_number, i.good, i.issued_on, i.amount_fen, i.tax_fen, i.total_fen,
                       i.voided_on, i.issued_on AS event_on,
                       coalesce(seller.held_key, seller.tax_number) AS seller_code, seller.name AS seller_name,
                       coalesce(buyer.held_key, buyer.tax_number) AS buyer_code, buyer.name AS buyer_name,
                       red.invoice_number AS red_of, o.number AS order_number
                FROM invoice i
                JOIN invoice_party seller ON seller.party_id = i.seller_id
                JOIN invoice_party buyer ON buyer.party_id = i.buyer_id
                LEFT JOIN invoice red ON red.invoice_id = i.red_of_id
                LEFT JOIN order_key o ON o.id = i.order_id
                WHERE seller.known OR buyer.known""",
            key=("invoice_id",),
            stages=(Stage("voided_on", ("voided_on",)),),
            fields=(
                text("fphm", "invoice_number", "invoice number", "40000017"),
                text("xsfsbh", "seller_code", "seller's tax number", "91330106MA2K00001X"),
                text("xsfmc", "seller_name", "seller", "杭州示例机械有限公司"),
                text("gmfsbh", "buyer_code", "buyer's tax number", "91330106MA2K00002X"),
                text("gmfmc", "buyer_name", "buyer", "上海外部贸易有限公司"),
                text("spmc", "good", "goods", "steel"),
                day("kprq", "issued_on", "issued on", "%Y%m%d"),
                yuan_text("je", "amount_fen", "amount without tax"),
                yuan_text("se", "tax_fen", "tax"),
                yuan_text("jshj", "total_fen", "amount with tax"),
                coded(
                    "fpzt",
                    "CASE WHEN voided_on IS NOT NULL THEN 'void' WHEN total_fen < 0 THEN 'red' ELSE 'valid' END",
                    "state",
                    {"valid": ("0", "valid"), "void": ("2", "void"), "red": ("3", "red letter")},
                    "9",
                ),
                day("zfrq", "voided_on", "voided on", "%Y%m%d"),
                text("yfphm", "red_of", "number of the invoice that a red letter reverses", "40000003"),
                text(
                    "bz",
                    "CASE WHEN order_number IS NULL THEN NULL ELSE '合同号 ' || order_number END",
                    "remark; usually the order it belongs to",
                    "合同号 PO0012345678",
                ),
            ),
            lag=Lag(1, 2, 0.01, 25),
            prefix="F",
        ),
    ),
    bulk="parquet",
)

SOCIAL_INSURANCE = Department(
    "social_insurance",
    "social",
    "Human resources and social security: social insurance",
    "Contributions of employers, by month.",
    (
        _directory(
            "social_insurance",
            "employers",
            "Employers as the social insurance office knows them.",
            ("dwbh", "dwmc", "tyshxydm", "dwdz", "lxdh"),
            Lag(5, 20),
        ),
        Dataset(
            name="contributions",
            about="Insured heads, base and contribution due; payment is a new revision.",
            grain="one record an employer and month",
            sql="SELECT *, (period + INTERVAL 1 MONTH)::DATE AS event_on FROM social_insurance",
            key=("firm_id", "period"),
            subject="firm_id",
            stages=(Stage("paid_on", ("paid_on", "paid_fen")),),
            fields=(
                text("dwbh", "subject_key", "employer's number", "08123456"),
                day("fkssq", "period", "month the contribution is for", "%Y%m"),
                whole("cbrs", "insured", "insured persons", 42),
                yuan("jfjs", "base_fen", "contribution base"),
                yuan("yjje", "due_fen", "contribution due"),
                yuan("sjje", "paid_fen", "contribution paid"),
                day("dzrq", "paid_on", "paid on", "%Y/%m/%d"),
            ),
            lag=Lag(4, 6, batch_day=15),
            mistake=Mistake("insured", 0.008, 1.5),
            split=("insured", "base_fen", "due_fen", "paid_fen"),
            prefix="J",
        ),
    ),
)

HOUSING_FUND = Department(
    "housing_fund",
    "housing_fund",
    "Housing provident fund centre",
    "Deposits of employers, by month.",
    (
        _directory(
            "housing_fund",
            "employers",
            "Employers as the fund knows them.",
            ("dwzh", "dwmc", "dwdm", "dwdz", "dwdh"),
            Lag(5, 30),
        ),
        Dataset(
            name="deposits",
            about="Members and deposit due; payment is a new revision.",
            grain="one record an employer and month",
            sql="SELECT *, (period + INTERVAL 1 MONTH)::DATE AS event_on FROM housing_fund",
            key=("firm_id", "period"),
            subject="firm_id",
            stages=(Stage("paid_on", ("paid_on", "paid_fen")),),
            fields=(
                text("dwzh", "subject_key", "employer's account", "330100012345"),
                day("hjny", "period", "month of the deposit", "%Y-%m"),
                whole("jcrs", "members", "members", 35),
                yuan("yjje", "due_fen", "deposit due"),
                yuan("sjje", "paid_fen", "deposit paid"),
                day("jzrq", "paid_on", "paid on", "%Y-%m-%d"),
            ),
            lag=Lag(6, 12, 0.05, 45),
            split=("members", "due_fen", "paid_fen"),
            prefix="H",
        ),
    ),
)

CUSTOMS = Department(
    "customs",
    "customs",
    "Customs",
    "Import and export declarations of traders registered here.",
    (
        _directory(
            "customs",
            "traders",
            "Traders as customs know them.",
            ("customs_code", "trader_name", "credit_code", "address", "phone"),
            Lag(5, 10),
        ),
        Dataset(
            name="declarations",
            about="Declarations of goods.",
            grain="one record a declaration",
            sql="SELECT *, declared_on AS event_on FROM customs_declaration",
            key=("declaration_id",),
            subject="firm_id",
            fields=(
                text("customs_code", "subject_key", "trader's customs code", "3301960A1B"),
                day("declaration_date", "declared_on", "declared on", "%Y-%m-%d"),
                coded(
                    "ie_flag",
                    "direction",
                    "direction",
                    {"import": ("I", "import"), "export": ("E", "export")},
                    "X",
                ),
                text("hs_code", "hs_code", "goods, harmonised system", "72083990"),
                text("goods_name", "good", "goods", "steel"),
                whole("quantity", "quantity_units", "quantity", 400, "units of the good"),
                yuan("amount_cny", "amount_fen", "value"),
                text("country", "country", "country of origin or destination", "VN"),
                text("bill_no", "bill_of_lading", "bill of lading", "BL00000012"),
            ),
            lag=Lag(3, 9, 0.04, 30),
            mistake=Mistake("quantity_units", 0.01, 10),
            prefix="C",
        ),
    ),
)

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

ELECTRICITY = Department(
    "electricity",
    "electricity",
    "Grid company: electricity",
    "Metered energy by day; accounts stand under the name given when they were opened.",
    (
        _directory(
            "electricity",
            "accounts",
            "Accounts as the grid company knows them.",
            ("yhbh", "yhmc", "zjhm", "yddz", "lxdh"),
            Lag(2, 5),
        ),
        Dataset(
            name="daily_usage",
            about="Energy and cost of each account and day.",
            grain="one record an account and day",
            sql="SELECT *, day AS event_on FROM electricity",
            key=("firm_id", "day"),
            subject="firm_id",
            fields=(
                text("yhbh", "subject_key", "account", "3205119847"),
                day("ydrq", "day", "day", "%Y%m%d"),
                number("ydl", "energy_kwh", "energy", 812.4, "kWh", 3),
                number("fsbl", "peak_ratio", "share at peak hours", 0.41, "ratio", 4),
                yuan("df", "fee_fen", "cost"),
            ),
            lag=Lag(1, 1, 0.01, 12),
            mistake=Mistake("energy_kwh", 0.003, 10, (3, 20)),
            split=("energy_kwh", "fee_fen"),
            prefix="E",
        ),
    ),
    bulk="parquet",
)


def _meter(department: str, title: str, about: str, dataset: str, table: str, names: tuple[str, ...]) -> Department:
    """A utility that bills by the month."""
    key, month, volume, fee, paid = names
    return Department(
        department,
        department,
        title,
        about,
        (
            _directory(
                department,
                "accounts",
                "Accounts as the company knows them.",
                (key, "yhmc", "zjhm", "yhdz", "lxdh"),
                Lag(3, 10),
            ),
            Dataset(
                name=dataset,
                about="Monthly bills; payment is a new revision.",
                grain="one record an account and month",
                sql=f"SELECT *, (period + INTERVAL 1 MONTH)::DATE AS event_on FROM {table}",
                key=("firm_id", "period"),
                subject="firm_id",
                stages=(Stage("paid_on", ("paid_on",)),),
                fields=(
                    text(key, "subject_key", "account", "104000123"),
                    day(month, "period", "month billed", "%Y-%m"),
                    number(volume, "volume_m3", "volume", 120.5, "m³", 3),
                    yuan(fee, "fee_fen", "cost"),
                    day(paid, "paid_on", "paid on", "%Y-%m-%d"),
                ),
                lag=Lag(3, 12, 0.03, 30),
                mistake=Mistake("volume_m3", 0.005, 10),
                split=("volume_m3", "fee_fen"),
                prefix="W",
            ),
        ),
    )


WATER = _meter(
    "water", "Water company", "Monthly water bills.", "bills", "water", ("khbh", "zdyf", "ysl", "sf", "jfrq")
)
GAS = _meter("gas", "Gas company", "Monthly gas bills.", "bills", "gas", ("rqbh", "zdyf", "yql", "rqf", "jfrq"))

ENVIRONMENT = Department(
    "environment",
    "environment",
    "Ecology and environment",
    "Permits, discharge readings and findings.",
    (
        _directory(
            "environment",
            "permits",
            "Holders of discharge permits.",
            ("xkzbh", "dwmc", "tyshxydm", "scdz", "lxdh"),
            Lag(5, 10),
        ),
        Dataset(
            name="records",
            about="Permits, readings and findings.",
            grain="one record an entry",
            sql="SELECT *, day AS event_on FROM environment",
            key=("record_id",),
            subject="firm_id",
            fields=(
                text("xkzbh", "subject_key", "permit number", "91330106MA2K00001X001P"),
                day("jcrq", "day", "day", "%Y/%m/%d"),
                text("lx", "kind", "kind of entry", "reading"),
                text("wrw", "pollutant", "pollutant", "COD"),
                number("pfl", "discharge_kg", "discharge", 11.5, "kg", 4),
                number("xz", "limit_kg", "limit", 20.0, "kg", 4),
                text("jl", "nullif(finding, '')", "finding", "over limit"),
            ),
            lag=Lag(5, 20, 0.05, 60),
            prefix="N",
        ),
    ),
)

LAND = Department(
    "land",
    "land",
    "Natural resources and agriculture: land and farm plots",
    "Land rights, registered area and the crop and area claimed for each year.",
    (
        _directory(
            "land",
            "holders",
            "Holders of land rights.",
            ("qlrbh", "qlrmc", "zjhm", "txdz", "lxdh"),
            Lag(10, 20),
        ),
        Dataset(
            name="plots",
            about="Plots by year; a mortgage is a new revision.",
            grain="one record a plot and year",
            sql="""
                SELECT l.* EXCLUDE (plot_id), l.plot_id, k.number AS plot_number,
                       coalesce(make_date(l.year, 2, 1), DATE '2000-02-01') AS event_on
                FROM land_plot l JOIN plot_key k ON k.id = l.plot_id""",
            key=("plot_id", "year"),
            subject="firm_id",
            stages=(Stage("mortgaged_on", ("mortgaged_on",)),),
            fields=(
                text("dkbh", "plot_number", "plot number", "DK0012345678"),
                text("qlrbh", "subject_key", "holder's number", "3301060100123"),
                whole("nd", "year", "year", 2019),
                text("yt", "use", "use", "farm"),
                text("zzzw", "crop", "crop claimed", "rice"),
                number("sbmj", "claimed_area_mu", "area claimed", 120.0, "mu", 2),
                number("djmj", "registered_area_mu", "area registered", 100.0, "mu", 2),
                day("dyrq", "mortgaged_on", "mortgaged on", "%Y-%m-%d"),
                number("wd", "latitude", "latitude", 30.25, "degree", 5),
                number("jd", "longitude", "longitude", 120.125, "degree", 5),
            ),
            lag=Lag(10, 40, 0.1, 60),
            prefix="L",
        ),
    ),
)

MOVABLES_REGISTRY = Department(
    "movables_registry",
    "movables_registry",
    "Registry of movables and rights: receivables",
    "Receivables that lenders registered as pledged or assigned to them, whoever the lender is.",
    (
        Dataset(
            name="receivables",
            about="Registered receivables, one invoice each; the end of a registration is a new revision.",
            grain="one record an invoice and registration",
            sql="""
                SELECT c.collateral_id, c.object, c.value_fen, c.from_on, c.to_on, c.from_on AS event_on,
                       debtor.uscc AS debtor_code, debtor.name AS debtor_name, lender.name AS lender_name
                FROM collateral c
                JOIN loan l ON l.loan_id = c.loan_id
                JOIN party debtor ON debtor.party_id = l.firm_id
                LEFT JOIN party lender ON lender.party_id = l.bank_id
                WHERE c.kind = 'invoice'""",
            key=("collateral_id",),
            stages=(Stage("to_on", ("to_on",)),),
            fields=(
                text("dbrdm", "debtor_code", "credit code of who gives the receivable", "91330106MA2K00001X"),
                text("dbrmc", "debtor_name", "name of who gives the receivable", "杭州示例机械有限公司"),
                text("zqrmc", "lender_name", "secured lender", "银行B01"),
                text("fphm", "object", "invoice number, as the lender registered it", "40000017"),
                yuan("dbje", "value_fen", "value registered"),
                day("djrq", "from_on", "registered on"),
                day("zxrq", "to_on", "registration ended on"),
            ),
            lag=Lag(1, 3),
            prefix="V",
        ),
    ),
)

DEPARTMENTS: tuple[Department, ...] = (
    REGISTRY,
    TAX_RETURNS,
    VAT_INVOICES,
    SOCIAL_INSURANCE,
    HOUSING_FUND,
    CUSTOMS,
    PENALTIES,
    COURTS,
    ELECTRICITY,
    WATER,
    GAS,
    ENVIRONMENT,
    LAND,
    MOVABLES_REGISTRY,
)
