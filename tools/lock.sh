#!/usr/bin/env bash
# Resolves pyproject.toml into requirements.lock, with hashes and without download addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v .venv/boot/bin/uv || command -v uv || true)
[ -n "$uv" ] || { echo "  uv is needed to resolve: make setup fetches it where it can be had" >&2; exit 1; }
"$uv" pip compile pyproject.toml --extra sources --extra dev --generate-hashes --python-version 3.11 \
  --no-emit-index-url --no-emit-find-links --quiet -o requirements.lock
grep -c '^[a-z].*==' requirements.lock | sed 's/^/  packages: /'
