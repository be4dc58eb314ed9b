"""Changes in the registry: renames, moves, new legal persons, mergers and splits, branches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Facts

YEARLY = {"renamed": 0.025, "moved": 0.03, "legal_person": 0.015, "branch_opened": 0.01}
MERGED_OF_CLOSED = 0.15  # of firms that closed in good order
SPLIT_OF_FOUNDED = 0.03
BRANDS = "恒鑫宏瑞盛诚德源泰丰嘉昌润祥信安顺和新远博联正隆"
STREETS = ("工业大道", "创业路", "科技路", "迎宾大道", "滨江路", "园区一路", "园区二路")


def changes(facts: Facts, rng: np.random.Generator) -> pd.DataFrame:
    """`firm_change`: a row a change, dated when it was registered."""
    first, last = facts.alive()
    years = np.maximum((last - first) / 365.25, 0)
    rows = []
    for kind, rate in YEARLY.items():
        for firm in np.flatnonzero(rng.random(facts.firms) < 1 - np.exp(-rate * years)):
            day = int(rng.integers(first[firm], last[firm] + 1))
            rows.append((firm, facts.days[day], kind, *_values(facts, firm, kind, rng), None))
    closed_well = (last < len(facts.days) - 5) & (facts.firm["defaulted"].to_numpy(bool) == 0) & (last > first)
    for firm in np.flatnonzero(closed_well & (rng.random(facts.firms) < MERGED_OF_CLOSED)):
        same = (facts.firm["chain"] == facts.firm["chain"].iat[firm]).to_numpy()
        takers = np.flatnonzero(same & (last > last[firm]) & (first <= last[firm]))
        if len(takers):
            taker = int(rng.choice(takers))
            names = facts.firm["name"].iat[firm], facts.firm["name"].iat[taker]
            rows.append((firm, facts.days[last[firm]], "merged_into", *names, taker))
    founded_later = first > 0
    for firm in np.flatnonzero(founded_later & (rng.random(facts.firms) < SPLIT_OF_FOUNDED * 5)):
        same = (facts.firm["chain"] == facts.firm["chain"].iat[firm]).to_numpy()
        parents = np.flatnonzero(same & (first < first[firm]) & (last > first[firm]))
        if len(parents):
            parent = int(rng.choice(parents))
            rows.append((parent, facts.days[first[firm]], "split", None, facts.firm["name"].iat[firm], int(firm)))
    columns = ["firm_id", "changed_on", "kind", "old_value", "new_value", "other_firm_id"]
    frame = pd.DataFrame(rows, columns=columns).sort_values(["changed_on", "firm_id", "kind"], ignore_index=True)
    frame.insert(0, "change_id", rng.permutation(len(frame)) + 1)
    frame["other_firm_id"] = frame["other_firm_id"].astype("Int64")
    return frame


def _values(facts: Facts, firm: int, kind: str, rng: np.random.Generator) -> tuple[str | None, str | None]:
    name, address = str(facts.firm["name"].iat[firm]), str(facts.firm["address"].iat[firm])
    if kind == "renamed":
        place, brand, rest = name[:2], name[2:4], name[4:]
        new = "".join(rng.choice(list(BRANDS), 2, replace=False))
        return name, place + (new if new != brand else new[::-1]) + rest
    if kind == "moved":
        city = address.split("市")[0] + "市" if "市" in address else ""
        return address, f"{city}{rng.choice(STREETS)}{rng.integers(1, 400)}号"
    if kind == "branch_opened":
        return None, f"{name}第{'一二三'[int(rng.integers(3))]}分公司"
    people = facts.firm["legal_person_id"].to_numpy()
    return str(people[firm]), str(people[int(rng.integers(facts.firms))])  # another owner takes over as legal person
