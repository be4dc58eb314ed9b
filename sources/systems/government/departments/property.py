"""Rights in land and buildings, and in movables and receivables."""

from __future__ import annotations

from sources.systems.government.departments.directory import directory
from sources.systems.government.fields import day, number, text, whole, yuan
from sources.systems.government.model import Dataset, Department, Lag, Stage

LAND = Department(
    "land",
    "land",
    "Natural resources and agriculture: land and farm plots",
    "Land rights, registered area and the crop and area claimed for each year.",
    (
        directory(
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
