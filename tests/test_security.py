"""The promises of docs/security.md that no other file tests."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from datetime import timedelta
from http import HTTPStatus
import logging
from typing import Any, Final
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
import jwt
import pytest
from pytest_homeassistant_custom_component.common import (
    CLIENT_ID,
    MockConfigEntry,
    MockUser,
)
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    MockHAClientWebSocket,
    WebSocketGenerator,
)

from custom_components.balena_supervisor.action_schemas import ACTIONS
from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.auth.const import GROUP_ID_ADMIN, GROUP_ID_READ_ONLY, GROUP_ID_USER
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState, ConfigFlowResult
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized, UnknownUser
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from simulator import (
    App,
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    Release,
    Service,
    SupervisorServer,
)

from . import pass_time
from .certificates import Certificate, certify
from .secret_leaks import FIELDS, LeakRecorder, echoes, secrets_of

LOGS: Final = ("POST", "/v2/journal-logs")


def registry_id(hass: HomeAssistant, name: str) -> str:
    """Return the registry id of a device."""
    registry = dr.async_get(hass)
    return next(
        device.id
        for entry in hass.config_entries.async_entries(DOMAIN)
        for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
        if device.name == name
    )


async def call(hass: HomeAssistant, action: str, **data: Any) -> None:
    """Call an action without asking for a response."""
    await hass.services.async_call(DOMAIN, action, data, blocking=True)


async def fill_in(
    hass: HomeAssistant, way: str, user_input: dict[str, Any]
) -> ConfigFlowResult:
    """Start the config flow, and fill in the form of a connection."""
    flows = hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await flows.async_configure(result["flow_id"], {"next_step_id": way})
    return await flows.async_configure(result["flow_id"], user_input)


# Secrets

FLOW: Final = "/api/config/config_entries/flow"
OPTIONS: Final = "/api/config/config_entries/options/flow"
CHANNELS: Final = (
    "diagnostics",
    "events",
    "exceptions",
    "forms",
    "logs",
    "registries",
    "requests",
    "responses",
    "states",
    "system health",
    "traces",
    "websocket",
)


@pytest.fixture(scope="module")
def memory() -> dict[str, Any]:
    """Keep the records for all tests of the class: the run is long, and happens once."""
    return {}


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("entity_registry_enabled_by_default")
class TestSecrets:
    """No secret is visible anywhere, whatever the user and the devices do."""

    @pytest.fixture
    async def own(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncGenerator[SupervisorServer]:
        """Run in a container of a device."""
        device = Device(
            name="own-device", uuid="c" * 32, mac_addresses=("00:00:5E:00:53:01",)
        )
        async with SupervisorServer(device) as server:
            monkeypatch.setenv("BALENA_SUPERVISOR_ADDRESS", server.url)
            monkeypatch.setenv("BALENA_SUPERVISOR_API_KEY", device.app_key())
            monkeypatch.setenv("BALENA_DEVICE_UUID", device.uuid)
            yield server

    @pytest.fixture
    async def life(
        self,
        hass: HomeAssistant,
        hass_client: ClientSessionGenerator,
        hass_ws_client: WebSocketGenerator,
        caplog: pytest.LogCaptureFixture,
        device: Device,
        server: SupervisorServer,
        own: SupervisorServer,
        cloud: CloudServer,
        cloud_device: CloudDevice,
        token: str,
        memory: dict[str, Any],
    ) -> tuple[dict[str, list[str]], dict[str, str]]:
        """Run everything once. Return the records by channel, and the secrets by name."""
        if not memory:
            memory["life"] = await self.live(
                hass,
                hass_client,
                hass_ws_client,
                caplog,
                (device, server),
                own,
                (cloud, cloud_device),
                token,
            )
        return memory["life"]

    async def live(
        self,
        hass: HomeAssistant,
        hass_client: ClientSessionGenerator,
        hass_ws_client: WebSocketGenerator,
        caplog: pytest.LogCaptureFixture,
        direct: tuple[Device, SupervisorServer],
        own: SupervisorServer,
        account: tuple[CloudServer, CloudDevice],
        token: str,
    ) -> tuple[dict[str, list[str]], dict[str, str]]:
        """Add devices and an account, and use every feature with them."""
        (device, server), (cloud, cloud_device) = direct, account
        secrets = {"wrong key": "w" * 32, "wrong token": "x" * 32, "token": token}
        owners = (device, cloud_device.device, own.device)
        for owner in owners:
            owner.variables = {"PASSWORD": f"variable of {owner.name}"}
            owner.proxy = {"type": "socks5", "ip": "192.0.2.9", "port": 1080}
            owner.proxy["password"] = f"proxy of {owner.name}"
            secrets |= {
                f"{number} of {owner.name}": key
                for number, key in enumerate(secrets_of(owner))
            }

        for name in (None, *logging.root.manager.loggerDict):
            caplog.set_level(logging.DEBUG, name)
        for component in (
            "config",
            "diagnostics",
            "repairs",
            "system_health",
            "system_log",
        ):
            assert await async_setup_component(hass, component, {})
        websocket, client = await hass_ws_client(hass), await hass_client()
        recorder = LeakRecorder(hass)

        # Add it, at first with a wrong key.
        typed = {"host": server.url, "api_key": device.api_key, "verify_ssl": True}
        await recorder.fill_in(
            client,
            FLOW,
            {"handler": DOMAIN},
            {"next_step_id": "direct"},
            typed | {"api_key": secrets["wrong key"]},
            typed,
        )
        home = {"url": cloud.url, "verify_ssl": True}
        await recorder.fill_in(
            client,
            FLOW,
            {"handler": DOMAIN},
            {"next_step_id": "account"},
            {"token": secrets["wrong token"], "server": home},
            {"token": token, "server": home},
            {
                "fleets": [str(cloud_device.fleet.id)],
                "services": True,
                "details": "all",
            },
        )
        await recorder.fill_in(
            client, FLOW, {"handler": DOMAIN}, {"next_step_id": "environment"}
        )
        await hass.async_block_till_done(wait_background_tasks=True)
        near, far, inside = hass.config_entries.async_entries(DOMAIN)
        near_id, far_id, own_id = (registry_id(hass, owner.name) for owner in owners)

        # A new key, and every action, with successes and failures.
        await recorder.call(
            DOMAIN, "regenerate_api_key", {"device_id": near_id}, answers=True
        )
        secrets["new key"] = device.api_key
        for device_id in (near_id, far_id, own_id):
            await recorder.call_all(device_id)
            await recorder.read_states(websocket, hass_client)
        for device_id, faults, path, secret in (
            (near_id, server.faults, "*", device.api_key),
            (own_id, own.faults, "*", own.device.app_key()),
            (far_id, cloud.faults, "/supervisor/*", cloud_device.device.api_key),
            (far_id, cloud.faults, "*", token),
        ):
            await recorder.call_all_with_echoes(device_id, faults, path, secret)
            await recorder.read_states(websocket, hass_client)

        # Logs, which the device ends.
        for fault in echoes(device.api_key):
            server.faults.add("POST", "/v2/journal-logs", fault)
            await recorder.follow_logs(websocket, near_id)
            server.faults.clear()

        # End the backoff after too many requests, for which the automation would wait.
        assert await hass.config_entries.async_reload(far.entry_id)

        # An automation, and its trace.
        await self.automate(
            hass, recorder, websocket, (near_id, far_id), server, device
        )

        # New keys for both entries.
        for entry, wrong, right in (
            (near, {"api_key": secrets["wrong key"]}, {"api_key": device.api_key}),
            (far, {"token": secrets["wrong token"]}, {"token": token}),
        ):
            entry.async_start_reauth(hass)
            await hass.async_block_till_done()
            flow = next(entry.async_get_active_flows(hass, {"reauth"}))
            address = f"{FLOW}/{flow['flow_id']}"
            async with client.get(address) as answer:
                recorder.note("forms", await answer.json())
            await recorder.fill_in(client, address, wrong, right)
            await hass.async_block_till_done(wait_background_tasks=True)
        session = jwt.encode(
            {"exp": 1_900_000_000}, "a secret that only the server knows"
        )
        cloud.tokens[session] = cloud.tokens[token]
        secrets["session"] = session
        begun = {"handler": DOMAIN, "show_advanced_options": False}
        await recorder.fill_in(
            client,
            FLOW,
            begun | {"entry_id": near.entry_id},
            typed | {"api_key": secrets["wrong key"]},
            typed | {"api_key": device.api_key},
        )
        await recorder.fill_in(
            client,
            FLOW,
            begun | {"entry_id": far.entry_id},
            {"token": secrets["wrong token"], "server": home},
            {"token": session, "server": home},
        )
        await recorder.fill_in(client, OPTIONS, {"handler": far.entry_id})
        await hass.async_block_till_done(wait_background_tasks=True)

        # Remove everything.
        for action in ("reboot", "shutdown"):
            for device_id in (near_id, far_id, own_id):
                await recorder.call(
                    DOMAIN, action, {"device_id": device_id}, answers=True
                )
        await recorder.read_states(websocket, hass_client)
        for entry in (near, far, inside):
            await hass.config_entries.async_remove(entry.entry_id)
        recorder.read_requests(server, own, cloud)
        recorder.read_logs(caplog)
        # The failure is intended.
        caplog.clear()
        return dict(recorder.seen), secrets

    async def automate(
        self,
        hass: HomeAssistant,
        recorder: LeakRecorder,
        websocket: MockHAClientWebSocket,
        device_ids: Sequence[str],
        server: SupervisorServer,
        device: Device,
    ) -> None:
        """Let an automation call actions, one of which fails, and read its trace."""
        actions = [
            {
                "action": f"{DOMAIN}.get_target_state",
                "data": {"device_id": list(device_ids)},
                "response_variable": "states",
            },
            {"action": f"{DOMAIN}.blink", "data": {"device_id": list(device_ids)}},
        ]
        automation = {
            "id": "witnessed",
            "alias": "Witnessed",
            "triggers": {"trigger": "event", "event_type": "go"},
            "actions": actions,
        }
        assert await async_setup_component(
            hass, "automation", {"automation": automation}
        )
        server.faults.add("POST", "/v1/blink", echoes(device.api_key)[0])
        hass.bus.async_fire("go")
        await hass.async_block_till_done(wait_background_tasks=True)
        server.faults.clear()
        subject = {"domain": "automation", "item_id": "witnessed"}
        (run,) = await recorder.ask(websocket, {"type": "trace/list", **subject})
        run_id = {"run_id": run["run_id"]}
        trace = await recorder.ask(
            websocket, {"type": "trace/get", **subject, **run_id}
        )
        recorder.note("traces", trace)

    @pytest.mark.parametrize("channel", CHANNELS)
    async def test_nothing_secret(
        self, life: tuple[dict[str, list[str]], dict[str, str]], channel: str
    ) -> None:
        """Nothing that is visible contains a key, a token or a variable."""
        seen, secrets = life
        told = "\n".join(seen[channel])
        assert told
        assert [name for name, secret in secrets.items() if secret in told] == []

    async def test_every_channel_is_recorded(
        self, life: tuple[dict[str, list[str]], dict[str, str]]
    ) -> None:
        """The list contains all channels that are recorded, and no others."""
        seen, _ = life
        assert sorted(seen) == sorted(CHANNELS)


# Permissions

ADMINISTRATION: Final = {
    "cleanup_volumes",
    "get_logs",
    "get_target_state",
    "purge",
    "regenerate_api_key",
    "set_host_config",
    "set_target_state",
    "shutdown",
}
READING: Final = {"get_host_config", "get_state", "get_tags"}
MAY: Final = {
    GROUP_ID_ADMIN: set(ACTIONS),
    GROUP_ID_USER: ACTIONS.keys() - ADMINISTRATION,
    GROUP_ID_READ_ONLY: READING,
}
BY_HTTP: Final = {
    "register": ("POST", "config/config_entries/flow", {"handler": DOMAIN}),
    "reload": ("POST", "config/config_entries/entry/{id}/reload", {}),
    "delete": ("DELETE", "config/config_entries/entry/{id}", {}),
    "diagnostics": ("GET", "diagnostics/config_entry/{id}", None),
    "repair": (
        "POST",
        "repairs/issues/fix",
        {"handler": DOMAIN, "issue_id": "update_fails"},
    ),
}
BY_WEBSOCKET: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    f"{DOMAIN}/devices": lambda _: {},
    f"{DOMAIN}/logs/subscribe": lambda device_id: {"device_id": device_id},
    "config/entity_registry/update": lambda _: {
        "entity_id": "button.holy_wildflower_shut_down",
        "disabled_by": None,
    },
}


class TestPeople:
    """The permissions are those of the table in docs/security.md."""

    @pytest.fixture
    async def person(
        self, hass: HomeAssistant, request: pytest.FixtureRequest
    ) -> MockUser:
        """Return a user; the parameter is the id of their group."""
        group = await hass.auth.async_get_group(request.param)
        assert group is not None
        return MockUser(groups=[group]).add_to_hass(hass)

    @pytest.fixture
    async def person_token(self, hass: HomeAssistant, person: MockUser) -> str:
        """Return the access token of the user's browser."""
        refresh = await hass.auth.async_create_refresh_token(person, CLIENT_ID)
        return hass.auth.async_create_access_token(refresh)

    async def act(
        self, hass: HomeAssistant, device_id: str, action: str, user_id: str
    ) -> Any:
        """Return the result of an action that a user calls."""
        return await hass.services.async_call(
            DOMAIN,
            action,
            {"device_id": device_id, **FIELDS.get(action, {})},
            blocking=True,
            context=Context(user_id=user_id),
            return_response=True,
        )

    @pytest.mark.parametrize(
        ("person", "action"),
        [
            (group, action)
            for group, may in MAY.items()
            # A device that is connected directly cannot be pinned, whoever asks.
            for action in sorted(may - {"pin_release"})
        ],
        indirect=["person"],
    )
    async def test_may(
        self,
        hass: HomeAssistant,
        device: Device,
        device_id: str,
        person: MockUser,
        action: str,
        freezer: FrozenDateTimeFactory,
    ) -> None:
        """A permitted action is executed."""
        device.local_mode = True
        release = Release("localrelease", services=(Service("main"),))
        device.run_local_apps([App(1, "localapp", release)])
        await pass_time(hass, freezer)
        response = await self.act(hass, device_id, action, person.id)
        assert [answer["result"] for answer in response["devices"]] == ["ok"]

    @pytest.mark.parametrize(
        ("person", "action"),
        [
            (group, action)
            for group, may in MAY.items()
            for action in sorted(ACTIONS.keys() - may)
        ],
        indirect=["person"],
    )
    async def test_may_not(
        self,
        hass: HomeAssistant,
        server: SupervisorServer,
        device_id: str,
        person: MockUser,
        action: str,
    ) -> None:
        """An action without permission is rejected before any request."""
        server.requests.clear()
        with pytest.raises(Unauthorized):
            await self.act(hass, device_id, action, person.id)
        assert not server.requests

    @pytest.mark.parametrize("action", sorted(ACTIONS))
    async def test_stranger(
        self, hass: HomeAssistant, server: SupervisorServer, device_id: str, action: str
    ) -> None:
        """An unknown user is rejected by every action."""
        server.requests.clear()
        with pytest.raises(UnknownUser):
            await self.act(hass, device_id, action, "nobody")
        assert not server.requests

    @pytest.mark.parametrize(
        "action", sorted(ACTIONS.keys() - ADMINISTRATION - READING)
    )
    async def test_without_enabled_entities(
        self,
        hass: HomeAssistant,
        server: SupervisorServer,
        device_id: str,
        entity_registry: er.EntityRegistry,
        hass_read_only_user: MockUser,
        action: str,
    ) -> None:
        """Without enabled entities, a device can be controlled by administrators only."""
        for entity in er.async_entries_for_device(entity_registry, device_id):
            entity_registry.async_update_entity(
                entity.entity_id, disabled_by=er.RegistryEntryDisabler.USER
            )
        server.requests.clear()
        with pytest.raises(Unauthorized):
            await self.act(hass, device_id, action, hass_read_only_user.id)
        assert not server.requests

    @pytest.mark.parametrize(
        "person", [GROUP_ID_USER, GROUP_ID_READ_ONLY], indirect=True
    )
    @pytest.mark.parametrize(("method", "path", "body"), BY_HTTP.values(), ids=BY_HTTP)
    # The message of Home Assistant for a missing permission.
    @pytest.mark.expects_log("request with invalid authentication")
    async def test_by_http(
        self,
        hass: HomeAssistant,
        hass_client: ClientSessionGenerator,
        loaded: MockConfigEntry,
        person_token: str,
        method: str,
        path: str,
        body: dict[str, Any] | None,
    ) -> None:
        """Only administrators can use config flows, repairs and diagnostics over HTTP."""
        for component in ("api", "config", "diagnostics", "repairs"):
            assert await async_setup_component(hass, component, {})
        client = await hass_client(person_token)
        async with client.get("/api/config") as answer:
            assert answer.status == HTTPStatus.OK
        address = f"/api/{path.format(id=loaded.entry_id)}"
        async with client.request(method, address, json=body) as answer:
            assert answer.status == HTTPStatus.UNAUTHORIZED
        assert loaded.state is ConfigEntryState.LOADED
        assert not hass.config_entries.flow.async_progress()

    @pytest.mark.parametrize(
        "person", [GROUP_ID_USER, GROUP_ID_READ_ONLY], indirect=True
    )
    @pytest.mark.parametrize("kind", BY_WEBSOCKET)
    @pytest.mark.expects_log("unauthorized")
    async def test_by_websocket(
        self,
        hass: HomeAssistant,
        hass_ws_client: WebSocketGenerator,
        device: Device,
        device_id: str,
        person_token: str,
        kind: str,
    ) -> None:
        """Only administrators can follow logs and enable disabled entities over WebSocket."""
        assert await async_setup_component(hass, "config", {})
        websocket = await hass_ws_client(hass, person_token)
        fields = BY_WEBSOCKET[kind](device_id)
        await websocket.send_json_auto_id({"type": kind, **fields})
        answer = await websocket.receive_json()
        assert answer["error"]["code"] == "unauthorized"
        assert device.followers == 0

    @pytest.mark.parametrize("button", ["shut_down", "purge_data", "clean_up_volumes"])
    async def test_destructive_buttons(
        self, loaded: MockConfigEntry, entity_registry: er.EntityRegistry, button: str
    ) -> None:
        """Destructive buttons are disabled until an administrator enables them."""
        entity = entity_registry.async_get(f"button.holy_wildflower_{button}")
        assert entity is not None
        assert entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION


# Redirects


class Elsewhere:
    """A server that must not receive any request."""

    def __init__(self) -> None:
        """Start without requests."""
        self.visitors = 0
        self.port = 0

    def receive(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Count a request, and close its connection."""
        self.visitors += 1
        writer.close()


@pytest.fixture
async def elsewhere() -> AsyncGenerator[Elsewhere]:
    """Return a server on another port that must not receive any request."""
    elsewhere = Elsewhere()
    server = await asyncio.start_server(elsewhere.receive, "127.0.0.1", 0)
    elsewhere.port = server.sockets[0].getsockname()[1]
    async with server:
        yield elsewhere


@pytest.fixture
def redirect(request: pytest.FixtureRequest, elsewhere: Elsewhere) -> Fault:
    """Return a response that redirects; the parameter is its status and the host."""
    status, host = request.param
    return Fault.redirect(f"http://{host}:{elsewhere.port}/v1/device", status)


redirects = pytest.mark.parametrize(
    "redirect",
    [
        (status, host)
        for status in (301, 302, 303, 307, 308)
        for host in ("127.0.0.1", "localhost")
    ],
    indirect=True,
    ids=lambda item: f"{item[0]}-{item[1]}",
)


@redirects
@pytest.mark.usefixtures("resolve_to_loopback")
class TestRedirects:
    """A redirect never sends a key to another server."""

    async def test_flow(
        self,
        hass: HomeAssistant,
        server: SupervisorServer,
        device: Device,
        redirect: Fault,
        elsewhere: Elsewhere,
    ) -> None:
        """The config flow does not follow a redirect."""
        server.faults.add("*", "*", redirect)
        result = await fill_in(
            hass,
            "direct",
            {"host": server.url, "api_key": device.api_key, "verify_ssl": True},
        )
        assert result["errors"] == {"host": "not_supervisor"}
        assert elsewhere.visitors == 0

    async def test_poll(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        server: SupervisorServer,
        redirect: Fault,
        elsewhere: Elsewhere,
    ) -> None:
        """Polls do not follow a redirect."""
        server.faults.add("*", "*", redirect)
        await hass.config_entries.async_setup(entry.entry_id)
        assert entry.state is ConfigEntryState.SETUP_RETRY
        assert elsewhere.visitors == 0

    @pytest.mark.parametrize(
        ("action", "fields"),
        [
            ("blink", {}),
            ("restart_service", {"service": "main"}),
            ("set_host_config", {"hostname": "kiosk"}),
        ],
    )
    async def test_action(
        self,
        hass: HomeAssistant,
        device_id: str,
        server: SupervisorServer,
        redirect: Fault,
        elsewhere: Elsewhere,
        action: str,
        fields: dict[str, Any],
    ) -> None:
        """Commands do not follow a redirect."""
        server.faults.add("*", "*", redirect)
        with pytest.raises(HomeAssistantError):
            await call(hass, action, device_id=device_id, **fields)
        assert elsewhere.visitors == 0

    async def test_logs(
        self,
        hass: HomeAssistant,
        hass_ws_client: WebSocketGenerator,
        device_id: str,
        server: SupervisorServer,
        redirect: Fault,
        elsewhere: Elsewhere,
    ) -> None:
        """Followed logs do not follow a redirect."""
        server.faults.add(*LOGS, redirect)
        websocket = await hass_ws_client(hass)
        await websocket.send_json_auto_id(
            {"type": f"{DOMAIN}/logs/subscribe", "device_id": device_id}
        )
        assert (await websocket.receive_json())["success"]
        event = (await websocket.receive_json())["event"]
        assert event["translation_key"] == "invalid_answer"
        assert elsewhere.visitors == 0

    async def test_account(
        self,
        hass: HomeAssistant,
        account_entry: MockConfigEntry,
        cloud: CloudServer,
        redirect: Fault,
        elsewhere: Elsewhere,
    ) -> None:
        """Requests with the token of an account do not follow a redirect."""
        cloud.faults.add("*", "*", redirect)
        await hass.config_entries.async_setup(account_entry.entry_id)
        assert account_entry.state is ConfigEntryState.SETUP_RETRY
        assert elsewhere.visitors == 0

    async def test_proxy(
        self,
        hass: HomeAssistant,
        account: MockConfigEntry,
        cloud: CloudServer,
        redirect: Fault,
        elsewhere: Elsewhere,
    ) -> None:
        """Requests to a device through the balena API do not follow a redirect."""
        cloud.faults.add("*", "/supervisor/*", redirect)
        with pytest.raises(HomeAssistantError):
            await call(hass, "blink", device_id=registry_id(hass, "kiosk-lobby"))
        assert elsewhere.visitors == 0


# Certificates


@pytest.fixture
def authority() -> Certificate:
    """Return a certificate authority that this machine trusts."""
    return certify()


@pytest.fixture(autouse=True)
def _trusts(authority: Certificate) -> Generator[None]:
    """Let this machine trust only the authority."""
    with patch(
        "homeassistant.helpers.aiohttp_client.ssl_util.client_context",
        lambda *_: authority.of_client(),
    ):
        yield


INVALID_CERTIFICATES: Final[dict[str, Callable[[Certificate], Certificate]]] = {
    "self-signed": lambda authority: certify(),
    "of another authority": lambda authority: certify(authority=certify()),
    "of another host": lambda authority: certify("192.0.2.1", authority),
    "expired": lambda authority: certify(authority=authority, ended=timedelta(hours=1)),
}


@pytest.fixture
def invalid(request: pytest.FixtureRequest, authority: Certificate) -> Certificate:
    """Return an untrusted certificate; the parameter is the reason."""
    return INVALID_CERTIFICATES[request.param](authority)


invalid_certificates = pytest.mark.parametrize(
    "invalid", INVALID_CERTIFICATES, indirect=True
)


def change_entry(hass: HomeAssistant, entry: MockConfigEntry, **data: Any) -> None:
    """Change the URL or the verification of an entry before its setup."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, **data})


@pytest.mark.usefixtures("failed_handshakes")
class TestCertificatesOfDevices:
    """The certificate of a device with https is verified."""

    async def test_trusted(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        device: Device,
        authority: Certificate,
    ) -> None:
        """A device with a certificate of a trusted authority is available."""
        context = certify(authority=authority).of_server()
        async with SupervisorServer(device, ssl=context) as server:
            change_entry(hass, entry, url=server.url)
            assert await hass.config_entries.async_setup(entry.entry_id)
            assert await hass.config_entries.async_unload(entry.entry_id)

    @invalid_certificates
    async def test_wrong(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        device: Device,
        invalid: Certificate,
    ) -> None:
        """A device with an untrusted certificate receives no key, unless verification is off."""
        async with SupervisorServer(device, ssl=invalid.of_server()) as server:
            change_entry(hass, entry, url=server.url)
            assert not await hass.config_entries.async_setup(entry.entry_id)
            assert "could not verify the certificate of holy-wildflower" in str(
                entry.reason
            )
            assert not server.requests
            change_entry(hass, entry, verify_ssl=False)
            assert await hass.config_entries.async_reload(entry.entry_id)
            assert server.requests
            assert await hass.config_entries.async_unload(entry.entry_id)

    @invalid_certificates
    async def test_flow(
        self, hass: HomeAssistant, device: Device, invalid: Certificate
    ) -> None:
        """The config flow reports an untrusted certificate of a device."""
        async with SupervisorServer(device, ssl=invalid.of_server()) as server:
            typed = {"host": server.url, "api_key": device.api_key, "verify_ssl": True}
            result = await fill_in(hass, "direct", typed)
            assert result["errors"] == {"verify_ssl": "invalid_certificate"}
            assert not server.requests


@pytest.mark.usefixtures("failed_handshakes")
class TestCertificatesOfAccounts:
    """The certificate of the balena API is verified, by the entry's own authority if it has one."""

    @pytest.fixture
    def cloud(self) -> CloudServer:
        """Return a balena API that does not listen yet."""
        return CloudServer()

    @pytest.fixture
    def own(self) -> Certificate:
        """Return an authority that only the entry trusts."""
        return certify()

    async def refusal(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        cloud: CloudServer,
        certificate: Certificate,
        **data: Any,
    ) -> str | None:
        """Return why an entry rejects the certificate of an API, None if it accepts it."""
        async with CloudServer(ssl=certificate.of_server()) as served:
            served.tokens, served.fleets = cloud.tokens, cloud.fleets
            change_entry(hass, entry, url=served.url, **data)
            is_set_up = await hass.config_entries.async_setup(entry.entry_id)
            assert bool(served.requests) is is_set_up
            reason = entry.reason
            await hass.config_entries.async_unload(entry.entry_id)
            return reason

    async def test_trusted(
        self,
        hass: HomeAssistant,
        account_entry: MockConfigEntry,
        cloud: CloudServer,
        authority: Certificate,
    ) -> None:
        """An API with a certificate of a trusted authority is available."""
        certificate = certify(authority=authority)
        assert await self.refusal(hass, account_entry, cloud, certificate) is None

    async def test_own_authority(
        self,
        hass: HomeAssistant,
        account_entry: MockConfigEntry,
        cloud: CloudServer,
        authority: Certificate,
        own: Certificate,
    ) -> None:
        """An entry with its own authority trusts only that one."""
        for vouching, is_trusted in ((own, True), (authority, False)):
            certificate = certify(authority=vouching)
            reason = await self.refusal(
                hass, account_entry, cloud, certificate, ca_certificate=own.pem
            )
            assert (reason is None) is is_trusted

    @invalid_certificates
    @pytest.mark.parametrize("has_own", [True, False])
    async def test_wrong(
        self,
        hass: HomeAssistant,
        account_entry: MockConfigEntry,
        cloud: CloudServer,
        authority: Certificate,
        invalid: Certificate,
        has_own: bool,
    ) -> None:
        """An API with an untrusted certificate receives no token, unless verification is off."""
        data = {"ca_certificate": [None, authority.pem][has_own]}
        reason = await self.refusal(hass, account_entry, cloud, invalid, **data)
        assert "certificate" in str(reason)
        data["verify_ssl"] = False
        assert await self.refusal(hass, account_entry, cloud, invalid, **data) is None

    @invalid_certificates
    async def test_flow(
        self, hass: HomeAssistant, authority: Certificate, invalid: Certificate
    ) -> None:
        """The config flow reports an untrusted certificate of an account."""
        async with CloudServer(ssl=invalid.of_server()) as cloud:
            server = {"url": cloud.url, "verify_ssl": True}
            typed = {"token": cloud.add_token(), "server": server}
            result = await fill_in(hass, "account", typed)
            assert result["errors"] == {"base": "unknown_authority"}
            assert not cloud.requests


async def test_key_in_an_answer_to_a_request_without_it(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    device: Device,
    server: SupervisorServer,
    device_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing contains a key that a server repeats from an earlier request."""
    caplog.set_level(logging.DEBUG, "homeassistant")
    caplog.clear()
    fault = Fault.status(400, f"The key {device.api_key} is not valid")
    server.faults.add("GET", "/v1/device", fault)
    with pytest.raises(HomeAssistantError, match=r"The key \*\*\* is not valid"):
        await call(hass, "reboot", device_id=device_id)
    assert device.api_key not in caplog.text
