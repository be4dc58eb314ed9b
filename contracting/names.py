"""What a column may be called here and counted in, told by its name at the source: guesses, all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lakehouse.contracts import Contract

# Words of headers as Chinese departments write them, the longer first where one holds another.
WORDS = {
    "统一社会信用代码": "uscc", "纳税人识别号": "taxpayer_id", "发票号码": "invoice_number", "发票状态": "status",
    "开票日期": "issued_on", "价税合计": "amount_incl_tax", "不含税金额": "amount_excl_tax", "金额": "amount",
    "税额": "tax", "税率": "tax_rate", "企业代号": "enterprise_id", "企业名称": "name", "单位名称": "name",
    "法定代表人": "legal_person_name", "身份证号": "identity_number", "手机号": "phone", "联系电话": "phone",
    "电话": "phone", "姓名": "person_name", "地址": "address", "状态": "status", "类型": "kind", "数量": "quantity",
    "单价": "unit_price", "币种": "currency", "备注": "remark", "日期": "day", "时间": "at", "年度": "year",
    "月份": "month", "编号": "number", "名称": "name",
}  # fmt: skip
FEN = re.compile(r"_fen$")
KNOWN_SUFFIX = re.compile(r"_(cny|kwh|kw|ratio|percent|days|m3|kg|mu|units|c|mm_s|count)$")
UNITS: tuple[tuple[str, str, str], ...] = (
    (r"amount|price|fee|cost|balance|principal|interest|sales|revenue|金额|价|费|税额|余额", "CNY", "_cny"),
    (r"tax(?!_(id|number|rate))", "CNY", "_cny"),
    (r"kwh|energy|electricity|电量", "kWh", "_kwh"),
    (r"percent|%", "%", "_percent"),
    (r"ratio|rate|share|率|比例", "ratio", "_ratio"),
    (r"days|天数", "days", "_days"),
    (r"volume|m3|水量|气量", "m³", "_m3"),
    (r"weight|kg|重量", "kg", "_kg"),
    (r"area|mu\b|面积|亩", "mu", "_mu"),
    (r"quantity|数量", "units of the good", "_units"),
)  # fmt: skip


@dataclass(frozen=True)
class Guess:
    """A name for a column; `unit` and `scale` where it tells them; `is_known`: contracts use this name already."""

    name: str
    is_known: bool
    unit: str | None = None
    scale: str | None = None


class Vocabulary:
    """The names that contracts give to names of sources, the commonest first."""

    def __init__(self, known: Iterable[Contract]) -> None:
        counted: dict[str, Counter[str]] = {}
        for contract in known:
            for column in contract.columns:
                counted.setdefault(column.source_name, Counter())[column.name] += 1
        self._names: Mapping[str, str] = {source: names.most_common(1)[0][0] for source, names in counted.items()}

    def guess(self, source_name: str, is_number: bool, position: int) -> Guess:
        """A name for a column at that position; a number's name ends with its unit where one can be told."""
        if found := self._names.get(source_name):
            return Guess(found, True, *(self._unit(source_name, found) if is_number else ()))
        name = WORDS.get(source_name) or _snake(source_name) or f"column_{position}"
        if not is_number:
            return Guess(name, False)
        if FEN.search(name):
            return Guess(FEN.sub("_cny", name), False, "CNY", "0.01")
        unit, _ = self._unit(source_name, name)
        ending = next((suffix for _, u, suffix in UNITS if u == unit), "") if unit else ""
        return Guess(name if KNOWN_SUFFIX.search(name) else name + ending, False, unit)

    @staticmethod
    def _unit(source_name: str, name: str) -> tuple[str | None, str | None]:
        if name.endswith("_cny") and FEN.search(source_name):
            return "CNY", "0.01"
        found = (unit for words, unit, _ in UNITS if re.search(words, f"{name} {source_name}"))
        return next(found, None), None


def _snake(text: str) -> str:
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text.lstrip("_").replace(".", "_"))
    name = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_") if plain.isascii() else ""
    return name if re.match(r"[a-z]", name) else f"field_{name}" if name else ""
