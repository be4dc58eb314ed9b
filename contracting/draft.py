"""A contract drafted from a sample, as YAML: what only a person knows is marked TODO.

The draft holds to the form of `contracts/`; `vinelake contract check` names every TODO that is still open.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from contracting.names import Guess, Vocabulary
from contracting.profile import Profile, keys, profiles
from contracting.sample import Sample
from lakehouse.contracts import Contract

TODO = "TODO"
PUBLISHED = ("published_at", "booked_at", "updated_at", "changed_at", "_received_at", "_changed_at", "created_at")


def draft(sample: Sample, contract_id: str, known: Iterable[Contract] = ()) -> str:
    """The text of a contract for the sample's entity. `known` contracts lend their names for the same source names."""
    columns = profiles(sample.records)
    vocabulary = Vocabulary(known)
    names = _named(columns, vocabulary)
    key = [names[c].name for c in keys(sample.records, columns)]
    lines = [*_head(sample, contract_id, columns, names, key), *_entity(sample, contract_id, columns, names, key)]
    return "\n".join(lines) + "\n"


def open_items(text: str) -> list[tuple[int, str]]:
    """(line, what is to be done) of every TODO in a contract's text."""
    return [
        (number, line.partition(TODO)[2].strip(" :\"'"))
        for number, line in enumerate(text.splitlines(), start=1)
        if TODO in line
    ]


def _named(columns: Sequence[Profile], vocabulary: Vocabulary) -> dict[str, Guess]:
    found: dict[str, Guess] = {}
    taken: set[str] = set()
    for position, column in enumerate(columns, start=1):
        guess = vocabulary.guess(column.source_name, column.logical in ("number", "integer"), position)
        if guess.name in taken:
            guess = Guess(f"{guess.name}_{position}", False, guess.unit, guess.scale)
        taken.add(guess.name)
        found[column.source_name] = guess
    return found


def _head(
    sample: Sample, contract_id: str, columns: Sequence[Profile], names: dict[str, Guess], key: Sequence[str]
) -> list[str]:
    entity = contract_id.split("__")[-1]
    lines = [
        "# yaml-language-server: the Open Data Contract Standard, version 3.2",
        f"# Drafted from {len(sample.records):,} records; complete what is marked, then `vinelake contract check`.",
        "apiVersion: v3.2.0",
        "kind: DataContract",
        f"id: {contract_id}",
        f'name: "{TODO}: what people call it"',
        "version: 0.1.0",
        "status: draft",
        f"domain: {contract_id.split('__')[0]}",
        "description:",
        f'  purpose: "{TODO}: what it tells, and what it is used for"',
        f'  limitations: "{TODO}: what is missing, late or wrong in it"',
        "team:",
        f'  name: "{TODO}: who answers for it"',
        "customProperties:",
        "  - {property: maxQuarantinedRatio, value: 0.02}",
        f"  - {{property: subject, value: {key[0] if key else 'column'}}}"
        f"  # {TODO}: the column that says whom a record is about",
    ]
    if sample.file_pattern:
        lines.insert(-2, f"  - {{property: filePattern, value: {_text(sample.file_pattern)}}}")
        lines.insert(-2, f"  - {{property: encoding, value: {sample.encoding}}}")
    lines += _known_at(columns, names)
    lines += _feed(sample) if sample.feed else []
    record = [name for name in key if name != "revision"] or list(key)
    order = ", order: [revision]" if "revision" in key else ""
    if key:
        lines.append(f"  - {{property: silver, value: {{entity: {entity}, keys: [{', '.join(record)}]{order}}}}}")
    return lines


def _known_at(columns: Sequence[Profile], names: dict[str, Guess]) -> list[str]:
    times = [c.source_name for c in columns if c.logical == "timestamp" and c.is_filled]
    published = next((name for name in PUBLISHED if name in times), None)
    if published:
        value = f"{{history: published, eventColumn: {names[published].name}, afterwards: received}}"
        return [f"  - {{property: knownAt, value: {value}}}"]
    note = f"  # {TODO}: received, or event_lag with eventColumn and lagDays where the first delivery is history"
    return [f"  - {{property: knownAt, value: {{history: received, afterwards: received}}}}{note}"]


def _feed(sample: Sample) -> list[str]:
    feed = sample.feed or {}
    lines = ["  - property: feed", "    value:"]
    lines += [f"      {name}: {_text(str(feed[name]))}" for name in ("connection", "protocol", "path")]
    lines.append(f"      department: {feed['connection']}  # {TODO}: what fails and recovers together, as one name")
    if feed.get("options"):
        lines.append("      options:")
        lines += [f"        {name}: {_flow(value)}" for name, value in feed["options"].items()]
    lines += [f"      # {note}" for note in sample.notes]
    return [
        *lines,
        f"  - {{property: schemaChange, value: freeze}}  # {TODO}: evolve, freeze or quarantine",
        f"  - {{property: outage, value: {{staleAfterDays: 7, scores: degrade}}}}  # {TODO}: by its rhythm; degrade, "
        "refer or stop",
    ]


def _entity(
    sample: Sample, contract_id: str, columns: Sequence[Profile], names: dict[str, Guess], key: Sequence[str]
) -> list[str]:
    lines = [
        "schema:",
        f"  - name: {contract_id.split('__')[-1]}",
        f"    physicalName: {contract_id}",
        f"    physicalType: {sample.physical}",
        "    logicalType: object",
        f'    dataGranularityDescription: "{TODO}: one row per …"',
        "    properties:",
    ]
    if not key:
        lines.append(
            f"      # {TODO}: no columns of the sample tell its records apart; give primaryKey to those that do"
        )
    for column in columns:
        lines += _column(column, names[column.source_name], key, sample.feed is not None)
    return lines


def _column(column: Profile, guess: Guess, key: Sequence[str], is_pulled: bool) -> list[str]:
    name, kind = guess.name, column.personal[0] if column.personal else None
    logical, scale = column.logical, guess.scale
    if logical == "integer" and guess.unit == "CNY":
        logical = "number"
    lines = [f"      - name: {name}"]
    if not guess.is_known and (name.startswith("column_") or name != column.source_name):
        lines[0] += f"  # {TODO}: a name in the words of the glossary"
    if name != column.source_name:
        lines.append(f"        physicalName: {_text(column.source_name)}")
    lines.append(f"        logicalType: {logical}")
    if logical == "number":
        lines.append(f"        physicalType: decimal(18,{max(2, column.decimals)})")
    if column.is_filled:
        lines.append("        required: true")
    if name in key:
        lines += ["        primaryKey: true", f"        primaryKeyPosition: {key.index(name) + 1}"]
    lines.append(f"        classification: {_classification(kind, guess, is_pulled)}{_warning(column, is_pulled)}")
    if options := _options(column):
        lines.append(f"        logicalTypeOptions: {options}")
    doubt = f"{column.doubts[0]}; " if column.doubts else ""
    example = "" if kind or not column.example else f" (for example {column.example[:40]})"
    lines.append(f"        description: {_text(f'{TODO}: {doubt}what it says{example}')}")
    properties = _properties(column, guess, logical, scale, kind if is_pulled else None)
    if properties:
        lines += ["        customProperties:", *(f"          - {entry}" for entry in properties)]
    return lines


def _classification(kind: str | None, guess: Guess, is_pulled: bool) -> str:
    if kind:
        return "personal" if is_pulled else "confidential"
    return "confidential" if guess.unit == "CNY" else "internal"


def _warning(column: Profile, is_pulled: bool) -> str:
    if not column.personal:
        return ""
    kind, share = column.personal
    looks = f"{share:.0%} of the values look like a natural person's {kind.replace('_', ' ')}"
    if is_pulled:
        return f"  # {TODO}: {looks}: keep it sealed, name the column that identifies the person as dataSubject"
    return f"  # {TODO}: {looks}: leave it out of the file, or pull the file as a feed, which seals it"


def _options(column: Profile) -> str:
    found = []
    if column.format:
        found.append(f'format: "{column.format}"')
    if column.pattern:
        found.append(f"pattern: '{column.pattern}'")
    return "{" + ", ".join(found) + "}" if found else ""


def _properties(column: Profile, guess: Guess, logical: str, scale: str | None, kind: str | None) -> list[str]:
    found = []
    if guess.unit and logical in ("number", "integer"):
        found.append(f"{{property: unit, value: {_text(guess.unit)}}}  # {TODO}: the name sounds like it; make sure")
    if column.source_name == "_received_at":
        found.append("{property: transport, value: true}")
    if scale:
        found.append(f'{{property: scale, value: "{scale}"}}')
    if column.group_separator:
        found.append(f'{{property: groupSeparator, value: "{column.group_separator}"}}')
    if column.codes:
        codes = ", ".join(f"{_text(code)}: {_text(code)}" for code in column.codes)
        found.append(f"{{property: codes, value: {{{codes}}}}}  # {TODO}: what each code means, and those not seen")
    if kind:
        found += [f"{{property: dataSubject, value: {guess.name}}}", f"{{property: tokenKind, value: {kind}}}"]
    return found


def _text(value: str) -> str:
    """A value as YAML text: quoted wherever a plain word could be read as something else."""
    plain = value.replace("_", "").replace(".", "a").isalnum() and value.isascii() and value[0].isalpha()
    reserved = value.lower() in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    return value if plain and not reserved else json.dumps(value, ensure_ascii=False)


def _flow(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else _text(value)
