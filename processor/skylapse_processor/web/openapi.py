"""The OpenAPI document, made from the table of routes."""

import re
from collections.abc import Sequence
from typing import Any

from .app import Route
from .problems import PROBLEMS

_SCHEMAS: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "field": {"type": "string"},
        },
    },
    "SignIn": {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}},
    "FilmChange": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            "pinned": {"type": "boolean"},
            "title": {"type": "string", "minLength": 1, "maxLength": 200},
            "link": {"type": ["string", "null"], "minLength": 1, "maxLength": 200},
        },
    },
    "Wish": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "camera": {"type": "string"},
            "cameras": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 9},
            "day": {"type": "string", "format": "date"},
            "window": {"type": "string"},
            "from": {"type": "string", "format": "date-time"},
            "to": {"type": "string", "format": "date-time"},
            "profile": {"type": "string"},
            "recipe": {"type": "string"},
            "size": {"type": "string"},
            "rate": {"type": "number"},
            "length_s": {"type": "number"},
            "speed_up": {"type": "number"},
            "also_sizes": {"type": "array", "items": {"type": "string"}},
            "codec": {"enum": ["h264", "h265", "av1"]},
            "dry_run": {"type": "boolean"},
            "parameters": {"type": "object"},
        },
    },
    "Accepted": {
        "type": "object",
        "required": ["job", "film", "films", "left_out"],
        "properties": {
            "job": {"type": "string"},
            "film": {"type": "string"},
            "films": {"type": "array", "items": {"type": "string"}},
            "left_out": {"type": "array", "items": {"$ref": "#/components/schemas/LeftOut"}},
        },
    },
    "LeftOut": {
        "type": "object",
        "required": ["size", "why"],
        "properties": {"size": {"type": "string"}, "why": {"type": "string"}},
    },
    "Film": {"type": "object", "required": ["id", "camera", "day", "title", "video", "poster", "thumb"]},
    "Render": {"type": "object", "required": ["id", "state", "percent"]},
    "Test": {"type": "object", "required": ["id", "camera", "compared_at", "arms", "pairs", "winner"]},
    "Result": {"type": "object", "required": ["id", "kind", "camera", "day", "title", "picture", "thumb"]},
    "Today": {"type": "object", "required": ["film", "frames", "provisional", "playlist", "video"]},
    "Record": {"type": "object", "required": ["bridge", "camera", "spool", "seq", "captured_at", "sha256"]},
    "Stats": {"type": "object", "required": ["cameras", "films", "storage"]},
    "Health": {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"enum": ["ok", "degraded"]}},
    },
}
_QUERY = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    "cursor": {"type": "string"},
    "day": {"type": "string", "format": "date"},
    "from": {"type": "string", "format": "date"},
    "to": {"type": "string", "format": "date"},
    "pinned": {"type": "boolean"},
    "kind": {"enum": ["keogram", "keogram_year", "startrail", "best_frame"]},
}
_PARAMETER = re.compile(r"{(\w+)}")


def describe(routes: Sequence[Route], software: str) -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.full_path, {})[route.method.lower()] = _operation(route)
    lists = {
        name: _list()
        for name in ("Cameras", "Days", "Frames", "Films", "Renders", "Tests", "Results", "Sunsets")
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Skylapse processor", "version": software},
        "paths": paths,
        "components": {
            "schemas": {**_SCHEMAS, **lists},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _list() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": {"type": "object"}},
            "next": {"type": ["string", "null"]},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    query = [{"name": n, "in": "query", "schema": _QUERY.get(n, {"type": "string"})} for n in route.query]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": [*path, *query],
        "responses": {str(route.status): _answer(route), "default": _problem()},
    }
    if route.open:
        operation["security"] = []
    if route.body is not None:
        operation["requestBody"] = {"required": "/" not in route.body, "content": _content(route.body)}
    return operation


def _answer(route: Route) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    if route.schema is not None:
        answer["content"] = _content(route.schema)
    elif route.status == 200 and route.method != "HEAD":
        answer["content"] = {route.answers: {}}
    return answer


def _content(name: str) -> dict[str, Any]:
    if "/" in name:
        return {name: {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _problem() -> dict[str, Any]:
    kinds = ", ".join(f"{status} {kind}" for kind, (status, _title) in PROBLEMS.items())
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": f"A problem: {kinds}", "content": {"application/problem+json": {"schema": schema}}}
