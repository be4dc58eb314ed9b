"""The firms: registry entries and the hidden traits behind their trade."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.invoice_generator.calendar import Calendar
from sources.invoice_generator.economy import ECONOMY
from sources.invoice_generator.uscc import draw_credit_codes

# GB/T 4754-2017 classes and the trade word used in names.
MANUFACTURING = {
    "1830": "服饰", "2412": "文具", "2652": "橡胶", "2927": "塑料制品", "3311": "金属结构",
    "3484": "机械零部件", "3525": "模具", "3670": "汽车配件", "3824": "电力电子", "3985": "电子材料",
}  # fmt: skip
SERVICES = {"6513": "软件", "7484": "工程设计"}
REGIONS = {  # GB/T 2260 codes of cities
    "320500": "苏州", "330200": "宁波", "350100": "福州", "370200": "青岛",
    "420100": "武汉", "440300": "深圳", "510100": "成都", "610100": "西安",
}  # fmt: skip
VAT_GENERAL, VAT_SERVICE, VAT_SMALL_SCALE = 0.13, 0.06, 0.03


def draw_firms(rng: np.random.Generator, calendar: Calendar, count: int) -> pd.DataFrame:
    """`count` firms, one row each: the registry's columns plus hidden traits.

    Hidden: quality and size (standard normal), sales_cny and sale_invoices (per year), cost_share,
    purchase_invoices, vat_rate, void_share, first_month (index of the first trading month, may be
    negative), borrower.
    """
    size = rng.standard_normal(count)
    quality = rng.standard_normal(count)
    sales = ECONOMY.sales_median_cny * np.exp(ECONOMY.sales_sigma * size)
    sale_invoices = ECONOMY.invoices_median * np.exp(
        ECONOMY.invoices_size_slope * size
        + ECONOMY.invoices_quality_slope * quality
        + ECONOMY.invoices_sigma * rng.standard_normal(count)
    )
    service = rng.random(count) < ECONOMY.service_share
    small_scale = (sales < ECONOMY.small_scale_limit_cny) & (rng.random(count) < ECONOMY.small_scale_share)
    rate = np.where(service, VAT_SERVICE, VAT_GENERAL)
    cost = ECONOMY.cost_share * np.exp(ECONOMY.cost_quality_slope * quality + 0.12 * rng.standard_normal(count))
    firms = pd.DataFrame(
        {
            "enterprise_id": [f"E{i}" for i in range(1, count + 1)],
            "size": size,
            "quality": quality,
            "sales_cny": sales,
            "sale_invoices": sale_invoices,
            "purchase_invoices": sale_invoices * ECONOMY.purchases_per_sale * np.exp(0.35 * rng.standard_normal(count)),
            "cost_share": np.where(service, cost * 0.6, cost),
            "vat_rate": np.where(small_scale, VAT_SMALL_SCALE, rate),
            "void_share": ECONOMY.void_share
            * np.exp(ECONOMY.void_quality_slope * quality + ECONOMY.void_sigma * rng.standard_normal(count)).clip(0, 8),
            "borrower": rng.random(count) < ECONOMY.borrower_share,
        }
    )
    return pd.concat([firms, _registry(rng, calendar, firms, service)], axis=1)


def _registry(rng: np.random.Generator, calendar: Calendar, firms: pd.DataFrame, service: np.ndarray) -> pd.DataFrame:
    """Registry columns of the firms, and the month in which each begins to trade."""
    count = len(firms)
    span = (calendar.end - calendar.start).days
    young = rng.random(count) < ECONOMY.young_share
    age_days = np.where(young, rng.integers(60, span, count), span + 30 + rng.gamma(1.4, 365 * 4.0, count)).astype(int)
    registered_on = np.datetime64(calendar.end) - age_days
    started = (registered_on + rng.integers(20, 200, count)).astype("datetime64[M]")
    region = rng.choice(list(REGIONS), count)
    industry = np.where(service, rng.choice(list(SERVICES), count), rng.choice(list(MANUFACTURING), count))
    words = MANUFACTURING | SERVICES
    capital = firms["sales_cny"] * 0.25 * np.exp(0.8 * rng.standard_normal(count))
    return pd.DataFrame(
        {
            "uscc": draw_credit_codes(rng, list(region)),
            "name": [f"***{REGIONS[r]}{words[i]}有限公司" for r, i in zip(region, industry, strict=True)],
            "registered_on": registered_on,
            "industry_code": industry,
            "region": region,
            "registered_capital_cny": (np.maximum(capital // 100_000, 1) * 100_000).astype(int),
            "staff": np.maximum(
                (firms["sales_cny"] / 350_000 * np.exp(0.5 * rng.standard_normal(count))).round(), 1
            ).astype(int),
            "first_month": (started - np.datetime64(calendar.start, "M")).astype(int),
        }
    )
