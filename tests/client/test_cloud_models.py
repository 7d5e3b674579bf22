"""Models of the balena API: from_json accepts any JSON value."""

from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import given, strategies as st
import pytest

from custom_components.balena_supervisor.client import (
    Actor,
    DeviceRow,
    Fleet,
    InstalledImage,
    Release,
)
from custom_components.balena_supervisor.client.cloud_models import parse_fleets
from custom_components.balena_supervisor.client.parsing import parse_object

_NAMES = [
    "__id",
    "actorType",
    "app_name",
    "belongs_to__application",
    "commit",
    "cpu_temp",
    "cpu_usage",
    "device_name",
    "id",
    "image_install",
    "installs__image",
    "ip_address",
    "is_a_build_of__service",
    "is_connected_to_vpn",
    "is_for__device_type",
    "is_of__device_type",
    "is_online",
    "is_pinned_on__release",
    "is_provided_by__release",
    "is_running__release",
    "is_undervolted",
    "last_connectivity_event",
    "mac_address",
    "memory_total",
    "memory_usage",
    "name",
    "os_version",
    "overall_progress",
    "overall_status",
    "owns__device",
    "raw_version",
    "service_name",
    "should_be_running__release",
    "slug",
    "status",
    "storage_total",
    "storage_usage",
    "supervisor_version",
    "update_status",
    "username",
    "uuid",
]
_WORDS = (
    "",
    "2026-11-23T09:25:00.000Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "operational",
    "7",
    "1658654",
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(_WORDS),
)
NAMES = st.one_of(st.sampled_from(_NAMES), st.text())
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=6)
    ),
    max_leaves=30,
)
# Devices with an identity, and any other fields.
DEVICES = st.builds(
    lambda rest: (
        {"id": 7, "uuid": "c0ffee", "belongs_to__application": [{"id": 1}]} | rest
    ),
    st.dictionaries(
        st.sampled_from(
            sorted({*_NAMES} - {"id", "uuid", "belongs_to__application", "__id"})
        ),
        JSON,
    ),
)

PARSERS: list[Callable[[object], object]] = [
    Actor.from_json,
    Release.from_json,
    lambda value: list(parse_fleets(value)),
    lambda value: InstalledImage.from_json(parse_object(value)),
    lambda value: DeviceRow.from_json(parse_object(value)),
]


@pytest.mark.parametrize(
    "parse", PARSERS, ids=["actor", "release", "fleets", "image", "device"]
)
@given(value=JSON)
def test_any_json(parse: Callable[[object], object], value: object) -> None:
    """Any JSON value can be parsed, with the same result each time."""
    assert repr(parse(value)) == repr(parse(value))


@given(data=DEVICES)
def test_any_fields_of_device(data: dict[str, object]) -> None:
    """A device with id, UUID and fleet is parsed, whatever its other fields contain."""
    row = DeviceRow.from_json(data)
    assert row is not None
    assert (row.id, row.uuid, row.fleet_id) == (7, "c0ffee", 1)


@pytest.mark.parametrize(
    "data",
    [
        {"uuid": "c0ffee", "belongs_to__application": {"__id": 1}},
        {"id": 7, "belongs_to__application": {"__id": 1}},
        {"id": 7, "uuid": "", "belongs_to__application": {"__id": 1}},
        {"id": 7, "uuid": "c0ffee"},
        {"id": 7, "uuid": "c0ffee", "belongs_to__application": None},
        {"id": 7, "uuid": "c0ffee", "belongs_to__application": []},
    ],
    ids=["no id", "no uuid", "empty uuid", "no fleet", "null fleet", "empty fleet"],
)
def test_device_without_identity(data: dict[str, object]) -> None:
    """A device without id, UUID or fleet is omitted."""
    assert DeviceRow.from_json(data) is None


@pytest.mark.parametrize("fleet", [{"__id": 1}, [{"id": 1}]], ids=["link", "expanded"])
def test_fleet_of_device(fleet: object) -> None:
    """The fleet of a device is parsed from an expanded or unexpanded navigation property."""
    row = DeviceRow.from_json(
        {"id": 7, "uuid": "c0ffee", "belongs_to__application": fleet}
    )
    assert row == DeviceRow(id=7, uuid="c0ffee", fleet_id=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpu_usage", 101),
        ("cpu_temp", "47"),
        ("device_name", ""),
        ("ip_address", ["192.0.2.2"]),
        ("is_online", "true"),
        ("is_running__release", []),
        ("is_running__release", {"__id": 3}),
        ("is_running__release", [{"id": 3, "commit": None}]),
        ("is_pinned_on__release", None),
        ("is_of__device_type", None),
        ("last_connectivity_event", "yesterday"),
        ("last_connectivity_event", "9999-12-31T23:59:59Z"),
        ("image_install", None),
        ("update_status", None),
    ],
)
def test_wrong_field(field: str, value: object) -> None:
    """A field that is null or of a wrong type becomes None, and the others keep their values."""
    row = DeviceRow.from_json(
        {
            "id": 7,
            "uuid": "c0ffee",
            "belongs_to__application": {"__id": 1},
            "os_version": "balenaOS 6.5.4",
            field: value,
        }
    )
    assert row == DeviceRow(
        id=7, uuid="c0ffee", fleet_id=1, os_version="balenaOS 6.5.4"
    )


def test_images() -> None:
    """An image without a service name is omitted."""
    row = DeviceRow.from_json(
        {
            "id": 7,
            "uuid": "c0ffee",
            "belongs_to__application": {"__id": 1},
            "image_install": [
                {
                    "status": "Running",
                    "is_provided_by__release": [
                        {"belongs_to__application": {"__id": 3}}
                    ],
                    "installs__image": [
                        {"id": 5, "is_a_build_of__service": [{"service_name": "main"}]}
                    ],
                },
                {"status": "Running", "installs__image": [{"id": 6}]},
                None,
            ],
        }
    )
    assert row is not None
    assert row.images == (InstalledImage(service="main", status="Running", app_id=3),)


def test_no_images() -> None:
    """A device without services has empty images, not None."""
    row = DeviceRow.from_json(
        {
            "id": 7,
            "uuid": "c0ffee",
            "belongs_to__application": {"__id": 1},
            "image_install": [],
        }
    )
    assert row is not None
    assert row.images == ()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T09:25:00.250Z", datetime(2026, 11, 23, 9, 25, 0, 250000, UTC)),
        ("2026-11-23T10:25:00+01:00", datetime(2026, 11, 23, 9, 25, tzinfo=UTC)),
        ("2026-11-23T09:25:00", datetime(2026, 11, 23, 9, 25, tzinfo=UTC)),
        ("0001-01-01T00:00:00+01:00", None),
        ("2026-11-31T00:00:00Z", None),
        (1795426245363, None),
    ],
)
def test_timestamps(text: object, moment: datetime | None) -> None:
    """A timestamp is converted to UTC. An invalid one becomes None."""
    row = DeviceRow.from_json(
        {
            "id": 7,
            "uuid": "c0ffee",
            "belongs_to__application": {"__id": 1},
            "last_connectivity_event": text,
        }
    )
    assert row is not None
    assert row.last_connectivity_event == moment


def test_fleets() -> None:
    """A fleet requires only an id and a name. Other values are omitted."""
    value = [
        {"id": 1, "app_name": "kiosks"},
        {"id": 2},
        {"app_name": "nameless"},
        "kiosks",
        {
            "id": 3,
            "app_name": "signs",
            "slug": "demo/signs",
            "owns__device": 12,
            "is_for__device_type": [{"name": "Raspberry Pi 4"}],
            "should_be_running__release": [
                {"id": 9, "commit": "c0ffee", "raw_version": "1.2.3"}
            ],
        },
    ]
    assert list(parse_fleets(value)) == [
        Fleet(id=1, name="kiosks", slug="kiosks"),
        Fleet(
            id=3,
            name="signs",
            slug="demo/signs",
            device_count=12,
            device_type="Raspberry Pi 4",
            release=Release(id=9, commit="c0ffee", version="1.2.3"),
        ),
    ]


@pytest.mark.parametrize(
    ("value", "actor"),
    [
        (
            {"id": 1, "actorType": "user", "username": "jane"},
            Actor(id=1, kind="user", name="jane"),
        ),
        (
            {"id": 2, "actorType": "device", "uuid": "x"},
            Actor(id=2, kind="device"),
        ),
        ({"id": 3}, None),
        ({"actorType": "user"}, None),
        ([], None),
        (None, None),
    ],
)
def test_actors(value: object, actor: Actor | None) -> None:
    """An actor requires an id and a type. Only a user has a name."""
    assert Actor.from_json(value) == actor
