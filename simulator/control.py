"""A small JSON API to have things happen to simulated devices by hand."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiohttp import web

from .apps import Service
from .device import Device, Refusal
from .faults import Fault
from .scenarios import next_release
from .supervisor import SupervisorServer

type Happening = Callable[[SupervisorServer, dict[str, Any]], Awaitable[None] | None]


def _set(name: str) -> Happening:
    def happen(server: SupervisorServer, arguments: dict[str, Any]) -> None:
        setattr(server.device, name, arguments["value"])

    return happen


def _update(server: SupervisorServer, arguments: dict[str, Any]) -> None:
    device: Device = server.device
    device.spawn(device.update(next_release(device)))


HAPPENINGS: Final[dict[str, Happening]] = {
    "update": _update,
    "new-release": lambda server, _: server.device.set_target(
        next_release(server.device)
    ),
    "begin-update": lambda server, _: server.device.begin_update(
        next_release(server.device)
    ),
    "download": lambda server, arguments: server.device.download(arguments["percent"]),
    "finish-download": lambda server, _: server.device.finish_download(),
    "apply": lambda server, _: server.device.apply(),
    "lock": lambda server, arguments: server.device.lock(**arguments),
    "unlock": lambda server, arguments: server.device.unlock(**arguments),
    "reboot": lambda server, arguments: server.device.leave("reboot", **arguments),
    "crash": lambda server, _: server.device.spawn(server.device.crash()),
    "off": lambda server, _: server.device.power_off(),
    "on": lambda server, _: server.device.power_on(),
    "vpn": _set("vpn_connected"),
    "internet": _set("internet"),
    "local-mode": _set("local_mode"),
    "host-update": _set("host_update_running"),
    "engine-failing": _set("engine_failing"),
    "version": _set("supervisor_version"),
    "key": _set("api_key"),
    "container-exit": lambda server, arguments: server.device.container_exit(
        arguments["service"]
    ),
    "container-status": lambda server, arguments: server.device.container_status(
        **arguments
    ),
    "add-service": lambda server, arguments: server.device.add_service(
        Service(arguments["service"])
    ),
    "remove-service": lambda server, arguments: server.device.remove_service(
        arguments["service"]
    ),
    "fault": lambda server, arguments: server.faults.add(
        arguments.get("method", "*"),
        arguments["path"],
        getattr(Fault, arguments["kind"])(*arguments.get("arguments", ())),
        arguments.get("times"),
    ),
    "clear-faults": lambda server, _: server.faults.clear(),
}


def control(servers: Sequence[SupervisorServer]) -> web.Application:
    """Return the API: GET /devices, POST /devices/{index}/{happening} with arguments."""

    async def list_devices(request: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "name": server.device.name,
                    "url": server.url,
                    "commands": server.device.commands,
                }
                for server in servers
            ]
        )

    async def happen(request: web.Request) -> web.Response:
        happening = HAPPENINGS.get(request.match_info["happening"])
        index = int(request.match_info["index"])
        if happening is None or index >= len(servers):
            raise web.HTTPNotFound
        try:
            arguments = await request.json() if request.can_read_body else {}
            result = happening(servers[index], arguments)
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

    app = web.Application()
    app.router.add_get("/devices", list_devices)
    app.router.add_post("/devices/{index:[0-9]+}/{happening}", happen)
    return app
