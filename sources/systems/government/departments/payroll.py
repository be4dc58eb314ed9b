"""What is paid for staff: social insurance and housing fund."""

from __future__ import annotations

from sources.systems.government.departments.directory import directory
from sources.systems.government.fields import day, text, whole, yuan
from sources.systems.government.model import Dataset, Department, Lag, Mistake, Stage

SOCIAL_INSURANCE = Department(
    "social_insurance",
    "social",
    "Human resources and social security: social insurance",
    "Contributions of employers, by month.",
    (
        directory(
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
        directory(
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
