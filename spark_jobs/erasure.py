"""Erases a person, or the personal data of an enterprise, from everything that the lakehouse keeps.

The order makes it safe to be killed: keys are destroyed first, in one change of the vault that also notes the trail;
all that follows only looks for what is left of the trail, so it can run again; the trail goes last, after the
certificate.
Landing is not touched: what it holds of the subject was sealed under keys that no longer exist, and its chain of hashes
still holds. Frozen samples are told of by `strip` and `models`, which the caller gives: models are not this layer's.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import consents, contracts, engine, tables
from lakehouse.contracts import Column
from lakehouse.erasure import certificate, search
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings
from lakehouse.time import utc_now
from lakehouse.vault import erasing, open_vault
from lakehouse.vault.erasing import Trail
from spark_jobs import dbt_run, erasure_tables
from spark_jobs.contradictions import job as contradictions
from spark_jobs.pull import sealing_plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PERSON, ENTERPRISE = "person", "enterprise"
REQUEST = ("author", "reason", "ground")
Strip = Callable[[str, Trail], list[dict[str, Any]]]
Models = Callable[["SparkSession", set[str]], list[dict[str, str]]]


def whose(subject: Column) -> str:
    """Whether a column identifies persons or enterprises."""
    is_person = subject.is_personal and sealing_plan.kind(subject) != "credit_code"
    return PERSON if is_person else ENTERPRISE


def kinds(who: str) -> list[str]:
    """The kinds of identifiers under which the contracts know persons, or enterprises."""
    known: set[str] = set()
    for contract in contracts.load_all(get_settings().contracts_dir).values():
        for column in contract.personal_columns:
            subject = sealing_plan.subject_of(contract, column)
            if whose(subject) == who:
                known.add(sealing_plan.identifier(contract, subject))
    if not known:
        raise ConfigError(f"no contract seals data of a {who}", remedy="state `dataSubject` in the contracts")
    return sorted(known)


def preview(who: str, values: Sequence[str], count: Callable[[Trail], list[dict[str, Any]]]) -> dict[str, Any] | None:
    """What an erasure would remove, in counts alone; None where nothing is held. Changes nothing but the access log."""
    with open_vault() as vault:
        trail = erasing.follow(vault, kinds(who), values, "preview of an erasure")
    if trail is None:
        return None
    with engine.session("erasure") as spark:
        tables.ensure_schemas(spark)
        rows = [
            {"table": table.title, "rows": erasure_tables.rows_of(spark, table, trail)}
            for table in erasure_tables.concerned(trail)
        ]
    return {
        "keys": len(trail.subjects),
        "tokens": len(trail.own),
        "shared_values": len(trail.shared),
        "sealed_under_other_keys": trail.other_keys,
        "tables": rows,
        "snapshots": count(trail),
        "consents": [c.id for c in _consents(trail)],
        "files": [_short(path) for path in _loose_files(trail)],
    }


def erase(
    who: str,
    values: Sequence[str],
    request: Mapping[str, str],
    strip: Strip,
    models: Models,
    step: Callable[[str], None] = lambda _: None,
) -> dict[str, Any] | None:
    """Erases and returns the certificate; None where nothing is held, as after a first erasure.

    `request` names author, reason and legal ground. Erasures that were killed are finished first.
    """
    missing = [name for name in REQUEST if not request.get(name, "").strip()]
    if missing:
        raise ConfigError(f"the erasure's {', '.join(missing)} was not given", remedy="give --reason and --ground")
    resume(strip, models, step)
    with open_vault() as vault:
        trail = erasing.follow(vault, kinds(who), values, request["reason"])
        if trail is None:
            return None
        stated = {"who": who, "begun_at": utc_now().isoformat(timespec="seconds"), **request}
        number = uuid.uuid4().hex[:16]
        erasing.begin(vault, number, replace(trail, request=stated), request["reason"])
    step("begun")
    return resume(strip, models, step)[-1]


def resume(strip: Strip, models: Models, step: Callable[[str], None] = lambda _: None) -> list[dict[str, Any]]:
    """Finishes every erasure that has begun and not ended; returns their certificates."""
    with open_vault() as vault:
        left = erasing.pending(vault)
    done = []
    for number, trail in left.items():
        done.append(_finish(number, trail, strip, models, step))
        with open_vault() as vault:
            erasing.end(vault, number)
    return done


def _finish(number: str, trail: Trail, strip: Strip, models: Models, step: Callable[[str], None]) -> dict[str, Any]:
    told = _end_consents(number, trail)
    contradictions.discard_facts()
    with engine.session("erasure") as spark:
        tables.ensure_schemas(spark)
        found = erasure_tables.concerned(trail, number)
        cleaned = erasure_tables.erase(spark, number, trail, found, step)
        samples = strip(number, trail)
        step("samples")
        files = _overwrite_files(trail)
        step("files")
        facts = {
            **trail.request,
            "keys_destroyed": list(trail.key_fingerprints),
            "tokens_forgotten": len(trail.own),
            "tables": cleaned,
            "snapshots": samples,
            "models": models(spark, {note["snapshot"] for note in samples}),
            "files_overwritten": files,
            "consents_ended": told,
            "sealed_under_other_keys": trail.other_keys,
            "remaining": _remaining(trail),
        }
        facts["is_complete"] = not facts["remaining"] and not trail.other_keys
        return certificate.issue(number, facts)


def _consents(trail: Trail) -> list[consents.Consent]:
    return [c for c in consents.known() if c.subject_code in trail.identifiers]


def _end_consents(number: str, trail: Trail) -> list[dict[str, str]]:
    """Ends the enterprise's consents.

    Pulls cannot tell bureaus of it any more, since the tokens for that were sealed under the destroyed key: the
    certificate names the bureaus, to be told by hand.
    """
    ended = []
    for consent in _consents(trail):
        consents.revoke(consent.id, utc_now().date(), f"erasure {number}")
        for connection, known in consent.registered.items():
            if not known.withdrawn:
                consents.note_withdrawn(consent, connection)
            ended.append({"consent": consent.id, "tell_by_hand": connection, "number": known.number})
    return ended


def folders() -> list[Path]:
    """All that belongs to the lakehouse in use: its own folders, and what it shares with other environments.

    The simulated source systems are others' property, and the master key opens nothing by itself.
    """
    settings = get_settings()
    schemas = [settings.schema_name(layer) for layer in tables.LAYERS]
    schemas += [f"{schema}_build" for schema in schemas] + [dbt_run.work_schema()]
    own = [p for warehouse in settings.home.glob("warehouse*") for p in warehouse.iterdir() if p.name in schemas]
    own += [settings.landing_dir, settings.inbox_dir, settings.reports_dir, settings.vault_dir, _samples()]
    own += [settings.home / name / (settings.environment or "main") for name in ("lineage", "erasures")]
    parted = {"landing", "inbox", "reports", "datasets", "vault", "keys", "lineage", "erasures", "sources"}
    shared = [p for p in settings.home.iterdir() if p.name not in parted and not p.name.startswith("warehouse")]
    return sorted(p for p in {*own, *shared} if p.exists())


def _samples() -> Path:
    return get_settings().home / "datasets" / get_settings().environment


def _loose_files(trail: Trail) -> list[Path]:
    """Files that are neither landed, nor of tables, samples, vault or databases, and hold a trace in plain bytes."""
    settings, sought = get_settings(), erasure_tables.traces(trail)
    kept = {settings.landing_dir, settings.vault_dir, settings.home / "postgres", _samples()}
    loose = [f for f in folders() if f not in kept and not f.parent.name.startswith("warehouse")]
    findings = search.look(loose, sought).findings if sought else []
    return [p for p in dict.fromkeys(f.path for f in findings if f.part == "bytes") if not _is_database(p)]


def _is_database(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(16) == b"SQLite format 3\x00"


def _overwrite_files(trail: Trail) -> list[str]:
    """Writes stars over traces in reports, logs and events, where they stand: other bytes keep their places, also for a
    process that goes on writing the file."""
    sought, done = erasure_tables.traces(trail), []
    for path in _loose_files(trail):
        with path.open("r+b") as stream:
            content = stream.read()
            for match in sought.pattern.finditer(content):
                stream.seek(match.start())
                stream.write(b"*" * len(match[0]))
        done.append(_short(path))
    return done


def _remaining(trail: Trail) -> list[str]:
    """Where a trace still stands. Ids and tokens beside ciphertext in landing, and ids in the vault, lead nowhere."""
    settings = get_settings()
    sealed = [settings.landing_dir, settings.vault_dir]
    everything, clear = erasure_tables.traces(trail), erasure_tables.traces(replace(trail, own=(), subjects=()))
    found = search.look([f for f in folders() if f not in sealed], everything).findings if everything else []
    found += search.look(sealed, clear).findings if clear else []
    return sorted({f"{_short(f.path)}: {f.part}" for f in found})


def _short(path: Path) -> str:
    home = get_settings().home
    return str(path.relative_to(home)) if home in path.parents else path.name


def verify(values: Iterable[str]) -> search.Search:
    """Looks everywhere for clear values, also in what is sealed, with every key that is left."""
    with open_vault() as vault:
        vault.log.add("search", ["values of an erased subject"], "proof of an erasure")
        return search.look_for_values(folders(), list(values), vault)
