"""Invented names, codes and addresses: nothing here is a real firm or person."""

from __future__ import annotations

import numpy as np

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
FAMILY = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾萧田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰红建国志文海波鹏飞宇浩然子轩欣怡佳琪思远"
BRAND_A = "恒鑫宏华永瑞盛诚通达德源泰海丰利金嘉昌润祥信安顺和中东南新远大天博科创联正隆兴"
BRAND_B = "远达源泰丰盛通顺祥和润昌兴隆诚信安康宇辉腾飞捷锐拓凯旺业航宁固益"
TRADE = {
    "automobile": ("汽车零部件", "汽配", "机电", "汽车科技"),
    "steel": ("钢铁", "金属制品", "特钢", "金属材料"),
    "construction": ("建设", "建材", "新型建材", "工程"),
    "textiles": ("纺织", "服饰", "印染", "服装"),
    "food": ("食品", "粮油", "乳业", "副食品"),
    "farming": ("农业", "种植", "农产品", "生态农业"),
    "platform": ("家居", "电子商务", "日用品", "工艺品"),
    "services": ("物流", "运输", "仓储", "供应链"),
}
# Prefecture-level codes of GB/T 2260; the firms in them are invented.
REGIONS = [
    ("330200", "宁波市"),
    ("320500", "苏州市"),
    ("440600", "佛山市"),
    ("130200", "唐山市"),
    ("410100", "郑州市"),
    ("370700", "潍坊市"),
    ("510100", "成都市"),
    ("420100", "武汉市"),
    ("340100", "合肥市"),
    ("350500", "泉州市"),
]
STREETS = ("解放路", "人民路", "工业大道", "创业路", "滨江路", "长江路", "迎宾大道", "科技路", "建设路", "新华街")


def uscc_check(body: str) -> str:
    """The check character of the first 17 characters of a unified social credit code (GB 32100-2015)."""
    total = sum(USCC_ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return USCC_ALPHABET[(31 - total % 31) % 31]


def organisation_check(body: str) -> str:
    """The check character of an eight-character organisation code (GB 11714-1997)."""
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    check = 11 - sum(letters.index(c) * w for c, w in zip(body, weights, strict=True)) % 11
    return {10: "X", 11: "0"}.get(check, str(check))


def uscc(region: str, serial: int) -> str:
    """A valid code: registration authority 91, region, organisation code from a serial number, check characters."""
    digits = "".join(USCC_ALPHABET[serial // 31**p % 31] for p in range(5))
    organisation = "MA" + digits + USCC_ALPHABET[serial % 10]
    body = "91" + region + organisation + organisation_check(organisation)
    return body + uscc_check(body)


def id_number(region: str, born: np.datetime64, serial: int) -> str:
    """An invented identity number with the checksum of GB 11643-1999."""
    body = f"{region}{str(born).replace('-', '')}{serial % 1000:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(c) * w for c, w in zip(body, weights, strict=True)) % 11]


def firm_name(rng: np.random.Generator, city: str, chain: str) -> str:
    """City, brand of two or three characters, trade, legal form."""
    brand = rng.choice(list(BRAND_A)) + rng.choice(list(BRAND_B))
    if rng.random() < 0.35:
        brand += str(rng.choice(list(BRAND_B)))
    return f"{city}{brand}{rng.choice(TRADE[chain])}有限公司"


def person_name(rng: np.random.Generator) -> str:
    """Family name and one or two given characters."""
    given = "".join(rng.choice(list(GIVEN), 1 + int(rng.random() < 0.75)))
    return str(rng.choice(list(FAMILY))) + given
