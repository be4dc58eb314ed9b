"""Pulls killed (KILL) at random points and started again until they come through; shared by all connectors' tests.

A run is a process forked from one that has imported everything, so that it costs milliseconds. It is killed either
before its n-th step (a file or socket operation, as Python's audit events count them) or after some seconds.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet

from lakehouse import contracts
from lakehouse.settings import get_settings
from spark_jobs import landing

PRELOADED = [__name__, "spark_jobs.pull.runner", "dlt.sources.helpers.rest_client", "psycopg2", "confluent_kafka"]
STEPS = ("open", "os.", "shutil.", "socket.")
LONGEST_SECONDS = 120


@dataclass(frozen=True)
class Place:
    """A lakehouse for pulls: its data folder, the project folder that has `contracts/`, and its connections file."""

    home: Path
    project: Path
    connections: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "VINELAKE_VAR_DIR": str(self.home),
            "VINELAKE_PROJECT_DIR": str(self.project),
            "VINELAKE_CONNECTIONS_FILE": str(self.connections),
            "VINELAKE_ENVIRONMENT": "",
        }

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Makes it the lakehouse of this process."""
        before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        get_settings.cache_clear()
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
            get_settings.cache_clear()


@dataclass(frozen=True)
class Ending:
    """How a run ended: whether it was killed, how many steps it made, how long it took; `error` where it failed."""

    killed: bool
    steps: int
    seconds: float
    error: str | None = None


def run(place: Place, partition: str, task: str, kill_at: int | None = None, kill_after: float | None = None) -> Ending:
    """One pull of a department in a process of its own; killed before step `kill_at`, or after `kill_after` seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_pull, args=(place.environment, partition, task, kill_at, there), daemon=True)
    child.start()
    there.close()
    here.recv()  # imports are done, the pull begins
    begun = time.monotonic()
    child.join(kill_after if kill_after is not None else LONGEST_SECONDS)
    if child.is_alive():
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert kill_after is not None, f"the pull did not end within {LONGEST_SECONDS} s"
    steps, error = _last_word(here)
    return Ending(child.exitcode == -signal.SIGKILL, steps, time.monotonic() - begun, error)


def run_all(place: Place, pulls: Sequence[tuple[str, str]]) -> list[Ending]:
    """Undisturbed runs of pulls (partition, department), one after the other; fails where one fails."""
    endings = [run(place, partition, task) for partition, task in pulls]
    for (partition, task), ending in zip(pulls, endings, strict=True):
        assert ending.error is None and not ending.killed, f"{task} on {partition}: {ending.error}"
    return endings


def kill_and_finish(
    place: Place, pulls: Sequence[tuple[str, str]], undisturbed: Sequence[Ending], kills: int, seed: int
) -> int:
    """The same pulls, killed so many times in all at random points and started again until each comes through.

    Every second kill is by step, which always hits; the others are by time, which also hit inside C libraries. Returns
    how many processes were killed: less than `kills` when runs by time were through before their end.
    """
    chance = random.Random(seed)
    planned = sorted(chance.randrange(len(pulls)) for _ in range(kills))
    done = 0
    for number, (partition, task) in enumerate(pulls):
        for turn in range(planned.count(number)):
            usual = undisturbed[number]
            if (done + turn) % 2:
                ending = run(place, partition, task, kill_after=chance.uniform(0, usual.seconds))
            else:
                ending = run(place, partition, task, kill_at=chance.randint(1, max(1, usual.steps)))
            assert ending.error is None, f"{task} on {partition}, killed before: {ending.error}"
            done += ending.killed
        run_all(place, [(partition, task)])
    return done


def landed_rows(place: Place, contract_id: str) -> list[tuple[str, str]]:
    """Every landed record of a feed in order: (date of receipt, the record as JSON with its keys in order)."""
    with place.entered():
        contract = contracts.load_all(get_settings().contracts_dir)[contract_id]
        return [
            (str(batch.received_on), json.dumps(record, sort_keys=True, ensure_ascii=False, default=str))
            for batch in landing.landed()
            if batch.contract == contract_id
            for file in batch.files
            for record in _records(batch.folder / file.name, file.format, contract.feed.options.get("records"))
        ]


def _records(path: Path, form: str, where: str | None) -> Iterator[Any]:
    if form == "binary":
        return
    if form == "parquet":
        yield from pyarrow.parquet.read_table(path).to_pylist()
    elif form == "csv":
        yield from pyarrow.csv.read_csv(path).to_pylist()
    else:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if form == "jsonl":
            yield from (json.loads(line) for line in content.split(b"\n") if line.strip())
            return
        document = json.loads(content)
        for step in where.split(".") if where else ():
            document = document[step]
        yield from document if isinstance(document, list) else [document]


def _pull(environment: dict[str, str], partition: str, task: str, kill_at: int | None, tell: Any) -> None:
    os.environ.update(environment)
    get_settings.cache_clear()
    counted = _count_steps(kill_at)
    from spark_jobs.pull import runner

    error = None
    tell.send("begun")
    try:
        runner.pull_department(partition, task)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    tell.send((counted(), error))


def _count_steps(kill_at: int | None) -> Any:
    made = 0

    def hook(event: str, _arguments: tuple) -> None:
        nonlocal made
        if event.startswith(STEPS):
            made += 1
            if made == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return lambda: made


def _last_word(pipe: Any) -> tuple[int, str | None]:
    try:
        return pipe.recv() if pipe.poll() else (0, None)
    except EOFError:
        return 0, None
