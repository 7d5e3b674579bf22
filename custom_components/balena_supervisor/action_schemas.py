"""The table of actions: what each does, the fields that it has, who may."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, datetime
import ipaddress
import re
from typing import Any, Final

import voluptuous as vol

from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util

from .client import Proxy, parse_target_apps
from .device.entry import BalenaDevice
from .device.logs import DEFAULT_LINES, MAX_LINES, LogSelection

ATTR_APP_ID: Final = "app_id"
ATTR_FORCE: Final = "force"
ATTR_SERVICE: Final = "service"

type Fields = dict[vol.Marker, Any]
type Command = Callable[..., Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Action:
    """An action: what it calls on a device with its fields as arguments.

    One that `answers` has its answer in the response under that name, and nothing else to
    do. `arguments` makes other arguments of the fields, and raises vol.Invalid. One that is
    for services has `service` among its fields, or is called on a service's own device;
    where that is optional, it is also for a whole device.
    """

    command: Callable[[BalenaDevice], Command]
    fields: Fields
    answers: str | None = None
    arguments: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    is_admin_only: bool = False
    is_for_services: bool = False
    is_optional_for_services: bool = False


def _host(value: Any, longest: int) -> str:
    """Return a name that a host may have. Raises vol.Invalid."""
    if not isinstance(value, str):
        # YAML makes other things of some words.
        raise vol.Invalid("It is not a text; put it in quotes")
    text = value.strip()
    label = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
    is_name = re.fullmatch(rf"({label}\.)*{label}", text, re.ASCII)
    if not is_name or len(text) > longest or text.rpartition(".")[2].isdecimal():
        raise vol.Invalid("A name has letters, digits, hyphens and dots only")
    return text


def hostname(value: Any) -> str:
    """Return a name that a device may have, or an empty text. Raises vol.Invalid."""
    return value if value == "" else _host(value, 64)


def _address(value: Any) -> str:
    """Return an IP address or the name of a host. Raises vol.Invalid."""
    try:
        return str(ipaddress.ip_address(str(value).strip()))
    except ValueError:
        return _host(value, 253)


def _network(value: Any) -> str:
    """Return an IP address, a network, or the name of a host. Raises vol.Invalid."""
    text = str(value).strip()
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return _host(value, 253)
    return text


def _credential(value: Any) -> str:
    """Return a text that the device can write down in quotes. Raises vol.Invalid."""
    text = cv.string(value)
    if not text.isprintable() or '"' in text or "\\" in text:
        raise vol.Invalid(
            "The device takes no quotes, backslashes and line breaks here"
        )
    return text


def _dns(value: Any) -> str | bool:
    """Return an address with a port, or whether the default one is meant. Raises vol.Invalid."""
    if isinstance(value, bool):
        return value
    text = cv.string(value).strip()
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    host, _, port = text.rpartition(":")
    is_port = re.fullmatch(r"\d{1,5}", port, re.ASCII) and 1 <= int(port) <= 65535
    if not is_port or ":" in host:
        raise vol.Invalid("It is an address with a port, like 8.8.8.8:53, or true")
    return f"{_address(host)}:{port}"


_FORCE: Final[Fields] = {vol.Optional(ATTR_FORCE, default=False): cv.boolean}
_APP: Final[Fields] = {vol.Optional(ATTR_APP_ID): cv.positive_int}
_SERVICE: Final[Fields] = {vol.Optional(ATTR_SERVICE): cv.string, **_APP}

PROXY_TYPES: Final = ("http-connect", "http-relay", "socks4", "socks5")
_PROXY_FIELDS: Final = {
    "proxy_type": "type",
    "proxy_ip": "ip",
    "proxy_port": "port",
    "proxy_login": "login",
    "proxy_password": "password",
    "no_proxy": "no_proxy",
    "proxy_dns": "dns",
}
_PROXY_NEEDS: Final = ("proxy_type", "proxy_ip", "proxy_port")
_HOST_CONFIG: Final[Fields] = {
    vol.Optional("hostname"): hostname,
    # The Supervisor takes another one, too, and then forgets the proxy.
    vol.Optional("proxy_type"): vol.In(PROXY_TYPES),
    vol.Optional("proxy_ip"): _address,
    vol.Optional("proxy_port"): cv.port,
    vol.Optional("proxy_login"): _credential,
    vol.Optional("proxy_password"): _credential,
    vol.Optional("no_proxy"): vol.All(cv.ensure_list, [_network]),
    vol.Optional("proxy_dns"): _dns,
    vol.Optional("remove_proxy", default=False): cv.boolean,
    **_FORCE,
}


def _host_config(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    given = [name for name in _PROXY_FIELDS if name in fields]
    if given and fields["remove_proxy"]:
        raise vol.Invalid("A proxy is either set or removed", [given[0]])
    for name in _PROXY_NEEDS if given else ():
        if name not in fields:
            raise vol.Invalid("A proxy needs it", [name])
    if not given and not fields["remove_proxy"] and "hostname" not in fields:
        raise vol.Invalid("There is nothing to change", ["hostname"])
    proxy = None
    if given or fields["remove_proxy"]:
        values = {_PROXY_FIELDS[name]: fields[name] for name in given}
        proxy = Proxy(**values | {"no_proxy": tuple(values.get("no_proxy", ()))})
    return {
        "hostname": fields.get("hostname"),
        "proxy": proxy,
        ATTR_FORCE: fields[ATTR_FORCE],
    }


def _target_state(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    state = fields["state"]
    local = state.get("local", {})
    told = local.get("apps", {}) if isinstance(local, dict) else local
    apps = parse_target_apps(state)
    if not isinstance(told, dict) or len(apps) < len(told):
        raise vol.Invalid("Its apps are objects by their ids", ["state"])
    if (
        not any(app.get("services") for app in apps.values())
        and not (fields["remove_all_apps"])
    ):
        raise vol.Invalid(
            "A state without apps removes all apps; confirm that with remove_all_apps",
            ["state"],
        )
    return {"state": state}


def _tag_name(value: Any) -> str:
    """Return the name of a tag. Raises vol.Invalid."""
    text = cv.string(value)
    if not text or re.search(r"\s", text):
        raise vol.Invalid("The name of a tag has no spaces")
    return text


LOG_FORMATS: Final = ("text", "entries")
_FIRST_YEAR: Final = 1970
# Of which one at most tells whose lines are meant.
_LOG_SOURCES: Final = (ATTR_SERVICE, "unit", "container_id")


def _utc(value: Any) -> datetime:
    """Return a time in UTC; one without a time zone is local. Raises vol.Invalid."""
    try:
        moment = dt_util.as_utc(cv.datetime(value))
    except OverflowError as err:
        raise vol.Invalid("No journal has such a time") from err
    if not _FIRST_YEAR <= moment.year < MAXYEAR:
        raise vol.Invalid("No journal has such a time")
    return moment


def _container_id(value: Any) -> str:
    """Return the id of a container, or its beginning. Raises vol.Invalid."""
    text = cv.string(value).strip()
    if not re.fullmatch(r"[0-9A-Fa-f]{12,64}", text):
        raise vol.Invalid("The id of a container has 12 to 64 hexadecimal digits")
    return text


_LOGS: Final[Fields] = {
    vol.Optional(ATTR_SERVICE): vol.All(cv.string, vol.Length(min=1)),
    **_APP,
    vol.Optional("unit"): vol.All(cv.string, vol.Length(min=1)),
    vol.Optional("container_id"): _container_id,
    vol.Optional("lines", default=DEFAULT_LINES): vol.All(
        vol.Coerce(int), vol.Range(min=1, max=MAX_LINES)
    ),
    vol.Optional("since"): _utc,
    vol.Optional("until"): _utc,
    vol.Optional("format", default=LOG_FORMATS[0]): vol.In(LOG_FORMATS),
    vol.Optional("all", default=False): cv.boolean,
}


def _logs(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    given = [name for name in _LOG_SOURCES if name in fields]
    if len(given) > 1:
        raise vol.Invalid(
            f"Lines are either of a {given[0].partition('_')[0]} or of a"
            f" {given[1].partition('_')[0]}",
            [given[1]],
        )
    since, until = fields.get("since"), fields.get("until")
    if since is not None and until is not None and until <= since:
        raise vol.Invalid("It must be later than since", ["until"])
    sources = {name: fields.get(name) for name in (*_LOG_SOURCES, ATTR_APP_ID)}
    return {
        "selection": LogSelection(**sources),
        "lines": fields["lines"],
        "since": since,
        "until": until,
        "show_all": fields["all"],
        "as_entries": fields["format"] == "entries",
    }


ACTIONS: Final = {
    "blink": Action(lambda device: device.commands.blink, {}),
    "cleanup_volumes": Action(
        lambda device: device.commands.cleanup_volumes, {}, is_admin_only=True
    ),
    "get_host_config": Action(
        lambda device: device.details.host_config, {}, answers="host_config"
    ),
    # Logs may hold secrets.
    "get_logs": Action(
        lambda device: device.logs.read,
        _LOGS,
        answers="logs",
        arguments=_logs,
        is_admin_only=True,
        is_for_services=True,
        is_optional_for_services=True,
    ),
    "get_state": Action(lambda device: device.details.state, {}, answers="state"),
    "get_tags": Action(lambda device: device.details.tags, {}, answers="tags"),
    "get_target_state": Action(
        lambda device: device.details.target_state,
        {vol.Optional("show_secrets", default=False): cv.boolean},
        answers="target_state",
        is_admin_only=True,
    ),
    "purge": Action(
        lambda device: device.commands.purge, _APP | _FORCE, is_admin_only=True
    ),
    "reboot": Action(lambda device: device.commands.reboot, _FORCE),
    "regenerate_api_key": Action(
        lambda device: device.commands.regenerate_api_key, {}, is_admin_only=True
    ),
    "restart": Action(lambda device: device.commands.restart, _APP | _FORCE),
    "restart_service": Action(
        lambda device: device.commands.restart_service,
        _SERVICE | _FORCE,
        is_for_services=True,
    ),
    "set_host_config": Action(
        lambda device: device.commands.set_host_config,
        _HOST_CONFIG,
        arguments=_host_config,
        is_admin_only=True,
    ),
    "set_tags": Action(
        lambda device: device.commands.set_tags,
        {vol.Required("tags"): vol.All({_tag_name: cv.string}, vol.Length(min=1))},
    ),
    "set_target_state": Action(
        lambda device: device.commands.set_target_state,
        {
            vol.Required("state"): dict,
            vol.Optional("remove_all_apps", default=False): cv.boolean,
        },
        arguments=_target_state,
        is_admin_only=True,
    ),
    "shutdown": Action(
        lambda device: device.commands.shutdown, _FORCE, is_admin_only=True
    ),
    "start_service": Action(
        lambda device: device.commands.start_service, _SERVICE, is_for_services=True
    ),
    "stop_service": Action(
        lambda device: device.commands.stop_service,
        _SERVICE | _FORCE,
        is_for_services=True,
    ),
    "update": Action(
        lambda device: device.commands.update,
        {vol.Optional("cancel", default=False): cv.boolean, **_FORCE},
    ),
}
