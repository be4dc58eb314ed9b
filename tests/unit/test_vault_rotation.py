"""Rotation of keys: what was sealed still opens, tokens follow one another, and a kill leaves a vault that opens."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from lakehouse.cli import main
from lakehouse.errors import VaultError
from lakehouse.settings import Settings
from lakehouse.vault import Item, Vault, forms, master, open_vault, rotation

WHY = "a test of rotation"
ITEMS = [Item("phone", str(n), "person", str(n % 30)) for n in range(100)]


@pytest.fixture
def vault(settings: Settings):
    with open_vault() as opened:
        yield opened


def tokens(sealed: list[str]) -> list[str]:
    return [forms.token_of(text) for text in sealed]


def test_after_the_master_key_is_changed_all_opens_and_the_old_key_opens_nothing(
    vault: Vault, settings: Settings
) -> None:
    sealed = vault.seal(ITEMS)
    old = settings.master_key_file.read_text()
    wrapped = set(vault.db.execute("SELECT wrapped FROM subject UNION SELECT wrapped FROM key"))
    with open_vault() as other:  # a sealer at work meanwhile goes on, with the same result
        assert other.seal(ITEMS[:50]) == sealed[:50]
        rotation.rotate_master(vault, WHY)
        assert other.seal(ITEMS) == sealed
    assert vault.seal(ITEMS) == sealed
    assert [vault.open(text, WHY) for text in sealed[:5]] == ["0", "1", "2", "3", "4"]
    assert not wrapped & set(vault.db.execute("SELECT wrapped FROM subject UNION SELECT wrapped FROM key"))
    assert len(json.loads(settings.master_key_file.read_text())["keys"]) == 1
    settings.master_key_file.write_text(old)
    with pytest.raises(VaultError, match="not the one that wrapped"), open_vault():
        pass


def test_after_tokens_are_changed_old_ones_lead_to_new_ones_within_the_vault_alone(vault: Vault) -> None:
    sealed = vault.seal(ITEMS)
    first = tokens(sealed)
    reads = len([e for e in vault.log.entries() if e.action in ("open", "reveal")])
    assert rotation.rotate_tokens(vault, WHY) == 100
    assert len([e for e in vault.log.entries() if e.action in ("open", "reveal")]) == reads
    second = tokens(vault.seal(ITEMS))
    assert not set(first) & set(second) and all(token.startswith("tok2_phone_") for token in second)
    assert dict(vault.successors()) == dict(zip(first, second, strict=True))
    rotation.rotate_tokens(vault, WHY)
    third = tokens(vault.seal(ITEMS))
    assert dict(vault.successors()) == dict(zip(first + second, third * 2, strict=True))
    for token in (first[7], second[7], third[7]):
        assert vault.reveal([token], WHY) == ["7"]
    assert vault.open(sealed[7], WHY) == "7"  # landing keeps the first form for ever
    assert vault.counts() == {"persons": 30, "values": 100, "former_tokens": 200, "token_key_version": 3}


def test_a_sealer_at_work_takes_the_new_tokens(vault: Vault) -> None:
    with open_vault() as other:
        before = other.seal(ITEMS)
        rotation.rotate_tokens(vault, WHY)
        after = other.seal([*ITEMS, Item("phone", "new", "person", "1")])
        assert tokens(after) == tokens(vault.seal([*ITEMS, Item("phone", "new", "person", "1")]))
        assert not set(tokens(before)) & set(tokens(after))
    assert len({forms.parse_sealed(text)[1] for text in after}) == 30  # persons stay who they are


def test_the_key_of_tokens_alone_says_nothing_of_a_value(vault: Vault) -> None:
    (sealed,) = vault.seal(ITEMS[:1])
    secret = vault.db.execute("SELECT secret FROM value").fetchone()[0]
    assert vault.make_token("phone", secret, 1) == forms.token_of(sealed)
    assert vault.make_token("phone", b"0", 1) != forms.token_of(sealed)


class Counting:
    """A database that ends its process, as a kill does, before the given step of those that write."""

    def __init__(self, db: sqlite3.Connection, step: Callable[[], None]) -> None:
        self._db, self._step = db, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, statement: str, *arguments: Any) -> Any:
        if statement.split()[0] in ("UPDATE", "INSERT", "COMMIT", "BEGIN", "PRAGMA"):
            self._step()
        return self._db.execute(statement, *arguments)


def rotate_and_die(what: str, killed_at: int) -> None:
    """Runs a rotation in this process up to a step, counting writes to the database and to the key's file."""
    steps, write = itertools.count(1), master.write

    def step() -> None:
        if next(steps) == killed_at:
            os._exit(9)

    def counted(*arguments: Any) -> None:
        step()
        write(*arguments)
        step()

    master.write = counted
    with open_vault() as vault:
        vault.db = Counting(vault.db, step)
        getattr(rotation, what)(vault, "a kill")


def ended_by_itself(work: Callable[[], None]) -> bool:
    """Runs the work in a process of its own; False if it was killed."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 0


@pytest.mark.parametrize("what", ["rotate_master", "rotate_tokens"])
def test_killed_at_any_step_of_a_rotation_all_still_opens(settings: Settings, what: str) -> None:
    with open_vault() as vault:
        sealed = vault.seal(ITEMS)
    for step in itertools.count(1):
        ended = ended_by_itself(lambda: rotate_and_die(what, step))  # noqa: B023 (it runs at once)
        with open_vault() as vault:
            assert vault.reveal(tokens(sealed)[::20], WHY) == ["0", "20", "40", "60", "80"]
            assert vault.open(sealed[9], WHY) == "9"
            assert vault.seal(ITEMS[:3]) == vault.seal(ITEMS[:3])
            assert vault.log.faults() == []
        if ended:
            break
    assert step > 5


def run(*arguments: str, stdin: str | None = None, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["vault", *arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result.output


def test_the_command_reveals_for_a_purpose_alone(vault: Vault) -> None:
    (sealed,) = vault.seal(ITEMS[42:43])
    token = forms.token_of(sealed)
    assert "Missing option '--purpose'" in run("reveal", token, code=2)
    assert "no purpose was given" in run("reveal", token, "--purpose", " ", code=1)
    assert json.loads(run("reveal", token, "--purpose", "call back", "--json")) == {"token": token, "value": "42"}
    found = run("find", "phone", "--purpose", "look up", stdin="42\n")
    assert token in found and "42" not in found.replace(token, "")
    assert "was ever sealed" in run("find", "phone", "--purpose", "look up", stdin="4242\n", code=1)
    assert "nothing is known of this token" in run("reveal", "tok9_x_y", "--purpose", "try", code=1)
    logged = [json.loads(line) for line in run("log", "--json").splitlines()]
    assert [(e["action"], e["purpose"]) for e in logged] == [
        ("reveal", "call back"), ("find", "look up"), ("find", "look up"), ("reveal", "try"),
    ]  # fmt: skip


def test_the_command_rotates_and_tells_of_a_changed_log(vault: Vault, settings: Settings) -> None:
    vault.seal(ITEMS)
    assert "100 values have new tokens" in run("rotate-tokens", "--no-tables", "--purpose", WHY)
    assert "the master key is now" in run("rotate-master", "--purpose", WHY)
    state = {e["fact"]: e["value"] for e in map(json.loads, run("status", "--json").splitlines())}
    assert (state["values"], state["token_key_version"], state["log_faults"]) == (100, 2, 0)
    assert state["master_key"] in master.read(settings.master_key_file)
    db = sqlite3.connect(vault.log.path)
    db.execute("DROP TRIGGER no_change")
    db.execute("UPDATE entry SET who = 'nobody' WHERE number = 1")
    db.commit()
    assert "do not follow" in run("status", code=1)
