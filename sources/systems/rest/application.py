"""What every REST system has: errors in one form, its description, a page of documentation, a sign of life."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from sources.systems.clock import Clock
from sources.systems.rest import docs_page
from sources.systems.rest.answers import install_errors


def application(title: str, description: str) -> FastAPI:
    """An application without the framework's own pages, which load scripts from outside."""
    app = FastAPI(title=title, version="1", description=description, docs_url=None, redoc_url=None, openapi_url=None)
    install_errors(app)
    return app


def describe(app: FastAPI) -> dict:
    """The OpenAPI description, without the framework's own form of errors, which no answer has."""
    api = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = api.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return api


def add_pages(app: FastAPI, clock: Clock, description: Callable[[], dict], intro: Callable[[], str] = str) -> None:
    """Adds `/openapi.json`, `/docs` (with `intro` as HTML under its title) and `/health`; none needs a token."""

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response:
        return JSONResponse(description())

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return HTMLResponse(docs_page.page(description(), intro()))

    @app.get("/health", include_in_schema=False)
    def health() -> dict:
        return {"status": "up", "today": str(clock.today())}
