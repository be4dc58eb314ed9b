"""The departments of the government data platform: what each publishes, under which names, how late.

One file for departments of a kind. Names are those a department would use: abbreviated pinyin in most, English in some.
Keys are each department's own.
"""

from __future__ import annotations

from sources.systems.government.departments.business_registry import REGISTRY
from sources.systems.government.departments.customs import CUSTOMS
from sources.systems.government.departments.environment import ENVIRONMENT
from sources.systems.government.departments.justice import COURTS, PENALTIES
from sources.systems.government.departments.payroll import HOUSING_FUND, SOCIAL_INSURANCE
from sources.systems.government.departments.property import LAND, MOVABLES_REGISTRY
from sources.systems.government.departments.tax import TAX_RETURNS, VAT_INVOICES
from sources.systems.government.departments.utilities import ELECTRICITY, GAS, WATER
from sources.systems.government.model import Department

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
