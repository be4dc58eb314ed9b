"""The OpenAPI description of the platform: exact schemas of the day's fields, and every error that can come."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from sources.systems.government.departments import DEPARTMENTS
from sources.systems.government.fields import Field
from sources.systems.government.model import Dataset, Department
from sources.systems.rest import application
from sources.systems.rest.answers import ERROR_SCHEMA, error_response, json_response
from sources.systems.rest.tokens import TOKEN_SCHEMAS

NOT_MODIFIED = {"description": "The client's copy is current", "headers": {"ETag": {"schema": {"type": "string"}}}}
PUBLISHED = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\+08:00$"


def describe(app: FastAPI, versions: dict[tuple[str, str], tuple[tuple[Field, ...], int]]) -> dict[str, Any]:
    """The description with the fields of `versions` (department, dataset → fields, version)."""
    api = application.describe(app)
    schemas = api["components"]["schemas"]
    schemas |= {"Error": ERROR_SCHEMA} | TOKEN_SCHEMAS
    for department in DEPARTMENTS:
        for dataset in department.datasets:
            fields, version = versions[department.name, dataset.name]
            schemas[schema_name(department, dataset)] = record_schema(dataset, fields, version)
    return api


def schema_name(department: Department, dataset: Dataset) -> str:
    return f"{department.name}.{dataset.name}"


def record_schema(dataset: Dataset, fields: tuple[Field, ...], version: int) -> dict[str, Any]:
    """One published record."""
    own = {
        "record_id": {"type": "string", "pattern": f"^{dataset.prefix}[0-9a-f]{{15}}$"},
        "revision": {"type": "integer", "minimum": 1, "description": "a higher revision replaces a lower one"},
        "published_at": {"type": "string", "pattern": PUBLISHED, "description": "UTC+8"},
    }
    properties = own | {field.name: field.json_schema() for field in fields}
    about = f"{dataset.about} Schema version {version}."
    closed = {"required": list(properties), "additionalProperties": False}
    return {"type": "object", "description": about, "properties": properties} | closed


def _errors(*statuses: int) -> dict[int, dict]:
    known = {
        400: error_response("Cursor of another list or filter"),
        401: error_response("No valid token", "WWW-Authenticate"),
        403: error_response("The token lacks the scope", "WWW-Authenticate"),
        404: error_response("Not published"),
        422: error_response("A parameter is invalid"),
        429: error_response("Too many requests; wait as long as Retry-After says", "Retry-After"),
        503: error_response("Outage", "Retry-After"),
    }
    return {status: known[status] for status in statuses}


def token_responses() -> dict[int | str, Any]:
    refused = {"$ref": "#/components/schemas/TokenError"}
    return {
        200: json_response("The token", {"$ref": "#/components/schemas/Token"}),
        400: json_response("The request is wrong", refused),
        401: json_response("Client or secret is wrong", refused, "WWW-Authenticate"),
    } | _errors(429, 503)


def list_responses(department: Department, dataset: Dataset) -> dict[int | str, Any]:
    items = {"$ref": f"#/components/schemas/{schema_name(department, dataset)}"}
    page = {
        "type": "object",
        "required": ["data", "has_more", "next_cursor"],
        "additionalProperties": False,
        "properties": {
            "data": {"type": "array", "items": items},
            "has_more": {"type": "boolean", "description": "whether more has been published by today"},
            "next_cursor": {"type": ["string", "null"], "description": "where to go on, also on a later day"},
        },
    }
    done = json_response("A page", page, "ETag", "X-Schema-Version")
    return {200: done, 304: NOT_MODIFIED} | _errors(400, 401, 403, 422, 429, 503)


def record_responses(department: Department, dataset: Dataset) -> dict[int | str, Any]:
    record = {"$ref": f"#/components/schemas/{schema_name(department, dataset)}"}
    done = json_response("The record", record, "ETag", "X-Schema-Version")
    return {200: done, 304: NOT_MODIFIED} | _errors(401, 403, 404, 422, 429, 503)


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _words(*names: str) -> dict[str, Any]:
    return {name: {"type": "string"} for name in names}


def manifest_responses() -> dict[int | str, Any]:
    file = _closed(
        _words("dataset", "month", "file", "sha256", "ready_on", "url")
        | {name: {"type": "integer"} for name in ("rows", "bytes", "schema_version")}
    )
    resume = _closed(_words("dataset", "after_month", "cursor"))
    lists = {"files": {"type": "array", "items": file}, "resume": {"type": "array", "items": resume}}
    done = json_response("The files that are ready", _closed(lists), "ETag")
    return {200: done, 304: NOT_MODIFIED} | _errors(401, 403, 422, 429, 503)


def file_responses(style: str) -> dict[int | str, Any]:
    kind = "application/gzip" if style == "csv.gz" else "application/vnd.apache.parquet"
    content = {kind: {"schema": {"type": "string", "format": "binary"}}}
    done = {"description": "The file", "content": content, "headers": {"ETag": {"schema": {"type": "string"}}}}
    return {200: done, 304: NOT_MODIFIED} | _errors(401, 403, 404, 422, 429, 503)


def departments_responses() -> dict[int | str, Any]:
    dataset = _closed(_words("dataset", "about", "grain", "lag", "url") | {"schema_version": {"type": "integer"}})
    department = _closed(
        _words("department", "title", "about", "scope", "history_format")
        | {"available": {"type": "boolean"}, "datasets": {"type": "array", "items": dataset}}
    )
    body = _closed({"departments": {"type": "array", "items": department}})
    return {200: json_response("The catalogue", body, "ETag"), 304: NOT_MODIFIED} | _errors(422)


def notices_responses() -> dict[int | str, Any]:
    maybe = {"type": ["string", "null"]}
    notice = _closed(_words("kind", "department", "from", "about") | {"dataset": maybe, "until": maybe})
    body = _closed({"notices": {"type": "array", "items": notice}})
    return {200: json_response("The notices", body, "ETag"), 304: NOT_MODIFIED} | _errors(422)
