"""Strategies for random values, and the recorded responses."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
import json
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

_RECORDED = Path(__file__).parents[1] / "contract" / "supervisor-recorded.json"

_WORDS = st.sampled_from(
    ("Running", "Downloading", "applying changes", "done", "7", "")
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), _WORDS
)
# Exclude values that strict JSON parsers reject. They close the connection of a browser.
STRICT_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    _WORDS,
)


def json_values(
    names: st.SearchStrategy[str] | None = None,
    scalars: st.SearchStrategy[Any] = SCALARS,
) -> st.SearchStrategy[Any]:
    """Return random JSON values. Their objects have some of the given names."""
    keys = st.text() if names is None else st.one_of(names, st.text())
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)
        ),
        max_leaves=20,
    )


JSON = json_values()
STRICT_JSON = json_values(scalars=STRICT_SCALARS)

# Responses that were not recorded, or only in part.
_OTHERS: dict[str, Any] = {
    "/v2/applications/1658654/state": {
        "local": {
            "1658654": {
                "services": {
                    "2885946": {
                        "status": "Running",
                        "releaseId": 99999,
                        "downloadProgress": None,
                    }
                }
            }
        },
        "commit": "7fc9c5bea8e361acd49886fe6cc1e1cd",
    },
    "/v2/local/device-info": {
        "status": "success",
        "info": {"arch": "amd64", "deviceType": "genericx86-64-ext"},
    },
    "/v2/local/target-state": {
        "local": {
            "name": "holy-wildflower",
            "apps": {"1658654": {"name": "demo-fleet", "services": {"1": {}}}},
        }
    },
}


def recorded(path: str) -> list[Any]:
    """Return the recorded JSON responses of a path that are not empty."""
    if path in _OTHERS:
        return [_OTHERS[path]]
    answers = [
        json.loads(item["body"])
        for item in json.loads(_RECORDED.read_text())
        if (item["method"], item["path"], item["status"]) == ("GET", path, 200)
    ]
    assert any(answers), path
    return [answer for answer in answers if answer]


type Place = tuple[str | int, ...]


def places(value: Any, *, leaves: bool, at: Place = ()) -> Iterator[Place]:
    """Yield the paths to all values inside of a JSON value, or only to the innermost ones."""
    inner = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    if not leaves or not inner:
        yield at
    for key, item in inner:
        yield from places(item, leaves=leaves, at=(*at, key))


def with_value(value: Any, place: Place, other: Any) -> Any:
    """Return a copy of a JSON value with another value at a path."""
    if not place:
        return other
    key, *rest = place
    copy = value.copy()
    copy[key] = with_value(value[key], tuple(rest), other)
    return copy


def differences(one: object, other: object, at: str = "") -> Iterator[str]:
    """Yield the paths of the differences between two models."""
    if type(one) is not type(other):
        yield at
    elif names := _field_names(one):
        for name in names:
            yield from differences(
                getattr(one, name), getattr(other, name), f"{at}.{name}"
            )
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in {*one, *other}:
            yield from differences(one.get(key), other.get(key), f"{at}[{key}]")
    elif (
        isinstance(one, tuple) and isinstance(other, tuple) and _are_models(one, other)
    ):
        for number, (item, another) in enumerate(zip(one, other, strict=True)):
            yield from differences(item, another, f"{at}[{number}]")
    elif one != other:
        yield at


def _field_names(value: object) -> tuple[str, ...]:
    """Return the names of the fields of a model: a dataclass or a named tuple."""
    if is_dataclass(value):
        return tuple(field.name for field in fields(value))
    names: tuple[str, ...] = getattr(value, "_fields", ())
    return names


def _are_models(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Return whether two tuples contain the same number of models."""
    return len(one) == len(other) and all(map(_field_names, one))


def wrong_types(value: object, hint: Any, at: str = "state") -> Iterator[str]:
    """Yield the values whose type differs from the declared type."""
    if isinstance(hint, UnionType):
        if all(list(wrong_types(value, item, at)) for item in get_args(hint)):
            yield f"{at} is {value!r}"
        return
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is float:
        kind = int | float
    if is_dataclass(hint) and isinstance(value, hint):
        for name, field_hint in get_type_hints(hint).items():
            yield from wrong_types(getattr(value, name), field_hint, f"{at}.{name}")
    elif hint in (None, NoneType):
        if value is not None:
            yield f"{at} is {value!r}"
    elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        yield f"{at} is {value!r}"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from wrong_types(item, inner[1], f"{at}[{key!r}]")
    elif isinstance(value, tuple) and inner[-1:] == (...,):
        for item in value:
            yield from wrong_types(item, inner[0], f"{at}[]")
    elif isinstance(value, datetime) and value.tzinfo is None:
        yield f"{at} has no time zone"
