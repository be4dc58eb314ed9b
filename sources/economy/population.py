"""Who there is: firms alive at the start or founded later, their owners, groups, guarantee circles, outside parties."""

from __future__ import annotations

import numpy as np

from sources.economy import names, params
from sources.economy.interface import CHAINS, KINDS, Population, stream
from sources.economy.records import FAR, days_to_dates, typed, words
from sources.economy.schema import OUTSIDE

CROPS = ("wheat", "rice", "maize", "vegetables")


def places(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Chain, kind, tier and depth of `count` firms."""
    chain = rng.choice(len(CHAINS), count, p=params.CHAIN_SHARE).astype("i2")
    kind, tier, depth = (np.zeros(count, "i2") for _ in range(3))
    for code, name in enumerate(CHAINS):
        rows = params.CHAIN_MIX[name]
        weights = np.array([r[2] for r in rows])
        mine = np.flatnonzero(chain == code)
        pick = rng.choice(len(rows), len(mine), p=weights / weights.sum())
        kind[mine] = np.array([KINDS.index(r[0]) for r in rows])[pick]
        tier[mine] = np.array([r[1] for r in rows])[pick]
        depth[mine] = np.array([r[3] for r in rows])[pick]
    return chain, kind, tier, depth


def one_core_each(chain: np.ndarray, kind: np.ndarray, tier: np.ndarray, depth: np.ndarray, start: int) -> None:
    """Every chain with a core keeps at least one that lives from the start; nobody founds a core later."""
    for code, name in enumerate(CHAINS):
        for row in params.CHAIN_MIX[name]:
            if row[0] not in ("core", "platform", "warehouse"):
                continue
            want = KINDS.index(row[0])
            least = 2 if row[0] == "warehouse" else 1
            mine = np.flatnonzero((chain == code) & (kind == want) & (np.arange(len(chain)) < start))
            spare = np.flatnonzero((chain == code) & (kind != want) & (np.arange(len(chain)) < start))
            for firm in spare[: max(0, least - len(mine))]:
                kind[firm], tier[firm], depth[firm] = want, row[1], row[3]
        later = np.flatnonzero((chain == code) & (kind == 0) & (np.arange(len(chain)) >= start))
        tier[later], kind[later], depth[later] = 1, 1, 4


def ages(rng: np.random.Generator, count: int) -> np.ndarray:
    """Age in days at the start, from the measured age pyramid."""
    share, years = np.array(params.AGE_POINTS).T
    return (np.interp(rng.random(count), share, years) * 365).astype("i4") + 1


def owners(rng: np.random.Generator, n: int, chain: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Person who owns each firm, parent firm (−1) and group (−1): about a tenth of firms share their owner."""
    owner = np.arange(n, dtype="i4")
    parent, group = np.full(n, -1, "i4"), np.full(n, -1, "i4")
    order = rng.permutation(n)
    place, label = 0, 0
    while place < 0.10 * n:
        size = int(rng.choice([2, 3, 4, 5], p=[0.6, 0.2, 0.12, 0.08]))
        members = np.sort(order[place : place + size])
        owner[members] = members[0]
        group[members] = label
        if rng.random() < 0.4:
            parent[members[1:]] = members[0]
        place, label = place + size, label + 1
    return owner, parent, group


def circles(rng: np.random.Generator, region: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Guarantee circles of three to six firms of one region."""
    circle = np.full(len(region), -1, "i4")
    label = 0
    for place in range(region.max() + 1):
        mine = rng.permutation(np.flatnonzero((region == place) & (kind != 0)))
        at = 0
        while at < 0.16 * len(mine):
            size = int(rng.integers(3, 7))
            circle[mine[at : at + size]] = label
            at, label = at + size, label + 1
    return circle


def lots(seed: int, circle: np.ndarray) -> np.ndarray:
    """A draw for each guarantee circle, of all its members: a joint guarantee is a product of one bank, which lends to
    all who are liable for each other. Firms outside of circles have 0, which nothing reads."""
    drawn = stream(seed, "lenders of circles").random(int(circle.max(initial=-1)) + 1)
    return np.append(drawn, 0.0)[circle]


def staffing(rng: np.random.Generator, kind: np.ndarray, start: int) -> np.ndarray:
    """Staff: Pareto; cores take the largest draws; those founded later start smaller."""
    n = len(kind)
    staff = params.MIN_STAFF * rng.random(n) ** (-1 / params.STAFF_TAIL)
    staff[start:] = np.maximum(params.MIN_STAFF, staff[start:] * 0.6)
    staff = np.minimum(staff, params.MAX_STAFF)
    cores = np.flatnonzero(kind == 0)
    top = np.argsort(-staff[:start])[: len(cores)]
    rest = np.setdiff1d(top, cores)
    takers = np.setdiff1d(cores, top)
    staff[takers], staff[rest] = staff[rest].copy(), staff[takers].copy()
    return staff.astype("i4")


def create(firms: int, years: float, seed: int, first_day: np.datetime64) -> Population:
    """`firms` firms alive on the first day and those founded within `years`."""
    rng = stream(seed, "population")
    days = round(years * 365.25)
    born = int(rng.poisson(firms * params.BIRTHS_A_YEAR * years))
    n = firms + born
    founded = np.concatenate([-ages(rng, firms), np.sort(rng.integers(1, max(2, days), born))]).astype("i4")
    chain, kind, tier, depth = places(rng, n)
    one_core_each(chain, kind, tier, depth, firms)
    founded[:firms] = np.where(kind[:firms] == 0, np.minimum(founded[:firms], -3650), founded[:firms])
    staff = staffing(rng, kind, firms)
    region = rng.choice(len(names.REGIONS), n, p=zipf_weights(len(names.REGIONS))).astype("i2")
    owner, parent, group = owners(rng, n, chain)
    price = params.RAW_PRICE_FEN / params.MATERIAL_SHARE ** (depth + 1.0) * rng.lognormal(0, 0.02, n)
    head = params.SALES_PER_HEAD_FEN / 250 * rng.lognormal(0, 0.12, n)
    skill, honesty, prudence, patience = (rng.beta(2.2, 2.2, n).astype("f4") for _ in range(4))
    farm, core = kind == KINDS.index("farm"), kind == 0
    members = np.flatnonzero(core)
    core_id = np.full(n, -1, "i4")
    for code in range(len(CHAINS)):
        own = members[chain[members] == code]
        mine = np.flatnonzero((chain == code) & ~core & (tier >= 0))
        if len(own):
            core_id[mine] = rng.choice(own, len(mine), p=staff[own] / staff[own].sum())
    hosts = np.flatnonzero(kind == KINDS.index("platform"))
    traded = (chain == CHAINS.index("platform")) & (kind != KINDS.index("platform"))
    platform_id = np.where(traded, hosts[rng.integers(0, len(hosts), n)], -1).astype("i4")
    makes = np.isin(kind, [0, 1])
    pop = Population(
        n=n,
        seed=seed,
        chain=chain,
        kind=kind,
        tier=tier,
        region=region,
        founded=founded,
        staff=staff,
        wage=(params.WAGE_FEN * rng.lognormal(0, 0.10, n)).astype("i8") // 100 * 100,
        price=price,
        productivity=head / price,
        owner=owner,
        parent=parent,
        group=group,
        circle=(circle := circles(rng, region, kind)),
        lot=lots(seed, circle),
        core_id=core_id,
        platform_id=platform_id,
        small_taxpayer=(staff < 8) & (rng.random(n) < 0.45) & ~core,
        tax_exempt=farm & (rng.random(n) < 0.8),
        in_region=(rng.random(n) < 0.94) | core,
        on_platform=core | (platform_id >= 0) | (rng.random(n) < 0.35 + 0.3 * (core_id >= 0)),
        has_equipment=makes & (rng.random(n) < np.clip(0.01 + 0.0025 * staff, 0, 0.6)),
        crop=np.where(farm, rng.choice(len(CROPS), n, p=[0.3, 0.25, 0.2, 0.25]), -1).astype("i2"),
        skill=skill,
        honesty=honesty,
        prudence=prudence,
        patience=patience,
        regions=names.REGIONS,
        crops=CROPS,
        outside=max(50, 2 * firms),
    )
    register(pop, rng, first_day)
    return pop


def zipf_weights(count: int, power: float = 0.6) -> np.ndarray:
    """Weights that fall with rank."""
    weights = 1.0 / np.arange(1, count + 1) ** power
    return weights / weights.sum()


def register(pop: Population, rng: np.random.Generator, first_day: np.datetime64) -> None:
    """The tables firm (closing day, bureau mark and size come at the end), person, ownership and outside_party."""
    n = pop.n
    codes = [names.uscc(pop.regions[pop.region[i]][0], 7919 * i + 104729 + pop.seed % 9973) for i in range(n)]
    pools = {key: np.array(value) for key, value in params.INDUSTRY.items()}
    industry = [rng.choice(pools[CHAINS[c], KINDS[k]]) for c, k in zip(pop.chain, pop.kind, strict=True)]
    capital = (pop.staff * rng.lognormal(11.2, 0.9, n) / 10000).clip(10).astype("i8") * 1_000_000
    pop.tables["firm"] = typed(
        "firm",
        {
            "firm_id": np.arange(n),
            "uscc": codes,
            "tax_number": [c if rng.random() < 0.92 else c[2:17] for c in codes],
            "registration_number": [f"{pop.regions[pop.region[i]][0]}{rng.integers(10**8, 10**9)}" for i in range(n)],
            "name": [names.firm_name(rng, pop.regions[pop.region[i]][1][:-1], CHAINS[pop.chain[i]]) for i in range(n)],
            "industry_code": industry,
            "division": [c[:2] for c in industry],
            "region_code": [pop.regions[r][0] for r in pop.region],
            "address": [address(rng, pop.regions[r][1]) for r in pop.region],
            "phone": [f"1{rng.integers(3, 10)}{rng.integers(10**8, 10**9)}" for _ in range(n)],
            "legal_person_id": pop.owner,
            "capital_fen": capital,
            "founded_on": days_to_dates(pop.founded, first_day),
            "closed_on": days_to_dates(np.full(n, FAR), first_day),
            "kind": words(pop.kind, KINDS),
            "taxpayer": words(np.where(pop.tax_exempt, 2, pop.small_taxpayer), ("general", "small", "exempt")),
            "in_region": pop.in_region,
            "accounting": words(rng.choice(2, n, p=[0.7, 0.3]), ("enterprise", "small_enterprise")),
            "chain": words(pop.chain, CHAINS),
            "tier": pop.tier,
            "core_id": pop.core_id,
            "platform_id": pop.platform_id,
            "has_equipment": pop.has_equipment,
            "on_platform": pop.on_platform,
            "has_bureau_record": np.zeros(n, bool),
            "skill": pop.skill,
            "honesty": pop.honesty,
            "prudence": pop.prudence,
            "patience": pop.patience,
            "size_class": words(np.full(n, -1), ("micro",)),
        },
    )
    people = np.unique(pop.owner)
    birth = np.datetime64("1958-01-01") + rng.integers(0, 365 * 38, len(people))
    pop.tables["person"] = typed(
        "person",
        {
            "person_id": people,
            "name": [names.person_name(rng) for _ in people],
            "id_number": [
                names.id_number(pop.regions[pop.region[p]][0], b, int(s))
                for p, b, s in zip(people, birth, rng.integers(0, 1000, len(people)), strict=True)
            ],
            "phone": [f"1{rng.integers(3, 10)}{rng.integers(10**8, 10**9)}" for _ in people],
            "device_id": [f"{rng.integers(0, 2**62):016x}" for _ in people],
            "address": [address(rng, pop.regions[pop.region[p]][1]) for p in people],
        },
    )
    pop.tables["ownership"] = ownership(pop, rng, first_day)
    pop.tables["outside_party"] = outside(pop, rng)


def address(rng: np.random.Generator, city: str) -> str:
    """A street and number."""
    return f"{city}{rng.choice(names.STREETS)}{rng.integers(1, 999)}号"


def ownership(pop: Population, rng: np.random.Generator, first_day: np.datetime64):
    """The owner's share of every firm; subsidiaries are held by their parent for the larger part."""
    firms = np.arange(pop.n)
    sub = pop.parent >= 0
    held = np.where(sub, rng.choice([0.51, 0.7, 0.8, 1.0], pop.n), 0.0)
    share = np.where(sub, 1.0 - held, rng.choice([0.51, 0.6, 0.7, 0.9, 1.0], pop.n))
    person = share > 0
    owner_id = np.concatenate([pop.owner[person], pop.parent[sub]])
    firm_id = np.concatenate([firms[person], firms[sub]])
    return typed(
        "ownership",
        {
            "owner_id": owner_id,
            "owner_is_firm": np.arange(len(owner_id)) >= person.sum(),
            "firm_id": firm_id,
            "share_ratio": np.concatenate([share[person], held[sub]]),
            "from_on": days_to_dates(pop.founded[firm_id], first_day),
            "to_on": days_to_dates(np.full(len(firm_id), FAR), first_day),
        },
    )


def outside(pop: Population, rng: np.random.Generator):
    """Firms outside the economy: name, code, region, industry."""
    count = pop.outside
    region = rng.integers(0, len(pop.regions), count)
    chain = rng.integers(0, len(CHAINS), count)
    pools = {CHAINS.index(c): np.array(v) for (c, _), v in params.INDUSTRY.items()}
    return typed(
        "outside_party",
        {
            "party_id": OUTSIDE + np.arange(count),
            "uscc": [names.uscc(pop.regions[r][0], 15_000_000 + 3 * i) for i, r in enumerate(region)],
            "name": [
                names.firm_name(rng, pop.regions[r][1][:-1], CHAINS[c]) for r, c in zip(region, chain, strict=True)
            ],
            "region_code": [pop.regions[r][0] for r in region],
            "industry_code": [str(rng.choice(pools[c])) for c in chain],
        },
    )
