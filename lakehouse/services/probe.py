"""A health check for containers: `python -m lakehouse.services.probe ADDRESS [PART]`.

ADDRESS is `tcp://host:port`, which must accept a connection, or an `http://` page, which must answer with
success. With PART, the page is JSON and `page[PART]["status"]` must be `healthy`. Exit 0 if so, else 1.
Only the standard library is imported, since this runs every few seconds.
"""

from __future__ import annotations

import json
import socket
import sys
import urllib.parse
import urllib.request


def healthy(address: str, part: str | None = None, timeout: float = 5) -> bool:
    """Whether the service at the address is well."""
    target = urllib.parse.urlsplit(address)
    try:
        if target.scheme == "tcp":
            socket.create_connection((target.hostname, target.port), timeout).close()
            return True
        with urllib.request.urlopen(address, timeout=timeout) as response:
            if part is None:
                return response.status == 200
            return json.load(response)[part]["status"] == "healthy"
    except (OSError, ValueError, KeyError, TypeError):
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy(*sys.argv[1:3]) else 1)
