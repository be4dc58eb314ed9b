"""Writing a drop folder: byte-deterministic files in the format of the invoice export."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pandas as pd

WITH_RECORD, WITHOUT_RECORD = "with_credit_record", "without_credit_record"
PARTNER_HEADER = {"sale": "购方单位代号", "purchase": "销方单位代号"}
FILE_PREFIX = {"sale": "output_invoices", "purchase": "input_invoices"}


def invoice_file_name(direction: str, group: str) -> str:
    """File of one direction and one group of firms."""
    return f"{FILE_PREFIX[direction]}_{group}.csv.gz"


def write_invoices(path: Path, rows: pd.DataFrame, enterprise_ids: pd.Series, direction: str) -> None:
    """Write planted rows (see `traps.plant`) under the Chinese header, amounts in yuan."""
    frame = pd.DataFrame(
        {
            "企业代号": enterprise_ids.to_numpy()[rows["firm"]],
            "发票号码": rows["number"],
            "开票日期": rows["date"],
            PARTNER_HEADER[direction]: rows["partner"],
            "金额": rows["amount_fen"] / 100,
            "税额": rows["tax_fen"] / 100,
            "价税合计": rows["total_fen"] / 100,
            "发票状态": rows["status"],
        }
    )
    write_csv(path, frame)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write UTF-8 CSV with `\\n` ends, gzipped when the name ends in .gz; equal frames give equal bytes."""
    text = io.StringIO()
    frame.to_csv(text, index=False, lineterminator="\n", date_format="%Y-%m-%d")
    write_bytes(path, text.getvalue().encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, gzipped without name or time when the path ends in .gz."""
    if path.suffix == ".gz":
        content = gzip.compress(content, compresslevel=6, mtime=0)
    path.write_bytes(content)
