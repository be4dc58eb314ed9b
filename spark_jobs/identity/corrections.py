"""Corrections: what a person says of a key, with author and reason; entries are added, never changed.

A correction holds from when it was made until the next one on the same key; `withdrawn` takes the earlier ones back.
With `effective_from` the key passes to the enterprise on that day and belongs to whom it did before it.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime

import pyarrow as pa

from lakehouse.errors import ConfigError

CORRECTIONS = pa.schema(
    [
        ("correction_id", pa.string()), ("system", pa.string()), ("department", pa.string()),
        ("local_key", pa.string()), ("enterprise_id", pa.string()), ("effective_from", pa.date32()),
        ("withdrawn", pa.bool_()), ("author", pa.string()), ("reason", pa.string()), ("made_at", pa.timestamp("us")),
    ]
)  # fmt: skip


def entry(
    system: str,
    department: str,
    local_key: str,
    enterprise_id: str | None,
    author: str,
    reason: str,
    made_at: datetime,
    effective_from: date | None = None,
    withdrawn: bool = False,
) -> pa.Table:
    """One row of CORRECTIONS; `enterprise_id` None says that the key is of no enterprise known. Times are UTC.

    ConfigError without author or reason, or for a handover to nobody.
    """
    if not author.strip() or not reason.strip():
        raise ConfigError("a correction needs an author and a reason", remedy="give --author and --reason")
    if effective_from and not enterprise_id and not withdrawn:
        raise ConfigError("a key cannot pass to nobody", remedy="name the enterprise that took it over")
    told = "|".join(map(str, (system, department, local_key, enterprise_id, effective_from, withdrawn, author, reason,
                              made_at.isoformat())))  # fmt: skip
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    row = (digest, system, department, local_key, enterprise_id, effective_from, withdrawn, author, reason, made_at)
    return pa.table([pa.array([v], f.type) for v, f in zip(row, CORRECTIONS, strict=True)], schema=CORRECTIONS)
