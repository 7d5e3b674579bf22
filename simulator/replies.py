"""Responses of a Supervisor."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from html import escape
import json
from typing import override

from aiohttp import hdrs, web

HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """A response that is sent in chunks. The chunks can raise Hangup."""

    chunks: AsyncGenerator[bytes]
    headers: dict[str, str] = field(default_factory=dict)


class Hangup(Exception):
    """Close the connection without a response."""


def sentence(text: str, status: int = 200) -> Reply:
    """Respond with a sentence. Express declares it as HTML."""
    return Reply(status, text.encode(), HTML)


def plain_text(text: str, status: int = 200) -> Reply:
    """Respond with the standard text of a status."""
    return Reply(status, text.encode(), PLAIN)


def json_data(value: object, status: int = 200) -> Reply:
    """Respond with JSON."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(status, body, JSON)


def json_error(message: str, status: int = 503) -> Reply:
    """Respond with a JSON error."""
    return json_data({"status": "failed", "message": message}, status)


class NoAnswer(Exception):
    """Keep the connection open without a response while the client waits."""


def unknown_path(method: str, path: str) -> Reply:
    """Respond to an unknown path, as Express does."""
    return error_page(f"Cannot {method} {path}", 404)


def error_page(text: str, status: int = 500) -> Reply:
    """Respond with the HTML error page of Express."""
    return sentence(
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n'
        f"</head>\n<body>\n<pre>{escape(text)}</pre>\n</body>\n</html>\n",
        status,
    )


class UndeclaredStream(web.StreamResponse):
    """A stream without a content type."""

    @override
    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.CONTENT_TYPE, None)
