"""`python -m sources.economy …`."""

from sources.economy.cli import economy

economy(prog_name="economy")
