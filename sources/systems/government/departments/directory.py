"""The list that a department keeps of those it knows, alike in most of them."""

from __future__ import annotations

from sources.systems.government.fields import text
from sources.systems.government.model import Dataset, Lag


def directory(department: str, name: str, about: str, names: tuple[str, str, str, str, str], lag: Lag) -> Dataset:
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
