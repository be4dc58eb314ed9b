"""What is declared about a department: its datasets, how late it publishes, and how often it corrects itself."""

from __future__ import annotations

from dataclasses import dataclass

from sources.systems.government.fields import Field


@dataclass(frozen=True)
class Lag:
    """Days from an event to its publication, fixed for each row.

    `least` days always, up to `spread` more, evenly; a `late_share` of the rows waits up to `late_days` longer.
    With `batch_day` the department publishes only on that day of each month.
    """

    least: int
    spread: int = 0
    late_share: float = 0.0
    late_days: int = 0
    batch_day: int | None = None

    def text(self) -> str:
        """The lag in words."""
        words = f"{self.least} to {self.least + self.spread} days"
        if self.late_share:
            words += f", {self.late_share:.0%} up to {self.late_days} days later"
        return words + (f", then on day {self.batch_day} of a month" if self.batch_day else "")


@dataclass(frozen=True)
class Stage:
    """A later event of a record: the day it happens, and the columns that are unknown before it."""

    on: str
    reveals: tuple[str, ...]


@dataclass(frozen=True)
class Mistake:
    """A share of records is first published with a wrong `column` (times `factor`) and put right days later."""

    column: str
    share: float
    factor: float
    after: tuple[int, int] = (15, 75)


@dataclass(frozen=True)
class Dataset:
    """One list of records.

    `sql` selects from the world's tables and the helper tables of `projection.py`: the columns that the fields use,
    the record's key columns (`key`) and `event_on`, the day the record comes to be. `states=True` means that the query
    already yields one row a state of a record, each with its own `event_on`. `subject` names the column of the firm,
    for which the projection adds `subject_key`, the department's own key; firms unknown there are left out. A firm with
    several keys (a second meter, a branch's account) has its amounts in `split` shared out among them.
    """

    name: str
    about: str
    grain: str
    sql: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    lag: Lag
    prefix: str
    subject: str | None = None
    stages: tuple[Stage, ...] = ()
    mistake: Mistake | None = None
    states: bool = False
    split: tuple[str, ...] = ()


@dataclass(frozen=True)
class Department:
    """A department of the platform: `name` is its path and scope, `system` and `name` find its keys in the world."""

    name: str
    system: str
    title: str
    about: str
    datasets: tuple[Dataset, ...]
    bulk: str = "csv.gz"  # or parquet

    @property
    def scope(self) -> str:
        return f"{self.name}:read"
