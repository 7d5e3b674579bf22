"""Supervisor: one method per endpoint of the Supervisor API."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
import re
from typing import Any, Final

import orjson

from .endpoints import (
    FALLBACKS,
    JOURNAL_FORMAT_SINCE,
    JOURNAL_SINCE_UNTIL_SINCE,
    KEPT,
    PROXY_DNS_SINCE,
    SERVICE_BY_NAME_SINCE,
    Endpoint,
    Version,
    format_version,
)
from .errors import InvalidResponse, OutcomeUnknown, SupervisorError, Unsupported
from .http import JsonObject
from .models import (
    App,
    AppReports,
    DeviceInfo,
    DeviceReport,
    HostConfig,
    ImageReports,
    LogLine,
    Proxy,
    StateStatus,
    Vpn,
    container_ids_from_json,
    object_from_json,
    tags_from_json,
    text_from_json,
)
from .parsing import parse_object
from .request_log import RequestLog
from .responses import Response
from .transport import Transport

# "null", "42" or "OK" would be words, too.
_KEY: Final = re.compile(r"\w{32,}", re.ASCII)

# A longer line of a log is cut.
MAX_LINE: Final = 64 * 1024


class Supervisor:
    """The Supervisor of one device.

    Every method raises a BalenaError when it fails: reads ConnectionFailed,
    RequestTimeout or DeviceOffline without an answer, InvalidResponse when it has nothing
    of what was asked; commands OutcomeUnknown when they
    were sent and no answer came; all of them AuthenticationFailed, and Unsupported when
    the Supervisor is older than what is asked. `force` overrides update locks; what is
    locked raises UpdateLocked without it.
    """

    def __init__(self, transport: Transport) -> None:
        """Remember the way to the Supervisor."""
        self._transport = transport
        self.request_log = RequestLog()
        self.version: Version | None = None
        # What the last answers were made into; their bodies are kept anyway.
        self._models: dict[Endpoint, tuple[bytes, Any]] = {}

    def supports(self, endpoint: Endpoint) -> bool:
        """Return whether the Supervisor's version has an endpoint, True while unknown."""
        return endpoint.is_supported_by(self.version)

    @property
    def supports_services_by_name(self) -> bool:
        """Whether services can be commanded by their names, True while unknown."""
        return self.version is None or self.version >= SERVICE_BY_NAME_SINCE

    @property
    def supports_json_journal(self) -> bool:
        """Whether the journal can be had in JSON, True while unknown."""
        return self.version is None or self.version >= JOURNAL_FORMAT_SINCE

    def require(self, endpoint: Endpoint) -> None:
        """Raise Unsupported when the Supervisor's version lacks an endpoint."""
        self._require(endpoint.since)

    def endpoint_for(self, endpoint: Endpoint) -> Endpoint | None:
        """Return an endpoint, or what does the same on this version; None when nothing does."""
        if self.supports(endpoint):
            return endpoint
        instead = FALLBACKS.get(endpoint)
        return instead if instead is not None and self.supports(instead) else None

    async def ping(self) -> None:
        """Return when the Supervisor, or the process in front of it, answers.

        GET /ping, Supervisor 1.1; needs no key.
        """
        await self._call(Endpoint.PING)

    async def is_healthy(self) -> bool:
        """Return whether the Supervisor thinks that it works well.

        GET /v1/healthy, Supervisor 6.5; needs no key. A device without internet and VPN
        is not healthy either.
        """
        try:
            await self._call(Endpoint.HEALTHY)
        except SupervisorError as err:
            # Others on the way say that they are unwell, too.
            if str(err) != "Unhealthy":
                raise
            return False
        return True

    async def blink(self) -> None:
        """Blink a LED for 15 s. POST /v1/blink, Supervisor 1.1."""
        await self._call(Endpoint.BLINK)

    async def update(self, *, force: bool = False, cancel: bool = False) -> bool:
        """Have the device look for what should run, and apply it.

        POST /v1/update, Supervisor 1.1. Returns False when the device ignores this, which
        one whose instant updates are switched off does unless forced. `cancel` aborts
        the update that is under way before looking again.
        """
        answer = await self._call(
            Endpoint.UPDATE, json={"force": force, "cancel": cancel}
        )
        # The process in front of the Supervisor says 202 with an empty body and obeys.
        return answer.text.strip() != "Accepted"

    async def reboot(self, *, force: bool = False) -> None:
        """Reboot the device. POST /v1/reboot, Supervisor 1.1."""
        await self._call(Endpoint.REBOOT, json={"force": force})

    async def shutdown(self, *, force: bool = False) -> None:
        """Shut the device down. POST /v1/shutdown, Supervisor 1.1."""
        await self._call(Endpoint.SHUTDOWN, json={"force": force})

    async def purge(self, app_id: int, *, force: bool = False) -> None:
        """Delete the data of an app and recreate its containers.

        POST /v1/purge, Supervisor 1.1. Returns when it is done. Raises NotFound.
        """
        await self._call(Endpoint.PURGE, json={"appId": app_id, "force": force})

    async def restart(self, app_id: int, *, force: bool = False) -> None:
        """Recreate all containers of an app.

        POST /v1/restart, Supervisor 1.1. Returns when it is done. Raises NotFound.
        """
        await self._call(Endpoint.RESTART, json={"appId": app_id, "force": force})

    async def regenerate_api_key(self) -> str:
        """Return a new key; the one used for this is void at once.

        POST /v1/regenerate-api-key, Supervisor 1.1. Raises OutcomeUnknown when the answer
        holds no key.
        """
        answer = await self._call(Endpoint.REGENERATE_API_KEY)
        if not _KEY.fullmatch(key := answer.text.strip()):
            raise OutcomeUnknown("The answer holds no key")
        return key

    def use_key(self, key: str) -> None:
        """Use another key from now on."""
        self._transport.use_key(key)

    async def device(self) -> DeviceReport:
        """Return what the Supervisor reports of the device.

        GET /v1/device, Supervisor 1.6. Raises InvalidResponse when it is of something else.
        """
        report = await self._model(Endpoint.DEVICE, DeviceReport.from_json)
        if report.supervisor_version is None and report.api_port is None:
            raise InvalidResponse("The answer is not one of a Supervisor")
        self.version = report.version or self.version
        return report

    async def app(self, app_id: int) -> App:
        """Return the app of a device that runs a single container.

        GET /v1/apps/:appId, Supervisor 1.8. Raises NotFound, and Unsupported when the app
        has several containers.
        """
        return App.from_json(await self._told(Endpoint.APP, "appId", app_id=app_id))

    async def stop_app(self, app_id: int, *, force: bool = False) -> str | None:
        """Stop the only container of an app; returns its id.

        POST /v1/apps/:appId/stop, Supervisor 1.8. Raises as app() does.
        """
        return await self._container(Endpoint.APP_STOP, app_id, {"force": force})

    async def start_app(self, app_id: int) -> str | None:
        """Start the only container of an app; returns its id.

        POST /v1/apps/:appId/start, Supervisor 1.8. Raises as app() does.
        """
        return await self._container(Endpoint.APP_START, app_id, {})

    async def host_config(self) -> HostConfig:
        """Return hostname and proxy of the host.

        GET /v1/device/host-config, Supervisor 6.6.
        """
        return HostConfig.from_json(await self._told(Endpoint.HOST_CONFIG, "network"))

    async def set_host_config(
        self,
        *,
        hostname: str | None = None,
        proxy: Proxy | None = None,
        force: bool = False,
    ) -> None:
        """Change hostname or proxy; what is None stays.

        PATCH /v1/device/host-config, Supervisor 6.6; `dns` of the proxy 16.6. An empty
        hostname or proxy resets it. Raises BadRequest.
        """
        if proxy is not None and proxy.dns is not None:
            self._require(PROXY_DNS_SINCE)
        network: dict[str, object] = {}
        if hostname is not None:
            network["hostname"] = hostname
        if proxy is not None:
            network["proxy"] = proxy.as_json()
        await self._call(
            Endpoint.SET_HOST_CONFIG, json={"network": network, "force": force}
        )

    async def apps(self) -> AppReports:
        """Return all apps as they should run, with their services.

        GET /v2/applications/state, Supervisor 7.12. Raises InvalidResponse when it is of
        something else: that there are no apps, an empty object says.
        """
        return await self._model(Endpoint.APPS_STATE, _apps)

    async def app_state(self, app_id: int) -> ImageReports:
        """Return the services of one app by image id.

        GET /v2/applications/:appId/state, Supervisor 7.12. Raises NotFound.
        """
        answer = await self._told(Endpoint.APP_STATE, "local", app_id=app_id)
        return ImageReports.from_json(answer)

    async def state_status(self) -> StateStatus:
        """Return containers, images and the progress of an update.

        GET /v2/state/status, Supervisor 9.7. Can crash the Supervisor while the
        container engine fails.
        """
        return await self._model(
            Endpoint.STATE_STATUS,
            lambda value: StateStatus.from_json(_having("containers", value)),
        )

    async def restart_service(
        self, app_id: int, service: str | int, *, force: bool = False
    ) -> None:
        """Recreate the container of a service, given by name or image id.

        POST /v2/applications/:appId/restart-service, Supervisor 7.0; by name 8.2.2.
        Returns when it is done. Raises NotFound.
        """
        await self._service(Endpoint.RESTART_SERVICE, app_id, service, force=force)

    async def start_service(self, app_id: int, service: str | int) -> None:
        """Start the container of a service, given by name or image id.

        POST /v2/applications/:appId/start-service, Supervisor 7.0; by name 8.2.2.
        Needs no lock. Raises NotFound.
        """
        await self._service(Endpoint.START_SERVICE, app_id, service, force=False)

    async def stop_service(
        self, app_id: int, service: str | int, *, force: bool = False
    ) -> None:
        """Stop the container of a service, given by name or image id.

        POST /v2/applications/:appId/stop-service, Supervisor 7.0; by name 8.2.2.
        Returns when it is done. Raises NotFound.
        """
        await self._service(Endpoint.STOP_SERVICE, app_id, service, force=force)

    async def restart_app(self, app_id: int, *, force: bool = False) -> None:
        """Recreate all containers of an app.

        POST /v2/applications/:appId/restart, Supervisor 7.0. Returns when it is done.
        Raises NotFound.
        """
        await self._call(Endpoint.RESTART_APP, app_id=app_id, json={"force": force})

    async def purge_app(self, app_id: int, *, force: bool = False) -> None:
        """Delete the data of an app and recreate its containers.

        POST /v2/applications/:appId/purge, Supervisor 7.0. Returns when it is done.
        Raises NotFound.
        """
        await self._call(Endpoint.PURGE_APP, app_id=app_id, json={"force": force})

    async def supervisor_version(self) -> str | None:
        """Return the Supervisor's version.

        GET /v2/version, Supervisor 7.21.
        """
        answer = await self._told(Endpoint.VERSION, "version")
        return text_from_json(answer, "version")

    async def container_ids(self) -> Mapping[str, str]:
        """Return the container ids of all services by name.

        GET /v2/containerId, Supervisor 8.6. Can crash the Supervisor while the container
        engine fails.
        """
        answer = await self._told(Endpoint.CONTAINER_ID, "services")
        return container_ids_from_json(answer)

    async def target_state(self) -> Mapping[str, object]:
        """Return what should run, with the environment and the keys of every service.

        GET /v2/local/target-state, Supervisor 7.21. Raises InvalidResponse when it is nested
        so deeply that it could not be passed on.
        """
        answer = await self._told(Endpoint.TARGET_STATE, "state")
        state = object_from_json(answer, "state")
        try:
            orjson.dumps(state)
        except orjson.JSONEncodeError as err:
            raise InvalidResponse("It is nested too deeply") from err
        return state

    async def set_target_state(self, state: JsonObject) -> None:
        """Replace what should run; an empty object removes all apps.

        POST /v2/local/target-state, Supervisor 7.21. Local mode only; raises BadRequest.
        """
        await self._call(Endpoint.SET_TARGET_STATE, json=state)

    async def device_info(self) -> DeviceInfo:
        """Return architecture and device type.

        GET /v2/local/device-info, Supervisor 7.21.
        """
        return DeviceInfo.from_json(await self._told(Endpoint.DEVICE_INFO, "info"))

    async def local_logs(self) -> AsyncGenerator[LogLine]:
        """Yield the log lines of all services as they come, without end.

        GET /v2/local/logs, Supervisor 7.21.
        """
        endpoint = Endpoint.LOCAL_LOGS
        self._require(endpoint.since)
        async with self._transport.stream(endpoint.method, endpoint.path) as chunks:
            async for line in _lines(chunks):
                try:
                    value = orjson.loads(line)
                except orjson.JSONDecodeError:
                    # A line that was cut, or is no JSON, is still worth reading.
                    value = {"message": line.decode(errors="replace")}
                yield LogLine.from_json(value)

    async def device_name(self) -> str | None:
        """Return the device's name.

        GET /v2/device/name, Supervisor 9.11.
        """
        answer = await self._told(Endpoint.DEVICE_NAME, "deviceName")
        return text_from_json(answer, "deviceName")

    async def tags(self) -> Mapping[str, str]:
        """Return the device's tags by name.

        GET /v2/device/tags, Supervisor 9.11. The device asks its cloud for them.
        """
        return tags_from_json(await self._told(Endpoint.TAGS, "tags"))

    async def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the device; it reports them to its cloud later.

        PATCH /v2/device/tags, Supervisor 17.8. Raises BadRequest.
        """
        await self._call(Endpoint.SET_TAGS, json=tags)

    async def vpn(self) -> Vpn:
        """Return whether the VPN is enabled and connected.

        GET /v2/device/vpn, Supervisor 11.4.
        """
        return await self._model(
            Endpoint.VPN, lambda value: Vpn.from_json(_having("vpn", value))
        )

    async def cleanup_volumes(self) -> None:
        """Delete every volume that no container uses.

        GET /v2/cleanup-volumes, Supervisor 10.0.
        """
        await self._call(Endpoint.CLEANUP_VOLUMES)

    async def journal_logs(
        self,
        *,
        show_all: bool = False,
        follow: bool = False,
        count: int | None = None,
        unit: str | None = None,
        container_id: str | None = None,
        output_format: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncGenerator[str]:
        """Yield lines of the host's journal; with `follow` without end.

        POST /v2/journal-logs, Supervisor 10.2; `output_format` 10.3; `since` and `until`
        14.7.
        """
        if output_format is not None:
            self._require(JOURNAL_FORMAT_SINCE)
        if since is not None or until is not None:
            self._require(JOURNAL_SINCE_UNTIL_SINCE)
        options = {
            "all": show_all,
            "follow": follow,
            "count": count,
            "unit": unit,
            "containerId": container_id,
            "format": output_format,
            "since": _journal_time(since),
            "until": _journal_time(until),
        }
        endpoint = Endpoint.JOURNAL_LOGS
        self._require(endpoint.since)
        async with self._transport.stream(
            endpoint.method,
            endpoint.path,
            json={name: value for name, value in options.items() if value is not None},
        ) as chunks:
            async for line in _lines(chunks):
                yield line.decode(errors="replace")

    async def _call(
        self,
        endpoint: Endpoint,
        *,
        app_id: int | None = None,
        json: JsonObject | None = None,
    ) -> Response:
        self._require(endpoint.since)
        request = self._transport.request(
            endpoint.method,
            endpoint.path.format(app_id=app_id),
            json=json,
            timeout=endpoint.timeout,
            command=endpoint.is_command,
        )
        return await self.request_log.record(
            endpoint.label, request, keeps_body=endpoint in KEPT
        )

    async def _told(
        self, endpoint: Endpoint, name: str, *, app_id: int | None = None
    ) -> object:
        """Return an object that has a field by name. Raises InvalidResponse when it is of something else."""
        return _having(name, (await self._call(endpoint, app_id=app_id)).json())

    async def _model[ModelT](
        self, endpoint: Endpoint, make: Callable[[object], ModelT]
    ) -> ModelT:
        """Return what an answer is made into: the same object for the same answer as before."""
        answer = await self._call(endpoint)
        body, model = self._models.get(endpoint, (b"", None))
        if model is None or body != answer.body:
            model = make(answer.json())
        self._models[endpoint] = answer.body, model
        made: ModelT = model
        return made

    async def _container(
        self, endpoint: Endpoint, app_id: int, json: JsonObject
    ) -> str | None:
        answer = await self._call(endpoint, app_id=app_id, json=json)
        try:
            return text_from_json(answer.json(), "containerId")
        except InvalidResponse:
            # The command succeeded; only its container id is lost.
            return None

    async def _service(
        self, endpoint: Endpoint, app_id: int, service: str | int, *, force: bool
    ) -> None:
        if isinstance(service, str):
            self._require(SERVICE_BY_NAME_SINCE)
            json: JsonObject = {"serviceName": service, "force": force}
        else:
            json = {"imageId": service, "force": force}
        await self._call(endpoint, app_id=app_id, json=json)

    def _require(self, version: Version) -> None:
        if self.version is not None and self.version < version:
            raise Unsupported(f"It needs Supervisor {format_version(version)} or later")


def _journal_time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else None


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the lines of a stream without their ends; the rest of a long one is dropped."""
    line = bytearray()
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            line += end
            if text := bytes(line[:MAX_LINE]).rstrip(b"\r"):
                yield text
            line.clear()
        line += rest
        del line[MAX_LINE:]
    if line:
        yield bytes(line)


def _apps(value: object) -> AppReports:
    reports = AppReports.from_json(value)
    if not reports.apps and value != {}:
        raise InvalidResponse("The answer is not one of a Supervisor")
    return reports


def _having(name: str, value: object) -> object:
    """Return an answer that has a field. Raises InvalidResponse."""
    if name not in parse_object(value):
        raise InvalidResponse("The answer is not one of a Supervisor")
    return value
