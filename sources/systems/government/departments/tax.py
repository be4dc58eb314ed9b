"""The tax office: returns, and the ledger of value-added tax invoices."""

from __future__ import annotations

from sources.systems.government.departments.directory import directory
from sources.systems.government.fields import coded, day, text, yuan, yuan_text
from sources.systems.government.model import Dataset, Department, Lag, Mistake, Stage

TAX_RETURNS = Department(
    "tax_returns",
    "tax",
    "Taxation: returns",
    "Value-added tax returns, monthly or quarterly, and their payment.",
    (
        directory(
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
