"""Times `make demo` as a newcomer meets it, in a clean clone with an empty home.

Four runs: first (installation included); second (`make clean-data` before it: data removed, packages and services
kept); a rerun with nothing new; and a cold one (services stopped, all data removed, packages kept). Prints a Markdown
row. Needs Python, make and git only.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
KEPT = ("PATH", "LANG", "TERM", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def run(command: list[str], room: Path, log: Path) -> float:
    """Seconds of one command in the clone; exits with the log's place when it fails."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"HOME": str(room / "home")}
    started = time.monotonic()
    with log.open("ab") as stream:
        done = subprocess.run(command, cwd=room / "project", env=environment, stdout=stream, stderr=stream)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed after {time.monotonic() - started:.0f} s; see {log}")
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invoices", type=Path, help="folder of real invoice files; the economy otherwise")
    parser.add_argument("--built-in", action="store_true", help="the built-in portfolio of invoice files")
    parser.add_argument("--firms", type=int, help="firms of the economy; the demo's own number otherwise")
    parser.add_argument("--years", type=int, help="its years")
    arguments = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="demo-times-"))
    (room / "home").mkdir()
    subprocess.run(["git", "clone", "-q", str(PROJECT), str(room / "project")], check=True)
    log, demo = room / "demo.log", ["make", "demo"]
    if arguments.invoices:
        demo.append(f"INVOICES={arguments.invoices.resolve()}")
    elif arguments.built_in:
        demo.append("SOURCE=built-in")
    demo += [f"{name.upper()}={n}" for name in ("firms", "years") if (n := getattr(arguments, name))]
    try:
        first = run(demo, room, log)
        run(["make", "clean-data"], room, log)
        second = run(demo, room, log)
        rerun = run(demo, room, log)
        run(["make", "down"], room, log)
        run(["make", "clean-data"], room, log)
        cold = run(demo, room, log)
    finally:
        subprocess.run(["make", "down"], cwd=room / "project", capture_output=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True).stdout
    source = arguments.invoices.name if arguments.invoices else " ".join(demo[2:]) or "economy"
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print("| date | commit | machine | source | first | second | rerun | cold |")
    print(
        f"| {datetime.date.today()} | {commit.strip()} | {machine} | {source} | "
        f"{first:.0f} s | {second:.0f} s | {rerun:.0f} s | {cold:.0f} s |"
    )
    print(f"log: {log}", file=sys.stderr)


if __name__ == "__main__":
    main()
