"""What comes back from a Supervisor.

Every model is made of any JSON value whatever: a field that is missing, null or of the
wrong type is absent (None, or left out of its collection), and the rest is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from .endpoints import Version, parse_version
from .parsing import (
    as_named_objects,
    as_texts,
    in_every_zone,
    parse_bool,
    parse_int,
    parse_object,
    parse_objects,
    parse_percentage,
    parse_text,
    parse_words,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """What the Supervisor reports of the device: /v1/device.

    `commit` is absent while something is applied. `status` is that of one service only.
    """

    api_port: int | None = None
    commit: str | None = None
    download_progress: float | None = None
    ip_addresses: tuple[str, ...] = ()
    mac_addresses: tuple[str, ...] = ()
    os_version: str | None = None
    status: str | None = None
    supervisor_version: str | None = None
    update_downloaded: bool | None = None
    update_failed: bool | None = None
    update_pending: bool | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        data = parse_object(value)
        return cls(
            api_port=parse_int(data.get("api_port")),
            commit=parse_text(data.get("commit")),
            download_progress=parse_percentage(data.get("download_progress")),
            ip_addresses=parse_words(data.get("ip_address")),
            mac_addresses=parse_words(data.get("mac_address")),
            os_version=parse_text(data.get("os_version")),
            status=parse_text(data.get("status")),
            supervisor_version=parse_text(data.get("supervisor_version")),
            update_downloaded=parse_bool(data.get("update_downloaded")),
            update_failed=parse_bool(data.get("update_failed")),
            update_pending=parse_bool(data.get("update_pending")),
        )

    @property
    def version(self) -> Version | None:
        """The Supervisor's version as numbers."""
        return parse_version(self.supervisor_version)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The app of a device that runs a single container: /v1/apps/:id."""

    app_id: int | None = None
    commit: str | None = None
    container_id: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    image_id: str | None = None
    release_id: int | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        data = parse_object(value)
        return cls(
            app_id=parse_int(data.get("appId")),
            commit=parse_text(data.get("commit")),
            container_id=parse_text(data.get("containerId")),
            environment=as_texts(data.get("env")),
            image_id=parse_text(data.get("imageId")),
            release_id=parse_int(data.get("releaseId")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The proxy of the host. `dns` is an address, or True for the default one."""

    type: str | None = None
    ip: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()
    dns: str | bool | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        data = parse_object(value)
        no_proxy = data.get("noProxy")
        dns = data.get("dns")
        return cls(
            type=parse_text(data.get("type")),
            ip=parse_text(data.get("ip")),
            port=parse_int(data.get("port")),
            login=parse_text(data.get("login")),
            password=parse_text(data.get("password")),
            no_proxy=tuple(
                item
                for item in (no_proxy if isinstance(no_proxy, list) else ())
                if isinstance(item, str)
            ),
            dns=dns if isinstance(dns, bool) else parse_text(dns),
        )

    def as_json(self) -> Mapping[str, object]:
        """Return the object that the Supervisor takes; what is absent is left out.

        A proxy without exceptions says so, since those of the one before would stay.
        """
        values: dict[str, object] = {
            "type": self.type,
            "ip": self.ip,
            "port": self.port,
            "login": self.login,
            "password": self.password,
            "noProxy": list(self.no_proxy) if self.type else None,
            "dns": self.dns,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """Network settings of the host: /v1/device/host-config."""

    hostname: str | None = None
    proxy: Proxy | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        network = parse_object(parse_object(value).get("network"))
        proxy = parse_object(network.get("proxy"))
        return cls(
            hostname=parse_text(network.get("hostname")),
            proxy=Proxy.from_json(proxy) if proxy else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """A service of the release that should run; `status` may tell of its image only."""

    status: str | None = None
    image: str | None = None
    release_id: int | None = None
    download_progress: float | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        data = parse_object(value)
        return cls(
            status=parse_text(data.get("status")),
            image=parse_text(data.get("image")),
            release_id=parse_int(data.get("releaseId")),
            download_progress=parse_percentage(
                data.get("downloadProgress", data.get("download_progress"))
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AppReport:
    """An app as it should run: one item of /v2/applications/state."""

    app_id: int
    name: str
    commit: str | None = None
    update_status: str | None = None
    uuid: str | None = None
    services: Mapping[str, ServiceReport] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AppReports:
    """All apps, by id: /v2/applications/state."""

    apps: Mapping[int, AppReport] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value; an app without an id is left out."""
        reports = (
            AppReport(
                app_id=app_id,
                name=name,
                commit=parse_text(data.get("commit")),
                update_status=parse_text(data.get("updateStatus")),
                uuid=parse_text(data.get("appUuid")),
                services={
                    service: ServiceReport.from_json(report)
                    for service, report in as_named_objects(data.get("services"))
                },
            )
            for name, data in as_named_objects(value)
            if (app_id := parse_int(data.get("appId"))) is not None
        )
        return cls({report.app_id: report for report in reports})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReports:
    """The services of one app by image id: /v2/applications/:id/state."""

    commit: str | None = None
    services: Mapping[int, ServiceReport] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        data = parse_object(value)
        return cls(
            commit=parse_text(data.get("commit")),
            services={
                image_id: ServiceReport.from_json(report)
                for _, app in as_named_objects(data.get("local"))
                for image, report in as_named_objects(app.get("services"))
                if (image_id := parse_int(image)) is not None
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container that exists, whichever release it is of."""

    app_id: int | None = None
    container_id: str | None = None
    image_id: int | None = None
    service: str | None = None
    service_id: int | None = None
    status: str | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        data = parse_object(value)
        return cls(
            app_id=parse_int(data.get("appId")),
            container_id=parse_text(data.get("containerId")),
            image_id=parse_int(data.get("imageId")),
            service=parse_text(data.get("serviceName")),
            service_id=parse_int(data.get("serviceId")),
            status=parse_text(data.get("status")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that is on the device or on its way there."""

    app_id: int | None = None
    download_progress: float | None = None
    image_id: int | None = None
    name: str | None = None
    service: str | None = None
    status: str | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        data = parse_object(value)
        return cls(
            app_id=parse_int(data.get("appId")),
            download_progress=parse_percentage(data.get("downloadProgress")),
            image_id=parse_int(data.get("imageId")),
            name=parse_text(data.get("name")),
            service=parse_text(data.get("serviceName")),
            status=parse_text(data.get("status")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StateStatus:
    """Containers, images and progress: /v2/state/status.

    `app_state` is "applying" or "applied"; `release` the last commit that settled, of the
    first app; `download_progress` in percent over all images.
    """

    app_state: str | None = None
    containers: tuple[Container, ...] = ()
    download_progress: float | None = None
    images: tuple[Image, ...] = ()
    release: str | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        data = parse_object(value)
        return cls(
            app_state=parse_text(data.get("appState")),
            containers=tuple(
                map(Container.from_json, parse_objects(data.get("containers")))
            ),
            download_progress=parse_percentage(data.get("overallDownloadProgress")),
            images=tuple(map(Image.from_json, parse_objects(data.get("images")))),
            release=parse_text(data.get("release")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """Architecture and device type: /v2/local/device-info."""

    arch: str | None = None
    device_type: str | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        info = parse_object(parse_object(value).get("info"))
        return cls(
            arch=parse_text(info.get("arch")),
            device_type=parse_text(info.get("deviceType")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpn:
    """Whether the VPN should run, and whether it is connected: /v2/device/vpn."""

    enabled: bool | None = None
    connected: bool | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        vpn = parse_object(parse_object(value).get("vpn"))
        return cls(
            enabled=parse_bool(vpn.get("enabled")),
            connected=parse_bool(vpn.get("connected")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of a service's or the Supervisor's log: /v2/local/logs."""

    message: str
    is_stderr: bool = False
    is_system: bool = False
    service: str | None = None
    service_id: int | None = None
    timestamp: datetime | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Make it of any JSON value."""
        data = parse_object(value)
        message = data.get("message")
        return cls(
            # Colours of a terminal are made of control characters.
            message=message if isinstance(message, str) else "",
            is_stderr=parse_bool(data.get("isStdErr")) or False,
            is_system=parse_bool(data.get("isSystem")) or False,
            service=parse_text(data.get("serviceName")),
            service_id=parse_int(data.get("serviceId")),
            timestamp=_moment(data.get("timestamp")),
        )


def _moment(milliseconds: object) -> datetime | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return None
    try:
        return in_every_zone(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except OverflowError, OSError, ValueError:
        return None


def tags_from_json(value: object) -> Mapping[str, str]:
    """Return the device's tags by name: /v2/device/tags."""
    return {
        name: parse_text(tag.get("value")) or ""
        for tag in parse_objects(parse_object(value).get("tags"))
        if (name := parse_text(tag.get("name")))
    }


def container_ids_from_json(value: object) -> Mapping[str, str]:
    """Return the container ids by service name: /v2/containerId."""
    return as_texts(parse_object(value).get("services"))


def target_apps(state: object) -> Mapping[str, Mapping[str, object]]:
    """Return the apps of a target state by id."""
    return dict(
        as_named_objects(parse_object(parse_object(state).get("local")).get("apps"))
    )


def text_from_json(value: object, name: str) -> str | None:
    """Return one text of an object."""
    return parse_text(parse_object(value).get(name))


def object_from_json(value: object, name: str) -> Mapping[str, object]:
    """Return one object of an object, empty when there is none."""
    return parse_object(parse_object(value).get(name))
