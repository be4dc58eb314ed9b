"""Where the systems keep their state and listen; read once, from `SOURCES_*`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_DIR = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"


class Settings(BaseSettings):
    """Settings of all source systems; every one is an environment variable `SOURCES_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="SOURCES_", extra="ignore")

    home: Path = Field(PROJECT_DIR / "var" / "sources", description="Folder of state, logs and pid files.")
    world: Path | None = Field(None, description="Folder of the world, when `--world` is not given.")
    government_port: int = Field(16080, description="Government data platform.")
    bureau_port: int = Field(16081, description="Credit bureau.")
    market_port: int = Field(16082, description="Commodity market.")
    banking_port: int = Field(16083, description="PostgreSQL of payments and core bank.")
    industrial_port: int = Field(16084, description="Kafka broker of the industrial platform.")
    industrial_controller_port: int = Field(16085, description="Kafka controller (KRaft).")
    industrial_memory: str = Field("512m", description="Heap of the Kafka broker.")
    ssl_cert_file: Path | None = Field(
        None, validation_alias="SSL_CERT_FILE", description="Certificates to trust when jars are fetched."
    )
    field_font: Path | None = Field(None, description="Font for Chinese documents; one that is absent: English.")
    token_seconds: int = Field(900, ge=1, description="Life of an access token.")
    rate_per_second: float = Field(25, gt=0, description="Requests a second that a client may make for long.")
    rate_burst: int = Field(50, ge=1, description="Requests that a client may make at once.")
    bureau_fee_fen: int = Field(2500, ge=0, description="Fee of one enquiry at the bureau.")
    bureau_balance_fen: int = Field(100_000_000, ge=0, description="Prepaid balance of a bureau member at the start.")
    bureau_daily_quota: int = Field(2000, ge=1, description="Enquiries a bureau member may make a day of the world.")
    memory_mb: int = Field(160, ge=32, description="Memory of the query engine inside each REST server.")


@lru_cache
def get_settings() -> Settings:
    """The settings of this process."""
    return Settings()
