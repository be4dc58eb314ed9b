"""Files that people and machines put into a folder, each taken once: by day with a manifest, or by a pattern alone.

The feed's path is the pattern of its files, below the folder of a day (`visits/*.json`) or below the root. Options:

- `manifest`: the name of the list that completes a day's folder, with the files' SHA-256. A day without it is not
  complete: the feed waits there. A file that differs from it is refused by name. Without this option there are no
  folders of days, and every file that fits the pattern is taken once; one that changes is taken again.
- `everyDay`: `false` where days may have no folder; one that comes later is still read.
- `settledSeconds`: without a manifest, how long a file must have lain unchanged to count as complete.
- `records`: for JSON, the list that holds the records (dotted); each file is a part then. Else a file is one record.
- `layout`: `pairs` for CSV files of two columns, item and value, that are one record each.
- `labels`: the words under which a PDF tells a field (`spark_jobs.pull.files_form`); each PDF is one record then.
- `filesInPart`: how many files of one record each make a part.

CSV, JSON lines and Parquet files (the first two also gzipped) are parts byte for byte. Files of one record become lines
of a part, with the members `_file`, `_day`, `_bytes` and `_sha256` of the file. PDFs and whatever else is no table
become lines with these and what their labels tell, if there are any, and are kept byte for byte beside them (format
`binary`, no records).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lakehouse.errors import SourceError
from spark_jobs.pull.files_listing import Found, Listing, listing
from spark_jobs.pull.files_part import bundle, is_document, is_single, original
from spark_jobs.pull.part import Part, Pull

FILES_IN_PART = 1_000
MEGABYTES_IN_PART = 64


class Files:
    """The connector of protocol `files`. The connection's setting is `folder`.

    The cursor says which files are kept (in the form of its listing), and of a bundle whose originals are still to be
    kept, which ones they are.
    """

    is_whole = True

    def fetch(self, pull: Pull) -> Iterator[Part]:
        """One part a file, or a file of many; in the order of days and names."""
        files = listing(pull)
        number, waiting = pull.number, list((pull.cursor or {}).get("originals", ()))
        if waiting:
            yield from _originals(pull, files, [files.again(entry) for entry in waiting])
            number += len(waiting)
        for group in _groups(files.new(), pull.options):
            number += 1
            if not is_single(group[0], pull.options):
                yield original(pull, group[0], files.taken(group))
                continue
            kept = [found for found in group if is_document(found)]
            cursor = files.taken(group)
            if kept:
                cursor["originals"] = [files.entry(found) for found in kept]
            yield bundle(pull, f"files-{number:06d}.jsonl.gz", group, cursor)
            yield from _originals(pull, files, kept)
            number += len(kept)


def _originals(pull: Pull, files: Listing, kept: list[Found]) -> Iterator[Part]:
    """The documents of a bundle; each cursor leaves those that are still to come."""
    for place, found in enumerate(kept, start=1):
        cursor = files.taken(())
        if place < len(kept):
            cursor["originals"] = [files.entry(later) for later in kept[place:]]
        yield original(pull, found, cursor)


def _groups(files: Iterator[Found], options: Any) -> Iterator[list[Found]]:
    """Files of one record in groups of bounded size; every other file by itself.

    Where the listing has to stop, the files before are given first: they are complete.
    """
    most = int(options.get("filesInPart", FILES_IN_PART))
    group: list[Found] = []
    stopped: SourceError | None = None
    while True:
        try:
            found = next(files, None)
        except SourceError as error:
            found, stopped = None, error
        is_one = found is not None and is_single(found, options)
        if group and (not is_one or len(group) >= most or _bytes(group) + found.size > MEGABYTES_IN_PART << 20):
            yield group
            group = []
        if stopped:
            raise stopped
        if found is None:
            return
        if is_one:
            group.append(found)
        else:
            yield [found]


def _bytes(files: list[Found]) -> int:
    return sum(found.size for found in files)


CONNECTOR = Files()
