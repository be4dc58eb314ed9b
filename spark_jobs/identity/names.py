"""Chinese company names taken apart: place, brand, trade, legal form, branch; and keys that faults leave as they are.

A full name is written place, brand, trade, form (企业名称登记管理规定, State Council Order 734), as in 苏州 和安 仓储
有限公司. Clerks leave out place or form, use traditional characters, full-width letters or brackets, and mistake
a character for one of the same sound. `sound` is the name in pinyin without tones, character by character: it is
the same whatever stands around a character, and for every way of writing one sound.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

# Provinces and prefectures (GB/T 2260) as names begin with them, what firms do, and legal forms, the longest first.
WORDS = json.loads(Path(__file__).with_name("words.json").read_text(encoding="utf-8"))
PROVINCES, PREFECTURES, TRADES = (frozenset(WORDS[kind]) for kind in ("provinces", "prefectures", "trades"))
FORMS = tuple(WORDS["forms"])
BRANCH = re.compile(
    r"(?:第?[一二三四五六七八九十百0-9]{1,3})?(?:分公司|分厂|分店|分行|支行|办事处|营业部|门市部|项目部|分部)$"
)
SUFFIX = re.compile(r"^(?:特别行政区|自治区|自治州|壮族自治区|回族自治区|维吾尔自治区|地区|省|市|盟|州)")
DISTRICT = re.compile(r"^[\u4e00-\u9fff]{1,3}?[市县区旗](?=[\u4e00-\u9fff]{3})")
NOT_WRITTEN = re.compile(r"[^0-9A-Z\u3400-\u9fff]")
LONGEST_PLACE = 6


@dataclass(frozen=True)
class CompanyName:
    """A name's parts; a part that is not written is empty.

    `core` is brand and trade without place and form; `whole` is place and core; `*_sound` are their sounds.
    `head_sound` and `tail_sound` are the halves of the core's: one wrong character leaves one of them as it is.
    """

    place: str
    brand: str
    trade: str
    form: str
    branch: str
    core: str
    whole: str
    core_sound: str
    whole_sound: str
    brand_sound: str
    head_sound: str
    tail_sound: str


@lru_cache(maxsize=1_000_000)
def parse(name: str | None) -> CompanyName | None:
    """The parts of a name; None where nothing is left of it."""
    text = plain(name)
    if not text:
        return None
    text, branch = _without_branch(text)
    form = next((f for f in FORMS if text.endswith(f) and len(text) > len(f) + 1), "")
    place, core = _place(text.removesuffix(form))
    trade = max((core[i:] for i in range(2, len(core)) if core[i:] in TRADES), key=len, default="")
    brand = core.removesuffix(trade)
    half = len(core) // 2
    return CompanyName(
        place, brand, trade, form, branch, core, place + core,
        *(sound(part) for part in (core, place + core, brand, core[:half], core[half:])),
    )  # fmt: skip


def plain(text: str | None) -> str:
    """Half width, simplified characters, capital letters; without spaces, brackets and other marks."""
    if not text:
        return ""
    return NOT_WRITTEN.sub("", _simplified(unicodedata.normalize("NFKC", text)).upper())


def sound(text: str) -> str:
    """Pinyin without tones, one syllable a character, joined by dashes; letters and digits stand for themselves."""
    return "-".join(_syllable(character) for character in text)


def address(text: str | None) -> str | None:
    """An address without marks, province and the words 市, 区, 县, so that what offices leave out does not matter."""
    key = plain(text)
    for province in PROVINCES:
        if key.startswith(province + "省"):
            key = key.removeprefix(province + "省")
    return re.sub(r"[市区县]", "", key) or None


def phone(text: str | None) -> str | None:
    """The digits of a telephone number without the country's prefix; None for what cannot be one."""
    digits = re.sub(r"\D", "", text or "")
    digits = digits.removeprefix("0086") if digits.startswith("0086") else digits
    digits = digits[2:] if len(digits) == 13 and digits.startswith("86") else digits
    return digits if len(digits) >= 7 and len(set(digits)) > 1 else None


def _without_branch(text: str) -> tuple[str, str]:
    """A branch's name begins with its head office's; what follows that (a place, a number) is the branch."""
    if not BRANCH.search(text):
        return text, ""
    for form in FORMS:
        head, found, tail = text.rpartition(form)
        if found and len(head) > 1 and tail:
            return head + form, tail
    tail = BRANCH.search(text)
    head = text[: tail.start()] if tail else text
    return (head, text[len(head) :]) if len(head) > 1 else (text, "")


def _place(text: str) -> tuple[str, str]:
    """(place, rest): a province before a prefecture is passed over, a district after it too."""
    province, rest = _leading(text, PROVINCES)
    place, rest = _leading(rest, PREFECTURES)
    district = DISTRICT.match(rest) if place or province else None
    if district:
        rest = rest[district.end() :]
    return place or province, rest


def _leading(text: str, known: frozenset[str]) -> tuple[str, str]:
    for length in range(LONGEST_PLACE, 1, -1):
        if text[:length] in known:
            rest = SUFFIX.sub("", text[length:])
            # A brand of two characters alone is a brand, also where a place is called so.
            return (text[:length], rest) if len(rest) >= 2 else ("", text)
    return "", text


@cache
def _converter():
    import opencc

    return opencc.OpenCC("t2s")


def _simplified(text: str) -> str:
    return _converter().convert(text)


@cache
def _syllable(character: str) -> str:
    from pypinyin import Style, pinyin

    return pinyin(character, style=Style.NORMAL, heteronym=False, errors="default")[0][0]
