"""The main job as one command: a drop of files becomes scored enterprises, every step run by Airflow.

`place` chooses where the demo lives and which files it gets, `watch` follows the chain of DAGs,
`summary` reads what was published. `lakehouse.cli.demo` puts them in order.
"""
