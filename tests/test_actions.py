"""Actions that read from a device, and actions that change its settings."""

from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from simulator import (
    CloudDevice,
    CloudServer,
    Device,
    Fault,
    SupervisorServer,
    TokenKind,
)

from . import pass_time, state_of

NAME = "holy_wildflower"
APP_ID = 1658654
EMPTY_APP = {
    "name": "localapp",
    "commit": "localcommit",
    "releaseId": "1",
    "services": {},
    "volumes": {},
    "networks": {},
}
PROXY = {"proxy_type": "socks5", "proxy_ip": "192.0.2.9", "proxy_port": 1080}


@pytest.fixture
def account_device_id(
    account: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> str:
    """Return the id of the device of an account in the registry."""
    devices = dr.async_entries_for_config_entry(device_registry, account.entry_id)
    return next(device.id for device in devices if device.name == "kiosk-lobby")


async def call(hass: HomeAssistant, action: str, **data: Any) -> None:
    """Call an action without asking for a response."""
    await hass.services.async_call(DOMAIN, action, data, blocking=True)


async def ask(hass: HomeAssistant, action: str, **data: Any) -> list[dict[str, Any]]:
    """Call an action. Returns the outcome on each device."""
    response: Any = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True
    )
    devices: list[dict[str, Any]] = response["devices"]
    return devices


# Host configuration


async def test_host_config(hass: HomeAssistant, device: Device, device_id: str) -> None:
    """The action returns hostname and proxy. The password is masked."""
    device.proxy = {
        "type": "socks5",
        "ip": "192.0.2.9",
        "port": 1080,
        "login": "me",
        "password": "hunter2",
    }
    device.no_proxy = ["192.0.2.0/24"]
    (answer,) = await ask(hass, "get_host_config", device_id=device_id)
    assert answer == {
        "device_id": device_id,
        "name": "holy-wildflower",
        "result": "ok",
        "message": None,
        "host_config": {
            "hostname": "a1b2c3d",
            "proxy": {
                "type": "socks5",
                "ip": "192.0.2.9",
                "port": 1080,
                "login": "me",
                "password": "**REDACTED**",
                "no_proxy": ["192.0.2.0/24"],
                "dns": None,
            },
        },
    }


@pytest.mark.parametrize(
    ("fields", "network"),
    [
        ({"hostname": "kitchen-kiosk"}, {"hostname": "kitchen-kiosk"}),
        ({"hostname": ""}, {"hostname": ""}),
        (
            PROXY,
            {
                "proxy": {
                    "type": "socks5",
                    "ip": "192.0.2.9",
                    "port": 1080,
                    "login": "",
                    "password": "",
                    "noProxy": [],
                    "dns": False,
                }
            },
        ),
        (
            PROXY
            | {
                "proxy_login": "me",
                "proxy_password": "hunter2",
                "no_proxy": ["192.0.2.0/24"],
                "proxy_dns": "8.8.8.8:53",
            },
            {
                "proxy": {
                    "type": "socks5",
                    "ip": "192.0.2.9",
                    "port": 1080,
                    "login": "me",
                    "password": "hunter2",
                    "noProxy": ["192.0.2.0/24"],
                    "dns": "8.8.8.8:53",
                }
            },
        ),
        (
            # An automation can only send the texts of a template.
            PROXY | {"proxy_ip": "proxy.example", "proxy_dns": "True"},
            {
                "proxy": {
                    "type": "socks5",
                    "ip": "proxy.example",
                    "port": 1080,
                    "login": "",
                    "password": "",
                    "noProxy": [],
                    "dns": True,
                }
            },
        ),
        ({"remove_proxy": True}, {"proxy": {}}),
    ],
)
async def test_set_host_config(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    fields: dict[str, Any],
    network: dict[str, Any],
) -> None:
    """Hostname and proxy are sent in the format of the Supervisor."""
    await call(hass, "set_host_config", device_id=device_id, **fields)
    assert device.commands == [("set_host_config", network)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"hostname": "-kiosk"}, "hostname"),
        ({"hostname": "kitchen kiosk"}, "hostname"),
        (PROXY | {"proxy_type": "ftp"}, "proxy_type"),
        (PROXY | {"proxy_ip": ""}, "proxy_ip"),
        (PROXY | {"proxy_port": 0}, "proxy_port"),
        (PROXY | {"proxy_port": 70000}, "proxy_port"),
        (PROXY | {"proxy_dns": "8.8.8.8"}, "proxy_dns"),
        (PROXY | {"proxy_dns": "8.8.8.8:0"}, "proxy_dns"),
        (PROXY | {"proxy_dns": "[2001:db8::1]:53"}, "proxy_dns"),
        (PROXY | {"proxy_dns": "2001:db8::53"}, "proxy_dns"),
        (PROXY | {"proxy_ip": "192.168.1.999"}, "proxy_ip"),
        (PROXY | {"proxy_ip": "192.168.1"}, "proxy_ip"),
        (PROXY | {"proxy_login": 'a"b'}, "proxy_login"),
        (PROXY | {"proxy_password": "a\nlocal_ip = 0.0.0.0"}, "proxy_password"),
        (PROXY | {"no_proxy": ["a\nb"]}, "no_proxy"),
        (PROXY | {"no_proxy": ["not a network"]}, "no_proxy"),
        ({"hostname": "a" * 65}, "hostname"),
        ({"hostname": False}, "hostname"),
    ],
)
async def test_wrong_host_config(
    hass: HomeAssistant,
    server: SupervisorServer,
    device_id: str,
    fields: dict[str, Any],
    field: str,
) -> None:
    """An invalid value is an error before anything is sent."""
    server.requests.clear()
    with pytest.raises(vol.Invalid) as caught:
        await call(hass, "set_host_config", device_id=device_id, **fields)
    assert field in str(caught.value)
    assert not server.requests


@pytest.mark.parametrize(
    ("hostname", "reason"),
    [
        (
            "a" * 64,
            "Each part of the name between dots must have at most 63 characters",
        ),
        ("a.b" * 22, "The name must have at most 64 characters"),
        ("kitchen_kiosk", "must consist of letters, digits, hyphens and dots"),
    ],
)
async def test_reason_for_a_hostname(
    hass: HomeAssistant, device_id: str, hostname: str, reason: str
) -> None:
    """The error explains why a hostname is invalid."""
    with pytest.raises(vol.Invalid, match=reason):
        await call(hass, "set_host_config", device_id=device_id, hostname=hostname)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "changes nothing"),
        ({"proxy_type": "socks4"}, "needs the field proxy_ip"),
        (
            {"proxy_ip": "192.0.2.9"},
            "needs the field proxy_type",
        ),
        ({"proxy_login": "me"}, "needs the field proxy_type"),
        (
            PROXY | {"remove_proxy": True},
            "proxy_type is not valid together with remove_proxy",
        ),
    ],
)
async def test_host_config_that_does_not_fit(
    hass: HomeAssistant,
    server: SupervisorServer,
    device_id: str,
    fields: dict[str, Any],
    text: str,
) -> None:
    """An action with contradictory fields fails, and nothing is sent."""
    server.requests.clear()
    with pytest.raises(ServiceValidationError, match=text):
        await call(hass, "set_host_config", device_id=device_id, **fields)
    assert not server.requests


@pytest.mark.parametrize("version", ["19.0.5", "14.0.0"])
async def test_new_proxy_does_not_get_the_old_credentials(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    version: str,
) -> None:
    """A proxy replaces the previous one as a whole, although the Supervisor merges the two."""
    device.supervisor_version = version
    device.proxy = {
        "type": "socks5",
        "login": "me",
        "password": "x",
        "dns": "9.9.9.9:53",
    }
    await hass.config_entries.async_setup(entry.entry_id)
    (parent,) = dr.async_entries_for_config_entry(device_registry, entry.entry_id)[:1]
    await call(hass, "set_host_config", device_id=parent.id, **PROXY)
    assert device.proxy["login"] == device.proxy["password"] == ""
    (_, sent), *_ = device.commands
    assert sent["proxy"].get("dns", "kept") is {"19.0.5": False}.get(version, "kept")


async def test_exceptions_of_a_proxy_go_with_it(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """A new proxy does not keep the exceptions of the previous one."""
    exceptions = ["192.0.2.0/24", "fd00::1", "house.example"]
    await call(
        hass, "set_host_config", device_id=device_id, **PROXY, no_proxy=exceptions
    )
    assert device.no_proxy == exceptions
    await call(hass, "set_host_config", device_id=device_id, **PROXY)
    (answer,) = await ask(hass, "get_host_config", device_id=device_id)
    assert answer["host_config"]["proxy"]["no_proxy"] == []


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_hostname_is_read_again(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The next poll reads a hostname that was set."""
    await call(hass, "set_host_config", device_id=device_id, hostname="kiosk")
    device.hostname = "kiosk"
    await pass_time(hass, freezer, 4)
    assert state_of(hass, f"sensor.{NAME}_hostname") == "kiosk"


async def test_locked_host_config(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """An update lock refuses the command, and force overrides it, on Supervisors that check locks."""
    device.lock()
    with pytest.raises(HomeAssistantError, match="holds an update lock"):
        await call(hass, "set_host_config", device_id=device_id, hostname="kiosk")
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "on"
    await call(
        hass, "set_host_config", device_id=device_id, hostname="kiosk", force=True
    )
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "off"


# Locks


async def test_lock_shows_until_an_attempt_succeeds(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """Update locked is on after a lock refused a command, until another command succeeds."""
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "off"
    device.lock()
    with pytest.raises(HomeAssistantError, match="holds an update lock"):
        await call(hass, "restart", device_id=device_id)
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "on"
    # It does not check locks, so its success proves nothing about them.
    await call(hass, "start_service", device_id=device_id, service="main")
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "on"
    device.unlock()
    await call(hass, "restart", device_id=device_id)
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "off"


async def test_holder_of_a_lock(
    hass: HomeAssistant, device: Device, device_id: str, freezer: FrozenDateTimeFactory
) -> None:
    """The attributes name the app and the service that hold the lock while it is known."""

    def holder() -> tuple[object, object]:
        state = hass.states.get(f"binary_sensor.{NAME}_update_locked")
        assert state is not None
        return state.attributes["app"], state.attributes["service"]

    device.lock()
    with pytest.raises(HomeAssistantError, match="holds an update lock"):
        await call(hass, "restart", device_id=device_id)
    assert holder() == ("demo-fleet", "main")
    await pass_time(hass, freezer)
    assert holder() == ("demo-fleet", "main")
    device.unlock()
    await call(hass, "restart", device_id=device_id)
    assert holder() == (None, None)


async def test_lock_is_over_when_an_update_is_done(
    hass: HomeAssistant,
    device: Device,
    device_id: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Update locked turns off when an update is applied."""
    device.lock()
    with pytest.raises(HomeAssistantError, match="holds an update lock"):
        await call(hass, "reboot", device_id=device_id)
    device.begin_update(device.apps[APP_ID].release)
    await pass_time(hass, freezer, 4)
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "on"
    device.unlock()
    device.finish_download()
    device.apply()
    await pass_time(hass, freezer, 4)
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "off"


async def test_lock_is_not_forgotten_by_a_reload(
    hass: HomeAssistant, loaded: MockConfigEntry, device: Device, device_id: str
) -> None:
    """A lock stays known after a reload, but not after the entry was removed and added again."""
    device.lock()
    with pytest.raises(HomeAssistantError, match="holds an update lock"):
        await call(hass, "restart", device_id=device_id)
    await hass.config_entries.async_reload(loaded.entry_id)
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "on"
    await hass.config_entries.async_remove(loaded.entry_id)
    again = MockConfigEntry(
        domain=DOMAIN, unique_id=loaded.unique_id, data=dict(loaded.data)
    )
    again.add_to_hass(hass)
    assert await hass.config_entries.async_setup(again.entry_id)
    await hass.async_block_till_done()
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "off"


async def test_host_update_is_no_update_lock(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """An update of the operating system also refuses commands, but no app holds a lock."""
    device.host_update_running = True
    with pytest.raises(HomeAssistantError, match="updating its operating system"):
        await call(hass, "reboot", device_id=device_id)
    assert state_of(hass, f"binary_sensor.{NAME}_update_locked") == "off"


# The state of a device


async def test_state(hass: HomeAssistant, device: Device, device_id: str) -> None:
    """get_state returns the whole state of the device."""
    (answer,) = await ask(hass, "get_state", device_id=device_id)
    state = answer["state"]
    (app,) = state.pop("apps")
    services = {service["name"]: service for service in app.pop("services")}
    assert state == {
        "name": "holy-wildflower",
        "uuid": None,
        "device_type": "genericx86-64-ext",
        "architecture": "amd64",
        "hostname": "a1b2c3d",
        "os_version": "balenaOS 6.5.4",
        "supervisor_version": "19.0.5",
        "ip_addresses": ["192.0.2.2", "fd00::2"],
        "mac_addresses": list(device.mac_addresses),
        "status": "idle",
        "release": "7fc9c5bea8e361acd49886fe6cc1e1cd",
        "target_release": "7fc9c5bea8e361acd49886fe6cc1e1cd",
        "update_status": "up_to_date",
        "tags": {"DeviceLocation": "warehouse #3"},
    }
    assert app == {
        "app_id": APP_ID,
        "name": "demo-fleet",
        "uuid": "e2bf6410ffc30850e96f5071cdd1dca8",
        "running_commit": "7fc9c5bea8e361acd49886fe6cc1e1cd",
        "target_commit": "7fc9c5bea8e361acd49886fe6cc1e1cd",
        "update_status": "done",
    }
    assert services["main"] == {
        "name": "main",
        "status": "Running",
        "container_id": device.containers[APP_ID, "main"].id,
        "image": device.containers[APP_ID, "main"].service.image,
        "image_id": 2885946,
        "image_status": "Downloaded",
        "download_progress": None,
        "release_id": 99999,
    }


async def test_state_of_an_old_device(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """Values that an old Supervisor does not report are null."""
    device.supervisor_version = "9.0.0"
    (answer,) = await ask(hass, "get_state", device_id=device_id)
    state = answer["state"]
    assert state["supervisor_version"] == "9.0.0"
    assert state["tags"] is None
    # The container ids come from /v2/containerId.
    assert state["apps"][0]["services"][0]["container_id"] is not None


async def test_state_of_an_ancient_device(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The only app of an ancient device comes from the endpoint that reports it."""
    monkeypatch.setenv("RESIN_SUPERVISOR_API_KEY", device.api_key)
    monkeypatch.setenv("RESIN_APP_ID", str(APP_ID))
    device.supervisor_version = "6.6.0"
    device.remove_service("redis")
    await hass.config_entries.async_setup(entry.entry_id)
    (parent,) = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    (answer,) = await ask(hass, "get_state", device_id=parent.id)
    (app,) = answer["state"]["apps"]
    assert (app["app_id"], app["target_commit"]) == (APP_ID, None)
    assert [service["name"] for service in app["services"]] == ["main"]


async def test_state_without_apps(
    hass: HomeAssistant, server: SupervisorServer, device_id: str
) -> None:
    """An endpoint that could crash the Supervisor is not read after another one failed."""
    server.faults.add("GET", "/v2/applications/state", Fault.status(503))
    server.requests.clear()
    (answer,) = await ask(hass, "get_state", device_id=device_id)
    assert answer["state"]["apps"] == []
    assert "/v2/state/status" not in [request.path for request in server.requests]


async def test_state_through_an_account(
    hass: HomeAssistant, cloud_device: CloudDevice, account_device_id: str
) -> None:
    """Through an account, get_state returns the same state."""
    (answer,) = await ask(hass, "get_state", device_id=account_device_id)
    assert answer["state"]["uuid"] == cloud_device.device.uuid
    assert [item["name"] for item in answer["state"]["apps"][0]["services"]] == [
        "browser",
        "signage",
    ]
    assert answer["state"]["tags"] == {"DeviceLocation": "warehouse #3"}


async def test_no_device_answers(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """A read that fails on all devices is an error."""
    await device.power_off()
    with pytest.raises(HomeAssistantError, match="could not reach holy-wildflower"):
        await ask(hass, "get_state", device_id=device_id)


async def test_some_devices_answer(
    hass: HomeAssistant, device: Device, device_id: str, account_device_id: str
) -> None:
    """A read that fails on some devices returns the data of the others, and the errors."""
    await device.power_off()
    ids = [device_id, account_device_id]
    outcomes = await ask(hass, "get_tags", device_id=ids)
    results = {outcome["name"]: outcome["result"] for outcome in outcomes}
    assert results == {"holy-wildflower": "cannot_connect", "kiosk-lobby": "ok"}
    assert outcomes[0]["tags"] is None


# Tags


async def test_tags(hass: HomeAssistant, device: Device, device_id: str) -> None:
    """set_tags keeps the other tags, and get_tags returns all of them."""
    await call(hass, "set_tags", device_id=device_id, tags={"colour": "red"})
    (answer,) = await ask(hass, "get_tags", device_id=device_id)
    assert answer["tags"] == {"DeviceLocation": "warehouse #3", "colour": "red"}


async def test_tags_of_an_old_device(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """On an old Supervisor, the error names the version that can set tags."""
    device.supervisor_version = "17.7.0"
    await ask(hass, "get_state", device_id=device_id)
    with pytest.raises(ServiceValidationError, match="needs Supervisor 17.8"):
        await call(hass, "set_tags", device_id=device_id, tags={"colour": "red"})


async def test_tags_through_an_account(
    hass: HomeAssistant, cloud_device: CloudDevice, account_device_id: str
) -> None:
    """Through an account, tags can be set with any Supervisor, and only changes are sent."""
    cloud_device.device.supervisor_version = "10.0.0"
    tags = {"colour": "red", "who's/where": "ä & b", "DeviceLocation": "hall"}
    await call(hass, "set_tags", device_id=account_device_id, tags=tags)
    (answer,) = await ask(hass, "get_tags", device_id=account_device_id)
    assert answer["tags"] == tags
    await call(
        hass, "set_tags", device_id=account_device_id, tags={"who's/where": "there"}
    )
    (answer,) = await ask(hass, "get_tags", device_id=account_device_id)
    assert answer["tags"] == tags | {"who's/where": "there"}


async def test_tags_of_an_offline_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    cloud_device: CloudDevice,
    account_device_id: str,
) -> None:
    """The tags of an offline device of an account can be read and set."""
    await cloud_device.device.power_off()
    await pass_time(hass, freezer, 61)
    await call(hass, "set_tags", device_id=account_device_id, tags={"colour": "red"})
    (answer,) = await ask(hass, "get_tags", device_id=account_device_id)
    assert answer["tags"]["colour"] == "red"


async def test_observer_sets_no_tags(
    hass: HomeAssistant, cloud: CloudServer, token: str, account_device_id: str
) -> None:
    """A token that can only read cannot set tags."""
    cloud.tokens[token].kind = TokenKind.OBSERVER
    with pytest.raises(HomeAssistantError, match="no permission to change kiosk-lobby"):
        await call(
            hass, "set_tags", device_id=account_device_id, tags={"colour": "red"}
        )


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(200, "<html>log in</html>", "text/html"),
        Fault.status(502, "<html>Bad Gateway</html>", "text/html"),
    ],
)
async def test_tags_that_something_else_answers(
    hass: HomeAssistant, cloud: CloudServer, account_device_id: str, fault: Fault
) -> None:
    """If the response about a tag is lost, the outcome is unknown."""
    cloud.faults.add("POST", "/v7/device_tag", fault)
    with pytest.raises(
        HomeAssistantError, match="command to kiosk-lobby, but received no answer"
    ):
        await call(
            hass, "set_tags", device_id=account_device_id, tags={"colour": "red"}
        )


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"a b": "c"},
        {"": "c"},
        {"a": ["b"]},
        "a",
        {"a": "\ud800"},
        {"\ud800": "b"},
    ],
)
async def test_wrong_tags(
    hass: HomeAssistant, server: SupervisorServer, device_id: str, tags: Any
) -> None:
    """Invalid tags are refused before anything is sent."""
    server.requests.clear()
    with pytest.raises(vol.Invalid, match="tags"):
        await call(hass, "set_tags", device_id=device_id, tags=tags)
    assert not server.requests


# Target state


async def test_target_state_is_masked(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """get_target_state masks secrets."""
    (answer,) = await ask(hass, "get_target_state", device_id=device_id)
    assert device.app_key() not in str(answer)
    environment = answer["target_state"]["local"]["apps"][str(APP_ID)]["services"][0][
        "config"
    ]["environment"]
    assert set(environment.values()) == {"**REDACTED**"}
    assert "BALENA_SUPERVISOR_API_KEY" in environment


async def test_environments_of_any_shape_are_masked(
    hass: HomeAssistant, server: SupervisorServer, device_id: str
) -> None:
    """Secrets are masked in every place of an environment."""
    service = {
        "environment": ["PASSWORD=hunter2", "hunter2"],
        "env": "A=hunter2",
        "build": {"args": {"TOKEN": "hunter2"}},
    }
    state = {"state": {"local": {"apps": {"1": {"services": [service]}}}}}
    server.faults.add("GET", "/v2/local/target-state", Fault.json(state))
    (answer,) = await ask(hass, "get_target_state", device_id=device_id)
    assert "hunter2" not in str(answer).replace("hunter2=**REDACTED**", "")
    assert "PASSWORD=**REDACTED**" in str(answer)


@pytest.mark.parametrize("show_secrets", [True, False])
async def test_target_state_that_cannot_be_passed_on(
    hass: HomeAssistant, server: SupervisorServer, device_id: str, show_secrets: bool
) -> None:
    """A target state that is nested too deeply is an invalid response."""
    state = f'{{"state":{{"local":{"[" * 900}{"]" * 900}}}}}'
    server.faults.add(
        "GET",
        "/v2/local/target-state",
        Fault.status(200, state, "application/json"),
    )
    with pytest.raises(
        HomeAssistantError, match="does not come from a balena Supervisor"
    ):
        await ask(
            hass, "get_target_state", device_id=device_id, show_secrets=show_secrets
        )


async def test_target_state_with_secrets(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """With show_secrets, secrets are returned."""
    (answer,) = await ask(
        hass, "get_target_state", device_id=device_id, show_secrets=True
    )
    assert device.app_key() in str(answer)


async def test_set_target_state(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """In local mode, the target state can be replaced."""
    device.local_mode = True
    service = {
        "environment": {},
        "labels": {},
        "imageId": 1,
        "serviceName": "one",
        "serviceId": 1,
        "image": "local_image_one:latest",
        "running": True,
    }
    app = {
        "name": "localapp",
        "commit": "localcommit",
        "releaseId": "1",
        "services": {"1": service},
        "volumes": {},
        "networks": {},
    }
    state = {"local": {"name": "Home", "config": {}, "apps": {"1": app}}}
    await call(hass, "set_target_state", device_id=device_id, state=state)
    assert "localapp" in [item.name for item in device.apps.values()]


async def test_set_target_state_outside_of_local_mode(
    hass: HomeAssistant, device_id: str
) -> None:
    """Outside of local mode, the device refuses."""
    state = {"local": {"apps": {"1": {"services": {"1": {}}}}}}
    with pytest.raises(
        ServiceValidationError, match="did not accept the values.*can only set when"
    ):
        await call(hass, "set_target_state", device_id=device_id, state=state)


@pytest.mark.parametrize(
    "state",
    [{"local": []}, {"local": {"apps": ["x"]}}, {"local": {"apps": {"1": "x"}}}],
)
async def test_state_that_is_none(
    hass: HomeAssistant,
    server: SupervisorServer,
    device: Device,
    device_id: str,
    state: dict[str, Any],
) -> None:
    """An invalid target state is not sent, even with a confirmation."""
    device.local_mode = True
    server.requests.clear()
    with pytest.raises(
        ServiceValidationError, match="state is not valid. Enter each app"
    ):
        await call(
            hass,
            "set_target_state",
            device_id=device_id,
            state=state,
            remove_all_apps=True,
        )
    assert not server.requests


@pytest.mark.parametrize(
    "value",
    [b"1", {("a",): 1}, timedelta(1), 2**64, "\ud800"],
    ids=["bytes", "key", "time", "integer", "surrogate"],
)
async def test_target_state_without_json(
    hass: HomeAssistant, server: SupervisorServer, device_id: str, value: object
) -> None:
    """A state that JSON cannot represent is refused before anything is sent."""
    server.requests.clear()
    state = {"local": {"apps": {"1": {**EMPTY_APP, "name": value}}}}
    with pytest.raises(vol.Invalid, match="at most 64 bits"):
        await call(hass, "set_target_state", device_id=device_id, state=state)
    assert not server.requests


async def test_own_app_is_not_removed(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    device: Device,
    device_registry: dr.DeviceRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Home Assistant does not remove its own app."""
    monkeypatch.setenv("BALENA_SUPERVISOR_API_KEY", device.api_key)
    monkeypatch.setenv("BALENA_APP_ID", str(APP_ID))
    device.local_mode = True
    await hass.config_entries.async_setup(entry.entry_id)
    (parent,) = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    with pytest.raises(ServiceValidationError, match="would remove its app"):
        await call(
            hass,
            "set_target_state",
            device_id=parent.id,
            state={},
            remove_all_apps=True,
        )
    assert device.apps


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"local": {}},
        {"local": {"apps": {}}},
        {"local": {"name": "x", "config": {}, "apps": {"1": EMPTY_APP}}},
    ],
)
async def test_removing_all_apps_must_be_confirmed(
    hass: HomeAssistant,
    server: SupervisorServer,
    device: Device,
    device_id: str,
    state: dict[str, Any],
) -> None:
    """A state that removes all apps is sent only with a confirmation."""
    device.local_mode = True
    server.requests.clear()
    with pytest.raises(ServiceValidationError, match="remove all apps"):
        await call(hass, "set_target_state", device_id=device_id, state=state)
    assert not server.requests
    await call(
        hass,
        "set_target_state",
        device_id=device_id,
        state=state,
        remove_all_apps=True,
    )
    assert "/v2/local/target-state" in [request.path for request in server.requests]


# Other actions


async def test_cancelled_update(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """An update in progress can be cancelled and started again."""
    await call(hass, "update", device_id=device_id, cancel=True)
    assert device.commands == [("update", {"force": False, "cancel": True})]


@pytest.mark.usefixtures("entity_registry_enabled_by_default")
async def test_volumes_are_cleaned_up(
    hass: HomeAssistant, device: Device, device_id: str
) -> None:
    """Unused volumes are deleted by the action and by the button."""
    await call(hass, "cleanup_volumes", device_id=device_id)
    await hass.services.async_call(
        "button",
        "press",
        {"entity_id": f"button.{NAME}_clean_up_volumes"},
        blocking=True,
    )
    assert [name for name, _ in device.commands] == ["cleanup_volumes"] * 2
