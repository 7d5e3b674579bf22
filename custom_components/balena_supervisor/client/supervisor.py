"""Supervisor: client of the Supervisor API, with one method per endpoint."""

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
import re
from typing import Any, Final

import orjson

from .endpoints import (
    DIAGNOSTIC_ENDPOINTS,
    FALLBACKS,
    SILENT_LOCK_TIMEOUT,
    Capability,
    Endpoint,
    Version,
    format_version,
)
from .errors import (
    BadRequest,
    CommandTimeout,
    InvalidResponse,
    OutcomeUnknown,
    ProbablyLocked,
    Reason,
    SupervisorError,
    Unsupported,
)
from .http import JsonObject
from .iteration import iterate_lines
from .models import (
    App,
    AppReports,
    DeviceInfo,
    DeviceReport,
    HostConfig,
    HostProxy,
    LogLine,
    StateStatus,
    Vpn,
    parse_apps,
    parse_container_ids,
    parse_tags,
)
from .parsing import parse_object, parse_text
from .request_log import RequestLog
from .responses import Response
from .transport import Transport

# Rejects responses such as "null" and "OK".
_API_KEY: Final = r"(?a)\w{32,}"


class Supervisor:
    """Client of the Supervisor of one device.

    `force` overrides update locks. A version in a docstring is that of the first Supervisor that has the endpoint.

    Every method can raise these errors, and those of its transport:
        AccessDenied: The API key is valid, but not for the app.
        AuthenticationFailed: The API key is missing or invalid.
        ConnectionFailed: The connection failed, or was lost during a read.
        DeviceOffline: The Supervisor is down, or the balena API cannot reach the device.
        InvalidResponse: The response to a read does not have the expected content.
        OutcomeUnknown: A command was sent, but no usable response arrived.
        RateLimited: Too many requests.
        RequestTimeout: The connection timed out, or a read got no response in time.
        SupervisorError: The Supervisor failed.
        Unsupported: The Supervisor is older than the endpoint, or the transport cannot carry the request.
        UpdateLocked: A lock rejected the command.
    """

    __slots__ = ("_model_cache", "_transport", "request_log", "version")

    def __init__(self, transport: Transport) -> None:
        """Initialize the client. `version` is None until `device()` has returned."""
        self._transport = transport
        self.request_log = RequestLog()
        self.version: Version | None = None
        # Body and model of the last response.
        self._model_cache: dict[Endpoint, tuple[bytes, Any]] = {}

    def supports(self, feature: Endpoint | Capability) -> bool:
        """Return whether the Supervisor has an endpoint or capability, True while its version is unknown."""
        # Only the response of this endpoint can correct a version that was wrong once.
        return feature is Endpoint.DEVICE or feature.is_supported_by(self.version)

    def require(self, feature: Endpoint | Capability) -> None:
        """Check that the Supervisor has an endpoint or capability.

        Raises:
            Unsupported: The Supervisor is older.
        """
        if not self.supports(feature):
            version = format_version(feature.since)
            raise Unsupported(f"It needs Supervisor {version} or later", since=version)

    def endpoint_for(self, endpoint: Endpoint) -> Endpoint | None:
        """Return an endpoint or its fallback, whichever the Supervisor has. None if it has neither."""
        if self.supports(endpoint):
            return endpoint
        fallback = FALLBACKS.get(endpoint)
        return fallback if fallback is not None and self.supports(fallback) else None

    async def ping(self) -> None:
        """Check that the Supervisor responds. GET /ping, Supervisor 1.1.

        Needs no API key. On Supervisor 19, the process that forwards requests to it (balena-io/helios)
        responds, even if the Supervisor is down.

        Raises:
            InvalidResponse: Another server responded.
        """
        response = await self._request(Endpoint.PING)
        if response.body.strip() != b"OK":
            raise InvalidResponse("The response is not from a balena Supervisor")

    async def is_healthy(self) -> bool:
        """Return whether the Supervisor reports that it works. GET /v1/healthy, Supervisor 6.5.

        Needs no API key. A device without internet and VPN is unhealthy. An unhealthy Supervisor without
        `Capability.UNHEALTHY_RESPONSE` may not respond, which raises RequestTimeout.
        """
        messages = {"Unhealthy"}
        if not self.supports(Capability.UNHEALTHY_RESPONSE):
            messages.add("Internal Server Error")
        try:
            await self._request(Endpoint.HEALTHY)
        except SupervisorError as err:
            # Any other message can be that of a server in between.
            if str(err) not in messages:
                raise
            return False
        return True

    async def blink(self) -> None:
        """Blink the LED of the device for 15 s. POST /v1/blink, Supervisor 1.1."""
        await self._request(Endpoint.BLINK)

    async def update(self, *, force: bool = False, cancel: bool = False) -> bool:
        """Fetch the target state and apply it. POST /v1/update, Supervisor 1.1.

        `cancel` first cancels the update in progress. From Supervisor 17.5 on, `force` overrides the lock that an
        update in progress waits for only together with `cancel`.

        Return False if the device ignores the request, because its instant updates are disabled and `force` is
        not set.
        """
        response = await self._request(
            Endpoint.UPDATE, json={"force": force, "cancel": cancel}
        )
        # Supervisor 19 also responds 202 to a request that it executes, but with an empty body.
        return response.text.strip() != "Accepted"

    async def reboot(self, *, force: bool = False) -> None:
        """Reboot the device. POST /v1/reboot, Supervisor 1.1."""
        await self._request(Endpoint.REBOOT, json={"force": force})

    async def shutdown(self, *, force: bool = False) -> None:
        """Shut the device down. POST /v1/shutdown, Supervisor 1.1."""
        await self._request(Endpoint.SHUTDOWN, json={"force": force})

    async def purge(self, app_id: int, *, force: bool = False) -> None:
        """Delete the data of an app, recreate its containers, and wait. POST /v1/purge, Supervisor 1.1.

        Raises:
            NotFound: The device does not run the app.
        """
        await self._request(Endpoint.PURGE, json={"appId": app_id, "force": force})

    async def restart(self, app_id: int, *, force: bool = False) -> None:
        """Recreate all containers of an app, and wait. POST /v1/restart, Supervisor 1.1.

        Raises:
            NotFound: The device does not run the app.
        """
        await self._request(Endpoint.RESTART, json={"appId": app_id, "force": force})

    async def regenerate_api_key(self) -> str:
        """Replace the API key and return the new one. POST /v1/regenerate-api-key, Supervisor 1.1.

        The current key becomes invalid immediately. The client keeps it until `set_api_key()` is called.

        Raises:
            OutcomeUnknown: The response does not contain a key.
        """
        response = await self._request(Endpoint.REGENERATE_API_KEY)
        if not re.fullmatch(_API_KEY, api_key := response.text.strip()):
            raise OutcomeUnknown("The response does not contain a key")
        return api_key

    def set_api_key(self, api_key: str) -> None:
        """Use another API key from now on."""
        self._transport.set_api_key(api_key)

    async def device(self) -> DeviceReport:
        """Return versions, addresses and update flags. GET /v1/device, Supervisor 1.6.

        The call also sets `version`.
        """
        report = await self._get_model(Endpoint.DEVICE, DeviceReport.from_json)
        if report.supervisor_version is None and report.api_port is None:
            raise InvalidResponse("The response is not from a balena Supervisor")
        self.version = report.version or self.version
        return report

    async def app(self, app_id: int) -> App:
        """Return the app of a device that runs a single container. GET /v1/apps/:appId, Supervisor 1.8.

        Raises:
            NotFound: The device does not run the app.
            Unsupported: The app has several containers.
        """
        return App.from_json(
            await self._get_object(Endpoint.APP, "appId", app_id=app_id)
        )

    async def stop_app(self, app_id: int, *, force: bool = False) -> str | None:
        """Stop the only container of an app. POST /v1/apps/:appId/stop, Supervisor 1.8.

        Return the id of the container, None if the response does not contain it.

        Raises:
            NotFound: The device does not run the app.
            Unsupported: The app has several containers.
        """
        return await self._command_container(
            Endpoint.APP_STOP, app_id, {"force": force}
        )

    async def start_app(self, app_id: int, *, force: bool = False) -> str | None:
        """Start the only container of an app. POST /v1/apps/:appId/start, Supervisor 1.8.

        Update locks apply before Supervisor 7.0.

        Return the id of the container, None if the response does not contain it.

        Raises:
            NotFound: The device does not run the app.
            Unsupported: The app has several containers.
        """
        return await self._command_container(
            Endpoint.APP_START, app_id, {"force": force}
        )

    async def host_config(self) -> HostConfig:
        """Return hostname and proxy of the host. GET /v1/device/host-config, Supervisor 6.6."""
        return HostConfig.from_json(
            await self._get_object(Endpoint.HOST_CONFIG, "network")
        )

    async def set_host_config(
        self,
        *,
        hostname: str | None = None,
        proxy: HostProxy | None = None,
        force: bool = False,
    ) -> None:
        """Change hostname or proxy. PATCH /v1/device/host-config, Supervisor 6.6; `proxy.dns` 16.6.

        None keeps the current value, an empty hostname or proxy resets it. A proxy replaces the current one as a
        whole, although the Supervisor itself keeps the fields that a request lacks. Update locks apply from
        Supervisor 12.11.34 on.

        Raises:
            BadRequest: The Supervisor rejected the settings.
        """
        if proxy is not None and proxy.dns is not None:
            self.require(Capability.PROXY_DNS)
        network: dict[str, object] = {}
        if hostname is not None:
            network["hostname"] = hostname
        if proxy is not None:
            network["proxy"] = proxy.to_json(
                with_dns=self.supports(Capability.PROXY_DNS)
            )
        await self._request(
            Endpoint.SET_HOST_CONFIG, json={"network": network, "force": force}
        )

    async def apps(self) -> AppReports:
        """Return all apps with the services of their target release. GET /v2/applications/state, Supervisor 7.12.

        The result is empty if the device has no apps.
        """
        return await self._get_model(Endpoint.APPS_STATE, _require_apps)

    async def running_commit(self, app_id: int) -> str | None:
        """Return the commit of the release that an app runs, or None during an update.

        GET /v2/applications/:appId/state, Supervisor 7.12.

        Raises:
            NotFound: The device does not run the app.
        """
        data = await self._get_object(Endpoint.APP_STATE, "local", app_id=app_id)
        return parse_text(data.get("commit"))

    async def state_status(self) -> StateStatus:
        """Return containers, images and download progress. GET /v2/state/status, Supervisor 9.7.

        The Supervisor can crash if the container engine fails.
        """
        return await self._get_model(
            Endpoint.STATE_STATUS,
            lambda value: StateStatus.from_json(_require_field("containers", value)),
        )

    async def restart_service(
        self, app_id: int, service: str | int, *, force: bool = False
    ) -> None:
        """Recreate the container of a service, and wait.

        POST /v2/applications/:appId/restart-service, Supervisor 7.0; by name 8.3. `service` is a name or an
        image id.

        Raises:
            ProbablyLocked: A Supervisor before 12.2.11 did not respond.
            NotFound: The device does not run the app or the service.
        """
        await self._command_service(
            Endpoint.RESTART_SERVICE, app_id, service, force=force
        )

    async def start_service(
        self, app_id: int, service: str | int, *, force: bool = False
    ) -> None:
        """Start the container of a service.

        POST /v2/applications/:appId/start-service, Supervisor 7.0; by name 8.3. `service` is a name or an
        image id. Update locks do not apply from Supervisor 12.2.11 on.

        Raises:
            ProbablyLocked: A Supervisor before 12.2.11 did not respond.
            NotFound: The device does not run the app or the service.
        """
        await self._command_service(
            Endpoint.START_SERVICE, app_id, service, force=force
        )

    async def stop_service(
        self, app_id: int, service: str | int, *, force: bool = False
    ) -> None:
        """Stop the container of a service.

        POST /v2/applications/:appId/stop-service, Supervisor 7.0; by name 8.3. `service` is a name or an
        image id. Supervisor 19 responds before the container has stopped.

        Raises:
            ProbablyLocked: A Supervisor before 12.2.11 did not respond.
            NotFound: The device does not run the app or the service.
        """
        await self._command_service(Endpoint.STOP_SERVICE, app_id, service, force=force)

    async def restart_app(self, app_id: int, *, force: bool = False) -> None:
        """Recreate all containers of an app, and wait.

        POST /v2/applications/:appId/restart, Supervisor 7.0.

        Raises:
            NotFound: The device does not run the app.
        """
        await self._request(Endpoint.RESTART_APP, app_id=app_id, json={"force": force})

    async def purge_app(self, app_id: int, *, force: bool = False) -> None:
        """Delete the data of an app, recreate its containers, and wait.

        POST /v2/applications/:appId/purge, Supervisor 7.0.

        Raises:
            NotFound: The device does not run the app.
        """
        await self._request(Endpoint.PURGE_APP, app_id=app_id, json={"force": force})

    async def supervisor_version(self) -> str | None:
        """Return the version of the Supervisor, such as "19.0.5". GET /v2/version, Supervisor 7.21."""
        data = await self._get_object(Endpoint.VERSION, "version")
        return parse_text(data["version"])

    async def container_ids(self) -> Mapping[str, str]:
        """Return the container ids of all services by name. GET /v2/containerId, Supervisor 8.6.

        The Supervisor can crash if the container engine fails.
        """
        return parse_container_ids(
            await self._get_object(Endpoint.CONTAINER_ID, "services")
        )

    async def target_state(self) -> Mapping[str, object]:
        """Return the target state. GET /v2/local/target-state, Supervisor 7.21; outside local mode 10.6.33.

        It contains the environment variables and API keys of all services of all apps.

        Raises:
            InvalidResponse: The state is missing, or nested too deeply to be written as JSON.
        """
        try:
            data = await self._get_object(Endpoint.TARGET_STATE, "state")
        except BadRequest as err:
            if self.supports(Capability.TARGET_STATE_IN_ANY_MODE):
                raise
            raise Unsupported(
                "It needs local mode, or Supervisor 10.6.33 or later",
                Reason.NOT_IN_LOCAL_MODE,
            ) from err
        state = parse_object(data["state"])
        try:
            orjson.dumps(state)
        except orjson.JSONEncodeError as err:
            raise InvalidResponse("The target state is nested too deeply") from err
        return state

    async def set_target_state(self, state: JsonObject) -> None:
        """Replace the target state. POST /v2/local/target-state, Supervisor 7.21.

        An empty object removes all apps.

        Raises:
            BadRequest: The Supervisor rejected the state, or the device is not in local mode.
        """
        await self._request(Endpoint.SET_TARGET_STATE, json=state)

    async def device_info(self) -> DeviceInfo:
        """Return architecture and device type. GET /v2/local/device-info, Supervisor 7.21."""
        return DeviceInfo.from_json(
            await self._get_object(Endpoint.DEVICE_INFO, "info")
        )

    async def local_logs(self) -> AsyncGenerator[LogLine]:
        """Yield the log lines of all services as they are written. GET /v2/local/logs, Supervisor 7.21.

        A line that is not JSON becomes the message.
        """
        endpoint = Endpoint.LOCAL_LOGS
        self.require(endpoint)
        async with self._transport.stream(endpoint.method, endpoint.path) as chunks:
            async for line in iterate_lines(chunks):
                try:
                    value = orjson.loads(line)
                except orjson.JSONDecodeError:
                    value = {"message": line.decode(errors="replace")}
                yield LogLine.from_json(value)

    async def device_name(self) -> str | None:
        """Return the name of the device. GET /v2/device/name, Supervisor 9.11."""
        data = await self._get_object(Endpoint.DEVICE_NAME, "deviceName")
        return parse_text(data["deviceName"])

    async def tags(self) -> Mapping[str, str]:
        """Return the tags of the device by name. GET /v2/device/tags, Supervisor 9.11.

        The Supervisor requests them from the balena API, and fails if the device is offline.
        """
        return parse_tags(await self._get_object(Endpoint.TAGS, "tags"))

    async def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the device, and keep its other tags. PATCH /v2/device/tags, Supervisor 17.8.

        The Supervisor responds before it sends them to the balena API.

        Raises:
            BadRequest: The Supervisor rejected a tag.
        """
        await self._request(Endpoint.SET_TAGS, json=tags)

    async def vpn(self) -> Vpn:
        """Return whether the VPN is enabled and connected. GET /v2/device/vpn, Supervisor 11.4."""
        return await self._get_model(
            Endpoint.VPN, lambda value: Vpn.from_json(_require_field("vpn", value))
        )

    async def cleanup_volumes(self) -> None:
        """Delete all volumes that no container uses. GET /v2/cleanup-volumes, Supervisor 10.0."""
        await self._request(Endpoint.CLEANUP_VOLUMES)

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
        """Yield lines of the host's journal. POST /v2/journal-logs, Supervisor 10.2.

        `follow` keeps yielding new lines. `count` limits the lines from the past. `output_format` is a format of
        journalctl such as "json", from Supervisor 10.3 on. `container_id` needs Supervisor 10.9, `since` and
        `until` 14.7.
        """
        if output_format is not None:
            self.require(Capability.JOURNAL_FORMAT)
        if container_id is not None:
            self.require(Capability.JOURNAL_OF_CONTAINER)
        if since is not None or until is not None:
            self.require(Capability.JOURNAL_TIME_RANGE)
        options = {
            "all": show_all,
            "follow": follow,
            "count": count,
            "unit": unit,
            "containerId": container_id,
            "format": output_format,
            "since": _format_journal_time(since),
            "until": _format_journal_time(until),
        }
        endpoint = Endpoint.JOURNAL_LOGS
        self.require(endpoint)
        async with self._transport.stream(
            endpoint.method,
            endpoint.path,
            json={name: value for name, value in options.items() if value is not None},
        ) as chunks:
            async for line in iterate_lines(chunks):
                yield line.decode(errors="replace")

    async def _request(
        self,
        endpoint: Endpoint,
        *,
        app_id: int | None = None,
        json: JsonObject | None = None,
        timeout: float | None = None,
    ) -> Response:
        self.require(endpoint)
        request = self._transport.request(
            endpoint.method,
            endpoint.path.format(app_id=app_id),
            json=json,
            timeout=endpoint.timeout if timeout is None else timeout,
            is_command=endpoint.is_command,
        )
        return await self.request_log.record(
            endpoint.label, request, keep_body=endpoint in DIAGNOSTIC_ENDPOINTS
        )

    async def _get_object(
        self, endpoint: Endpoint, required_field: str, *, app_id: int | None = None
    ) -> Mapping[str, object]:
        """Return the JSON object of an endpoint.

        Raises:
            InvalidResponse: The response is not an object with the required field.
        """
        response = await self._request(endpoint, app_id=app_id)
        return await response.parse(partial(_require_field, required_field))

    async def _get_model[ModelT](
        self, endpoint: Endpoint, parse: Callable[[object], ModelT]
    ) -> ModelT:
        """Return the model of an endpoint, the same object if the response has not changed."""
        response = await self._request(endpoint)
        body, cached = self._model_cache.get(endpoint, (b"", None))
        if cached is None or body != response.body:
            cached = await response.parse(parse)
        self._model_cache[endpoint] = response.body, cached
        model: ModelT = cached
        return model

    async def _command_container(
        self, endpoint: Endpoint, app_id: int, json: JsonObject
    ) -> str | None:
        response = await self._request(endpoint, app_id=app_id, json=json)
        try:
            return parse_text((await response.parse(parse_object)).get("containerId"))
        except InvalidResponse:
            # The command succeeded nevertheless.
            return None

    async def _command_service(
        self, endpoint: Endpoint, app_id: int, service: str | int, *, force: bool
    ) -> None:
        if isinstance(service, str):
            self.require(Capability.SERVICE_BY_NAME)
            json: JsonObject = {"serviceName": service, "force": force}
        else:
            json = {"imageId": service, "force": force}
        if force or self.supports(Capability.LOCK_RESPONSE):
            await self._request(endpoint, app_id=app_id, json=json)
            return
        timeout = min(endpoint.timeout, SILENT_LOCK_TIMEOUT)
        try:
            await self._request(endpoint, app_id=app_id, json=json, timeout=timeout)
        except CommandTimeout as err:
            raise ProbablyLocked("An app probably holds an update lock") from err


def _format_journal_time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else None


def _require_apps(value: object) -> AppReports:
    """Return the apps. Raises InvalidResponse if the value lists none and is not empty."""
    apps = parse_apps(value)
    if not apps and value != {}:
        raise InvalidResponse("The response is not from a balena Supervisor")
    return apps


def _require_field(name: str, value: object) -> Mapping[str, object]:
    """Return a JSON object that has a field.

    Raises:
        InvalidResponse: The value is not an object, or lacks the field.
    """
    data = parse_object(value)
    if name not in data:
        raise InvalidResponse("The response is not from a balena Supervisor")
    return data
