"""Faults of requests between a client and a server."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from functools import cache
import gzip
import json
from typing import Any, Final, Self

from .replies import Hangup, Reply, Stream

_MEGABYTE: Final = b" " * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of a request. Attributes that are not set do not change the response."""

    delay: float = 0
    hangs: bool = False
    is_held: bool = False
    resets: bool = False
    resets_after: bool = False
    truncates: bool = False
    is_huge: bool = False
    is_bomb: bool = False
    # Seconds between two bytes of a response.
    drips: float = 0
    status_code: int | None = None
    # Changes the body of the normal response.
    rewrites: Callable[[bytes], bytes] | None = None
    body: bytes = b""
    # None keeps the content type of the normal response.
    content_type: str | None = "text/plain"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def slow(cls, seconds: float) -> Self:
        """Respond normally, but after a delay."""
        return cls(delay=seconds)

    @classmethod
    def hang(cls) -> Self:
        """Never respond."""
        return cls(hangs=True)

    @classmethod
    def reset(cls) -> Self:
        """Close the connection before the request is processed."""
        return cls(resets=True)

    @classmethod
    def reset_after(cls) -> Self:
        """Process the request, then close the connection without a response."""
        return cls(resets_after=True)

    @classmethod
    def hold(cls) -> Self:
        """Process the request, but hold the response until the fault is removed."""
        return cls(is_held=True)

    @classmethod
    def truncate(cls) -> Self:
        """Send less than Content-Length declares."""
        return cls(truncates=True)

    @classmethod
    def huge(cls) -> Self:
        """Send a body of 100 MB."""
        return cls(is_huge=True)

    @classmethod
    def drip(cls, seconds: float) -> Self:
        """Send a body byte by byte."""
        return cls(drips=seconds)

    @classmethod
    def bomb(cls) -> Self:
        """Send a compressed body that is huge after decompression."""
        return cls(is_bomb=True)

    @classmethod
    def status(
        cls, code: int, body: str = "", content_type: str = "text/plain"
    ) -> Self:
        """Respond with a status and a body."""
        return cls(status_code=code, body=body.encode(), content_type=content_type)

    @classmethod
    def garbage(cls) -> Self:
        """Respond with bytes that are not text."""
        return cls(
            status_code=200, body=b"\xff\xfe\x00{]", content_type="application/json"
        )

    @classmethod
    def json(cls, value: object) -> Self:
        """Respond with a JSON value."""
        return cls(
            status_code=200,
            body=json.dumps(value).encode(),
            content_type="application/json",
        )

    @classmethod
    def rewrite(
        cls, change: Callable[[bytes], bytes], content_type: str | None = None
    ) -> Self:
        """Process the request, and change the body of the response."""
        return cls(rewrites=change, content_type=content_type)

    @classmethod
    def halve(cls) -> Self:
        """Process the request, and send the first half of the body."""
        return cls.rewrite(lambda body: body[: len(body) // 2])

    @classmethod
    def mislabel(cls, content_type: str = "image/png") -> Self:
        """Process the request, and send a wrong content type."""
        return cls.rewrite(lambda body: body, content_type)

    @classmethod
    def recode(cls, charset: str = "utf-16") -> Self:
        """Process the request, and encode the body in another charset, which the content type names."""
        return cls.rewrite(
            lambda body: body.decode().encode(charset),
            f"application/json; charset={charset}",
        )

    @classmethod
    def duplicate(cls) -> Self:
        """Process the request, and add a duplicate of each field with another value."""
        return cls.rewrite(_with_duplicates)

    @classmethod
    def extend(cls, json_text: str) -> Self:
        """Process the request, and add a field with any text to the object."""
        return cls.rewrite(lambda body: _extended(body, json_text.encode()))

    @classmethod
    def control(cls) -> Self:
        """Process the request, and add control characters to every text."""
        return cls.rewrite(_with_controls)

    @classmethod
    def nul(cls) -> Self:
        """Process the request, and add a NUL after every quotation mark, which is invalid JSON."""
        return cls.rewrite(lambda body: body.replace(b'"', b'"\x00'))

    @classmethod
    def nest(cls) -> Self:
        """Respond with 100,000 nested arrays."""
        depth = 100_000
        return cls(
            status_code=200,
            body=b"[" * depth + b"]" * depth,
            content_type="application/json",
        )

    @property
    def changes_response(self) -> bool:
        """Whether the request is processed, so that only the response has the fault."""
        return self.is_held or self.resets_after or self.rewrites is not None

    def apply_to(self, reply: Reply | Stream) -> Reply | Stream:
        """Return the response with the fault. Raises Hangup."""
        if self.resets_after:
            raise Hangup
        if self.rewrites is None or isinstance(reply, Stream):
            return reply
        return replace(
            reply,
            body=self.rewrites(reply.body),
            content_type=self.content_type or reply.content_type,
        )

    @classmethod
    def redirect(cls, url: str, code: int = 302) -> Self:
        """Redirect the client to another URL."""
        return cls(status_code=code, headers={"Location": url})


@dataclass(slots=True)
class _Rule:
    """A fault, the requests that it matches, and how many of them are left."""

    method: str
    path: str
    fault: Fault
    times: int | None
    is_used_up: bool = False

    def matches(self, path: str) -> bool:
        """Return whether a path matches."""
        if self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        return path == self.path


@dataclass(slots=True)
class Faults:
    """The active faults of a server."""

    rules: list[_Rule] = field(default_factory=list)

    def add(
        self, method: str, path: str, fault: Fault, times: int | None = None
    ) -> None:
        """Add a fault. "*" matches any method. At the end of a path, it matches any suffix."""
        self.rules.append(_Rule(method, path.lower(), fault, times))

    def clear(self) -> None:
        """Remove all faults."""
        self.rules.clear()

    def is_active(self, fault: Fault) -> bool:
        """Return whether a fault is still active."""
        return any(rule.fault is fault for rule in self.rules)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault for a request, and count the request."""
        for rule in self.rules:
            if rule.is_used_up:
                continue
            if rule.method in ("*", method) and rule.matches(path.lower()):
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times == 0:
                        rule.is_used_up = True
                return rule.fault
        return None

    async def replace_response(
        self, fault: Fault, is_over: Callable[[], bool]
    ) -> Reply | Stream | None:
        """Return the response of a fault, None if it only delays the normal one. Raises Hangup."""
        if fault.hangs:
            while not is_over():
                if not self.is_active(fault):
                    return None
                await asyncio.sleep(0.05)
        if fault.hangs or fault.resets:
            raise Hangup
        if fault.truncates:
            return Stream(_truncated(), {"Content-Length": "1000"})
        if fault.is_huge:
            return Stream(_huge(), {"Content-Type": "application/json"})
        if fault.is_bomb:
            headers = {"Content-Encoding": "gzip"}
            return Reply(200, _packed(), "application/json", headers)
        if fault.drips:
            return Stream(_dripping(fault.drips), {"Content-Type": "application/json"})
        if fault.status_code is not None:
            return Reply(
                fault.status_code, fault.body, fault.content_type, fault.headers
            )
        await asyncio.sleep(fault.delay)
        return None

    async def change_response(
        self, fault: Fault, reply: Reply | Stream, is_over: Callable[[], bool]
    ) -> Reply | Stream:
        """Return the response of a request that was processed, with the fault. Raises Hangup."""
        while fault.is_held and self.is_active(fault) and not is_over():
            await asyncio.sleep(0.05)
        return fault.apply_to(reply)


def _with_duplicates(body: bytes) -> bytes:
    if not body.startswith(b"{"):
        return body
    fields = (f"{json.dumps(name)}:[0]," for name in json.loads(body))
    return b"{" + "".join(fields).encode() + body[1:]


def _extended(body: bytes, text: bytes) -> bytes:
    if not body.endswith(b"}"):
        return body
    return body[:-1] + b',"more":' + text + b"}"


def _with_controls(body: bytes) -> bytes:
    if not body.startswith((b"{", b"[")):
        return body
    return json.dumps(_controlled(json.loads(body))).encode()


def _controlled(value: Any) -> Any:
    match value:
        case str():
            return f"{value}\x00\x07\x1b"
        case list():
            return [_controlled(item) for item in value]
        case dict():
            return {name: _controlled(item) for name, item in value.items()}
    return value


async def _truncated() -> AsyncGenerator[bytes]:
    yield b'{"api_port":'
    raise Hangup


async def _dripping(seconds: float) -> AsyncGenerator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(seconds)


@cache
def _packed() -> bytes:
    return gzip.compress(_MEGABYTE * 100, compresslevel=1)


async def _huge() -> AsyncGenerator[bytes]:
    for _ in range(100):
        yield _MEGABYTE
