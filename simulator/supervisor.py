"""The HTTP API of a Supervisor, including its known bugs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
import contextlib
from dataclasses import dataclass, field
from functools import partial
import hashlib
import json
import re
import ssl as tls
from typing import Any, Final, override
from urllib.parse import parse_qs, parse_qsl

from . import journal, versions
from .apps import App, Release, Service
from .device import Device
from .journal import JournalEntry
from .refusals import Locked, NoImage, Refusal, UnknownApp, UnknownService
from .replies import (
    Hangup,
    NoAnswer,
    Reply,
    Stream,
    error_page,
    json_data,
    json_error,
    plain_text,
    sentence,
    unknown_path,
)
from .server import MAX_BODY, HttpServer, Request
from .versions import BackendFailure, HostConfigCheck, LockAnswer, Locking

_TRUE: Final = {"1", "true", "on"}
_FRONT_METHODS: Final = {"/ping": {"GET", "HEAD"}, "/v1/update": {"POST"}}
_FRONT_ERROR: Final = (
    "Target connection failed: error sending request for url"
    " (http://10.114.104.1:48480{path})"
)


@dataclass(slots=True)
class _Call:
    """A request to a route."""

    request: Request
    key: str | None
    is_global: bool
    scope: set[int]
    arguments: dict[str, str] = field(default_factory=dict)
    payload: object = None
    checks_locks: bool = True

    @property
    def body(self) -> dict[str, Any]:
        """The fields of the body, empty if the body is an array."""
        return self.payload if isinstance(self.payload, dict) else {}

    @property
    def force(self) -> bool:
        """Whether the body contains a value for `force` that the Supervisor accepts."""
        return str(self.body.get("force", "")).lower() in _TRUE

    def can_access(self, app_id: int) -> bool:
        """Return whether the key can access an app."""
        return self.is_global or app_id in self.scope


def _app_id(value: object) -> int | None:
    """Parse an id as Express does. Returns None if it is invalid."""
    text = str(value)
    return int(text) if text.isdecimal() and int(text) > 0 else None


type Handler = Callable[[Device, _Call], Reply | Stream | Awaitable[Reply | Stream]]

# The error that a route forwards if the container engine is down.
_NO_ENGINE: Final = "connect ECONNREFUSED /var/run/balena-engine.sock"


@dataclass(frozen=True, slots=True)
class Route:
    """A route, and the Supervisor version that introduced it."""

    method: str
    path: str
    since: tuple[int, ...]
    handler: Handler
    locking: Locking | None = None
    is_open: bool = False
    reads_body: bool = True

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the arguments in a path, None if the route does not match."""
        method = "GET" if method == "HEAD" else method
        pattern = re.sub(r":(\w+)", r"(?P<\1>[^/]+)", self.path)
        found = re.fullmatch(pattern, path, re.IGNORECASE)
        return found.groupdict() if found and method == self.method else None


# v1


def _ping(device: Device, call: _Call) -> Reply:
    return sentence("OK")


def _healthy(device: Device, call: _Call) -> Reply:
    if device.healthy:
        return plain_text("OK")
    complaint = versions.UNHEALTHY.at(device.version)
    if complaint is None:
        raise NoAnswer
    return sentence(complaint, 500)


def _blink(device: Device, call: _Call) -> Reply:
    device.blink()
    return plain_text("OK")


def _update(device: Device, call: _Call) -> Reply:
    if not device.instant_update_trigger and not call.force:
        return plain_text("Accepted", 202)
    cancel = str(call.body.get("cancel", "")).lower() in _TRUE
    device.check_for_update(force=call.force, cancel=cancel)
    return Reply(204)


def _go_down(command: str) -> Handler:
    def go_down(device: Device, call: _Call) -> Reply:
        device.go_down(command, force=call.force, checks_locks=call.checks_locks)
        return json_data({"Data": "OK", "Error": None}, 202)

    return go_down


async def _v1_restart(device: Device, call: _Call) -> Reply:
    app_id = _app_id(call.body.get("appId"))
    if app_id is None:
        return sentence("Missing app id", 400)
    if not call.can_access(app_id):
        return json_error("Unauthorized", 401)
    await device.restart(app_id, force=call.force, checks_locks=call.checks_locks)
    return sentence("OK")


async def _v1_purge(device: Device, call: _Call) -> Reply:
    app_id = _app_id(call.body.get("appId"))
    if app_id is None:
        return sentence("Invalid or missing appId", 400)
    if not call.can_access(app_id):
        return json_error("Unauthorized", 401)
    await device.purge(app_id, force=call.force, checks_locks=call.checks_locks)
    return json_data({"Data": "OK", "Error": ""})


def _regenerate(device: Device, call: _Call) -> Reply:
    if call.key is None:
        return json_error("")
    if versions.REGENERATION_FAILS.at(device.version):
        return error_page("Internal Server Error")
    return sentence(device.regenerate_key(call.key))


def _device(device: Device, call: _Call) -> Reply:
    mac_address = {"mac_address": " ".join(device.mac_addresses)}
    report: dict[str, Any] = {
        "api_port": 48484,
        "ip_address": " ".join(device.ip_addresses),
        "os_version": device.os_version,
        **(mac_address if versions.REPORTS_MAC_ADDRESS.at(device.version) else {}),
        "supervisor_version": device.supervisor_version,
        "update_pending": device.update_pending,
        "update_failed": device.update_failed,
        "update_downloaded": device.update_downloaded,
    }
    first = min(device.apps.values(), key=lambda app: app.id, default=None)
    if first is not None and first.release.services:
        if device.settled:
            report["commit"] = first.release.commit
        service = min(first.release.services, key=lambda item: item.image_id)
        container = device.containers.get((first.id, service.name))
        status = container.status if container else "Downloaded"
        report["status"] = "Idle" if status == "Running" else status
        report["download_progress"] = None
    return json_data(report)


def _app(device: Device, call: _Call) -> Reply:
    app_id = _app_id(call.arguments["app_id"])
    if app_id is None:
        return sentence("Missing app id", 400)
    app = device.apps.get(app_id)
    if app is None and call.is_global:
        return sentence("App not found", 400)
    if app is None or not call.can_access(app_id):
        return json_error("Application is not available", 401)
    if len(app.release.services) != 1:
        return sentence(
            "Some v1 endpoints are only allowed on single-container apps", 400
        )
    service = app.release.services[0]
    container = device.containers.get((app_id, service.name))
    if container is None:
        return sentence("App not found", 400)
    is_text = versions.APP_ID_IS_TEXT.at(device.version)
    image_id = versions.APP_IMAGE_ID.at(device.version)
    report: dict[str, Any] = {
        "appId": str(app.id) if is_text else app.id,
        "commit": app.release.commit,
        "containerId": container.id,
        "env": _environment(device, app, service),
    }
    if image_id is not None:
        report["imageId"] = image_id.format(
            image=service.image, docker_id=_docker_id(service)
        )
    return json_data(report | {"releaseId": app.release.id})


def _v1_run(*, stops: bool) -> Handler:
    async def run(device: Device, call: _Call) -> Reply:
        app_id = _app_id(call.arguments["app_id"])
        if app_id is None:
            return sentence("Invalid app id", 400)
        if not call.can_access(app_id):
            return sentence("Unauthorized", 401)
        if app_id in device.apps and len(device.apps[app_id].release.services) > 1:
            return sentence(
                "Some v1 endpoints are only allowed on single-container apps", 400
            )
        run_service = device.stop_service if stops else device.start_service
        container_id = await run_service(
            app_id, 0, force=call.force, checks_locks=call.checks_locks
        )
        return json_data({"containerId": container_id})

    return run


def _host_config(device: Device, call: _Call) -> Reply:
    network: dict[str, Any] = {"hostname": device.hostname}
    if device.proxy:
        exceptions = {"noProxy": device.no_proxy} if device.no_proxy else {}
        network["proxy"] = device.proxy | exceptions
    return json_data({"network": network})


def _set_host_config(device: Device, call: _Call) -> Reply:
    check = versions.HOST_CONFIG_CHECK.at(device.version)
    problem = _host_config_problem(call.body)
    if problem and check is HostConfigCheck.FULL:
        return sentence(
            f"Could not parse host config input to a valid format:\n{problem}", 400
        )
    network = call.body.get("network")
    if not isinstance(network, dict):
        if check is HostConfigCheck.NONE:
            return sentence("OK")
        message = versions.UNREADABLE.at(device.version)
        return _error(device, message.format(name="proxy", value="undefined"))
    if call.checks_locks:
        device.check_locks(force=call.force)
    # A new hostname is visible only after the next boot, so it is not stored.
    if "proxy" in network:
        _set_proxy(device, network["proxy"])
    device.commands.append(("set_host_config", network))
    return sentence("OK")


def _set_proxy(device: Device, given: object) -> None:
    """Change the given fields of a proxy. Without any field, remove the proxy."""
    if not given or not isinstance(given, dict):
        device.proxy = {}
        return
    proxy = device.proxy | given
    # The exceptions stay, even without a proxy.
    device.no_proxy = proxy.pop("noProxy", device.no_proxy)
    if proxy.get("dns") is False:
        del proxy["dns"]
    kinds = {"socks4", "socks5", "http-connect", "http-relay"}
    device.proxy = proxy if proxy.get("type") in kinds else {}


def _host_config_problem(body: dict[str, Any]) -> str:
    network = body.get("network")
    if not isinstance(network, dict):
        return (
            "Expecting Partial<{| proxy: ({ [K in string]: any } & Partial<{ dns:"
            " (AddressString | boolean) }>), hostname: string |}> at network but"
            " instead got: undefined"
        )
    hostname = network.get("hostname", "")
    if not isinstance(hostname, str):
        return f"Expecting string at network.hostname but instead got: {hostname}"
    # Null and false remove a proxy, like {}.
    dns = (network.get("proxy") or {}).get("dns", False)
    if not isinstance(dns, bool | str):
        return (
            "Expecting one of:\n    AddressString\n    boolean\n"
            f"at network.proxy.1.dns but instead got: {dns}"
        )
    return ""


# v2


def _service_reports(device: Device, app: App) -> tuple[Release, str, dict[str, Any]]:
    """Return the target release, the update status and the services of an app."""
    update = device.current_update
    if update is not None and update.app_id == app.id:
        release, phase = update.release, update.phase
    elif any(key[0] == app.id for key in device.containers):
        release, phase = app.release, "done" if device.settled else "applying changes"
    else:
        # An app without services is always complete.
        release, phase = app.release, "downloaded" if app.release.services else "done"
    known = [
        container.service
        for container in device.containers.values()
        if container.app_id == app.id
    ]
    ordered = [service for service in known if service in release.services]
    ordered += [service for service in release.services if service not in ordered]
    reports = {}
    for service in ordered:
        progress: float | None = None
        container = device.containers.get((app.id, service.name))
        if phase in {"downloading", "downloaded"}:
            is_new = service not in app.release.services
            downloads = is_new and phase == "downloading"
            status = "Downloading" if downloads else "Downloaded"
            progress = int(update.progress) if downloads and update else None
        else:
            is_current = container is not None and container.service == service
            status = container.status if container and is_current else "Downloaded"
        reports[service.name] = {
            "status": status,
            "image": service.image,
            "downloadProgress": progress,
            "releaseId": release.id,
        }
    return release, phase, reports


def _apps_state(device: Device, call: _Call) -> Reply:
    answer = {}
    update = device.current_update
    for app in device.apps.values():
        if not call.can_access(app.id):
            continue
        release, phase, services = _service_reports(device, app)
        report: dict[str, Any] = {"appId": app.id}
        if versions.REPORTS_APP_UUID.at(device.version):
            report["appUuid"] = app.uuid
        report["commit"] = release.commit
        if versions.REPORTS_UPDATE_STATUS.at(device.version):
            report["updateStatus"] = phase
        if update is not None and update.hides_services and update.app_id == app.id:
            services, update.hides_services = {}, False
        answer[app.name] = report | {"services": services}
    return json_data(answer)


def _app_state(device: Device, call: _Call) -> Reply:
    text = call.arguments["app_id"]
    app_id = _app_id(text)
    apps = [app for app in device.apps.values() if call.can_access(app.id)]
    asked = [app for app in apps if app.id == app_id]
    if not asked and versions.STATE_TAKES_ANY_ID.at(device.version):
        asked = apps
    elif app_id is None:
        return json_error(f"Invalid application ID: {text}", 400)
    elif not asked:
        return json_error(f"Application ID does not exist: {app_id}", 409)
    local = {}
    for app in asked:
        release, _, reports = _service_reports(device, app)
        services = {
            str(service.image_id): {
                "status": reports[service.name]["status"],
                "releaseId": release.id,
                "download_progress": reports[service.name]["downloadProgress"],
            }
            for service in release.services
        }
        local[str(app.id)] = {"services": services}
    answer: dict[str, Any] = {"local": local}
    if device.settled and asked:
        answer["commit"] = asked[0].release.commit
    return json_data(answer)


def _state_status(device: Device, call: _Call) -> Reply:
    update = device.current_update
    containers = [
        item for item in device.containers.values() if call.can_access(item.app_id)
    ]
    # The response contains only one app.
    app_id = containers[0].app_id if containers else min(device.apps, default=None)
    app = None if app_id is None or not call.can_access(app_id) else device.apps[app_id]
    images = []
    if app is not None:
        release, _, reports = _service_reports(device, app)
        images = [
            {
                "name": service.image,
                "appId": app.id,
                "serviceName": service.name,
                "imageId": service.image_id,
                "dockerImageId": f"sha256:{_docker_id(service)}",
                "status": "Downloading"
                if reports[service.name]["status"] == "Downloading"
                else "Downloaded",
                "downloadProgress": reports[service.name]["downloadProgress"],
            }
            for service in release.services
        ]
    is_downloading = update is not None and update.phase == "downloading"
    answer = {
        "status": "success",
        "appState": "applied" if device.settled else "applying",
        "overallDownloadProgress": int(update.progress)
        if update and is_downloading
        else None,
        "containers": [
            {
                "status": container.status,
                "serviceName": container.service.name,
                "appId": container.app_id,
                "imageId": container.service.image_id,
                "serviceId": container.service.service_id,
                "containerId": container.id,
                "createdAt": container.created_at,
            }
            for container in containers
            if container.app_id == app_id
        ],
        "images": images,
    }
    if app is not None:
        answer["release"] = app.release.commit
    return json_data(answer)


def _service_action(action: str) -> Handler:
    async def act(device: Device, call: _Call) -> Reply:
        app_id = _app_id(call.arguments["app_id"])
        if app_id is None:
            return json_error("Invalid app id", 400)
        if not call.can_access(app_id):
            return json_error("Unauthorized", 401)
        name, image = call.body.get("serviceName"), call.body.get("imageId")
        if not versions.SERVICES_BY_NAME.at(device.version):
            name = None
        service = name if isinstance(name, str) else _app_id(image)
        if service is None:
            status, text = versions.NO_SERVICE_GIVEN.at(device.version)
            return _error(device, text) if status == 503 else sentence(text, status)
        act_on = {
            "restart": device.restart_service,
            "start": device.start_service,
            "stop": device.stop_service,
        }[action]
        await act_on(app_id, service, force=call.force, checks_locks=call.checks_locks)
        return sentence("OK")

    return act


def _app_action(action: str) -> Handler:
    async def act(device: Device, call: _Call) -> Reply:
        app_id = _app_id(call.arguments["app_id"])
        if app_id is None:
            return json_error("Missing app id", 400)
        if not call.can_access(app_id):
            return json_error("Unauthorized", 401)
        do = device.restart if action == "restart" else device.purge
        await do(app_id, force=call.force, checks_locks=call.checks_locks)
        return sentence("OK")

    return act


def _version(device: Device, call: _Call) -> Reply:
    return json_data({"status": "success", "version": device.supervisor_version})


def _container_id(device: Device, call: _Call) -> Reply:
    ids = {
        container.service.name: container.id
        for container in device.containers.values()
        if call.can_access(container.app_id)
    }
    query = call.request.query
    name = query.get("service", query.get("serviceName"))
    if name is None:
        return json_data({"status": "success", "services": ids})
    if name not in ids:
        return json_error("Could not find service with that name")
    return json_data({"status": "success", "containerId": ids[name]})


_CONFIG: Final = {
    "SUPERVISOR_VPN_CONTROL": "true",
    "SUPERVISOR_POLL_INTERVAL": "900000",
    "SUPERVISOR_INSTANT_UPDATE_TRIGGER": "true",
    "SUPERVISOR_LOCAL_MODE": "false",
    "SUPERVISOR_CONNECTIVITY_CHECK": "true",
    "SUPERVISOR_LOG_CONTROL": "true",
    "SUPERVISOR_API_REQUEST_TIMEOUT": "59000",
    "SUPERVISOR_DELTA": "false",
    "SUPERVISOR_DELTA_REQUEST_TIMEOUT": "59000",
    "SUPERVISOR_DELTA_APPLY_TIMEOUT": "0",
    "SUPERVISOR_DELTA_RETRY_COUNT": "30",
    "SUPERVISOR_DELTA_RETRY_INTERVAL": "10000",
    "SUPERVISOR_DELTA_VERSION": "2",
    "SUPERVISOR_OVERRIDE_LOCK": "false",
    "SUPERVISOR_PERSISTENT_LOGGING": "false",
    "HOST_FIREWALL_MODE": "off",
    "HOST_DISCOVERABILITY": "true",
    "SUPERVISOR_HARDWARE_METRICS": "true",
}


def _target_state(device: Device, call: _Call) -> Reply:
    if versions.TARGET_STATE_IS_LOCAL.at(device.version) and not device.local_mode:
        return json_error("Target state can only be retrieved when in local mode", 400)
    apps = {
        str(app.id): {
            "appId": app.id,
            "appUuid": app.uuid,
            "appName": app.name,
            "commit": app.release.commit,
            "services": [
                {
                    "appId": app.id,
                    "imageId": service.image_id,
                    "serviceName": service.name,
                    "config": {
                        "image": service.image,
                        "running": True,
                        "environment": _environment(device, app, service)
                        | {"BALENA_SUPERVISOR_API_KEY": device.app_key(app.id)},
                    },
                }
                for service in app.release.services
            ],
        }
        for app in device.apps.values()
    }
    config = _CONFIG | {
        "SUPERVISOR_LOCAL_MODE": str(device.local_mode).lower(),
        "SUPERVISOR_INSTANT_UPDATE_TRIGGER": str(device.instant_update_trigger).lower(),
        "SUPERVISOR_OVERRIDE_LOCK": str(device.override_lock).lower(),
    }
    local = {"name": device.name, "config": config, "apps": apps}
    return json_data({"status": "success", "state": {"local": local}})


def _set_target_state(device: Device, call: _Call) -> Reply:
    if not device.local_mode:
        return json_error("Target state can only set when device is in local mode", 400)
    apps = []
    try:
        for app_id, app in call.body.get("local", {}).get("apps", {}).items():
            if not isinstance(app.get("name"), str):
                return json_error(
                    f"Invalid target state.\nExpecting ShortString at {device.uuid}.apps"
                    f".{app_id}.0.name but instead got: {app.get('name')}",
                    400,
                )
            apps.append(_local_app(app_id, app))
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        return json_error(f"Invalid target state.\n{err}", 400)
    device.run_local_apps(apps)
    return json_data({"status": "success", "message": "OK"})


def _local_app(app_id: str, app: dict[str, Any]) -> App:
    services = tuple(
        Service(item["serviceName"], item["imageId"], item["serviceId"], item["image"])
        for item in app["services"].values()
    )
    release = Release(app["commit"], int(app["releaseId"]), services)
    return App(int(app_id), app["name"], release, app_id)


def _device_info(device: Device, call: _Call) -> Reply:
    info = {"arch": device.arch, "deviceType": device.device_type}
    return json_data({"status": "success", "info": info})


def _name(device: Device, call: _Call) -> Reply:
    return json_data({"status": "success", "deviceName": device.name})


def _tags(device: Device, call: _Call) -> Reply:
    if not device.internet:
        return json_error("fetch failed", 500)
    tags = [
        {"id": number, "name": name, "value": value}
        for number, (name, value) in device.tags.items()
    ]
    return json_data({"status": "success", "tags": tags})


def _set_tags(device: Device, call: _Call) -> Reply:
    tags = {} if call.payload in (None, []) else call.payload
    if not isinstance(tags, dict) or not all(
        isinstance(value, str) for value in tags.values()
    ):
        return json_error(
            "Invalid tags body, must be an object like `{[tagKey: string]: string}`",
            400,
        )
    if any(re.search(r"\s", name) for name in tags):
        return json_error("Tag keys cannot contain whitespace", 400)
    if tags:
        device.commands.append(("set_tags", tags))
    for name, value in tags.items():
        numbers = [number for number, tag in device.tags.items() if tag[0] == name]
        device.tags[next(iter(numbers), max(device.tags, default=0) + 2)] = (
            name,
            value,
        )
    return json_data({"status": "success"}, 202)


def _vpn(device: Device, call: _Call) -> Reply:
    vpn = {"enabled": device.vpn_enabled, "connected": device.vpn_connected}
    return json_data({"status": "success", "vpn": vpn})


def _cleanup_volumes(device: Device, call: _Call) -> Reply:
    device.commands.append(("cleanup_volumes", {}))
    return json_data({"status": "success"})


def _local_logs(device: Device, call: _Call) -> Stream:
    async def lines() -> AsyncGenerator[bytes]:
        yield b'{"message":"Streaming logs","isSystem":true}\n'
        async with contextlib.aclosing(device.follow_journal()) as new:
            async for entries in new:
                yield b"".join(_local_log(device, entry) for entry in entries)

    return Stream(lines())


def _local_log(device: Device, entry: JournalEntry) -> bytes:
    """Return the log line of a service. Returns nothing for an entry of the host."""
    for container in device.containers.values():
        if container.id == entry.container_id:
            message = entry.message
            line = {
                "serviceName": container.service.name,
                "message": (
                    message if isinstance(message, str) else message.decode("latin-1")
                ),
                "isStdErr": entry.priority <= 3,
                "timestamp": int(entry.time.timestamp() * 1000),
                "serviceId": container.service.service_id,
            }
            return json.dumps(line, separators=(",", ":")).encode() + b"\n"
    return b""


def _journal_logs(device: Device, call: _Call) -> Reply | Stream:
    options = call.body
    # Older Supervisors ignore newer options.
    output = "short"
    if versions.JOURNAL_FORMAT.at(device.version):
        output = options.get("format") or output
    times = options if versions.JOURNAL_TIMES.at(device.version) else {}
    filters_containers = versions.JOURNAL_CONTAINER.at(device.version)
    shows_all, follows = (
        str(options.get(name, "")).lower() in _TRUE for name in ("all", "follow")
    )
    # An invalid count is ignored.
    count = _app_id(options.get("count"))
    if count is None and follows:
        count = 10
    try:
        until = journal.parse_time(times.get("until"))
        find = partial(
            journal.find,
            unit=options.get("unit"),
            identifier=options.get("containerId") if filters_containers else None,
            since=journal.parse_time(times.get("since")),
            until=until,
        )
        printer = journal.FORMATTERS[output]
    except KeyError, journal.InvalidOption:
        return Reply(200)

    def text(entries: Iterable[JournalEntry]) -> bytes:
        return "".join(
            f"{printer(entry, device.hostname, shows_all)}\n" for entry in find(entries)
        ).encode()

    async def lines() -> AsyncGenerator[bytes]:
        # With `until`, the stream ends although `follow` is set.
        if not follows or until is not None:
            yield text(find(device.journal)[-count if count else 0 :])
            return
        async with contextlib.aclosing(device.follow_journal()) as new:
            # journalctl loses no entry between the old and the new ones.
            await anext(new)
            yield text(find(device.journal)[-count if count else 0 :])
            async for entries in new:
                yield text(entries)

    return Stream(lines())


ROUTES: Final = (
    Route("GET", "/ping", (1, 1), _ping, is_open=True),
    Route("GET", "/v1/healthy", (6, 5), _healthy, is_open=True),
    Route("POST", "/v1/blink", (1, 1), _blink, reads_body=False),
    Route("POST", "/v1/update", (1, 1), _update),
    Route("POST", "/v1/reboot", (1, 1), _go_down("reboot"), Locking.POWER),
    Route("POST", "/v1/shutdown", (1, 1), _go_down("shutdown"), Locking.POWER),
    Route("POST", "/v1/purge", (1, 1), _v1_purge, Locking.PURGE),
    Route("POST", "/v1/restart", (1, 1), _v1_restart, Locking.RESTART),
    Route("POST", "/v1/regenerate-api-key", (1, 1), _regenerate),
    Route("GET", "/v1/device", (1, 6), _device),
    Route("GET", "/v1/apps/:app_id", (1, 8), _app),
    Route(
        "POST",
        "/v1/apps/:app_id/stop",
        (1, 8),
        _v1_run(stops=True),
        Locking.APP_STOP,
    ),
    Route(
        "POST",
        "/v1/apps/:app_id/start",
        (1, 8),
        _v1_run(stops=False),
        Locking.APP_START,
    ),
    Route("GET", "/v1/device/host-config", (6, 6), _host_config),
    Route(
        "PATCH",
        "/v1/device/host-config",
        (6, 6),
        _set_host_config,
        Locking.HOST_CONFIG,
    ),
    Route("GET", "/v2/applications/state", (7, 12), _apps_state),
    Route("GET", "/v2/applications/:app_id/state", (7, 12), _app_state),
    Route("GET", "/v2/state/status", (9, 7), _state_status),
    Route(
        "POST",
        "/v2/applications/:app_id/restart-service",
        (7, 0),
        _service_action("restart"),
        Locking.SERVICE,
    ),
    Route(
        "POST",
        "/v2/applications/:app_id/start-service",
        (7, 0),
        _service_action("start"),
        Locking.START_SERVICE,
    ),
    Route(
        "POST",
        "/v2/applications/:app_id/stop-service",
        (7, 0),
        _service_action("stop"),
        Locking.SERVICE,
    ),
    Route(
        "POST",
        "/v2/applications/:app_id/restart",
        (7, 0),
        _app_action("restart"),
        Locking.RESTART,
    ),
    Route(
        "POST",
        "/v2/applications/:app_id/purge",
        (7, 0),
        _app_action("purge"),
        Locking.PURGE,
    ),
    Route("GET", "/v2/version", (7, 21), _version),
    Route("GET", "/v2/containerId", (8, 6), _container_id),
    Route("GET", "/v2/local/target-state", (7, 21), _target_state),
    Route("POST", "/v2/local/target-state", (7, 21), _set_target_state),
    Route("GET", "/v2/local/device-info", (7, 21), _device_info),
    Route("GET", "/v2/local/logs", (7, 21), _local_logs),
    Route("GET", "/v2/device/name", (9, 11), _name),
    Route("GET", "/v2/device/tags", (9, 11), _tags),
    Route("PATCH", "/v2/device/tags", (17, 8), _set_tags),
    Route("GET", "/v2/device/vpn", (11, 4), _vpn),
    Route("GET", "/v2/cleanup-volumes", (10, 0), _cleanup_volumes),
    Route("POST", "/v2/journal-logs", (10, 2), _journal_logs),
)


def _error(device: Device, message: str) -> Reply:
    """Respond with an error in the format of the version."""
    if versions.ERRORS_ARE_JSON.at(device.version):
        return json_error(message)
    return sentence(message, 503)


def _backend_failure(device: Device, route: Route) -> Reply | None:
    """Return the response of a route whose backend fails, None if the backend works.

    Raises Hangup if the Supervisor crashes, and NoAnswer.
    """
    behaviour = versions.BACKEND_FAILURES.get(route.path)
    is_vpn = route.handler is _vpn
    fails = device.dbus_failing if is_vpn else device.engine_failing
    if behaviour is None or not fails:
        return None
    match behaviour.at(device.version):
        case BackendFailure.CRASH:
            raise Hangup
        case BackendFailure.NONE:
            raise NoAnswer
        case BackendFailure.ENVELOPE_500:
            return json_data({"Data": "", "Error": _NO_ENGINE}, 500)
        case BackendFailure.JSON_500:
            return json_error(_NO_ENGINE, 500)
        case BackendFailure.ERROR:
            return _error(device, _NO_ENGINE)
        case BackendFailure.IGNORED:
            return None


def _locked(device: Device, message: str, answer: LockAnswer) -> Reply:
    """Return the response of a command that a lock rejects. Raises NoAnswer."""
    match answer:
        case LockAnswer.TEXT_503 | LockAnswer.UNLOCKED:
            # Without locks, another operation can still block the command.
            return sentence(message, 503)
        case LockAnswer.TEXT_423:
            return sentence(message, 423)
        case LockAnswer.JSON_503:
            return json_error(message)
        case LockAnswer.JSON_423:
            return json_error(message, 423)
        case LockAnswer.ENVELOPE_423:
            return json_data({"Data": "", "Error": message}, 423)
        case LockAnswer.NONE:
            raise NoAnswer


def _environment(device: Device, app: App, service: Service) -> dict[str, str]:
    """Return the environment of a container without its API key."""
    values = {
        "APP_ID": str(app.id),
        "APP_UUID": app.uuid,
        "APP_NAME": app.name,
        "SERVICE_NAME": service.name,
        "DEVICE_UUID": device.uuid,
        "DEVICE_TYPE": device.device_type,
        "DEVICE_ARCH": device.arch,
        "HOST_OS_VERSION": device.os_version,
        "APP_LOCK_PATH": "/tmp/balena/updates.lock",  # noqa: S108
    }
    address = {
        "PORT": "48484",
        "HOST": "10.114.104.1",
        "ADDRESS": "http://10.114.104.1:48484",
    }
    environment: dict[str, str] = {}
    for prefix in ("BALENA", "RESIN"):
        environment |= {f"{prefix}_{name}": value for name, value in values.items()}
        environment[prefix] = "1"
    handover = "/tmp/balena/handover-complete"  # noqa: S108
    environment |= {
        "RESIN_SERVICE_KILL_ME_PATH": handover,
        "BALENA_SERVICE_HANDOVER_COMPLETE_PATH": handover,
        "USER": "root",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }
    for name, value in address.items():
        environment[f"RESIN_SUPERVISOR_{name}"] = value
        environment[f"BALENA_SUPERVISOR_{name}"] = value
    return environment | device.variables


def _docker_id(service: Service) -> str:
    return hashlib.sha256(service.image.encode()).hexdigest()


class SupervisorServer(HttpServer):
    """Serves the Supervisor API of a device, on a port or in the same process."""

    def __init__(
        self,
        device: Device,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        front: bool = False,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        """Create the server.

        `front` adds the front process of Supervisor 19. `ssl` enables HTTPS.
        """
        super().__init__(host, port, ssl)
        self.device = device
        # The current and the highest number of concurrent commands, without blinking.
        self.commands_at_once = self.most_commands_at_once = 0
        self._front = front

    @override
    async def answer(
        self, request: Request, is_over: Callable[[], bool] = lambda: False
    ) -> Reply | Stream:
        self.requests.append(request)
        if not _is_command(request):
            return await self._answer(request, is_over)
        self.commands_at_once += 1
        self.most_commands_at_once = max(
            self.most_commands_at_once, self.commands_at_once
        )
        try:
            return await self._answer(request, is_over)
        finally:
            self.commands_at_once -= 1

    async def _answer(
        self, request: Request, is_over: Callable[[], bool]
    ) -> Reply | Stream:
        if not self._can_respond:
            # The connection is older than the shutdown of the device.
            raise Hangup
        fault = self.faults.take(request.method, request.path)
        if fault is not None and not fault.changes_response:
            replaced = await self.faults.replace_response(fault, is_over)
            if replaced is not None:
                return replaced
        try:
            reply = self._front_reply(request) or await self._reply(request)
        except NoAnswer:
            while self._can_respond and not is_over():
                await asyncio.sleep(0.05)
            raise Hangup from None
        except Hangup:
            if self.device.timings.crash:
                self.device.spawn(self.device.crash())
            raise
        if fault is not None:
            return await self.faults.change_response(fault, reply, is_over)
        return reply

    @property
    @override
    def _can_respond(self) -> bool:
        return self.device.is_on or self._front

    @override
    async def _on_start(self) -> None:
        self.device.on_power.append(self._switch)
        if self._can_respond:
            await self._listen()

    @override
    async def _on_stop(self) -> None:
        self.device.on_power.remove(self._switch)
        await self.device.tear_down()

    async def _switch(self, is_on: bool) -> None:
        """Follow the power of the device. The front process keeps listening."""
        if not self._front:
            await (self._listen() if is_on else self._stop_listening())

    def _front_reply(self, request: Request) -> Reply | None:
        """Return the response of the front process, None if it forwards the request."""
        if not self._front:
            return None
        if request.path in _FRONT_METHODS:
            if request.method not in _FRONT_METHODS[request.path]:
                return Reply(405)
            if request.path == "/ping":
                return plain_text("OK")
        if request.header("User-Agent").startswith("Supervisor/"):
            # Helios forwards requests of this agent to the balena API.
            return Reply(404, b'{"message":"not found"}', "application/json")
        if not self.device.is_on:
            return plain_text(_FRONT_ERROR.format(path=request.path_qs), 502)
        if request.path != "/v1/update":
            return None
        # The front process accepts any body and ignores what it cannot parse.
        try:
            body = json.loads(request.body or b'{"cancel":true}')
        except ValueError:
            body = {}
        if not isinstance(body, dict):
            body = {}
        self.device.check_for_update(
            force=bool(body.get("force")), cancel=bool(body.get("cancel"))
        )
        return Reply(202)

    async def _reply(self, request: Request) -> Reply | Stream:
        path = request.path.rstrip("/") or "/"
        device = self.device
        found: tuple[Route, dict[str, str]] | None = None
        for route in ROUTES:
            arguments = route.match(request.method, path)
            if arguments is not None and device.version >= route.since:
                found = route, arguments
                break
        key = _key(request, device.version)
        scope = device.accessible_apps(key)
        is_open = found is not None and found[0].is_open
        if path == "/ping" and versions.PING_NEEDS_KEY.at(device.version):
            is_open = False
        if scope is None and not is_open:
            return plain_text("Unauthorized", 401)
        if found is None:
            return unknown_path(request.method, request.path)
        is_global = key == device.api_key or device.local_mode or not device.managed
        call = _Call(request, key, is_global, scope or set(), found[1])
        if found[0].reads_body:
            if len(request.body) > MAX_BODY:
                return json_error("request entity too large")
            problem = _parse_body(request, call)
            if problem:
                return json_error(problem)
        return await self._execute(found[0], call)

    async def _execute(self, route: Route, call: _Call) -> Reply | Stream:
        device = self.device
        if failure := _backend_failure(device, route):
            return failure
        locking = route.locking or Locking.RESTART
        lock_answer = versions.LOCKED[locking].at(device.version)
        call.checks_locks = lock_answer is not LockAnswer.UNLOCKED
        try:
            reply = route.handler(device, call)
            return reply if isinstance(reply, Reply | Stream) else await reply
        except Locked as err:
            return _locked(device, str(err), lock_answer)
        except NoImage:
            return Reply(404)
        except UnknownService:
            return sentence(versions.SERVICE_NOT_FOUND, 404)
        except UnknownApp:
            status, text = versions.UNKNOWN_APP[locking].at(device.version)
            text = text.format(app_id=_requested_app_id(call))
            return _error(device, text) if status == 503 else sentence(text, status)
        except Refusal as err:
            return _error(device, str(err))


def _requested_app_id(call: _Call) -> object:
    """Return the app id in the path or in the body of a request."""
    return call.arguments.get("app_id", call.body.get("appId"))


def _is_command(request: Request) -> bool:
    """Return whether a device must not execute the request twice at the same time."""
    if request.method == "GET":
        return request.path == "/v2/cleanup-volumes"
    return request.path not in {"/v1/blink", "/v2/journal-logs"}


def _key(request: Request, version: tuple[int, ...]) -> str | None:
    """Return the API key of a request. The query takes precedence, even if its key is invalid."""
    in_query = parse_qs(request.query_string).get("apikey", [])
    if len(in_query) == 1:
        return in_query[0]
    pattern = versions.KEY_HEADER.at(version)
    found = pattern and re.fullmatch(pattern, request.header("Authorization"))
    return found[1] if found else None


def _parse_body(request: Request, call: _Call) -> str | None:
    """Parse the body as Express does. Returns the error, or None."""
    content_type, _, parameters = request.header("Content-Type").partition(";")
    text = request.body.decode(errors="replace")
    if content_type == "application/x-www-form-urlencoded":
        call.payload = dict(parse_qsl(text))
    if content_type != "application/json" or not text:
        return None
    charset = re.search(r"charset=([\w-]+)", parameters)
    if charset and not charset[1].lower().startswith("utf-"):
        return f'unsupported charset "{charset[1].upper()}"'
    if text[0] not in "{[":
        return f"Unexpected token '{text[0]}', \"{text}\" is not valid JSON"
    try:
        value = json.loads(text)
    except ValueError:
        return "Expected property name or '}' in JSON at position 1 (line 1 column 2)"
    call.payload = value
    return None
