#!/usr/bin/env bash
# Builds .venv/ from requirements.lock: every package checked against its hash, nothing else installed.
# uv does it in seconds; where uv cannot be had, pip does the same more slowly.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3.11}
boot=.venv/boot          # a private place for uv, outside the environment's own packages
say() { printf '  %s\n' "$*"; }

if ! "$python" -c 'import sys; raise SystemExit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  say "Python 3.11 is needed and '$python' is not it. Install it, or name it: make setup PYTHON=/path/to/python3.11" >&2
  exit 1
fi

if ! .venv/bin/python -c 'import sys; raise SystemExit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  say "making .venv"
  rm -rf .venv
  "$python" -m venv --without-pip .venv
fi

uv=$(command -v "$boot/bin/uv" || command -v uv || true)
if [ -z "$uv" ]; then
  say "fetching uv, the installer"
  "$python" -m venv "$boot"
  if "$boot/bin/python" -m pip install --quiet --disable-pip-version-check uv; then
    uv=$boot/bin/uv
  else
    say "uv cannot be had; pip installs instead, which takes some minutes"
  fi
fi

say "installing $(grep -c '^[a-z].*==' requirements.lock) packages from requirements.lock"
if [ -n "$uv" ]; then
  [ -t 2 ] && quiet= || quiet=--quiet   # a terminal shows uv's progress; a log would get 400 lines
  "$uv" pip sync $quiet --python .venv/bin/python --require-hashes requirements.lock
  install=("$uv" pip install --quiet --python .venv/bin/python)
else
  install=("$boot/bin/python" -m pip --python .venv/bin/python install --quiet --disable-pip-version-check)
  "${install[@]}" --require-hashes --no-deps -r requirements.lock
fi

# The project itself, editable. Its build tool is in the lock already, so nothing is fetched for it.
say "adding the vinelake command"
"${install[@]}" --no-deps --no-build-isolation --no-index --editable .
say "ready: .venv/bin/vinelake"
