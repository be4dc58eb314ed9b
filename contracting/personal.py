"""Which columns of a sample may hold personal data: identity numbers, mobile numbers, names of natural persons.

Identity numbers are told by their check digit and birth date (GB 11643, by python-stdnum); the rest are guesses that a
person confirms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stdnum.cn import ric

# The hundred commonest surnames, about 85% of the people of China (Ministry of Public Security, 2020).
SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔"
    "谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常"
)
MOBILE = re.compile(r"(\+?86[ -]?)?1[3-9]\d{9}")
CHINESE_NAME = re.compile(r"[㐀-鿿]{2,4}")
NAME_SHARE, NUMBER_SHARE, PHONE_SHARE = 0.5, 0.02, 0.5
LEAST_VALUES = 3


def suspicion(values: Sequence[str]) -> tuple[str, float] | None:
    """(kind of token, share of values that look like it) of a column's values; None where nothing looks personal."""
    if len(values) < LEAST_VALUES:
        return None
    for kind, looks, least in (
        ("identity_number", ric.is_valid, NUMBER_SHARE),
        ("phone", MOBILE.fullmatch, PHONE_SHARE),
        ("person_name", _is_name, NAME_SHARE),
    ):
        share = sum(bool(looks(value.strip())) for value in values) / len(values)
        if share >= least:
            return kind, share
    return None


def _is_name(value: str) -> bool:
    return bool(CHINESE_NAME.fullmatch(value)) and value[0] in SURNAMES
