"""Who supplies whom at the start: preferential links down the chains, and links to the outside."""

from __future__ import annotations

import numpy as np

from sources.economy import params
from sources.economy.interface import CHAINS, KINDS, Population, stream
from sources.economy.records import FAR
from sources.economy.schema import OUTSIDE

# `share` is of the buyer's material need; where the buyer is outside, of the seller's outside demand.
LINK = np.dtype(
    [
        ("seller", "i8"),
        ("buyer", "i8"),
        ("share", "f8"),
        ("terms", "i8"),
        ("lead", "i8"),
        ("cycle", "f8"),
        ("next_order", "i8"),
        ("last_order", "i8"),
        ("from_day", "i8"),
        ("to_day", "i8"),
        ("key", "i8"),
    ]
)


def pool_of(pop: Population, chain: str, kind: str, tier: int, alive: np.ndarray) -> np.ndarray:
    """Firms of a chain, kind and tier among those given."""
    same = (pop.chain == CHAINS.index(chain)) & (pop.kind == KINDS.index(kind)) & (pop.tier == tier) & alive
    return np.flatnonzero(same)


def sources_of(chain: str, kind: str, tier: int) -> list[tuple[str, str, int, float]]:
    """Where firms of a place in the chain buy, as (chain, kind, tier, weight)."""
    for buyer_chain, buyer_kind, buyer_tier, sellers in params.SUPPLIERS:
        if buyer_chain in ("*", chain) and (buyer_kind, buyer_tier) == (kind, tier):
            return [(chain if c == "=" else c, k, t, w) for c, k, t, w in sellers]
    return []


def new_links(rng: np.random.Generator, seller: np.ndarray, buyer: np.ndarray, share: np.ndarray, day: np.ndarray):
    """Links with drawn terms, lead times and order cycles."""
    links = np.zeros(len(seller), LINK)
    terms, weights = np.array(params.TERMS).T
    links["seller"], links["buyer"], links["share"] = seller, buyer, share
    links["terms"] = rng.choice(terms.astype(int), len(seller), p=weights / weights.sum())
    links["lead"] = rng.integers(2, 15, len(seller))
    links["cycle"] = np.clip(params.CYCLE_DAYS * rng.lognormal(-0.1, 0.6, len(seller)), 3, 120)
    links["from_day"], links["to_day"] = day, FAR
    links["next_order"] = day + (links["cycle"] * rng.random(len(seller))).astype("i4")
    links["last_order"] = day
    links["key"] = share > 0.3
    return links


def suppliers_of(rng: np.random.Generator, pop: Population, alive: np.ndarray, weight: np.ndarray, cell: np.ndarray):
    """Inside links of the buyers in `cell` (all of one chain, kind and tier): seller, buyer, share arrays."""
    first = cell[0]
    chain, kind, tier = CHAINS[pop.chain[first]], KINDS[pop.kind[first]], int(pop.tier[first])
    sellers, buyers, shares = [], [], []
    places = sources_of(chain, kind, tier)
    if not places:
        return sellers, buyers, shares
    pools = [pool_of(pop, c, k, t, alive) for c, k, t, _ in places]
    odds = np.array([w if len(p) else 0.0 for p, (_, _, _, w) in zip(pools, places, strict=True)])
    if odds.sum() == 0:
        return sellers, buyers, shares
    whole = np.concatenate(pools)
    chance = np.concatenate(
        [o * weight[p] / max(weight[p].sum(), 1e-9) for p, o in zip(pools, odds / odds.sum(), strict=True) if len(p)]
    )
    chance /= chance.sum()
    other = np.flatnonzero(alive & (pop.tier == tier + 1) & (pop.kind == 1)) if kind == "manufacturer" else whole
    for buyer in cell:
        count = round((pop.staff[buyer] / params.MIN_STAFF) ** params.DEGREE * rng.lognormal(0.45, 0.35))
        count = int(np.clip(count, 1, max(1, len(whole) * 0.6)))
        picked = np.unique(rng.choice(whole, count, p=chance))
        if len(other) and rng.random() < params.CROSS_CHAIN * count:
            picked = np.unique(np.append(picked, rng.choice(other)))
        picked = picked[picked != buyer]
        if not len(picked):
            continue
        split = rng.dirichlet(np.full(len(picked), 0.6)) if len(picked) > 1 else np.ones(1)
        inside = rng.beta(5, 3)
        sellers.append(picked)
        buyers.append(np.full(len(picked), buyer))
        shares.append(np.maximum(split, 0.02) / np.maximum(split, 0.02).sum() * inside)
    return sellers, buyers, shares


def build(pop: Population) -> tuple[np.ndarray, np.ndarray]:
    """First links, and each firm's base demand from households or outside (units a work day).

    Shares are scaled so that no seller is asked for more than 80 % of what its staff makes; what is left of each need
    comes from outside, what is left of each capacity sells to households or outside.
    """
    rng = stream(pop.seed, "network")
    usual = pop.staff * pop.productivity * 0.85
    alive = pop.founded <= 0
    weight = pop.staff**params.ATTACH * rng.lognormal(0, 0.3, pop.n)
    cells = (pop.chain.astype("i4") * 100 + pop.kind) * 100 + pop.tier
    sellers, buyers, shares = [], [], []
    for code in np.unique(cells):
        found = suppliers_of(rng, pop, alive, weight, np.flatnonzero(cells == code))
        for whole, part in zip((sellers, buyers, shares), found, strict=True):
            whole.extend(part)
    seller, buyer, share = np.concatenate(sellers), np.concatenate(buyers), np.concatenate(shares)
    start = alive[buyer]
    asked = np.bincount(seller[start], share[start] * usual[buyer[start]], pop.n)
    share = share * np.minimum(1.0, 0.8 * usual / np.maximum(asked, 1e-9))[seller]
    asked = np.bincount(seller[start], share[start] * usual[buyer[start]], pop.n)
    base = np.maximum(usual - asked, 0.08 * usual)
    inside = new_links(rng, seller, buyer, share, np.maximum(pop.founded[buyer], 0))
    return np.concatenate([inside, outside_links(rng, pop, inside)]), base


def outside_links(rng: np.random.Generator, pop: Population, inside: np.ndarray) -> np.ndarray:
    """Suppliers from outside for the need that is left, and outside customers of all but retail sellers."""
    need = 1.0 - np.bincount(inside["buyer"], inside["share"], pop.n)
    day = np.maximum(pop.founded, 0)
    popular = 1.0 / np.arange(1, pop.outside + 1) ** 0.7
    popular /= popular.sum()
    count = np.where(need > 0.6, rng.integers(2, 4, pop.n), rng.integers(1, 3, pop.n))
    buyer = np.repeat(np.arange(pop.n), count)
    split = rng.dirichlet([2.0, 2.0, 2.0], pop.n)
    part = np.concatenate([split[i, :c] / split[i, :c].sum() for i, c in enumerate(count)])
    party = OUTSIDE + rng.choice(pop.outside, len(buyer), p=popular)
    supply = new_links(rng, party, buyer, need[buyer] * part, day[buyer])
    supply = supply[supply["share"] > 0.01]
    supply["lead"] = rng.integers(2, 8, len(supply))
    sells_out = ~np.isin(pop.kind, [KINDS.index("retailer")])
    some = np.clip(2.4 * (pop.staff / params.MIN_STAFF) ** 0.8 * rng.lognormal(0, 0.5, pop.n), 1, 400)
    some = np.where(sells_out, some, 0).astype("i4")
    seller = np.repeat(np.arange(pop.n), some)
    amount = rng.gamma(1.2, 1.0, len(seller)) + 0.1
    whole = np.bincount(seller, amount, pop.n)
    party = OUTSIDE + rng.choice(pop.outside, len(seller), p=popular)
    return np.concatenate([supply, new_links(rng, seller, party, amount / whole[seller], day[seller])])
