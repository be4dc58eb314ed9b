"""Where a demo lives and what it is fed: its folder under `var/`, its source files, its inbox."""

from __future__ import annotations

import csv
import gzip
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from lakehouse.errors import ConfigError, VinelakeError
from lakehouse.settings import PROJECT_DIR, get_settings

BUILT_IN_DROP = date(2024, 1, 1)
ISSUED_ON = "开票日期"
# A month with fewer than this share of the rows is a typing error or a straggler, not the end of the data.
STRAY_SHARE = 0.0005


@dataclass(frozen=True)
class Drop:
    """A folder of files, the date it is taken to be received on, and how that date was found."""

    folder: Path
    partition: str
    reason: str


def enter(name: str) -> Path:
    """Makes `var/<name>` the lakehouse of this process and of later `vinelake` commands; returns it.

    Where VINELAKE_VAR_DIR names another folder, that one is used as it is.
    """
    settings = get_settings()
    current = PROJECT_DIR / "var" / "current"
    if settings.var_dir != current:
        settings.home.mkdir(parents=True, exist_ok=True)
        return settings.home
    home = current.parent / name
    home.mkdir(parents=True, exist_ok=True)
    if current.exists() and not current.is_symlink():
        raise ConfigError("var/current is not a symbolic link", where=str(current), remedy="move that folder away")
    draft = current.with_name(f".current.{os.getpid()}")
    draft.symlink_to(name)
    draft.replace(current)
    get_settings.cache_clear()
    return get_settings().home


def real_drop(folder: Path, as_of: date | None, today: date) -> Drop:
    """Files of a lender's own. Without a date, they are taken as received on the first of the month after
    the last month of invoices, or on `today` if that comes first."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise ConfigError("there is no such folder of invoice files", where=str(folder), remedy="give INVOICES=folder")
    if as_of:
        return Drop(folder, as_of.isoformat(), "as given")
    year, month = last_month(folder)
    after = date(year + month // 12, month % 12 + 1, 1)
    if after > today:
        return Drop(folder, today.isoformat(), f"today; invoices run into {year}-{month:02}")
    return Drop(folder, after.isoformat(), f"invoices end in {year}-{month:02}")


def last_month(folder: Path) -> tuple[int, int]:
    """Year and month of the last month that invoices of the folder cover."""
    months: Counter[tuple[int, int]] = Counter()
    for path in sorted(folder.glob("*invoices*.csv*")):
        opener = gzip.open if path.suffix == ".gz" else open
        try:
            with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
                rows = csv.reader(file)
                at = next(rows, []).index(ISSUED_ON)
                for row in rows:
                    parts = row[at].replace("-", "/").split("/") if len(row) > at else []
                    if len(parts) == 3 and parts[0].isdigit() and parts[1].isdigit():
                        months[int(parts[0]), int(parts[1])] += 1
        except (OSError, EOFError, ValueError, csv.Error):
            continue  # landing will say what is wrong with the file; here only its dates matter
    enough = [m for m, rows in months.items() if rows >= STRAY_SHARE * months.total() and 1 <= m[1] <= 12]
    if not enough:
        raise ConfigError(
            f"no invoice dates found, so the date of delivery cannot be told (column {ISSUED_ON})",
            where=str(folder),
            remedy="give the date on which the files were received: AS_OF=YYYY-MM-DD",
        )
    return max(enough)


def built_in_drop(firms: int, as_of: date | None) -> Drop:
    """The built-in portfolio; its files are made by `start_generator` when they are missing."""
    received = as_of or BUILT_IN_DROP
    folder = get_settings().home.parent / "files" / f"invoices_{firms}_firms_to_{received}"
    return Drop(folder, received.isoformat(), "built-in portfolio" if as_of is None else "as given")


def start_generator(drop: Drop, firms: int) -> subprocess.Popen | None:
    """Starts the generator beside the services; None when its files are there already."""
    if drop.folder.is_dir():
        return None
    draft = draft_of(drop)
    if draft.exists():  # what a killed run left; the folder is ours by its name
        for path in draft.iterdir():
            path.unlink()
        draft.rmdir()
    draft.parent.mkdir(parents=True, exist_ok=True)
    log = get_settings().log_dir / "generator.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sources.invoice_generator", "--out", str(draft), "--firms", str(firms)]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, "--end", drop.partition], cwd=PROJECT_DIR, stdout=output, stderr=subprocess.STDOUT
        )


def finish_generator(generator: subprocess.Popen, drop: Drop) -> str:
    """Waits for the generator and puts its files in place; returns its last line."""
    log = get_settings().log_dir / "generator.log"
    failed = generator.wait()
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if failed:
        raise VinelakeError(
            f"the generator failed: {lines[-1] if lines else 'no message'}",
            where=str(log),
            remedy="read its log, then run the demo again",
        )
    draft_of(drop).rename(drop.folder)
    return lines[-1].partition(": ")[2] if lines else ""


def draft_of(drop: Drop) -> Path:
    """Where the generator writes until it is done."""
    return drop.folder.with_name(f"{drop.folder.name}.draft")


def deliver(drop: Drop) -> str | None:
    """Puts the drop into the inbox under its partition, as a link; returns a remark where there is one."""
    inbox = get_settings().inbox_dir
    inbox.mkdir(parents=True, exist_ok=True)
    link = inbox / drop.partition
    others = sorted(p.name for p in inbox.iterdir() if p.name != drop.partition)
    if link.exists() and not link.is_symlink():
        raise ConfigError(
            "the inbox holds a folder of its own for this date", where=str(link), remedy="move it away first"
        )
    before = link.resolve() if link.is_symlink() else None
    if before != drop.folder:
        draft = inbox / f".{drop.partition}.{os.getpid()}"
        draft.symlink_to(drop.folder, target_is_directory=True)
        draft.replace(link)
    if before and before != drop.folder:
        return f"this date had files from {before}; what was taken in of them stays in"
    if others:
        return f"drops of {', '.join(others[-5:])} are in this lakehouse as well"
    return None
