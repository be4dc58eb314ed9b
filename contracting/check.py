"""The report of a check: what changes in contracts since a git reference or another file, and whom it reaches."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contracting.compare import Change, compare, version_fault
from contracting.draft import open_items
from contracting.readers import Reader, Readers, models_with
from lakehouse import contracts
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings


@dataclass(frozen=True)
class Row:
    """One change of a contract, its verdict (`breaking` or `compatible`) and who reads what changes."""

    contract: str
    column: str | None
    change: str
    verdict: str
    readers: tuple[Reader, ...]


@dataclass
class Report:
    """All changes; `faults` are those of version numbers, `notes` say what could not be found out."""

    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def breaks(self) -> bool:
        """Whether any reader has to look."""
        return any(row.verdict == "breaking" for row in self.rows)


def chosen(known: Mapping[str, Contract], names: Sequence[str], against: str | None) -> list[str]:
    """The ids to compare: those named, else every contract here or at the reference. ConfigError for an unknown one."""
    there = set(_at_reference(against)) if against and not Path(against).is_file() else set()
    if unknown := [name for name in names if name not in known and name not in there | set(_at_reference("HEAD"))]:
        raise ConfigError(f"there is no contract {', '.join(unknown)}", remedy="see vinelake contract check")
    if against and Path(against).is_file() and len(names) != 1:
        raise ConfigError("a file is compared with one contract", remedy="name the contract's id before --against")
    return list(names) or sorted(set(known) | there)


def todos(folder: Path, names: Iterable[str]) -> list[tuple[str, str]]:
    """(file and line, what) of everything that a draft leaves to do."""
    found = []
    for name in names:
        path = folder / f"{name}.yaml"
        if path.exists():
            items = open_items(path.read_text(encoding="utf-8"))
            found += [(f"{path.name}, line {line}", what) for line, what in items]
    return found


def compare_all(known: Mapping[str, Contract], names: Iterable[str], against: str, ask_models: bool = True) -> Report:
    """Compares contracts with their earlier state: `against` is a git reference, or a file for one of them."""
    earlier = {name: _earlier(name, against) for name in names}
    # Readers of a column that is gone read it in the contract as it stood.
    stood = {**known, **{name: old for name, old in earlier.items() if old}}
    report, readers = Report(), Readers(stood, get_settings().project_dir)
    for name, old in earlier.items():
        new = known.get(name)
        changes = compare(old, new)
        if old and new and (fault := version_fault(old, new, changes)):
            report.faults.append(f"{name}: {fault}")
        table = old or new
        assert table or not changes
        report.rows += [_row(readers, table, change) for change in changes if table]
    if ask_models:
        _add_models(report)
    return report


def _row(readers: Readers, contract: Contract, change: Change) -> Row:
    columns = [change.column] if change.column else [c.name for c in contract.columns]
    is_new = change.column is not None and not any(c.name == change.column for c in contract.columns)
    found = () if is_new else tuple(readers.of(contract, columns))
    return Row(contract.id, change.column, change.what, "breaking" if change.breaks else "compatible", found)


def _add_models(report: Report) -> None:
    reached = {r.name for row in report.rows for r in row.readers if r.kind == "feature"}
    models, reason = models_with(reached)
    if reason:
        report.notes.append(f"the registry of models was not asked: {reason}")
    for number, row in enumerate(report.rows):
        features = {r.name for r in row.readers if r.kind == "feature"}
        taken = [Reader("model", m.name, tuple(t)) for m in models if (t := sorted(features & set(m.columns)))]
        report.rows[number] = Row(row.contract, row.column, row.change, row.verdict, (*row.readers, *taken))


def _earlier(name: str, against: str) -> Contract | None:
    if Path(against).is_file():
        text = Path(against).read_text(encoding="utf-8")
    else:
        found = _git("show", f"{against}:./{name}.yaml")
        if found is None:
            return None
        text = found
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return contracts.load(path)


def _at_reference(against: str) -> list[str]:
    """The ids of the contracts at a git reference; a ConfigError for one that git does not know."""
    listed = _git("ls-tree", "--name-only", against, "./")
    if listed is None:
        raise ConfigError(
            f"git knows no {against!r}, and there is no such file",
            where=str(get_settings().contracts_dir),
            remedy="give a commit, a branch, or the path of a contract",
        )
    return [Path(line).stem for line in listed.splitlines() if line.endswith(".yaml")]


def _git(*words: str) -> str | None:
    folder = get_settings().contracts_dir
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=30)
    return done.stdout if done.returncode == 0 else None
