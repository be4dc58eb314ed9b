"""`python -m sources.systems …`: the same commands as `vinelake sources …`."""

from sources.systems.cli import sources

sources(prog_name="python -m sources.systems")
