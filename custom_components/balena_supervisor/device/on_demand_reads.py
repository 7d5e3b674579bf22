"""On-demand reads for actions that return a response."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from homeassistant.helpers.redact import REDACTED

from ..client import (
    AppReport,
    BalenaError,
    Container,
    DeviceInfo,
    Endpoint,
    HostConfig,
    Image,
    ServiceReport,
    StateStatus,
)
from .coordinator import DeviceCoordinator

# Fields of a target state: objects with secret values, and secrets.
_SECRET_OBJECTS: Final = {"args", "env", "environment"}
_SECRETS: Final = {"apiKey", "deviceApiKey", "password"}


class OnDemandReader:
    """Reads one device for actions. Results consist of JSON values only.

    Raises:
        ServiceValidationError: The device does not support the read.
        HomeAssistantError: The read failed.
    """

    def __init__(self, coordinator: DeviceCoordinator) -> None:
        """Read the device of a coordinator."""
        self._call = coordinator.async_call
        self._coordinator = coordinator
        self._supervisor = coordinator.supervisor

    async def host_config(self) -> dict[str, Any]:
        """Return hostname and proxy of the host, with the password redacted. GET /v1/device/host-config."""
        config = await self._call(self._supervisor.host_config)
        response: dict[str, Any] = {"hostname": config.hostname, "proxy": None}
        if (proxy := config.proxy) is not None:
            response["proxy"] = {
                "type": proxy.type,
                "ip": proxy.ip,
                "port": proxy.port,
                "login": proxy.login,
                "password": proxy.password and REDACTED,
                "no_proxy": list(proxy.no_proxy),
                "dns": proxy.dns,
            }
        return response

    async def state(self) -> dict[str, Any]:
        """Return versions, releases, apps with their services, and tags.

        Missing responses result in null or empty values. Only GET /v1/device must succeed.
        """
        supervisor = self._supervisor
        report = await self._call(supervisor.device)
        reader = self._coordinator.reader
        apps = await self._call(partial(reader.read_apps, report))
        # This can crash a Supervisor that cannot read the apps.
        status = StateStatus()
        if apps is not None and supervisor.supports(Endpoint.APPS_STATE):
            status = await self._read_optional(
                Endpoint.STATE_STATUS, supervisor.state_status, status
            )
        ids = await self._container_ids()
        info = await self._read_optional(
            Endpoint.DEVICE_INFO, supervisor.device_info, DeviceInfo()
        )
        host = await self._read_optional(
            Endpoint.HOST_CONFIG, supervisor.host_config, HostConfig()
        )
        tags = await self._read_optional(None, self._coordinator.tags.read, None)
        coordinator, state = self._coordinator, self._coordinator.data
        is_about_apps = apps is not None and status.app_id in apps
        release = status.release if is_about_apps else state.release
        return {
            "name": coordinator.device_name,
            "uuid": coordinator.uuid,
            "device_type": info.device_type or state.metadata.device_type,
            "architecture": info.arch,
            "hostname": host.hostname,
            "os_version": report.os_version,
            "supervisor_version": report.supervisor_version,
            "ip_addresses": list(report.ip_addresses),
            "mac_addresses": list(report.mac_addresses),
            "status": _plain(state.status),
            "release": release or report.commit,
            "target_release": state.target_release,
            "update_status": _plain(state.update_status),
            "apps": [
                _app(app, await self._running_commit(app.app_id), status, ids)
                for app in (apps or {}).values()
            ],
            "tags": None if tags is None else dict(tags),
        }

    async def target_state(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the target state. Environments and keys are redacted by default."""
        state = await self._call(self._supervisor.target_state)
        return dict(state) if show_secrets else _redacted(state)

    async def tags(self) -> dict[str, Any]:
        """Return the tags of the device."""
        store = self._coordinator.tags
        tags = await self._call(store.read, is_for_device=store.is_on_device)
        return dict(tags)

    async def _running_commit(self, app_id: int) -> str | None:
        """Return the commit of the release that an app runs, or None during an update."""
        read = partial(self._supervisor.running_commit, app_id)
        return await self._read_optional(Endpoint.APP_STATE, read, None)

    async def _container_ids(self) -> Mapping[str, str]:
        """Return the container ids by service if the containers do not report them."""
        supervisor = self._supervisor
        if supervisor.endpoint_for(Endpoint.STATE_STATUS) is not Endpoint.CONTAINER_ID:
            return {}
        return await self._read_optional(
            Endpoint.CONTAINER_ID, supervisor.container_ids, {}
        )

    async def _read_optional[ResponseT, DefaultT](
        self,
        endpoint: Endpoint | None,
        read: Callable[[], Awaitable[ResponseT]],
        default: DefaultT,
    ) -> ResponseT | DefaultT:
        """Return an optional response, or the default."""
        if endpoint is not None and not self._supervisor.supports(endpoint):
            return default
        try:
            return await read()
        except BalenaError:
            return default


def _plain(status: str | None) -> str | None:
    """Return a status as a plain string: templates cannot read a StrEnum."""
    return None if status is None else str(status)


def _app(
    app: AppReport,
    running_commit: str | None,
    status: StateStatus,
    container_ids: Mapping[str, str],
) -> dict[str, Any]:
    """Return an app with its services."""
    own = [item for item in status.containers if item.app_id == app.app_id]
    # At a handover a service has two containers. The one that runs counts.
    own.sort(key=lambda item: item.status == "Running")
    containers = {item.service: item for item in own if item.service}
    images = [item for item in status.images if item.app_id == app.app_id]
    services = []
    for name in sorted({*app.services, *containers}):
        service = app.services.get(name, ServiceReport())
        container = containers.get(name, Container())
        named = [item for item in images if item.service == name]
        image = next(
            (item for item in named if item.image_id == container.image_id),
            named[0] if named else Image(),
        )
        services.append(
            {
                "name": name,
                "status": container.status or service.status,
                "container_id": container.container_id or container_ids.get(name),
                "image": service.image or image.name,
                "image_id": container.image_id or image.image_id,
                "image_status": image.status,
                "download_progress": service.download_progress,
                "release_id": service.release_id,
            }
        )
    return {
        "app_id": app.app_id,
        "name": app.name,
        "uuid": app.uuid,
        "running_commit": running_commit,
        "target_commit": app.commit,
        "update_status": app.update_status,
        "services": services,
    }


def _redacted(value: Any) -> Any:
    """Return a copy of a target state without its secrets."""
    if isinstance(value, list):
        return [_redacted(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: (
            REDACTED
            if name in _SECRETS
            else _values_redacted(item)
            if name in _SECRET_OBJECTS
            else _redacted(item)
        )
        for name, item in value.items()
    }


def _values_redacted(value: Any) -> Any:
    """Return an environment without its values. It may be a mapping or a list of NAME=VALUE."""
    if isinstance(value, Mapping):
        return dict.fromkeys(value, REDACTED)
    if isinstance(value, list):
        return [f"{str(item).partition('=')[0]}={REDACTED}" for item in value]
    return REDACTED
