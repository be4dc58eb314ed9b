"""What somebody has to know: a line in a file beside the data, and a message to a webhook where one is set.

`VINELAKE_ALERT_WEBHOOK` is an address that takes `{"text": …}` by POST, as chat programs offer it.
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lakehouse.settings import get_settings
from lakehouse.time import utc_now

TIMEOUT_SECONDS = 10

log = logging.getLogger("alerts")


def send(title: str, text: str, **facts: Any) -> None:
    """Notes an alert and sends it on; a webhook that does not answer is noted too and stops nothing."""
    entry = {"sent_at": utc_now().isoformat(timespec="seconds"), "title": title, "text": text, **facts}
    if fault := _post(f"{title}\n{text}"):
        entry["not_delivered"] = fault
        log.warning("the alert could not be delivered: %s", fault)
    path = alerts_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def alerts_file() -> Path:
    """Every alert of this lakehouse, the newest last."""
    return get_settings().home / "alerts.jsonl"


def _post(text: str) -> str | None:
    """Sends the message where a webhook is set; returns why it could not, None when all is well."""
    address = get_settings().alert_webhook
    if not address:
        return None
    body = json.dumps({"text": text}, ensure_ascii=False).encode()
    request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return None
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
