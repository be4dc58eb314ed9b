"""Answers and errors in one form, with entity tags (RFC 9110)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

ERROR_SCHEMA = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string", "description": "what went wrong, for programs"},
        "message": {"type": "string", "description": "what went wrong and what to do, for people"},
    },
    "additionalProperties": False,
}


class ApiError(Exception):
    """An answer other than success: status, code and message, and headers such as Retry-After."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def install_errors(app: FastAPI) -> None:
    """Gives every error of the application the one form."""

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> Response:
        return JSONResponse({"code": error.code, "message": error.message}, error.status, headers=error.headers)

    @app.exception_handler(HTTPException)
    async def not_served(_: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
        return JSONResponse({"code": code, "message": str(error.detail)}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"code": "invalid_parameter", "message": f"{where}: {first['msg']}"}, 422)


def cached(request: Request, body: Any, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer with an entity tag; 304 without body if the client has it already."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"} | (headers or {})
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def matches(condition: str | None, tag: str) -> bool:
    """Whether an If-None-Match header names the tag (weak comparison)."""
    if condition is None:
        return False
    named = [part.strip().removeprefix("W/") for part in condition.split(",")]
    return "*" in named or tag in named


def error_response(about: str, *headers: str) -> dict:
    """An error in an OpenAPI description."""
    described = {name: {"schema": {"type": "string"}, "required": True} for name in headers}
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": about, "headers": described, "content": {"application/json": {"schema": schema}}}


def json_response(about: str, schema: dict, *headers: str) -> dict:
    """A JSON answer in an OpenAPI description."""
    described = {name: {"schema": {"type": "string"}, "required": True} for name in headers}
    return {"description": about, "headers": described, "content": {"application/json": {"schema": schema}}}
