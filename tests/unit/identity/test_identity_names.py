"""Company names are taken apart, and their keys bear what clerks do to names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.identity import names

NAME = "苏州和安仓储有限公司"


@pytest.mark.parametrize(
    ("written", "place", "brand", "trade", "form", "branch"),
    [
        (NAME, "苏州", "和安", "仓储", "有限公司", ""),
        ("江苏省苏州市和安仓储有限责任公司", "苏州", "和安", "仓储", "有限责任公司", ""),
        ("浙江省宁波市鄞州区永达食品有限公司", "宁波", "永达", "食品", "有限公司", ""),
        ("合肥德正宁汽车科技", "合肥", "德正宁", "汽车科技", "", ""),
        ("（宁波）海丰机械（集团）有限公司", "宁波", "海丰", "机械", "集团有限公司", ""),
        ("郑州华宁盛建设有限公司第二分公司", "郑州", "华宁盛", "建设", "有限公司", "第二分公司"),
        ("苏州永锐运输有限公司上海分公司", "苏州", "永锐", "运输", "有限公司", "上海分公司"),
        ("唐山宏达钢铁厂", "唐山", "宏达", "钢铁", "厂", ""),
        ("永安诚物流", "", "永安诚", "物流", "", ""),
        ("金华", "", "金华", "", "", ""),
    ],
)
def test_a_name_has_parts(written: str, place: str, brand: str, trade: str, form: str, branch: str) -> None:
    name = names.parse(written)
    assert name is not None
    assert (name.place, name.brand, name.trade, name.form, name.branch) == (place, brand, trade, form, branch)


@pytest.mark.parametrize("written", [None, "", " ", "（）", "——"])
def test_what_is_no_name_has_no_parts(written: str | None) -> None:
    assert names.parse(written) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("苏州华贸钢铁有限公司", "蘇州華貿鋼鐵有限責任公司"),
        ("宁波ＡＢＣ电子有限公司", "宁波 abc 电子 有限公司"),
        ("宁波(海丰)机械有限公司", "宁波【海丰】机械有限公司"),
    ],
)
def test_ways_of_writing_are_one_name(one: str, other: str) -> None:
    assert names.parse(one).whole == names.parse(other).whole


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("永达食品", "咏大食品"), ("鑫源钢铁", "新原钢铁"), ("诚丰建设", "城峰建设"), ("华泰纺织", "化太纺织")],
)
def test_a_character_of_the_same_sound_leaves_the_sound(right: str, wrong: str) -> None:
    one, other = names.parse(f"苏州{right}有限公司"), names.parse(f"苏州{wrong}有限公司")
    assert one.whole != other.whole
    assert one.whole_sound == other.whole_sound


def test_one_wrong_character_leaves_half_of_the_sound() -> None:
    right, wrong = names.parse("郑州大捷盛金属制品有限公司"), names.parse("郑州大捷盛全属制品有限公司")
    assert right.head_sound == wrong.head_sound
    assert right.tail_sound != wrong.tail_sound


@given(
    st.text(alphabet="苏州宁波华永达泰丰钢铁食品机械", min_size=2, max_size=8),
    st.integers(0, 7),
    st.sampled_from("（） 　-·"),
)
def test_marks_and_width_say_nothing(core: str, at: int, mark: str) -> None:
    plain = core + "有限公司"
    assert names.parse(plain) == names.parse(plain[:at] + mark + plain[at:])


def test_addresses_and_telephones_have_keys() -> None:
    assert names.address("江苏省苏州市科技路３７２号") == names.address("苏州科技路372号") == "苏州科技路372号"
    assert names.phone("+86 138-0000-0001") == names.phone("13800000001") == "13800000001"
    assert names.phone("0000000") is None
    assert names.phone("12") is None
    assert names.address("") is None
