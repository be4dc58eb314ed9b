"""Telling of publications: programs beside the lakehouse hear which tables became readable, and at which version.

They are found by the entry point group `vinelake.publications`, as `f(changed, job, partition)`. None can fail or undo
a publication: what one raises is a note in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import entry_points

log = logging.getLogger("vinelake.publications")
LISTENERS = "vinelake.publications"


def announce(changed: Mapping[str, int], job: str, partition: str) -> None:
    """Tells every listener the tables that a job published for a partition, with their versions."""
    for entry in entry_points(group=LISTENERS):
        try:
            entry.load()(changed, job, partition)
        except Exception as error:  # whatever it is, the tables are published
            log.warning("%s was not told of %s by %s: %s", entry.name, ", ".join(sorted(changed)), job, error)
