"""The vault: what is sealed opens for a purpose alone, equal values have one token, and nothing opens without keys."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as rules

from lakehouse.errors import ConfigError, VaultError
from lakehouse.settings import PROJECT_DIR, Settings
from lakehouse.vault import Item, Vault, forms, master, open_vault

ZHANG = Item("person_name", "张三", "identity_number", "330106197001010011")
NUMBER = Item("identity_number", "330106197001010011", "identity_number", "330106197001010011")
NAMESAKE = Item("person_name", "张三", "identity_number", "330106198002020022")
WHY = "a test of the vault"


@pytest.fixture
def vault(settings: Settings):
    with open_vault() as opened:
        yield opened


def test_a_sealed_value_opens_and_tells_nothing_by_itself(vault: Vault) -> None:
    sealed = vault.seal([ZHANG, NUMBER])
    assert [vault.open(text, WHY) for text in sealed] == [ZHANG.value, NUMBER.value]
    assert vault.reveal([forms.token_of(text) for text in sealed], WHY) == [ZHANG.value, NUMBER.value]
    assert not any(value in text for text in sealed for value in (ZHANG.value, NUMBER.value))


def test_equal_values_of_a_kind_have_one_token_whoever_they_belong_to(vault: Vault) -> None:
    zhang, namesake, number = (forms.parse_sealed(s) for s in vault.seal([ZHANG, NAMESAKE, NUMBER]))
    assert zhang[0] == namesake[0] and zhang[1:] != namesake[1:]
    assert zhang[1] == number[1] and zhang[0] != number[0]
    (other_kind,) = vault.seal([ZHANG._replace(kind="nickname")])
    assert forms.token_of(other_kind) != zhang[0]


def test_sealing_again_gives_the_same_bytes_in_another_process_too(vault: Vault) -> None:
    first = vault.seal([ZHANG, NAMESAKE])
    with open_vault() as again:
        assert again.seal([NAMESAKE, ZHANG]) == first[::-1]


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("identity_number", "33010619700101001x", " 330106 1970 0101 001X "),
        ("identity_number", "３３０１０６197001010011", "330106197001010011"),
        ("credit_code", "91330106ma2k00001x", "91330106-MA2K00001-X"),
        ("phone", "+86 138-0000-0001", "13800000001"),
        ("phone", "008613800000001", "138 0000 0001"),
        ("person_name", "张 三", "张三"),
        ("person_name", "Anna  Smith", "anna smith"),
        ("email", " a@b.cn ", "a@b.cn"),
    ],
)
def test_spellings_of_one_value_have_one_token(vault: Vault, kind: str, one: str, other: str) -> None:
    sealed = vault.seal([Item(kind, text, kind, text) for text in (one, other)])
    assert len({forms.token_of(text) for text in sealed}) == 1
    assert [vault.open(text, WHY) for text in sealed] == [one, other]


def test_what_differs_has_tokens_of_its_own(vault: Vault) -> None:
    texts = ["86138000", "138000", "call me", "Anna B", "AnnaB", "张三", "张山"]
    sealed = vault.seal([Item("phone", text, "phone", text) for text in texts])
    assert len({forms.token_of(text) for text in sealed}) == len(texts)


@rules(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.text(strategies.characters(codec=None), min_size=1), strategies.text(min_size=1))
def test_any_text_comes_back_as_it_was(vault: Vault, value: str, person: str) -> None:
    (sealed,) = vault.seal([Item("note", value, "person", person)])
    assert vault.open(sealed, WHY) == value
    assert forms.TOKEN.fullmatch(forms.token_of(sealed))


def test_nothing_but_a_sealed_value_has_a_token() -> None:
    for text in (None, "", "张三", "sealed:1:", "sealed:1:tok1_x_a:b:c", "sealed:2:x"):
        assert forms.token_of(text) is None


def test_sql_finds_the_same_tokens(vault: Vault) -> None:
    texts = [*vault.seal([ZHANG, NUMBER]), "", "张三", "sealed:2:a:b:c", None]
    db = duckdb.connect()
    db.execute("CREATE TABLE sent AS SELECT unnest(?) AS name", [texts])
    found = [row[0] for row in db.execute(f"SELECT {forms.token_sql('name')} FROM sent").fetchall()]
    assert found == [forms.token_of(text) for text in texts] and found[0] is not None


@pytest.mark.parametrize("purpose", ["", "  "])
def test_without_a_purpose_nothing_is_revealed(vault: Vault, purpose: str) -> None:
    (sealed,) = vault.seal([ZHANG])
    for ask in (
        lambda: vault.reveal([forms.token_of(sealed)], purpose),
        lambda: vault.open(sealed, purpose),
        lambda: vault.find("person_name", "张三", purpose),
        lambda: vault.forget("identity_number", ZHANG.subject_value, purpose),
    ):
        with pytest.raises(VaultError, match="no purpose"):
            ask()
    assert vault.log.entries() == []


def test_every_reading_is_in_the_log_before_it_is_answered(vault: Vault, settings: Settings) -> None:
    (sealed,) = vault.seal([ZHANG])
    token = forms.token_of(sealed)
    vault.reveal([token], "court order 17")
    with pytest.raises(VaultError, match="nothing is known"):
        vault.reveal([token[:-1] + "7"], "guessing")
    vault.open(sealed, "complaint 3")
    entries = vault.log.entries()
    assert [(e.action, e.purpose) for e in entries] == [
        ("reveal", "court order 17"), ("reveal", "guessing"), ("open", "complaint 3"),
    ]  # fmt: skip
    assert entries[0].what == token and entries[0].who.startswith(settings.author)
    assert vault.log.faults() == []
    vault.log.close()
    with pytest.raises(sqlite3.ProgrammingError):
        vault.reveal([token], "while the log cannot be written")
    vault.log = type(vault.log)(vault.log.path, vault.log._key)


def test_log_entries_stay_and_a_changed_one_is_found(vault: Vault) -> None:
    for purpose in ("one", "two", "three"):
        vault.find("phone", "1", purpose)
    db = sqlite3.connect(vault.log.path)
    for statement in ("UPDATE entry SET purpose = 'x' WHERE number = 2", "DELETE FROM entry WHERE number = 2"):
        with pytest.raises(sqlite3.IntegrityError, match="entries stay"):
            db.execute(statement)
    db.execute("DROP TRIGGER no_change")
    db.execute("DROP TRIGGER no_removal")
    db.execute("UPDATE entry SET purpose = 'x' WHERE number = 2")
    db.commit()
    assert vault.log.faults() == [2]
    db.execute("DELETE FROM entry WHERE number = 2")
    db.commit()
    assert vault.log.faults() == [3]


def test_a_changed_ciphertext_is_never_opened(vault: Vault) -> None:
    zhang, number, namesake = vault.seal([ZHANG, NUMBER, NAMESAKE])
    flipped = [
        zhang[:i] + ("A" if zhang[i] != "A" else "B") + zhang[i + 1 :] for i in range(zhang.rindex(":") + 1, len(zhang))
    ]
    swapped_token = number.replace(forms.token_of(number), forms.token_of(zhang))
    swapped_body = zhang[: zhang.rindex(":")] + number[number.rindex(":") :]
    swapped_person = zhang.replace(forms.parse_sealed(zhang)[1], forms.parse_sealed(namesake)[1])
    for text in (*flipped[:-1], swapped_token, swapped_body, swapped_person):
        with pytest.raises(VaultError, match="changed"):
            vault.open(text, WHY)


def test_a_changed_row_of_the_vault_is_never_opened(vault: Vault) -> None:
    zhang, other = vault.seal([ZHANG, Item("person_name", "李四", *ZHANG[2:])])
    token, other_token = forms.token_of(zhang), forms.token_of(other)
    vault.db.execute(
        "UPDATE holding SET sealed = (SELECT sealed FROM holding h JOIN value v USING (lookup) WHERE v.token = ?) "
        "WHERE lookup = (SELECT lookup FROM value WHERE token = ?)",
        (other_token, token),
    )
    with pytest.raises(VaultError, match="row was changed"):
        vault.reveal([token], WHY)
    vault.db.execute("UPDATE subject SET wrapped = zeroblob(92)")
    with pytest.raises(VaultError, match="cannot be unwrapped"):
        vault.reveal([other_token], WHY)


def test_only_the_owner_can_read_the_vault_and_its_key_lies_elsewhere(vault: Vault, settings: Settings) -> None:
    vault.seal([ZHANG])
    assert stat.S_IMODE(vault.folder.stat().st_mode) == 0o700
    files = [*vault.folder.iterdir(), settings.master_key_file]
    assert len(files) >= 3 and {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
    key = json.loads(settings.master_key_file.read_text())["keys"][0]
    content = b"".join(f.read_bytes() for f in vault.folder.iterdir())
    assert key.encode() not in content and ZHANG.value.encode() not in content and NUMBER.value.encode() not in content


def test_a_wrong_missing_or_open_master_key_is_refused(settings: Settings, tmp_path: Path) -> None:
    with open_vault() as vault:
        vault.seal([ZHANG])
    path = settings.master_key_file
    own = path.read_bytes()
    other = Vault(tmp_path / "vault", tmp_path / "key.json")
    other.close()
    path.write_bytes((tmp_path / "key.json").read_bytes())
    with pytest.raises(VaultError, match="not the one that wrapped"), open_vault():
        pass
    path.unlink()
    with pytest.raises(VaultError, match="missing"), open_vault():
        pass
    assert not path.exists()  # a new key would open nothing
    path.write_text("{}")
    path.chmod(0o600)
    with pytest.raises(VaultError, match="not readable"), open_vault():
        pass
    path.write_bytes(own)
    path.chmod(0o644)
    with pytest.raises(VaultError, match="others can read"), open_vault():
        pass
    path.chmod(0o600)
    with open_vault() as vault:
        assert vault.find("person_name", "张三", WHY)
    with pytest.raises(ConfigError, match="inside the vault"):
        Vault(tmp_path / "vault", tmp_path / "vault" / "key.json")


def test_a_key_that_is_there_before_the_vault_is_used(settings: Settings) -> None:
    key = master.new_key()  # put there by a person, or left by a first use that was killed before the vault was made
    master.write(settings.master_key_file, [key])
    with open_vault() as vault:
        assert vault.master.id == key.id and vault.reveal([forms.token_of(*vault.seal([ZHANG]))], WHY) == ["张三"]


def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(vault: Vault, monkeypatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no randomness"):
        patch.setattr(vault, "make_token", lambda *_: (_ for _ in ()).throw(OSError("no randomness")))
        vault.seal([ZHANG])
    assert vault.counts()["persons"] == 0
    (sealed,) = vault.seal([ZHANG])
    with open_vault() as other:
        assert other.open(sealed, WHY) == "张三"


def test_a_forgotten_person_is_gone_and_a_namesake_is_not(vault: Vault) -> None:
    zhang, number, namesake = vault.seal([ZHANG, NUMBER, NAMESAKE])
    assert vault.forget("identity_number", "330106 197001010011", "erasure 1")
    assert not vault.forget("identity_number", "330106 197001010011", "erasure 1")
    for text in (zhang, number):
        with pytest.raises(VaultError, match=r"destroyed|nothing is known"):
            vault.open(text, WHY)
    with pytest.raises(VaultError, match="nothing is known"):
        vault.reveal([forms.token_of(number)], WHY)
    assert vault.find("identity_number", NUMBER.value, WHY) is None
    assert vault.reveal([forms.token_of(zhang)], WHY) == ["张三"]
    assert vault.open(namesake, WHY) == "张三"
    # Who comes again is somebody new: nothing leads from the old token to the new one.
    (again,) = vault.seal([NUMBER])
    assert forms.parse_sealed(again)[:2] != forms.parse_sealed(number)[:2]
    assert vault.counts()["persons"] == 2


SEALER = """
import sys
from lakehouse.vault import Item, open_vault
start, step = int(sys.argv[1]), int(sys.argv[2])
with open_vault() as vault:
    for i in range(0, 3000, 100):
        items = [Item("phone", str(n * step % 3001), "person", str(n % 500)) for n in range(start + i, start + i + 100)]
        print(*vault.seal(items), sep="\\n")
"""


def sealers(*arguments: tuple[int, int]) -> list[subprocess.Popen]:
    return [
        subprocess.Popen(
            [sys.executable, "-c", SEALER, *map(str, each)], stdout=subprocess.PIPE, text=True, cwd=PROJECT_DIR
        )
        for each in arguments
    ]


def test_processes_that_seal_at_once_from_nothing_agree(settings: Settings) -> None:
    running = sealers((0, 1), (0, 7), (1500, 1))
    outputs = [process.communicate(timeout=120)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    with open_vault() as vault:
        sealed = {text for output in outputs for text in output}
        opened = {text: vault.open(text, WHY) for text in sorted(sealed)[::150]}
        tokens = {forms.token_of(text) for text in sealed}
        assert len(tokens) == vault.counts()["values"] == 3001
        assert vault.counts()["persons"] == 500
        assert all(vault.find("phone", value, WHY) == forms.token_of(text) for text, value in opened.items())


def test_killed_while_it_seals_the_vault_has_what_was_returned_and_goes_on(settings: Settings) -> None:
    returned: set[str] = set()
    for lines in (1, 150, 650):
        (process,) = sealers((0, 1))
        returned |= {process.stdout.readline().strip() for _ in range(lines)}
        process.kill()
        process.communicate(timeout=60)
    (process,) = sealers((0, 1))
    whole = process.communicate(timeout=120)[0].split()
    assert returned <= set(whole)  # what was returned before a kill is sealed the same way after it
    with open_vault() as vault:
        assert [vault.open(text, WHY) for text in whole[::200]] == [str(n) for n in range(0, 3000, 200)]
