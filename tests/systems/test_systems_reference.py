"""The reference page is what the declarations say."""

from sources.systems import reference


def test_the_page_is_up_to_date() -> None:
    assert reference.FILE.read_text() == reference.render(), "run: python -m sources.systems.reference"
