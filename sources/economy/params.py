"""Parameters of the economy, each with where it comes from. `assumed` marks those set so that the whole run meets the
calibration table; they have no source of their own."""

from __future__ import annotations

# Firms per chain (assumed; roughly the weight of each in small-firm lending).
CHAIN_SHARE = (0.20, 0.12, 0.16, 0.14, 0.12, 0.08, 0.12, 0.06)
# Within a chain, kind by kind: (kind, tier, share, depth). Depth counts the steps of value added since raw material.
CHAIN_MIX: dict[str, list[tuple[str, int, float, int]]] = {
    "automobile": [
        ("core", 0, 0.008, 5),
        ("manufacturer", 1, 0.10, 4),
        ("manufacturer", 2, 0.18, 3),
        ("manufacturer", 3, 0.22, 2),
        ("manufacturer", 4, 0.16, 1),
        ("manufacturer", 5, 0.11, 0),
        ("dealer", 6, 0.11, 6),
        ("retailer", 7, 0.112, 7),
    ],
    "steel": [
        ("core", 0, 0.008, 5),
        ("manufacturer", 1, 0.14, 4),
        ("manufacturer", 2, 0.20, 3),
        ("manufacturer", 3, 0.17, 2),
        ("manufacturer", 4, 0.11, 1),
        ("manufacturer", 5, 0.07, 0),
        ("dealer", 6, 0.302, 6),
    ],
    "construction": [
        ("core", 0, 0.01, 5),
        ("manufacturer", 1, 0.25, 4),
        ("manufacturer", 2, 0.28, 3),
        ("manufacturer", 3, 0.22, 2),
        ("manufacturer", 4, 0.14, 1),
        ("dealer", 6, 0.10, 6),
    ],
    "textiles": [
        ("core", 0, 0.006, 5),
        ("manufacturer", 1, 0.18, 4),
        ("manufacturer", 2, 0.22, 3),
        ("manufacturer", 3, 0.20, 2),
        ("manufacturer", 4, 0.16, 1),
        ("retailer", 7, 0.234, 6),
    ],
    "food": [
        ("core", 0, 0.008, 5),
        ("manufacturer", 1, 0.20, 4),
        ("manufacturer", 2, 0.25, 3),
        ("dealer", 6, 0.18, 6),
        ("retailer", 7, 0.362, 7),
    ],
    "farming": [("farm", 3, 0.75, 1), ("merchant", 2, 0.25, 2)],
    "platform": [
        ("platform", -1, 0.01, 3),
        ("manufacturer", 1, 0.24, 4),
        ("manufacturer", 2, 0.20, 3),
        ("manufacturer", 3, 0.15, 2),
        ("merchant", 7, 0.40, 5),
    ],
    "services": [("carrier", -1, 0.75, 3), ("warehouse", -1, 0.25, 3)],
}
# GB/T 4754-2017 classes by chain and kind: four digits, the first two are the division.
INDUSTRY: dict[tuple[str, str], tuple[str, ...]] = {
    ("automobile", "core"): ("3611", "3612"),
    ("automobile", "manufacturer"): ("3670", "3484", "2913", "2927", "3392", "3982"),
    ("automobile", "dealer"): ("5172", "5261"),
    ("automobile", "retailer"): ("5263", "8111"),
    ("steel", "core"): ("3120", "3130"),
    ("steel", "manufacturer"): ("3130", "3311", "3391", "3351", "3393"),
    ("steel", "dealer"): ("5164", "5165"),
    ("construction", "core"): ("4710", "4720"),
    ("construction", "manufacturer"): ("3021", "3022", "3032", "3041", "3312", "5010"),
    ("construction", "dealer"): ("5165",),
    ("textiles", "core"): ("1811", "1821"),
    ("textiles", "manufacturer"): ("1711", "1713", "1751", "1761", "1819"),
    ("textiles", "retailer"): ("5232", "5233"),
    ("food", "core"): ("1439", "1411", "1521"),
    ("food", "manufacturer"): ("1310", "1353", "1371", "1421", "1469"),
    ("food", "dealer"): ("5122", "5127"),
    ("food", "retailer"): ("5211", "5212", "5221"),
    ("farming", "farm"): ("0111", "0112", "0141", "0151"),
    ("farming", "merchant"): ("5111", "5112"),
    ("platform", "platform"): ("6432", "6434"),
    ("platform", "manufacturer"): ("1923", "2110", "2438", "2923", "3379"),
    ("platform", "merchant"): ("5292", "5239", "5199"),
    ("services", "carrier"): ("5431", "5432"),
    ("services", "warehouse"): ("5930", "5990"),
}
# Who sells to whom: buyer chain (* any), kind, tier → sellers' chain (= the own), kind, tier, weight.
SUPPLIERS: list[tuple[str, str, int, list[tuple[str, str, int, float]]]] = [
    ("food", "manufacturer", 2, [("farming", "farm", 3, 0.4), ("farming", "merchant", 2, 0.6)]),
    ("farming", "merchant", 2, [("=", "farm", 3, 1.0)]),
    ("platform", "merchant", 7, [("=", "manufacturer", 1, 1.0)]),
    ("*", "core", 0, [("=", "manufacturer", 1, 1.0)]),
    ("*", "manufacturer", 1, [("=", "manufacturer", 2, 1.0)]),
    ("*", "manufacturer", 2, [("=", "manufacturer", 3, 1.0)]),
    ("*", "manufacturer", 3, [("=", "manufacturer", 4, 1.0)]),
    ("*", "manufacturer", 4, [("=", "manufacturer", 5, 1.0)]),
    ("*", "dealer", 6, [("=", "core", 0, 1.0)]),
    ("textiles", "retailer", 7, [("=", "core", 0, 0.6), ("=", "manufacturer", 1, 0.4)]),
    ("*", "retailer", 7, [("=", "dealer", 6, 1.0)]),
]

# Size: staff is Pareto with this tail from MIN_STAFF on (Axtell 2001: near 1; Heinrich and Dai 2016, China: 1.0–1.5).
STAFF_TAIL = 1.15
MIN_STAFF = 3
MAX_STAFF = 3000
# Founded before the start: shares by age. Somewhat younger than SAIC 2013 (49.4 % below 5, 17.7 % above 10): young
# firms grow fewer over five years of slower growth than China's in 2013, and the mean over the run is near it.
AGE_POINTS = ((0.0, 0.0), (0.15, 1.0), (0.29, 2.0), (0.57, 5.0), (0.855, 10.0), (0.965, 20.0), (1.0, 35.0))
BIRTHS_A_YEAR = 0.145  # of all firms; more than leave, as in a growing economy (SAIC 2013: half are younger than 5)

# Prices, sales and costs (assumed, in line with industrial statistics: materials two thirds of sales, wages a sixth).
RAW_PRICE_FEN = 4000.0
MATERIAL_SHARE = 0.66
SALES_PER_HEAD_FEN = 52_000_000.0
WAGE_FEN = 580_000  # a head and month
SOCIAL_RATE = 0.24  # employer's social insurance on the wage base
OVERHEAD_SHARE = 0.062  # rent, utilities and sundries of sales at average skill
SKILL_MARGIN = 0.030  # margin gained by one standard deviation of skill
UTILITY_SHARE = 0.025
RENT_SHARE = 0.015

# Trade. Suppliers grow with staff^DEGREE, so the degree tail is STAFF_TAIL / DEGREE (Fujiwara and Aoyama 2008: 1.35).
DEGREE = 0.75
ATTACH = 0.9
CROSS_CHAIN = 0.12
LINK_LOSS_YEAR = 0.06  # about half of the links are replaced in five years (Goto and Souma 2020)
CYCLE_DAYS = 60.0
TERMS = ((30, 0.10), (45, 0.12), (60, 0.28), (75, 0.15), (90, 0.25), (120, 0.10))  # Coface China 2025: mean 76 days
LATE_SHARE = 0.55  # invoices that a liquid buyer pays late by habit
LATE_DAYS = 66.0  # their mean delay (Coface China 2025: 65 days)

# Owners' own means, which make recovery from distress a matter of chance (assumed; they set how well default can be
# foreseen at all: see the bound in docs/economy.md).
WINDFALLS_A_YEAR = 3.0
WINDFALL_SHARE = 0.10  # mean, of a year's sales

BANKS = 6
FIRST_BANK_SHARE = 1 / BANKS  # applications that go to the first bank; the others share the rest
