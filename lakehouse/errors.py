"""Errors that say what happened, where, and what to do about it."""

from __future__ import annotations


class VinelakeError(Exception):
    """The root of every error vinelake raises on purpose.

    `what` states the fact, `where` names the table, batch, file, row or step, `remedy` says what the
    reader can do now.
    """

    def __init__(self, what: str, where: str | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where:  {self.where}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(lines)


class ConfigError(VinelakeError):
    """A setting or argument is missing, ill-formed or contradicts another."""


class ContractError(VinelakeError):
    """A data contract is not valid, or does not fit what it describes."""


class LandingError(VinelakeError):
    """Received files cannot be taken in as they are."""


class SourceError(VinelakeError):
    """A source system cannot be reached, refuses, or answers what it must not; nothing half of it was kept.

    Another try may help (`is_transient`) when it is away or overloaded; it cannot when it answers nonsense.
    """

    is_transient = False


class SourceUnavailable(SourceError):
    """A source system is away, overloaded or too slow; later it may answer."""

    is_transient = True


class SourceRepeats(SourceError):
    """A source's list repeats itself or never ends: nothing that came with it can be trusted, and none is kept."""


class SchemaChanged(SourceError):
    """A source's records no longer fit their contract, and the contract says to stop then."""


class StaleSource(VinelakeError):
    """A feed is older than its contract allows, and the contract says that somebody has to know, or to stop."""


class ConsentError(VinelakeError):
    """There is no live consent for this purpose; nothing was asked."""


class VaultError(VinelakeError):
    """The vault cannot be opened, or refuses: a wrong key, no purpose, a changed or forgotten value."""


class IntegrityError(VinelakeError):
    """Stored bytes or counts differ from what was recorded of them."""


class GateFailed(VinelakeError):
    """A quality gate held its tables back; nothing of them was published."""


class BatchesHeld(GateFailed):
    """Batches were held back by their gate, and everything else was published (`published`: what the gate returns)."""

    def __init__(self, what: str, where: str, remedy: str, published: dict) -> None:
        super().__init__(what, where, remedy)
        self.published = published


class EngineError(VinelakeError):
    """The Spark Connect engine cannot be started, reached or trusted."""


class ServiceError(VinelakeError):
    """A local service cannot be started, reached or stopped."""


class ModelError(VinelakeError):
    """A model cannot be trained, promoted or used."""
