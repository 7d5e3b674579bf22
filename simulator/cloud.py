"""A simulated balena API: authentication, permissions, OData queries, and the proxy to devices."""

import asyncio
from collections.abc import Callable, Sequence
import random
import re
import ssl as tls
import string
from typing import Any, Final, override
from urllib.parse import unquote
import uuid as uuid_module

import orjson

from . import odata, proxy
from .account import CloudDevice, Fleet, Token, TokenKind
from .apps import App, Release
from .device import Device
from .replies import JSON, Reply, Stream
from .resources import ROOTS, Viewer, schema
from .server import HttpServer, Request

# The API version that introduced /v7.
_V7: Final = (26, 4)
_LONGEST_ADDRESS: Final = 16 * 1024
_READERS: Final = {TokenKind.USER, TokenKind.OBSERVER, TokenKind.DEVICE}
_WRITERS: Final = {TokenKind.USER, TokenKind.DEVICE}


class CloudServer(HttpServer):
    """The balena API on one port, with any number of simulated devices."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        ssl: tls.SSLContext | None = None,
        api_version: tuple[int, ...] = (49, 0, 12),
        is_balena_cloud: bool = False,
    ) -> None:
        """Create an API without tokens."""
        super().__init__(host, port, ssl)
        self.api_version = api_version
        self.is_balena_cloud = is_balena_cloud
        # Names of fields that this API does not have.
        self.missing_fields: set[str] = set()
        self.fleets: dict[int, Fleet] = {}
        self.devices: dict[str, CloudDevice] = {}
        self.tokens: dict[str, Token] = {}
        # In seconds: the timeout for a device, and the delay between two devices.
        self.proxy_timeout: float = 50
        self.proxy_stagger: float = 0
        self._public_fleet = Fleet(
            1_999_999,
            _identity("public fleet"),
            "public-fleet",
            organization="balenalabs",
            is_public=True,
        )
        # Unfinished requests to devices. The client may already have a response.
        self._asked: set[asyncio.Future[Reply]] = set()
        self._added_devices = 0
        self._added_fleets = 0
        self._allowance: int | None = None
        self._retry_after = 0

    # Accounts, fleets and devices

    def add_token(
        self,
        kind: TokenKind = TokenKind.USER,
        *,
        actor: int | None = None,
        username: str = "demo",
        fleet_ids: set[int] | None = None,
    ) -> str:
        """Return a new token. Without `actor`, it belongs to a new account."""
        number = len(self.tokens)
        chance = random.Random(f"token {number}")
        token = "".join(chance.choices(string.ascii_letters + string.digits, k=32))
        actor = 500_001 + number if actor is None else actor
        self.tokens[token] = Token(kind, actor, username, fleet_ids)
        return token

    def add_fleet(
        self,
        name: str,
        *,
        organization: str = "demo",
        release: Release | None = None,
        device_type: str = "raspberrypi4-64",
    ) -> Fleet:
        """Return a new fleet without devices."""
        self._added_fleets += 1
        fleet = Fleet(
            2_000_000 + self._added_fleets,
            _identity(f"fleet {self._added_fleets}"),
            name,
            organization=organization,
            release=release,
            device_type=device_type,
        )
        self.fleets[fleet.id] = fleet
        return fleet

    def add_device(self, fleet: Fleet, device: Device) -> CloudDevice:
        """Add a device to a fleet. This does not change what the device runs."""
        self._added_devices += 1
        cloud_device = CloudDevice(9_000_000 + self._added_devices, device, fleet)
        self.devices[device.uuid] = cloud_device
        fleet.devices.append(cloud_device)
        return cloud_device

    def make_device(
        self, fleet: Fleet, name: str, *, uuid: str | None = None, **arguments: Any
    ) -> CloudDevice:
        """Return a new device that runs the release of its fleet.

        `arguments` are passed to Device.
        """
        number = self._added_devices + 1
        identity = uuid or _identity(f"device {number}")
        octets = _identity(f"address {number}").upper()
        address = ":".join(octets[place : place + 2] for place in range(0, 10, 2))
        apps = [App(fleet.id, fleet.name, fleet.release)] if fleet.release else []
        made = {
            "device_type": fleet.device_type,
            "arch": "aarch64" if "raspberrypi" in fleet.device_type else "amd64",
            "mac_addresses": (f"02:{address}",),
            "ip_addresses": (f"192.0.2.{number % 250 + 3}",),
            "apps": apps,
        }
        device = Device(name=name, uuid=identity, **(made | arguments))
        return self.add_device(fleet, device)

    def remove_device(self, uuid: str) -> None:
        """Remove a device from the account."""
        cloud_device = self.devices.pop(uuid)
        cloud_device.fleet.devices.remove(cloud_device)
        cloud_device.device.cancel()

    def remove_fleet(self, fleet: Fleet) -> None:
        """Remove a fleet and its devices."""
        for device in list(fleet.devices):
            self.remove_device(device.device.uuid)
        del self.fleets[fleet.id]

    def release(self, fleet: Fleet, release: Release, *, start: bool = True) -> None:
        """Set the target release of a fleet.

        Its online devices that are not pinned start to update.
        """
        fleet.release = release
        for cloud_device in fleet.devices if start else ():
            device = cloud_device.device
            if cloud_device.is_online and cloud_device.pinned is None:
                device.spawn(device.update(release, fleet.id))

    def limit(self, requests: int, retry_after: int) -> None:
        """Allow a number of further requests, then respond 429. `retry_after` is in seconds."""
        self._allowance, self._retry_after = requests, retry_after

    def unlimit(self) -> None:
        """Remove the limit of requests."""
        self._allowance = None

    # Requests

    @override
    async def answer(
        self, request: Request, is_over: Callable[[], bool] = lambda: False
    ) -> Reply | Stream:
        self.requests.append(request)
        if self._is_limited():
            return Reply(429, headers={"Retry-After": str(self._retry_after)})
        fault = self.faults.take(request.method, request.path)
        if fault is not None and not fault.is_of_answer:
            spoilt = await self.faults.spoil(fault, is_over)
            if spoilt is not None:
                return spoilt
        if len(request.path_qs) > _LONGEST_ADDRESS:
            return Reply(431)
        reply = await self._reply(request)
        if fault is not None:
            return await self.faults.spoil_answer(fault, reply, is_over)
        return reply

    @override
    async def _end(self) -> None:
        devices = [item.device for item in self.devices.values()]
        asked = list(self._asked)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.gather(*(device.tear_down() for device in devices))

    def _is_limited(self) -> bool:
        if self._allowance is None:
            return False
        self._allowance -= 1
        return self._allowance < 0

    async def _reply(self, request: Request) -> Reply:
        token = self._token(request)
        whoami = {"/actor/v1/whoami": self._actor, "/user/v1/whoami": self._user}
        if request.method == "GET" and request.path in whoami:
            answer = whoami[request.path](token) if token else None
            return Reply(401) if answer is None else _json(answer)
        if request.method == "GET" and request.path.startswith("/v7/"):
            return self._query(request, token)
        if request.path.startswith("/v7/device_tag"):
            return self._write_tag(request, token)
        proxied = re.fullmatch(r"/supervisor(/.+)", request.path)
        if request.method == "POST" and proxied:
            return await self._proxy(proxied[1], request, token)
        return Reply(404)

    def _token(self, request: Request) -> Token | None:
        """Return the token of a request, or None for a guest. An invalid token means a guest."""
        found = re.fullmatch(
            r"Bearer (\S+)", request.header("Authorization"), re.IGNORECASE
        )
        text = found[1] if found else request.query.get("apikey", "")
        token = self.tokens.get(text)
        return None if token is None or token.kind is TokenKind.EXPIRED else token

    def _viewer(self, token: Token | None) -> Viewer:
        """Return the view of a token on the data."""
        public = (self._public_fleet,)
        if token is None or token.kind not in _READERS:
            return Viewer(token, (), (), public)
        if token.kind is TokenKind.DEVICE:
            devices = [
                item for item in self.devices.values() if item.actor == token.actor
            ]
            return Viewer(token, [item.fleet for item in devices], devices, public)
        if token.fleet_ids is None:
            fleets, devices = list(self.fleets.values()), list(self.devices.values())
            return Viewer(token, fleets, devices, public)
        fleets = [item for item in self.fleets.values() if item.id in token.fleet_ids]
        devices = [
            item for item in self.devices.values() if item.fleet.id in token.fleet_ids
        ]
        return Viewer(token, fleets, devices, public)

    def _actor(self, token: Token) -> dict[str, object] | None:
        if token.kind is TokenKind.DEVICE:
            for device in self.devices.values():
                if device.actor == token.actor:
                    ids = _actor_ids("device", token.actor, device.id)
                    return ids | {"uuid": device.device.uuid}
            return None
        if token.kind is TokenKind.PROVISIONING:
            for fleet in self.fleets.values():
                if fleet.actor == token.actor:
                    ids = _actor_ids("application", token.actor, fleet.id)
                    return ids | {"slug": fleet.slug}
            return None
        names = {"username": token.username, "email": f"{token.username}@example.com"}
        return _actor_ids("user", token.actor, _user_id(token)) | names

    def _user(self, token: Token) -> dict[str, object] | None:
        if token.kind not in {TokenKind.USER, TokenKind.OBSERVER}:
            return None
        return {
            "id": _user_id(token),
            "username": token.username,
            "email": f"{token.username}@example.com",
        }

    def _query(self, request: Request, token: Token | None) -> Reply:
        if self.api_version < _V7:
            return Reply(404)
        try:
            query = odata.parse(request.path.removeprefix("/v7/"), request.query)
        except odata.MalformedUrl:
            return _json(f"Malformed url: '{request.path_qs}'", 400)
        if query.resource not in ROOTS:
            return Reply(404)
        is_open, rows = ROOTS[query.resource]
        viewer = self._viewer(token)
        if not is_open and (token is None or token.kind not in _READERS):
            return Reply(401)
        view = schema(
            viewer,
            self.api_version,
            self.missing_fields,
            is_balena_cloud=self.is_balena_cloud,
        )
        run = view.count if query.counts else view.run
        try:
            return _json({"d": run(query.resource, query.options, rows(viewer))})
        except odata.UnknownName, TypeError:
            # The real API cannot translate this query to SQL.
            return Reply(500)

    def _write_tag(self, request: Request, token: Token | None) -> Reply:
        """Respond to POST /v7/device_tag and PATCH /v7/device_tag(device=1,tag_key='k')."""
        if token is None or token.kind not in _WRITERS:
            return Reply(401)
        try:
            body = orjson.loads(request.body)
            key = re.fullmatch(
                r"/v7/device_tag\(device=(\d+),tag_key='((?:[^']|'')*)'\)",
                unquote(request.path),
            )
            if request.method == "PATCH" and key:
                device_id, name = int(key[1]), key[2].replace("''", "'")
            elif request.method == "POST" and request.path == "/v7/device_tag":
                device_id, name = body["device"], body["tag_key"]
            else:
                return Reply(404)
            value = body["value"]
        except KeyError, ValueError:
            return Reply(400)
        for item in self._viewer(token).devices:
            if item.id == device_id:
                return _tag(item.device, name, value, is_new=request.method == "POST")
        return Reply(401)

    async def _proxy(self, path: str, request: Request, token: Token | None) -> Reply:
        try:
            command = proxy.read_command(path, request)
            devices = self._reached(command, token)
            replies = await self._ask_all(command, devices)
        except (proxy.Refused, proxy.Unreachable) as err:
            return err.reply
        if len(replies) == 1:
            return proxy.translated(replies[0])
        return proxy.collected(replies, parses=command.data is not None)

    def _reached(
        self, command: proxy.Command, token: Token | None
    ) -> list[CloudDevice]:
        """Return the devices that a command targets. Raises Refused."""
        if token is None or token.kind not in _READERS:
            raise proxy.Refused(401)
        devices = [
            device for device in self._viewer(token).devices if command.concerns(device)
        ]
        if not devices:
            raise proxy.Refused(404, "No online device(s) found")
        if not command.reads and token.kind not in _WRITERS:
            raise proxy.Refused(401)
        return [device for device in devices if device.has_vpn_instance]

    async def _ask_all(
        self, command: proxy.Command, devices: Sequence[CloudDevice]
    ) -> list[Reply]:
        """Return the responses of devices. Raises Unreachable as soon as one device fails."""
        asked = [
            asyncio.ensure_future(
                self._ask(command, device, number * self.proxy_stagger)
            )
            for number, device in enumerate(devices)
        ]
        for task in asked:
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)
        return await asyncio.gather(*asked)

    async def _ask(
        self, command: proxy.Command, device: CloudDevice, delay: float
    ) -> Reply:
        if delay:
            await asyncio.sleep(delay)
        return await proxy.ask(command, device, self.proxy_timeout)


def _identity(seed: str) -> str:
    return uuid_module.uuid5(uuid_module.NAMESPACE_OID, seed).hex


def _tag(device: Device, name: str, value: str, *, is_new: bool) -> Reply:
    """Set a tag. Like the real API, responds 409 if a new tag already exists."""
    known = {tag: number for number, (tag, _) in device.tags.items()}
    if is_new and name in known:
        return Reply(409)
    if is_new or name in known:
        number = known.get(name, max(device.tags, default=0) + 2)
        device.tags[number] = (name, value)
    return Reply(201 if is_new else 200)


def _user_id(token: Token) -> int:
    return token.actor - 400_000


def _actor_ids(kind: str, actor: int, number: int) -> dict[str, object]:
    return {"id": actor, "actorType": kind, "actorTypeId": number}


def _json(value: object, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(value), JSON)
