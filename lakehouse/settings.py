"""Every setting of vinelake, typed, read once from the environment (`VINELAKE_…`) and passed on.

Nothing else in the product reads the environment.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse.errors import ConfigError

PROJECT_DIR = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """One lakehouse: where it lives, how its engine and services are reached, who acts in it.

    Paths are absolute; ports are on loopback; memory as the JVM writes it (`3g`); `engine_conf` holds further settings
    of Spark as JSON, which win over those made here.
    """

    model_config = SettingsConfigDict(env_prefix="VINELAKE_", extra="ignore", populate_by_name=True)

    project_dir: Path = PROJECT_DIR
    var_dir: Path = PROJECT_DIR / "var" / "current"
    environment: str = Field("", pattern=r"^([a-z][a-z0-9]{0,15})?$")
    timezone: str = "Asia/Shanghai"

    spark_remote: str | None = Field(None, validation_alias=AliasChoices("VINELAKE_SPARK_REMOTE", "SPARK_REMOTE"))
    engine_port: int = 15102
    engine_memory: str = "3g"
    engine_cores: int = 2
    engine_java_options: str = ""
    engine_conf: dict[str, str] = {}
    shuffle_partitions: int = 4

    postgres_port: int = 15432
    mlflow_port: int = 15500
    airflow_port: int = 15880

    breaker_seconds: float = Field(300, ge=0)
    connections_path: Path | None = Field(None, validation_alias="VINELAKE_CONNECTIONS_FILE")
    vault_path: Path | None = Field(None, validation_alias="VINELAKE_VAULT_DIR")
    master_key_path: Path | None = Field(None, validation_alias="VINELAKE_MASTER_KEY_FILE")

    alert_webhook: str | None = None

    author: str = "engineer"
    approver: str = "risk_officer"

    ssl_cert_file: Path | None = Field(None, validation_alias="SSL_CERT_FILE")
    retention_days: int = Field(90, ge=7)

    @field_validator("var_dir", "project_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value if value.is_absolute() else PROJECT_DIR / value

    @property
    def home(self) -> Path:
        """`var_dir` with symbolic links resolved, so that stored table paths stay true.

        Before any lakehouse was chosen (`var/current` points at the one in use) it is `var/demo`.
        """
        if self.var_dir == PROJECT_DIR / "var" / "current" and not self.var_dir.exists():
            return PROJECT_DIR / "var" / "demo"
        return self.var_dir.resolve()

    @property
    def inbox_dir(self) -> Path:
        return self.home / "inbox" / self.environment

    @property
    def landing_dir(self) -> Path:
        return self.home / "landing" / self.environment

    @property
    def warehouse_dir(self) -> Path:
        """The tables' files. Clearing data starts a new folder (`warehouse-<time>`): a running engine remembers
        transaction logs by path, and must not meet other tables under paths it knows."""
        return max(self.home.glob("warehouse*"), default=self.home / "warehouse")

    @property
    def connections_file(self) -> Path:
        """Addresses and secrets of the source systems."""
        return self.connections_path or self.home / "connections.json"

    @property
    def vault_dir(self) -> Path:
        """Keys and values of persons: stands apart from the data, and out of their backups."""
        return self.vault_path or self.home / "vault" / (self.environment or "main")

    @property
    def master_key_file(self) -> Path:
        """What opens the vault; one file a vault, never inside it."""
        return self.master_key_path or self.home / "keys" / f"{self.environment or 'main'}.json"

    @property
    def reports_dir(self) -> Path:
        return self.home / "reports" / self.environment

    @property
    def log_dir(self) -> Path:
        return self.home / "logs"

    @property
    def run_dir(self) -> Path:
        return self.home / "run"

    @property
    def contracts_dir(self) -> Path:
        return self.project_dir / "contracts"

    @property
    def mlflow_uri(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    def schema_name(self, layer: str) -> str:
        """The catalog's schema for a layer: the layer's name, prefixed where an environment is set."""
        return f"{self.environment}_{layer}" if self.environment else layer


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process; `get_settings.cache_clear()` makes the next call read them anew."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "VINELAKE_" + str(first["loc"][0]).upper()
        raise ConfigError(
            f"setting {name} is not usable: {first['msg']}",
            where=f"{name}={first.get('input')!r}",
            remedy=f"correct or unset {name}; all settings are listed in lakehouse/settings.py",
        ) from error
