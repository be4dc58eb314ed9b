"""The search for erased values: every form and container in which one may stand, and what others leave unfound."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import zipfile
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.erasure import needles, search
from lakehouse.settings import Settings
from lakehouse.vault import Item, Vault, erasing

VALUE = "王小明330106"
FORMS = {
    "plain": VALUE.encode(),
    "gbk": VALUE.encode("gbk"),
    "utf-16": VALUE.encode("utf-16"),
    "hex": VALUE.encode().hex().upper().encode(),
    "escapes": json.dumps({"n": VALUE}).encode(),
    "percent": quote(f"name={VALUE}&x").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_found_wherever_it_stands(form: str, tmp_path: Path) -> None:
    body = b"before " + FORMS[form] + b" after"
    (tmp_path / "plain.log").write_bytes(body)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(body))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.gz", gzip.compress(body))
    table = pa.table({"deep": pa.array([[{"t": body}], []], pa.list_(pa.struct([("t", pa.binary())])))})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    with pa.OSFile(str(tmp_path / "b.zst"), "wb") as raw, pa.CompressedOutputStream(raw, "zstd") as stream:
        stream.write(body)
    db = sqlite3.connect(tmp_path / "d.sqlite")
    db.execute("CREATE TABLE t (c BLOB)")
    db.execute("INSERT INTO t VALUES (?)", (b"x" * 4090 + body,))  # lies over the border of two pages
    db.commit()
    db.close()
    found = search.look([tmp_path], needles.of([VALUE]))
    assert {f.path.name for f in found.findings} == {p.name for p in tmp_path.iterdir()}
    assert search.look([tmp_path], needles.of([VALUE + "7"])).findings == []


@given(before=st.binary(max_size=40), after=st.binary(max_size=40), value=st.text(min_size=6, max_size=30))
def test_base64_is_found_at_any_offset(before: bytes, after: bytes, value: str) -> None:
    plain = value.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert needles.of([value]).found_in(encode(before + plain + after))


def test_sealed_values_are_opened_with_every_key_that_is_left(settings: Settings, tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault", tmp_path / "keys" / "master.json")
    mine = Item("identity_number", VALUE, "identity_number", VALUE)
    others = Item("note", f"knows {VALUE}", "identity_number", "another")
    landing = tmp_path / "landing"
    landing.mkdir()
    (landing / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(vault.seal([mine, others])).encode()))
    places = [landing, vault.folder]
    assert len(search.look_for_values(places, [VALUE], vault).findings) == 2
    trail = erasing.follow(vault, ["identity_number"], [VALUE], "a test")
    erasing.begin(vault, "ab" * 8, trail, "a test")
    left = search.look_for_values(places, [VALUE], vault).findings
    assert [f.part for f in left] == ["sealed value"], "only what another person's note says of the subject"
    erasing.begin(vault, "cd" * 8, erasing.follow(vault, ["identity_number"], ["another"], "a test"), "a test")
    assert search.look_for_values(places, [VALUE], vault).findings == []
