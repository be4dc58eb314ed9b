"""Erasing in the vault: what leads to a subject, what others share with it, and a kill between begin and end."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lakehouse.errors import VaultError
from lakehouse.settings import Settings
from lakehouse.vault import Item, Vault, erasing, forms, rotation

NUMBER, OTHER, NAME, PHONE = "330106197001010011", "330106198002020022", "王小明", "13800001111"
KINDS = ["identity_number", "person_name"]


def items(number: str, name: str, *more: Item) -> list[Item]:
    return [
        Item("identity_number", number, "identity_number", number),
        Item("person_name", name, "identity_number", number),
        *more,
    ]


@pytest.fixture
def vault(settings: Settings, tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault", tmp_path / "keys" / "master.json")


def test_a_trail_tells_own_values_from_those_that_others_bear(vault: Vault) -> None:
    phone = Item("phone", PHONE, "identity_number", NUMBER)
    first = vault.seal(items(NUMBER, NAME, phone))
    second = vault.seal(items(OTHER, NAME))
    rotation.rotate_tokens(vault, "a test")
    trail = erasing.follow(vault, KINDS, [NUMBER], "a test")
    tokens = [forms.token_of(text) for text in (*first, *second)]
    assert trail is not None and len(trail.subjects) == 1
    assert {tokens[0], tokens[2]} < set(trail.own) and len(trail.own) == 4  # former and present ones
    assert {tokens[1], tokens[4]} == {*trail.shared[:1]} and len(trail.shared) == 2
    assert set(trail.clear) == {NUMBER, PHONE} and trail.other_keys == 0
    assert erasing.follow(vault, KINDS, ["110101190001010000"], "a test") is None


def test_nothing_opens_after_the_beginning_and_nothing_leads_there_after_the_end(vault: Vault) -> None:
    sealed, kept = vault.seal(items(NUMBER, NAME)), vault.seal(items(OTHER, NAME))
    trail = erasing.follow(vault, KINDS, [NUMBER], "a test")
    assert trail is not None
    erasing.begin(vault, "ab" * 8, dataclasses.replace(trail, request={"author": "anna"}), "a test")
    for text in sealed:
        with pytest.raises(VaultError):
            vault.open(text, "a test")
    assert [vault.open(text, "a test") for text in kept] == [OTHER, NAME]

    again = Vault(vault.folder, vault.key_file)  # as after a kill
    held = erasing.pending(again)["ab" * 8]
    assert (held.clear, held.request) == (trail.clear, {"author": "anna"})
    rotation.rotate_master(again, "a test")
    assert erasing.pending(again)["ab" * 8] == held
    erasing.end(again, "ab" * 8)
    assert erasing.pending(again) == {} and erasing.follow(again, KINDS, [NUMBER], "a test") is None
    assert erasing.erased_subjects(again.folder) == {trail.subjects[0]: "ab" * 8}
    assert not again.log.faults() and all(NUMBER not in str(entry) for entry in again.log.entries())

    # who comes back is somebody new: no token and no id leads to the former relation
    anew = again.seal(items(NUMBER, NAME))
    assert forms.parse_sealed(anew[0])[:2] != forms.parse_sealed(sealed[0])[:2]


def test_an_identifier_under_another_subjects_key_is_counted(vault: Vault) -> None:
    vault.seal([*items(NUMBER, NAME), Item("identity_number", NUMBER, "registry.firm", "F1")])
    trail = erasing.follow(vault, ["identity_number"], [NUMBER], "a test")
    assert trail is not None and trail.other_keys == 1 and trail.shared == () and len(trail.subjects) == 1
