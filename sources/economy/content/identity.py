"""How each department knows a firm: its own key, and the name, code and address as held there, with their faults.

Old firms carry a 15-digit registration number that some departments never replaced; names are held as they were when
the account was opened, abbreviated, in old characters or mistyped; a rename or merger reaches each department late.
The truth of it is `identity_map`; what a department shows is `department_subject`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

CODE_REFORM = np.datetime64("2015-10-01")  # three certificates in one: from here the credit code is the tax number

# Characters that clerks mix up (same sound or shape), and old forms still found on plates and in archives.
MISTYPED = dict(zip("鑫兴宏华永盛诚通达德源泰海丰利金嘉昌", "新星红化咏胜城同大得原太每峰力全佳吕", strict=True))
TRADITIONAL = dict(zip("华东国丰兴达广长龙贸业厂车钢农纺织电", "華東國豐興達廣長龍貿業廠車鋼農紡織電", strict=True))


@dataclass(frozen=True)
class Department:
    """One key space: `style` makes the key, the chances say how its names and codes differ from the registry's."""

    system: str
    name: str
    style: str
    old_name: float  # chance that a rename never arrives; else it is late
    rename_days: tuple[int, int]
    mistyped: float
    short: float
    traditional: float
    code_missing: float
    old_number: float  # chance that a firm founded before the reform is still held under its 15-digit number
    branch_keys: float  # chance of a second key for a second site


DEPARTMENTS = (
    Department("registry", "business_registry", "registry", 0.0, (0, 0), 0, 0, 0, 0, 0, 0),
    Department("tax", "tax_returns", "tax", 0.0, (3, 20), 0.002, 0, 0, 0, 0.15, 0),
    Department("tax", "vat_invoices", "uscc", 0.0, (3, 20), 0.002, 0, 0, 0, 0.0, 0),
    Department("social", "social_insurance", "unit8", 0.05, (20, 120), 0.02, 0.02, 0, 0.1, 0.3, 0.03),
    Department("housing_fund", "housing_fund", "unit12", 0.08, (30, 200), 0.02, 0.03, 0, 0.15, 0.3, 0.02),
    Department("customs", "customs", "customs10", 0.0, (10, 60), 0.01, 0, 0, 0, 0.0, 0),
    Department("penalties", "penalties", "doc", 0.02, (10, 90), 0.05, 0.06, 0.01, 0.2, 0.4, 0),
    Department("courts", "courts", "party", 0.05, (20, 200), 0.05, 0.10, 0.01, 0.7, 0.3, 0),
    Department("electricity", "electricity", "meter10", 0.25, (60, 400), 0.03, 0.08, 0.03, 0.5, 0.5, 0.08),
    Department("water", "water", "meter9", 0.30, (60, 500), 0.04, 0.10, 0.04, 0.7, 0.5, 0.04),
    Department("gas", "gas", "meter11", 0.20, (60, 400), 0.03, 0.06, 0.02, 0.6, 0.5, 0.02),
    Department("environment", "environment", "permit", 0.05, (20, 150), 0.01, 0, 0, 0.02, 0.1, 0),
    Department("land", "land", "parcel", 0.15, (60, 600), 0.03, 0.04, 0.05, 0.3, 0.5, 0),
    Department("payments", "payments", "client10", 0.02, (5, 60), 0.005, 0, 0, 0.0, 0.0, 0),
    Department("core_bank", "core_bank", "client12", 0.02, (5, 60), 0.005, 0, 0, 0.0, 0.0, 0),
    Department("bureau", "bureau", "loan_card", 0.02, (20, 120), 0.005, 0, 0, 0.02, 0.1, 0),
    Department("platform", "platform", "member", 0.05, (5, 90), 0.02, 0.08, 0, 0.05, 0.0, 0),
    Department("field", "field", "name", 0.05, (0, 30), 0.05, 0.25, 0.01, 0.6, 0.0, 0),
)
DEPARTMENT = {d.name: d for d in DEPARTMENTS}
TWELVE = tuple(d.name for d in DEPARTMENTS[:13])  # the government's (tax has two: returns and invoices)


def keys_of(style: str, firms: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """One key a firm in a department's own numbering, distinct; serials are shuffled, so order tells nothing."""
    n = len(firms)
    serial = rng.permutation(n)
    gaps = np.cumsum(rng.integers(1, 9, n))[serial]  # other clients of the department lie between
    region = firms["region_code"].astype(str).str.zfill(6).to_numpy()
    code = firms["uscc"].to_numpy()
    year = pd.DatetimeIndex(firms["founded_on"]).year.to_numpy()
    make = {
        "registry": lambda i: f"{region[i]}{year[i] % 100:02d}{gaps[i] + 40_000:08d}",
        "tax": lambda i: str(firms["tax_number"].iat[i]),
        "uscc": lambda i: str(code[i]),
        "unit8": lambda i: f"{(gaps[i] * 7 + 10_301) % 100_000_000:08d}",
        "unit12": lambda i: f"{region[i][:4]}{gaps[i] + 2_000_000:08d}",
        "customs10": lambda i: f"{region[i][:4]}9{'A' if gaps[i] % 3 else '6'}{_base36(gaps[i] + 1_296, 4)}",
        "doc": lambda i: f"D{gaps[i] + 500_000:09d}",
        "party": lambda i: f"P{gaps[i] + 9_000_000:010d}",
        "meter10": lambda i: f"{gaps[i] + 3_200_000_000:010d}",
        "meter9": lambda i: f"{gaps[i] + 104_000_000:09d}",
        "meter11": lambda i: f"88{gaps[i] + 200_000_000:09d}",
        "permit": lambda i: f"{code[i]}{1 + gaps[i] % 3:03d}{'PQRUVWXY'[gaps[i] % 8]}",
        "parcel": lambda i: f"{region[i]}{gaps[i] + 100_000:07d}",
        "client10": lambda i: f"{gaps[i] + 6_000_000_000:010d}",
        "client12": lambda i: f"8{gaps[i] + 10_000_000:011d}",
        "loan_card": lambda i: f"{region[i][:2]}0{_base36(gaps[i] + 46_656, 4)}{gaps[i] % 1_000_000_000:09d}",
        "member": lambda i: f"M-{_base36((gaps[i] * 1_103 + 60_466_176) % 36**6, 6)}",
        "name": lambda i: f"F{gaps[i] + 70_000:07d}",
    }[style]
    return [make(i) for i in range(n)]


def _base36(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(int(number), 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit] + digits
    return digits


def as_held(name: str, department: Department, rng: np.random.Generator) -> str:
    """The name as a clerk of the department wrote it; at most one kind of fault."""
    draw = rng.random(3)
    if draw[0] < department.mistyped:
        return _replace_one(name, MISTYPED, rng) or name.replace("有限公司", "有限责任公司")
    if draw[1] < department.short:
        return shorten(name)
    if draw[2] < department.traditional:
        return "".join(TRADITIONAL.get(c, c) for c in name)
    return name


def shorten(name: str) -> str:
    """Without the legal form and the leading place, as people say it."""
    for form in ("股份有限公司", "有限责任公司", "有限公司", "专业合作社", "合作社", "经营部", "商行"):
        name = name.removesuffix(form)
    for mark in ("省", "市", "县", "区"):
        place, found, rest = name.partition(mark)
        if found and len(place) <= 3 and len(rest) >= 2:
            return rest
    return name


def _replace_one(name: str, table: dict[str, str], rng: np.random.Generator) -> str | None:
    at = [i for i, c in enumerate(name) if c in table]
    if not at:
        return None
    i = int(rng.choice(at))
    return name[:i] + table[name[i]] + name[i + 1 :]


def subjects(
    firms: pd.DataFrame, changes: pd.DataFrame, member: dict[str, np.ndarray], rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(`department_subject`, `identity_map`): one row a department, key and span of the name as held there.

    `member[department]` says which firms the department knows; `changes` is `firm_change` with its true dates.
    """
    held, truth = [], []
    renames = dict(iter(changes[changes["kind"] == "renamed"].groupby("firm_id")))
    merged = {row.firm_id: row for row in changes[changes["kind"] == "merged_into"].itertuples()}
    for department in DEPARTMENTS:
        stream = rng.spawn(1)[0]
        keys = keys_of(department.style, firms, stream)
        second = keys_of("meter10" if "meter" in department.style else "unit8", firms, stream)
        known = member.get(department.name)
        for i, firm in enumerate(firms.itertuples()):
            if known is not None and not known[i]:
                continue
            own = [keys[i]]
            if stream.random() < department.branch_keys:
                own.append(f"{second[i]}{stream.integers(10)}")
            for key in own:
                held += _spans_held(department, key, firm, renames.get(firm.firm_id), stream)
                truth += _spans_true(department, key, firm, merged.get(firm.firm_id), stream)
    return pd.DataFrame(held), pd.DataFrame(truth)


def _spans_held(department, key: str, firm, renames, rng: np.random.Generator) -> list[dict]:
    names = [(firm.founded_on, firm.name)]
    for row in renames.itertuples() if renames is not None else ():
        if rng.random() >= department.old_name:
            days = int(rng.integers(department.rename_days[0], department.rename_days[1] + 1))
            names.append((row.changed_on + np.timedelta64(days, "D"), row.new_value))
    coded = rng.random() >= department.code_missing
    old = pd.notna(firm.registration_number) and firm.registration_number and rng.random() < department.old_number
    rows = []
    for at, (since, name) in enumerate(names):
        until = names[at + 1][0] if at + 1 < len(names) else None
        rows.append(
            {
                "system": department.system,
                "department": department.name,
                "key": key,
                "name": as_held(name, department, rng),
                "uscc": firm.uscc if coded and not old else None,
                "registration_number": firm.registration_number if coded and old else None,
                "address": firm.address if rng.random() < 0.8 else None,
                "phone": firm.phone if rng.random() < 0.7 else None,
                "from_on": since,
                "to_on": until,
                "firm_id": firm.firm_id,
            }
        )
    return rows


def _spans_true(department, key: str, firm, merger, rng: np.random.Generator) -> list[dict]:
    row = {"system": department.system, "department": department.name, "key": key}
    if merger is None:
        return [{**row, "firm_id": firm.firm_id, "from_on": firm.founded_on, "to_on": firm.closed_on}]
    taken = {**row, "firm_id": merger.other_firm_id, "from_on": merger.changed_on, "to_on": None}
    own = {**row, "firm_id": firm.firm_id, "from_on": firm.founded_on, "to_on": merger.changed_on}
    # A meter or an account outlives the firm and is taken over; a certificate does not.
    return [own, taken] if department.style[:4] in ("mete", "unit", "parc") else [own]
