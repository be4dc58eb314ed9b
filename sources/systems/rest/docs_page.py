"""A documentation page made from an OpenAPI description, without scripts or anything from outside."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
code,pre{font:13px ui-monospace,monospace;background:#f4f4f2;border-radius:3px;padding:.1em .3em}
pre{padding:.6em;overflow:auto}table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;
border-bottom:1px solid #e4e4e0;padding:.25em .6em .25em 0}details{border:1px solid #ddd;border-radius:4px;
padding:.4em .8em;margin:.5em 0}summary{cursor:pointer}.method{font-weight:700;color:#175e3c}h2{margin-top:2em}
"""


def page(api: dict[str, Any], intro: str = "") -> str:
    """The whole page; `intro` is HTML put under the title."""
    info = api["info"]
    body = "".join(_sections(api))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(info['title'])}</h1>"
        f"<p>{escape(info.get('description', ''))}</p><p>Machine readable: <a href='openapi.json'>openapi.json</a></p>"
        f"{intro}{body}</body></html>"
    )


def table(titles: list[str], rows: list[list[str]]) -> str:
    """A table of plain text."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _sections(api: dict[str, Any]) -> Iterator[str]:
    tag = None
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            named = (operation.get("tags") or ["other"])[0]
            if named != tag:
                tag = named
                yield f"<h2>{escape(tag)}</h2>"
            yield _operation(api, path, method, operation)


def _operation(api: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    head = f'<span class="method">{method.upper()}</span> <code>{escape(path)}</code> {escape(operation["summary"])}'
    parts = [f"<p>{escape(operation.get('description', ''))}</p>"]
    parameters = [
        [p["name"], p["in"], "yes" if p.get("required") else "", p.get("description", "")]
        for p in operation.get("parameters", [])
    ]
    if parameters:
        parts.append(table(["parameter", "in", "required", "meaning"], parameters))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        parts.append("<h4>body</h4>" + _fields(api, content["schema"]))
    for status, response in operation["responses"].items():
        parts.append(f"<h4>{escape(status)} {escape(response['description'])}</h4>")
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        if schema and status.startswith("2"):
            parts.append(_fields(api, schema))
    return f"<details><summary>{head}</summary>{''.join(parts)}</details>"


def _fields(api: dict[str, Any], schema: dict[str, Any]) -> str:
    return table(["field", "type", "meaning"], list(_lines(api, schema, "", 0)))


def _lines(api: dict[str, Any], schema: dict[str, Any], prefix: str, depth: int) -> Iterator[list[str]]:
    schema = _resolved(api, schema)
    for name, value in schema.get("properties", {}).items():
        value = _resolved(api, value)
        kind = value.get("type", "")
        kind = " or ".join(kind) if isinstance(kind, list) else kind
        yield [f"{prefix}{name}", kind, value.get("description", "")]
        inner = value.get("items", value)
        if depth < 3:
            mark = "[]." if "items" in value else "."
            yield from _lines(api, inner, f"{prefix}{name}{mark}", depth + 1)


def _resolved(api: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return api["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema
