"""Check characters of national codes, and what is read from a department's code and key."""

from __future__ import annotations

import pytest
from identity_rows import uscc

from spark_jobs.identity import codes


def test_golden_values_of_the_standards() -> None:
    assert codes.check_character("91350100M000100Y4") == "3"
    assert codes.check_character("91310000HC5FR8UK4") == "0"
    assert codes.organisation_check("M000100Y") == "4"


@pytest.mark.parametrize("position", range(18))
def test_no_single_wrong_character_passes(position: int) -> None:
    sound = uscc(17)
    for character in codes.ALPHABET:
        wrong = sound[:position] + character + sound[position + 1 :]
        assert codes.is_uscc(wrong) == (wrong == sound)


def test_a_code_is_read_whatever_its_width() -> None:
    code = uscc(5)
    assert codes.read(f" {code[:9]}-{code[9:].lower()} ").uscc == code
    assert codes.read("".join(chr(ord(c) + 0xFEE0) for c in code)).uscc == code


def test_short_numbers_are_kept_apart() -> None:
    assert codes.read("330200MA25HC06X") == codes.Codes(short="330200MA25HC06X")
    assert codes.read("320500485008614") == codes.Codes(short="320500485008614")


def test_an_unsound_code_is_marked_and_not_used() -> None:
    wrong = uscc(5)[:-1] + ("0" if uscc(5)[-1] != "0" else "1")
    assert codes.read(wrong) == codes.Codes(unsound=True)
    assert codes.read("12") == codes.Codes(unsound=True)
    assert codes.read(None) == codes.read("") == codes.Codes()


def test_a_key_that_is_built_on_a_code_tells_it() -> None:
    code = uscc(8)
    assert codes.read(None, f"{code}001R").uscc == code
    assert codes.read(None, code[2:17]).short == code[2:17]
    assert codes.read(None, "320500485008614") == codes.Codes()  # fifteen digits may be any serial number
    assert codes.read(None, "3200000350") == codes.Codes()
    wrong = code[:9] + ("7" if code[9] != "7" else "8") + code[10:]
    assert codes.read(None, wrong + "001R") == codes.Codes()
    assert codes.read("91", code) == codes.Codes(uscc=code, unsound=True)
