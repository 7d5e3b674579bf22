"""Faults of a hostile server: endless pages, huge bodies, incomplete rows."""

from collections.abc import Callable
import itertools
from typing import Any, Final

import orjson

from .faults import Fault

_FIREWALL_PAGE: Final = (
    "<!DOCTYPE html>\n<html><head><title>Web Page Blocked</title></head>\n"
    "<body><h1>Web Page Blocked</h1>\n<p>Access to this page is against the policy of"
    " your company. (Incident 4711)</p></body></html>\n"
)
_MEGABYTE: Final = 1024 * 1024


def firewall_page() -> Fault:
    """Return 403 with an HTML page, as a firewall does."""
    return Fault.status(403, _FIREWALL_PAGE, "text/html; charset=utf-8")


def error_page(megabytes: float = 60, status: int = 500) -> Fault:
    """Return an error with a huge HTML page."""
    line = b"<p>Something went wrong, and this is where it went wrong.</p>\n"
    body = line * (int(megabytes * _MEGABYTE) // len(line))
    return Fault(status_code=status, body=body, content_type="text/html")


def endless_pages(size: int = 1001) -> Fault:
    """Fill every page with `size` rows that no page had before."""
    numbers = itertools.count(50_000_000)

    def fill(rows: list[Any]) -> list[Any]:
        template = rows[0] if rows else {}
        numbered = itertools.islice(numbers, size)
        return [template | {"id": item, "uuid": f"{item:032x}"} for item in numbered]

    return _rewrite_rows(fill)


def duplicated_rows() -> Fault:
    """Return every row twice."""
    return _rewrite_rows(lambda rows: [row for row in rows for _ in range(2)])


def rows_without(*names: str) -> Fault:
    """Remove fields from all rows."""
    return _rewrite_rows(
        lambda rows: [
            {name: value for name, value in row.items() if name not in names}
            for row in rows
        ]
    )


def _rewrite_rows(change: Callable[[list[Any]], list[Any]]) -> Fault:
    """Return a fault that changes the rows of a query."""

    def rewrite(body: bytes) -> bytes:
        rows = orjson.loads(body)["d"] if body.startswith(b'{"d":[') else None
        return body if rows is None else orjson.dumps({"d": change(rows)})

    return Fault.rewrite(rewrite)


# By their names in the control API.
HOSTILE_FAULTS: Final[dict[str, Callable[..., Fault]]] = {
    "duplicated-rows": duplicated_rows,
    "endless-pages": endless_pages,
    "error-page": error_page,
    "firewall-page": firewall_page,
    "rows-without": rows_without,
}
