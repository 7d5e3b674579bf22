"""Models of the Supervisor's responses.

`from_json` accepts any JSON value. A field that is missing, null or of another type becomes None, or is
omitted from its collection.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

from .endpoints import Version, parse_version
from .parsing import (
    parse_bool,
    parse_common_long_text,
    parse_common_text,
    parse_int,
    parse_long_text,
    parse_long_texts,
    parse_named_objects,
    parse_number,
    parse_object,
    parse_objects,
    parse_percentage,
    parse_text,
    parse_words,
    time_since_epoch,
)

_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """Report of the device: GET /v1/device.

    `commit` is None while the Supervisor applies changes. `status` is that of one service only.
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
        """Parse a JSON value."""
        data = parse_object(value)
        return cls(
            api_port=parse_int(data.get("api_port")),
            commit=parse_common_text(data.get("commit")),
            download_progress=parse_percentage(data.get("download_progress")),
            ip_addresses=parse_words(data.get("ip_address")),
            mac_addresses=parse_words(data.get("mac_address")),
            os_version=parse_common_text(data.get("os_version")),
            status=parse_common_text(data.get("status")),
            supervisor_version=parse_common_text(data.get("supervisor_version")),
            update_downloaded=parse_bool(data.get("update_downloaded")),
            update_failed=parse_bool(data.get("update_failed")),
            update_pending=parse_bool(data.get("update_pending")),
        )

    @property
    def version(self) -> Version | None:
        """The numbers of the Supervisor's version."""
        return parse_version(self.supervisor_version)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """App that runs a single container: GET /v1/apps/:appId."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    release_id: int | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        data = parse_object(value)
        return cls(
            environment=parse_long_texts(data.get("env")),
            release_id=parse_int(data.get("releaseId")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProxy:
    """Proxy of the host. `dns` is the address of a server, or True for the default one."""

    type: str | None = None
    ip: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()
    dns: str | bool | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        data = parse_object(value)
        no_proxy = data.get("noProxy")
        dns = data.get("dns")
        return cls(
            type=parse_long_text(data.get("type")),
            ip=parse_long_text(data.get("ip")),
            port=parse_int(data.get("port")),
            login=parse_long_text(data.get("login")),
            password=parse_long_text(data.get("password")),
            no_proxy=tuple(
                item
                for item in (no_proxy if isinstance(no_proxy, list) else ())
                if isinstance(item, str)
            ),
            dns=dns if isinstance(dns, bool) else parse_long_text(dns),
        )

    def to_json(self, *, with_dns: bool) -> Mapping[str, object]:
        """Return the JSON object that the Supervisor accepts. A proxy without a type is an empty object.

        The Supervisor keeps the fields that the object lacks, so the object overwrites all of them. `with_dns`
        is whether the Supervisor knows the field `dns`.
        """
        if not self.type:
            return {}
        values: dict[str, object] = {
            "type": self.type,
            "ip": self.ip,
            "port": self.port,
            "login": self.login or "",
            "password": self.password or "",
            "noProxy": list(self.no_proxy),
        }
        if with_dns:
            values["dns"] = self.dns or False
        return {name: value for name, value in values.items() if value is not None}


class HostConfig(NamedTuple):
    """Network settings of the host: GET /v1/device/host-config."""

    hostname: str | None = None
    proxy: HostProxy | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        network = parse_object(parse_object(value).get("network"))
        proxy = parse_object(network.get("proxy"))
        return cls(
            hostname=parse_text(network.get("hostname")),
            proxy=HostProxy.from_json(proxy) if proxy else None,
        )


class ServiceReport(NamedTuple):
    """Service of the target release.

    While its image downloads, `status` is that of the image, even if an older container runs.
    """

    status: str | None = None
    image: str | None = None
    release_id: int | None = None
    download_progress: float | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        data = parse_object(value)
        return cls(
            status=parse_common_text(data.get("status")),
            image=parse_common_long_text(data.get("image")),
            release_id=parse_int(data.get("releaseId")),
            download_progress=parse_percentage(
                data.get("downloadProgress", data.get("download_progress"))
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AppReport:
    """App with the services of its target release: an item of GET /v2/applications/state."""

    app_id: int
    name: str
    commit: str | None = None
    update_status: str | None = None
    uuid: str | None = None
    services: Mapping[str, ServiceReport] = field(default_factory=dict)


# The reports of apps by id.
type AppReports = Mapping[int, AppReport]


def parse_apps(value: object) -> AppReports:
    """Return all apps: GET /v2/applications/state. An app without an id is omitted."""
    return {
        app_id: AppReport(
            app_id=app_id,
            name=name,
            commit=parse_common_text(data.get("commit")),
            update_status=parse_common_text(data.get("updateStatus")),
            uuid=parse_common_text(data.get("appUuid")),
            services={
                service: ServiceReport.from_json(report)
                for service, report in parse_named_objects(data.get("services"))
            },
        )
        for name, data in parse_named_objects(value)
        if (app_id := parse_int(data.get("appId"))) is not None
    }


class Container(NamedTuple):
    """Container on the device, of any release: an item of GET /v2/state/status."""

    app_id: int | None = None
    container_id: str | None = None
    image_id: int | None = None
    service: str | None = None
    service_id: int | None = None
    status: str | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        data = parse_object(value)
        return cls(
            app_id=parse_int(data.get("appId")),
            container_id=parse_text(data.get("containerId")),
            image_id=parse_int(data.get("imageId")),
            service=parse_common_text(data.get("serviceName")),
            service_id=parse_int(data.get("serviceId")),
            status=parse_common_text(data.get("status")),
        )


class Image(NamedTuple):
    """Image on the device, or being downloaded: an item of GET /v2/state/status."""

    app_id: int | None = None
    image_id: int | None = None
    name: str | None = None
    service: str | None = None
    status: str | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        data = parse_object(value)
        return cls(
            app_id=parse_int(data.get("appId")),
            image_id=parse_int(data.get("imageId")),
            name=parse_common_long_text(data.get("name")),
            service=parse_common_text(data.get("serviceName")),
            status=parse_common_text(data.get("status")),
        )


class StateStatus(NamedTuple):
    """Containers, images and download progress of one app: GET /v2/state/status.

    `app_state` is "applying" or "applied". `release` is the last commit that was applied completely.
    `download_progress` is the percentage over all images.
    """

    app_state: str | None = None
    containers: tuple[Container, ...] = ()
    download_progress: float | None = None
    images: tuple[Image, ...] = ()
    release: str | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        data = parse_object(value)
        return cls(
            app_state=parse_common_text(data.get("appState")),
            containers=tuple(
                map(Container.from_json, parse_objects(data.get("containers")))
            ),
            download_progress=parse_percentage(data.get("overallDownloadProgress")),
            images=tuple(map(Image.from_json, parse_objects(data.get("images")))),
            release=parse_common_text(data.get("release")),
        )

    @property
    def app_id(self) -> int | None:
        """The app that the response is about: that of the first container, or of the first image."""
        return next(self._app_ids(), None)

    def is_about(self, app_id: int) -> bool:
        """Return whether the response lists a container or an image of an app."""
        return app_id in self._app_ids()

    def _app_ids(self) -> Iterator[int | None]:
        yield from (container.app_id for container in self.containers)
        yield from (image.app_id for image in self.images)


class DeviceInfo(NamedTuple):
    """Architecture and device type: GET /v2/local/device-info."""

    arch: str | None = None
    device_type: str | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        info = parse_object(parse_object(value).get("info"))
        return cls(
            arch=parse_common_text(info.get("arch")),
            device_type=parse_common_text(info.get("deviceType")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpn:
    """Whether the VPN is enabled and connected: GET /v2/device/vpn."""

    enabled: bool | None = None
    connected: bool | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        vpn = parse_object(parse_object(value).get("vpn"))
        return cls(
            enabled=parse_bool(vpn.get("enabled")),
            connected=parse_bool(vpn.get("connected")),
        )


class LogLine(NamedTuple):
    """Log line of a service or of the Supervisor: GET /v2/local/logs."""

    message: str
    is_stderr: bool = False
    is_system: bool = False
    service: str | None = None
    service_id: int | None = None
    time: datetime | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse a JSON value."""
        data = parse_object(value)
        message = data.get("message")
        return cls(
            # Not parse_text: terminal colours consist of control characters.
            message=message if isinstance(message, str) else "",
            is_stderr=parse_bool(data.get("isStdErr")) or False,
            is_system=parse_bool(data.get("isSystem")) or False,
            service=parse_text(data.get("serviceName")),
            service_id=parse_int(data.get("serviceId")),
            time=time_since_epoch(parse_number(data.get("timestamp")), _MILLISECOND),
        )


def parse_tags(value: object) -> Mapping[str, str]:
    """Return the device's tags by name: GET /v2/device/tags."""
    return {
        name: parse_long_text(tag.get("value")) or ""
        for tag in parse_objects(parse_object(value).get("tags"))
        if (name := parse_text(tag.get("name")))
    }


def parse_container_ids(value: object) -> Mapping[str, str]:
    """Return the container ids by service name: GET /v2/containerId."""
    return parse_long_texts(parse_object(value).get("services"))


def parse_target_apps(state: object) -> Mapping[str, Mapping[str, object]]:
    """Return the apps of a target state by id: GET and POST /v2/local/target-state."""
    local = parse_object(parse_object(state).get("local"))
    return dict(parse_named_objects(local.get("apps")))
