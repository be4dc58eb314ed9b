"""Owners' documents as PDF, with text that can be taken out again: in Chinese where a font is at hand, else English."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

from fpdf import FPDF

from sources.systems.settings import get_settings

# Where systems keep a font with Chinese characters, and the face's number in a collection.
FONTS = (
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc", 0),
    ("/System/Library/Fonts/Supplemental/Songti.ttc", 0),
    ("C:/Windows/Fonts/simhei.ttf", 0),
)
STATEMENT = {
    "revenue": ("Revenue", "营业收入"),
    "cost": ("Cost of sales", "营业成本"),
    "profit": ("Profit", "净利润"),
    "cash": ("Cash", "货币资金"),
    "receivable": ("Receivables", "应收账款"),
    "stock": ("Inventories", "存货"),
    "fixed_assets": ("Fixed assets", "固定资产"),
    "payable": ("Payables", "应付账款"),
    "bank_debt": ("Bank loans", "银行借款"),
    "other_debt": ("Other debt", "其他借款"),
    "equity": ("Equity", "所有者权益"),
}
WORDS = {
    "statement": ("Annual financial statement", "年度财务报表"),
    "lease": ("Equipment lease contract", "设备租赁合同"),
    "name": ("Company", "企业名称"),
    "uscc": ("Unified social credit code", "统一社会信用代码"),
    "year": ("Year", "年度"),
    "audited": ("Audited", "是否审计"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "unit": ("Amounts in yuan", "单位：人民币元"),
    "number": ("Document number", "文件编号"),
    "machine": ("Machine number", "设备编号"),
    "kind": ("Machine", "设备名称"),
    "maker": ("Lessor", "出租方"),
    "installed_on": ("Installed on", "安装日期"),
    "rated_kw": ("Rated power, kW", "额定功率（千瓦）"),
    "signed_on": ("Signed on", "签订日期"),
}
ASCII = "".join(chr(code) for code in range(32, 127))


def chinese_font(target: Path, characters: str) -> Path | None:
    """A small font with the labels and the given characters, cut from one on this machine; None if there is none.

    Cutting once is what makes thousands of documents cheap: each embeds only what it shows of the small font.
    """
    if target.exists():
        return target
    found = _font_at_hand()
    if found is None:
        return None
    from fontTools import subset
    from fontTools.ttLib import TTFont

    logging.getLogger("fontTools").setLevel(logging.ERROR)
    options = subset.Options(layout_features=[], notdef_outline=True)
    font = TTFont(found[0], fontNumber=found[1], lazy=True)
    labels = "".join(chinese for _, chinese in [*STATEMENT.values(), *WORDS.values()])
    cutter = subset.Subsetter(options)
    cutter.populate(text=ASCII + labels + characters)
    cutter.subset(font)
    if "CFF " in font:
        _make_quadratic(font)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    font.save(draft)
    draft.rename(target)
    return target


def _make_quadratic(font) -> None:
    """Turns cubic outlines into TrueType's: cutting a document's letters out of those takes a tenth of the time."""
    from fontTools.pens.cu2quPen import Cu2QuPen
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from fontTools.ttLib import newTable

    outlines, order = font.getGlyphSet(), font.getGlyphOrder()
    glyphs = {}
    for name in order:
        pen = TTGlyphPen(outlines)
        outlines[name].draw(Cu2QuPen(pen, max_err=1.0, reverse_direction=True))
        glyphs[name] = pen.glyph()
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = order, glyphs
    for name in ("CFF ", "VORG"):
        if name in font:
            del font[name]
    counts = ("Zones", "TwilightPoints", "Storage", "FunctionDefs", "InstructionDefs", "StackElements")
    for name in (*counts, "SizeOfInstructions", "ComponentElements"):
        setattr(font["maxp"], f"max{name}", int(name == "Zones"))
    font["maxp"].tableVersion = 0x00010000
    font["post"].formatType = 3.0
    font.sfntVersion = "\000\001\000\000"


def statement(row: dict, font: Path | None) -> bytes:
    """An annual statement: who, which year, and the items in yuan."""
    say = _language(font)
    lines = [
        (say("name"), _printable(row["name"], font)),
        (say("uscc"), row["uscc"]),
        (say("year"), str(row["year"])),
        (say("audited"), say("yes" if row["audited"] else "no")),
        (say("number"), row["document_number"]),
        (say("unit"), ""),
        *((names[font is not None], yuan(row[f"{item}_fen"])) for item, names in STATEMENT.items()),
    ]
    return _page(say("statement"), lines, row["arrives_on"], font)


def lease(row: dict, font: Path | None) -> bytes:
    """A lease of a machine: lessee, lessor and what is leased."""
    say = _language(font)
    lines = [
        (say("name"), _printable(row["name"], font)),
        (say("uscc"), row["uscc"]),
        (say("maker"), _printable(row["maker"], font)),
        (say("machine"), row["machine_number"]),
        (say("kind"), row["kind"]),
        (say("rated_kw"), f"{row['rated_kw']:.1f}"),
        (say("installed_on"), str(row["installed_on"])),
        (say("signed_on"), str(row["installed_on"])),
        (say("number"), row["document_number"]),
    ]
    return _page(say("lease"), lines, row["arrives_on"], font)


def yuan(fen: int | None) -> str:
    """An amount as documents write it: 1,234.50; empty for none."""
    if fen is None:
        return ""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def _page(title: str, lines: list[tuple[str, str]], day: dt.date, font: Path | None) -> bytes:
    pdf = FPDF(format="A4")
    # A fixed date: the same document has the same bytes in every run.
    pdf.set_creation_date(dt.datetime.combine(day, dt.time(9), dt.timezone(dt.timedelta(hours=8))))
    family = "helvetica"
    if font:
        pdf.add_font("chinese", fname=font)
        family = "chinese"
    pdf.add_page()
    pdf.set_font(family, size=16)
    pdf.cell(0, 14, title, align="C", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font(family, size=11)
    for label, value in lines:
        pdf.cell(70, 9, label, border=1)
        pdf.cell(0, 9, value, border=1, new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


def _language(font: Path | None):
    return lambda word: WORDS[word][font is not None]


def _printable(text: str | None, font: Path | None) -> str:
    # The built-in fonts hold Latin letters only: a Chinese name is left out, the credit code tells who it is.
    if text and font is None:
        return text if text.isascii() else ""
    return text or ""


def _font_at_hand() -> tuple[str, int] | None:
    chosen = get_settings().field_font
    if chosen is not None:
        return (str(chosen), 0) if chosen.exists() else None
    return next(((path, face) for path, face in FONTS if Path(path).exists()), None)
