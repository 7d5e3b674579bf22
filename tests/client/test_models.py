"""Models of the Supervisor: from_json accepts any JSON value."""

from collections.abc import Callable

from hypothesis import given, strategies as st
import pytest

from custom_components.balena_supervisor.client import models
from custom_components.balena_supervisor.client.endpoints import parse_version
from custom_components.balena_supervisor.device.state import state_from_supervisor

_NAMES = [
    "api_port",
    "apps",
    "appId",
    "appName",
    "appState",
    "appUuid",
    "arch",
    "commit",
    "config",
    "containerId",
    "containers",
    "deviceName",
    "deviceType",
    "dns",
    "downloadProgress",
    "download_progress",
    "enabled",
    "connected",
    "env",
    "hostname",
    "id",
    "image",
    "imageId",
    "images",
    "info",
    "ip_address",
    "isStdErr",
    "isSystem",
    "local",
    "login",
    "mac_address",
    "message",
    "name",
    "network",
    "noProxy",
    "os_version",
    "overallDownloadProgress",
    "password",
    "port",
    "proxy",
    "release",
    "releaseId",
    "serviceName",
    "services",
    "status",
    "supervisor_version",
    "tags",
    "timestamp",
    "type",
    "updateStatus",
    "update_downloaded",
    "update_failed",
    "update_pending",
    "value",
    "version",
    "vpn",
]
_WORDS = (
    "Running",
    "Downloading",
    "Idle",
    "applying changes",
    "done",
    "7",
    "1658654",
    "",
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(_WORDS),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(_NAMES), st.text()), inner, max_size=6
        ),
    ),
    max_leaves=30,
)

MODELS = [
    models.App.from_json,
    models.Container.from_json,
    models.DeviceInfo.from_json,
    models.DeviceReport.from_json,
    models.HostConfig.from_json,
    models.Image.from_json,
    models.LogLine.from_json,
    models.HostProxy.from_json,
    models.ServiceReport.from_json,
    models.StateStatus.from_json,
    models.Vpn.from_json,
    models.parse_apps,
    models.parse_container_ids,
    models.parse_tags,
]


@pytest.mark.parametrize("parse", MODELS)
@given(value=JSON)
def test_any_json(parse: Callable[[object], object], value: object) -> None:
    """Any JSON value can be parsed, with the same result each time."""
    assert repr(parse(value)) == repr(parse(value))


@given(device=JSON, apps=JSON, containers=JSON, vpn=JSON)
def test_any_responses_as_state(
    device: object, apps: object, containers: object, vpn: object
) -> None:
    """Any combination of responses can be converted to a state."""
    state = state_from_supervisor(
        models.DeviceReport.from_json(device),
        apps=models.parse_apps(apps),
        containers=models.StateStatus.from_json(containers),
        vpn=models.Vpn.from_json(vpn),
    )
    assert state.status


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("api_port", "port"),
        ("commit", 7),
        ("download_progress", 101),
        ("ip_address", ["192.0.2.2"]),
        ("update_pending", "true"),
        ("supervisor_version", None),
    ],
)
def test_wrong_field(field: str, value: object) -> None:
    """A field of a wrong type becomes None, and the others keep their values."""
    response: dict[str, object] = {
        "os_version": "balenaOS 6.5.4",
        "extra": {},
        field: value,
    }
    report = models.DeviceReport.from_json(response)
    assert report == models.DeviceReport(os_version="balenaOS 6.5.4")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("19.0.5", (19, 0, 5)),
        ("v7.21.0", (7, 21, 0)),
        ("14.4.0-rc1", (14, 4, 0)),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_versions(text: str | None, version: tuple[int, ...] | None) -> None:
    """A version is a tuple of numbers, or None."""
    assert parse_version(text) == version
