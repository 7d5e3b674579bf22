"""What can go wrong between a client and a server, on demand."""

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
    """One way in which a request goes wrong; what is not set goes as usual."""

    delay: float = 0
    hangs: bool = False
    is_held: bool = False
    resets: bool = False
    resets_after: bool = False
    truncates: bool = False
    is_huge: bool = False
    # Seconds between two bytes of an answer.
    drips: float = 0
    status_code: int | None = None
    # Makes another body of the usual one.
    rewrites: Callable[[bytes], bytes] | None = None
    body: bytes = b""
    # None is the usual one.
    content_type: str | None = "text/plain"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def slow(cls, seconds: float) -> Self:
        """Answer as usual, but late."""
        return cls(delay=seconds)

    @classmethod
    def hang(cls) -> Self:
        """Never answer."""
        return cls(hangs=True)

    @classmethod
    def reset(cls) -> Self:
        """Close the connection before anything is done."""
        return cls(resets=True)

    @classmethod
    def reset_after(cls) -> Self:
        """Do what was asked, then close the connection without an answer."""
        return cls(resets_after=True)

    @classmethod
    def hold(cls) -> Self:
        """Do what was asked, but keep the answer back until the fault is gone."""
        return cls(is_held=True)

    @classmethod
    def truncate(cls) -> Self:
        """Announce more than is sent."""
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
        """Send a body that is small on its way, and huge when it is unpacked."""
        return cls(
            status_code=200,
            body=_packed(),
            content_type="application/json",
            headers={"Content-Encoding": "gzip"},
        )

    @classmethod
    def status(
        cls, code: int, body: str = "", content_type: str = "text/plain"
    ) -> Self:
        """Answer with a status and a body."""
        return cls(status_code=code, body=body.encode(), content_type=content_type)

    @classmethod
    def garbage(cls) -> Self:
        """Answer with bytes that are no text."""
        return cls(
            status_code=200, body=b"\xff\xfe\x00{]", content_type="application/json"
        )

    @classmethod
    def json(cls, value: object) -> Self:
        """Answer with any JSON value."""
        return cls(
            status_code=200,
            body=json.dumps(value).encode(),
            content_type="application/json",
        )

    @classmethod
    def rewrite(
        cls, change: Callable[[bytes], bytes], content_type: str | None = None
    ) -> Self:
        """Do what was asked, and make something else of the answer."""
        return cls(rewrites=change, content_type=content_type)

    @classmethod
    def halve(cls) -> Self:
        """Do what was asked, and answer with the first half of the body."""
        return cls.rewrite(lambda body: body[: len(body) // 2])

    @classmethod
    def mislabel(cls, content_type: str = "image/png") -> Self:
        """Do what was asked, and say that the answer is of another kind."""
        return cls.rewrite(lambda body: body, content_type)

    @classmethod
    def recode(cls, charset: str = "utf-16") -> Self:
        """Do what was asked, and answer in another charset, which is named."""
        return cls.rewrite(
            lambda body: body.decode().encode(charset),
            f"application/json; charset={charset}",
        )

    @classmethod
    def duplicate(cls) -> Self:
        """Do what was asked, and have every field of an object there before, as something else."""
        return cls.rewrite(_with_duplicates)

    @classmethod
    def extend(cls, json_text: str) -> Self:
        """Do what was asked, and add a field with any text to an object."""
        return cls.rewrite(lambda body: _extended(body, json_text.encode()))

    @classmethod
    def control(cls) -> Self:
        """Do what was asked, and have control characters at the end of every text."""
        return cls.rewrite(_with_controls)

    @classmethod
    def nul(cls) -> Self:
        """Do what was asked, and write NUL after every quotation mark, which no JSON may have."""
        return cls.rewrite(lambda body: body.replace(b'"', b'"\x00'))

    @classmethod
    def nest(cls) -> Self:
        """Answer with an array in an array, 100,000 times."""
        depth = 100_000
        return cls(
            status_code=200,
            body=b"[" * depth + b"]" * depth,
            content_type="application/json",
        )

    @property
    def is_of_answer(self) -> bool:
        """Whether what was asked is done, and only the answer goes wrong."""
        return self.is_held or self.resets_after or self.rewrites is not None

    def end(self, reply: Reply | Stream) -> Reply | Stream:
        """Return what comes of the usual answer. Raises Hangup."""
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
        """Send the client elsewhere."""
        return cls(status_code=code, headers={"Location": url})


@dataclass(slots=True)
class _Rule:
    method: str
    path: str
    fault: Fault
    times: int | None
    is_used_up: bool = False

    def concerns(self, path: str) -> bool:
        if self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        return path == self.path


@dataclass(slots=True)
class Faults:
    """The faults that are in force."""

    rules: list[_Rule] = field(default_factory=list)

    def add(
        self, method: str, path: str, fault: Fault, times: int | None = None
    ) -> None:
        """Have requests go wrong; "*" stands for any method, or for the end of any path."""
        self.rules.append(_Rule(method, path.lower(), fault, times))

    def clear(self) -> None:
        """Have everything work again."""
        self.rules.clear()

    def holds(self, fault: Fault) -> bool:
        """Whether a fault is still there for the requests that met it."""
        return any(rule.fault is fault for rule in self.rules)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault for a request, counting it."""
        for rule in self.rules:
            if rule.is_used_up:
                continue
            if rule.method in ("*", method) and rule.concerns(path.lower()):
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times == 0:
                        rule.is_used_up = True
                return rule.fault
        return None

    async def spoil(
        self, fault: Fault, is_over: Callable[[], bool]
    ) -> Reply | Stream | None:
        """Return what a fault has answered, None when it is only late. Raises Hangup."""
        if fault.hangs:
            while not is_over():
                if not self.holds(fault):
                    return None
                await asyncio.sleep(0.05)
        if fault.hangs or fault.resets:
            raise Hangup
        if fault.truncates:
            return Stream(_truncated(), {"Content-Length": "1000"})
        if fault.is_huge:
            return Stream(_huge(), {"Content-Type": "application/json"})
        if fault.drips:
            return Stream(_dripping(fault.drips), {"Content-Type": "application/json"})
        if fault.status_code is not None:
            return Reply(
                fault.status_code, fault.body, fault.content_type, fault.headers
            )
        await asyncio.sleep(fault.delay)
        return None

    async def spoil_answer(
        self, fault: Fault, reply: Reply | Stream, is_over: Callable[[], bool]
    ) -> Reply | Stream:
        """Return what comes of an answer when everything is done already. Raises Hangup."""
        while fault.is_held and self.holds(fault) and not is_over():
            await asyncio.sleep(0.05)
        return fault.end(reply)


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
    return gzip.compress(_MEGABYTE * 100)


async def _huge() -> AsyncGenerator[bytes]:
    for _ in range(100):
        yield _MEGABYTE
