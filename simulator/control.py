"""A JSON API to trigger events of simulated devices and their account."""

from collections.abc import Awaitable, Callable, Collection
import hashlib
from typing import Any, Final, Protocol

from aiohttp import web

from .account import OMIT, CloudDevice, Fleet, TokenKind
from .apps import App, Release, Service
from .cloud import CloudServer
from .device import Device, Timings
from .faults import Fault, Faults
from .hostile import HOSTILE_FAULTS
from .refusals import Refusal
from .scenarios import next_release, release_after


class Controllable(Protocol):
    """A device and its faults, which events can change."""

    @property
    def device(self) -> Device:
        """The device."""

    @property
    def faults(self) -> Faults:
        """The faults between the client and the device."""


type DeviceEvent = Callable[[Controllable, dict[str, Any]], Awaitable[None] | None]
type CloudEvent = Callable[[CloudServer, dict[str, Any]], None]


def _set(name: str) -> DeviceEvent:
    def set_value(item: Controllable, arguments: dict[str, Any]) -> None:
        setattr(item.device, name, arguments["value"])

    return set_value


def _update(item: Controllable, arguments: dict[str, Any]) -> None:
    device: Device = item.device
    device.spawn(device.update(next_release(device)))


def _add_fault(faults: Faults, arguments: dict[str, Any]) -> None:
    kind = arguments["kind"]
    make = HOSTILE_FAULTS.get(kind) or getattr(Fault, kind)
    faults.add(
        arguments.get("method", "*"),
        arguments["path"],
        make(*arguments.get("arguments", ())),
        arguments.get("times"),
    )


def _app(app_id: int, name: str, service: str) -> App:
    """Return an app with one service."""
    commit = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return App(app_id, name, Release(commit, services=(Service(service),)))


DEVICE_EVENTS: Final[dict[str, DeviceEvent]] = {
    "update": _update,
    "new-release": lambda item, _: item.device.set_target(next_release(item.device)),
    "begin-update": lambda item, _: item.device.begin_update(next_release(item.device)),
    "download": lambda item, arguments: item.device.download(arguments["percent"]),
    "finish-download": lambda item, _: item.device.finish_download(),
    "apply": lambda item, _: item.device.apply(),
    "fail-update": lambda item, arguments: item.device.fail_update(**arguments),
    "lock": lambda item, arguments: item.device.lock(**arguments),
    "unlock": lambda item, arguments: item.device.unlock(**arguments),
    "reboot": lambda item, arguments: item.device.go_down("reboot", **arguments),
    "crash": lambda item, _: item.device.spawn(item.device.crash()),
    "off": lambda item, _: item.device.power_off(),
    "on": lambda item, _: item.device.power_on(),
    "vpn": _set("vpn_connected"),
    "vpn-control": _set("vpn_enabled"),
    "internet": _set("internet"),
    "local-mode": _set("local_mode"),
    "host-update": _set("host_update_running"),
    "engine-failing": _set("engine_failing"),
    "dbus-failing": _set("dbus_failing"),
    "override-lock": _set("override_lock"),
    "lists-services-late": _set("lists_services_late"),
    "stop-times": _set("stop_times"),
    "system-apps": lambda item, _: item.device.run_system_apps(),
    "version": _set("supervisor_version"),
    "key": _set("api_key"),
    "container-exit": lambda item, arguments: item.device.container_exit(
        arguments["service"]
    ),
    "container-status": lambda item, arguments: item.device.container_status(
        **arguments
    ),
    "add-service": lambda item, arguments: item.device.add_service(
        Service(arguments["service"])
    ),
    "run-app": lambda item, arguments: item.device.run_app(_app(**arguments)),
    "remove-service": lambda item, arguments: item.device.remove_service(
        arguments["service"]
    ),
    "log": lambda item, arguments: item.device.log(**arguments),
    "fault": lambda item, arguments: _add_fault(item.faults, arguments),
    "clear-faults": lambda item, _: item.faults.clear(),
}


def _fleet(cloud: CloudServer, arguments: dict[str, Any]) -> Fleet:
    """Return a fleet by its name or slug."""
    for fleet in cloud.fleets.values():
        if arguments["fleet"] in (fleet.name, fleet.slug):
            return fleet
    raise KeyError(arguments["fleet"])


def _set_tokens(cloud: CloudServer, kind: TokenKind) -> None:
    for token in cloud.tokens.values():
        token.kind = kind


def _release(cloud: CloudServer, arguments: dict[str, Any]) -> None:
    fleet = _fleet(cloud, arguments)
    if fleet.release is None:
        raise ValueError("The fleet has no release yet")
    cloud.release(fleet, release_after(fleet.release))


def _add_device(cloud: CloudServer, arguments: dict[str, Any]) -> None:
    fleet = _fleet(cloud, arguments)
    cloud.make_device(fleet, arguments["name"], timings=Timings())


def _rename(cloud: CloudServer, arguments: dict[str, Any]) -> None:
    cloud.devices[arguments["uuid"]].device.name = arguments["name"]


def _move(cloud: CloudServer, arguments: dict[str, Any]) -> None:
    cloud.move_device(arguments["uuid"], _fleet(cloud, arguments))


def _set_of_device(name: str) -> CloudEvent:
    def set_value(cloud: CloudServer, arguments: dict[str, Any]) -> None:
        setattr(cloud.devices[arguments["uuid"]], name, arguments["value"])

    return set_value


def _backdate(cloud: CloudServer, arguments: dict[str, Any]) -> None:
    cloud.devices[arguments["uuid"]].connection.backdate(arguments["seconds"])


def _override_field(cloud: CloudServer, arguments: dict[str, Any]) -> None:
    """Override a field of a row. Without a value, remove the field."""
    device: CloudDevice = cloud.devices[arguments["uuid"]]
    device.field_overrides[arguments["field"]] = arguments.get("value", OMIT)


def _set_options(cloud: CloudServer, arguments: dict[str, Any]) -> None:
    cloud.ignored_options = set(arguments["options"])


def _set_headers(cloud: CloudServer, arguments: dict[str, Any]) -> None:
    cloud.extra_headers = dict(arguments["headers"])


CLOUD_EVENTS: Final[dict[str, CloudEvent]] = {
    "expire-token": lambda cloud, _: _set_tokens(cloud, TokenKind.EXPIRED),
    "restore-token": lambda cloud, arguments: _set_tokens(
        cloud, TokenKind(arguments.get("kind", "user"))
    ),
    "limit": lambda cloud, arguments: cloud.limit(**arguments),
    "unlimit": lambda cloud, _: cloud.unlimit(),
    "database-down": lambda cloud, arguments: cloud.lose_database(**arguments),
    "database-up": lambda cloud, _: cloud.restore_database(),
    "ignore-options": _set_options,
    "headers": _set_headers,
    "heartbeat": _set_of_device("heartbeat"),
    "reported": _set_of_device("has_reported"),
    "tunnel": _set_of_device("tunnel_error"),
    "backdate": _backdate,
    "field": _override_field,
    "move": _move,
    "remove-device": lambda cloud, arguments: cloud.remove_device(arguments["uuid"]),
    "add-device": _add_device,
    "release": _release,
    "rename": _rename,
    "fault": lambda cloud, arguments: _add_fault(cloud.faults, arguments),
    "clear-faults": lambda cloud, _: cloud.faults.clear(),
}


def control(
    items: Collection[Controllable], cloud: CloudServer | None = None
) -> web.Application:
    """Return the API: GET /devices, and POST /devices/{index}/{event} with arguments.

    If there is an account, the API also has POST /cloud/{event}.
    """

    async def list_devices(request: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "name": item.device.name,
                    "uuid": item.device.uuid,
                    "url": getattr(item, "url", None),
                    "commands": item.device.commands,
                }
                for item in items
            ]
        )

    async def trigger[Item](
        event: Callable[[Item, dict[str, Any]], Awaitable[None] | None],
        item: Item,
        request: web.Request,
    ) -> web.Response:
        try:
            arguments = await request.json() if request.can_read_body else {}
            result = event(item, arguments)
            if result is not None:
                await result
        except (
            AttributeError,
            KeyError,
            Refusal,
            RuntimeError,
            TypeError,
            ValueError,
        ) as err:
            raise web.HTTPBadRequest(text=f"{type(err).__name__}: {err}") from err
        return web.json_response({})

    async def trigger_device_event(request: web.Request) -> web.Response:
        event = DEVICE_EVENTS.get(request.match_info["event"])
        index = int(request.match_info["index"])
        if event is None or index >= len(items):
            raise web.HTTPNotFound
        return await trigger(event, list(items)[index], request)

    async def trigger_cloud_event(request: web.Request) -> web.Response:
        event = CLOUD_EVENTS.get(request.match_info["event"])
        if event is None or cloud is None:
            raise web.HTTPNotFound
        return await trigger(event, cloud, request)

    app = web.Application()
    app.router.add_get("/devices", list_devices)
    app.router.add_post("/devices/{index:[0-9]+}/{event}", trigger_device_event)
    app.router.add_post("/cloud/{event}", trigger_cloud_event)
    return app
