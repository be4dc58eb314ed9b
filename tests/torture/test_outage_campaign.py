"""Five years of the government platform, every day near an outage or a change of schema and every week between.

Writes its result to docs/outages.md: `make torture` keeps the page true.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR
from sources.systems.government.departments import DEPARTMENTS
from sources.systems.government.events import OUTAGES, SCHEMA_CHANGES
from spark_jobs import outages_report
from tests.connectors import outage_campaign as campaign

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="a long campaign: make torture"),
]

HEAD = """# Seven outages and five schema changes

What a government platform of thirteen departments did to a lakehouse in five years, told by `vinelake outages
--markdown` from the ledger of pulls. The platform is the simulated world's, whose outages and changes are declared
([source systems](reference/source_systems.md)); the firms are few, since only the pulls are tried here.
{days}
Where a department was away it was asked again until its breaker opened. A contract that answers a change came some
days after it, as it would.

`tests/connectors/test_outages.py` tries it in every `make test`; `tests/torture/test_outage_campaign.py`
(`make torture`) with more days, and writes this page.

"""


def test_five_years_end_as_the_contracts_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with campaign.systems(tmp_path, firms=24) as started:
        place = campaign.place(started, tmp_path)
        campaign.pull(started, place, campaign.all_days([d.name for d in DEPARTMENTS]), monkeypatch)
        with place.entered():
            gone, changed = outages_report.outages(), outages_report.changes()
    first = campaign.FIRST_DAY
    assert {(o.first_on, o.back_on) for o in gone} == {(o.first(first), o.last(first) + timedelta(1)) for o in OUTAGES}
    assert len(changed) == len(SCHEMA_CHANGES)
    assert all(change.settled_on and change.contract_version == campaign.NEW_VERSION for change in changed)
    days = "Near an event every day was pulled, every seventh in between."
    write(PROJECT_DIR / "docs" / "outages.md", days, gone, changed)


def write(page: Path, days: str, gone: list[outages_report.Outage], changed: list[outages_report.Change]) -> None:
    """The page of a campaign's result; `days` says which days were pulled."""
    page.write_text(HEAD.format(days=days) + outages_report.markdown(gone, changed), encoding="utf-8")
