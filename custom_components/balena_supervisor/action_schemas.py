"""Definitions of the actions: their handlers, fields and permissions."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import MAXYEAR, datetime
import ipaddress
import re
from typing import Any, Final, NamedTuple

import voluptuous as vol

from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.json import json_dumps
from homeassistant.util import dt as dt_util

from .client import HostProxy, parse_target_apps
from .device.entry import Account, BalenaDevice
from .device.logs import DEFAULT_LINES, MAX_LINES, LogSelection

ATTR_APP_ID: Final = "app_id"
ATTR_FORCE: Final = "force"
ATTR_SERVICE: Final = "service"

_MAX_HOSTNAME_LENGTH: Final = 64
_MAX_LABEL_LENGTH: Final = 63
_MAX_DOMAIN_NAME_LENGTH: Final = 253

type Fields = dict[vol.Marker, Any]
type Handler = Callable[..., Awaitable[object]]


class Action(NamedTuple):
    """Definition of an action.

    Attributes:
        handler: Returns the method of a device that the action calls.
        fields: Schema of the fields, without the target devices.
        response_key: Key of the returned data in the response. None for a command, which
            returns no data.
        build_arguments: Converts the fields to arguments of the handler. Raises FieldError.
        is_admin_only: Whether only administrators may use the action.
        is_for_services: Whether the action targets a service: the child device of the
            service, or a device and the field `service`.
        is_service_optional: Whether such an action can also target a device as a whole.
        fleet_handler: Returns the method that the action calls with the id of a fleet and the
            arguments, for administrators only. None if the action calls each device of a fleet.
    """

    handler: Callable[[BalenaDevice], Handler]
    fields: Fields
    response_key: str | None = None
    build_arguments: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    is_admin_only: bool = False
    is_for_services: bool = False
    is_service_optional: bool = False
    fleet_handler: Callable[[Account], Handler] | None = None


class FieldError(vol.Invalid):
    """Fields that contradict each other, or are incomplete.

    `message_key` and `message_placeholders` are those of the translated message.
    """

    def __init__(self, key: str, field: str, **placeholders: str) -> None:
        """Initialize the error with the field that is wrong."""
        super().__init__(key, [field])
        self.message_key = key
        self.message_placeholders = {"field": field, **placeholders}


def _domain_name(value: Any, max_length: int) -> str:
    """Return a valid host name of at most `max_length` characters.

    Raises:
        vol.Invalid: The value is not a host name, or is too long.
    """
    if not isinstance(value, str):
        # YAML converts some unquoted names to numbers and booleans.
        raise vol.Invalid("The value must be text; put it in quotes")
    text = value.strip()
    if len(text) > max_length:
        raise vol.Invalid(f"The name must have at most {max_length} characters")
    label = r"(?!-)[A-Za-z0-9-]+(?<!-)"
    is_name = re.fullmatch(rf"({label}\.)*{label}", text, re.ASCII)
    if not is_name or text.rpartition(".")[2].isdecimal():
        raise vol.Invalid(
            "The name must consist of letters, digits, hyphens and dots. No part of it may begin or end with"
            " a hyphen, and the last part must not be a number"
        )
    if any(len(part) > _MAX_LABEL_LENGTH for part in text.split(".")):
        raise vol.Invalid(
            f"Each part of the name between dots must have at most {_MAX_LABEL_LENGTH} characters"
        )
    return text


def _device_hostname(value: Any) -> str:
    """Return a valid hostname for a device, or an empty string, which resets the hostname.

    Raises:
        vol.Invalid: The value is neither.
    """
    return value if value == "" else _domain_name(value, _MAX_HOSTNAME_LENGTH)


def _address(value: Any) -> str:
    """Return an IP address or a host name.

    Raises:
        vol.Invalid: The value is neither.
    """
    try:
        return str(ipaddress.ip_address(str(value).strip()))
    except ValueError:
        return _domain_name(value, _MAX_DOMAIN_NAME_LENGTH)


def _network(value: Any) -> str:
    """Return an IP address, an IP network or a host name.

    Raises:
        vol.Invalid: The value is none of them.
    """
    text = str(value).strip()
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return _domain_name(value, _MAX_DOMAIN_NAME_LENGTH)
    return text


def _credential(value: Any) -> str:
    """Return a text that the device can quote in its configuration file.

    Raises:
        vol.Invalid: The value has a character that would break the file.
    """
    text = cv.string(value)
    if not text.isprintable() or '"' in text or "\\" in text:
        raise vol.Invalid(
            "The value must not contain quotes, backslashes or line breaks"
        )
    return text


def _dns_server(value: Any) -> str | bool:
    """Return an address with a port, or whether to use the default DNS server.

    Raises:
        vol.Invalid: The value is neither.
    """
    if isinstance(value, bool):
        return value
    text = cv.string(value).strip()
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    host, _, port = text.rpartition(":")
    is_port = re.fullmatch(r"\d{1,5}", port, re.ASCII) and 1 <= int(port) <= 65535
    if not is_port or ":" in host:
        raise vol.Invalid(
            "The value must be true, false, or an address with a port, such as 8.8.8.8:53"
        )
    return f"{_address(host)}:{port}"


_FORCE: Final[Fields] = {vol.Optional(ATTR_FORCE, default=False): cv.boolean}
_APP: Final[Fields] = {vol.Optional(ATTR_APP_ID): cv.positive_int}
_SERVICE: Final[Fields] = {vol.Optional(ATTR_SERVICE): cv.string, **_APP}

_PROXY_TYPES: Final = ("http-connect", "http-relay", "socks4", "socks5")
# The field of the action for each attribute of HostProxy.
_PROXY_FIELDS: Final = {
    "proxy_type": "type",
    "proxy_ip": "ip",
    "proxy_port": "port",
    "proxy_login": "login",
    "proxy_password": "password",
    "no_proxy": "no_proxy",
    "proxy_dns": "dns",
}
_REQUIRED_PROXY_FIELDS: Final = ("proxy_type", "proxy_ip", "proxy_port")
_HOST_CONFIG: Final[Fields] = {
    vol.Optional("hostname"): _device_hostname,
    # The Supervisor accepts an unknown type, and then removes the proxy.
    vol.Optional("proxy_type"): vol.In(_PROXY_TYPES),
    vol.Optional("proxy_ip"): _address,
    vol.Optional("proxy_port"): cv.port,
    vol.Optional("proxy_login"): _credential,
    vol.Optional("proxy_password"): _credential,
    vol.Optional("no_proxy"): vol.All(cv.ensure_list, [_network]),
    vol.Optional("proxy_dns"): _dns_server,
    vol.Optional("remove_proxy", default=False): cv.boolean,
    **_FORCE,
}


def _host_config_arguments(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of `set_host_config`.

    Raises:
        FieldError: The fields change nothing, contradict each other, or are incomplete.
    """
    given = [name for name in _PROXY_FIELDS if name in fields]
    if given and fields["remove_proxy"]:
        raise FieldError("field_conflict", given[0], other="remove_proxy")
    for name in _REQUIRED_PROXY_FIELDS if given else ():
        if name not in fields:
            raise FieldError("field_missing", name)
    if not given and not fields["remove_proxy"] and "hostname" not in fields:
        raise FieldError("nothing_to_change", "hostname")
    proxy = None
    if given or fields["remove_proxy"]:
        values = {_PROXY_FIELDS[name]: fields[name] for name in given}
        proxy = HostProxy(**values | {"no_proxy": tuple(values.get("no_proxy", ()))})
    return {
        "hostname": fields.get("hostname"),
        "proxy": proxy,
        ATTR_FORCE: fields[ATTR_FORCE],
    }


def _json_object(value: Any) -> dict[str, Any]:
    """Return an object that can be sent as JSON.

    Raises:
        vol.Invalid: The value is not an object, or JSON cannot represent a part of it.
    """
    if not isinstance(value, dict):
        raise vol.Invalid("The value must be an object")
    try:
        json_dumps(value)
    except (TypeError, ValueError) as err:
        raise vol.Invalid(
            "The value must consist of objects, lists, texts, numbers of at most 64 bits, true, false and null"
        ) from err
    return value


def _text(value: Any) -> str:
    """Return a text that can be sent as JSON.

    Raises:
        vol.Invalid: The value is not a text, or has an incomplete character.
    """
    text = cv.string(value)
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise vol.Invalid("The text has an incomplete character") from err
    return text


def _target_state_arguments(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of `set_target_state`.

    Raises:
        FieldError: The apps have the wrong shape, or the state removes all apps without a
            confirmation.
    """
    state = fields["state"]
    local = state.get("local", {})
    given_apps = local.get("apps", {}) if isinstance(local, dict) else local
    apps = parse_target_apps(state)
    if not isinstance(given_apps, dict) or len(apps) < len(given_apps):
        raise FieldError("apps_malformed", "state")
    has_services = any(app.get("services") for app in apps.values())
    if not has_services and not fields["remove_all_apps"]:
        raise FieldError("removes_all_apps", "state")
    return {"state": state}


def _tag_name(value: Any) -> str:
    """Return a valid name of a tag.

    Raises:
        vol.Invalid: The name is empty or contains spaces.
    """
    text = _text(value)
    if not text or re.search(r"\s", text):
        raise vol.Invalid("The tag name must not be empty or contain spaces")
    return text


def _release_name(value: Any) -> str:
    """Return a version, a commit or an id of a release, or "latest".

    Raises:
        vol.Invalid: The value is none of them.
    """
    text = cv.string(value).strip()
    if not re.fullmatch(r"[0-9A-Za-z.+-]{1,255}", text):
        raise vol.Invalid("The release must be a version, a commit or an id")
    return text


_LOG_FORMATS: Final = ("text", "entries")
_FIRST_LOG_YEAR: Final = 1970
# Each field selects the source of the lines. Only one of them is allowed.
_LOG_SOURCES: Final = (ATTR_SERVICE, "unit", "container_id")


def _utc_datetime(value: Any) -> datetime:
    """Return a time in UTC. A time without a time zone is local.

    Raises:
        vol.Invalid: The value is not a time, or no journal can contain it.
    """
    message = f"The year must be between {_FIRST_LOG_YEAR} and {MAXYEAR - 1}"
    try:
        moment = dt_util.as_utc(cv.datetime(value))
    except OverflowError as err:
        raise vol.Invalid(message) from err
    if not _FIRST_LOG_YEAR <= moment.year < MAXYEAR:
        raise vol.Invalid(message)
    return moment


def _container_id(value: Any) -> str:
    """Return a container ID, or its first 12 or more characters.

    Raises:
        vol.Invalid: The value is neither.
    """
    text = cv.string(value).strip()
    if not re.fullmatch(r"[0-9A-Fa-f]{12,64}", text):
        raise vol.Invalid("The container ID must have 12 to 64 hexadecimal digits")
    return text


_LOGS: Final[Fields] = {
    vol.Optional(ATTR_SERVICE): vol.All(cv.string, vol.Length(min=1)),
    **_APP,
    vol.Optional("unit"): vol.All(cv.string, vol.Length(min=1)),
    vol.Optional("container_id"): _container_id,
    vol.Optional("lines", default=DEFAULT_LINES): vol.All(
        vol.Coerce(int), vol.Range(min=1, max=MAX_LINES)
    ),
    vol.Optional("since"): _utc_datetime,
    vol.Optional("until"): _utc_datetime,
    vol.Optional("format", default="text"): vol.In(_LOG_FORMATS),
    vol.Optional("all", default=False): cv.boolean,
}


def _log_arguments(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of `get_logs`.

    Raises:
        FieldError: The fields name several sources, or an empty period.
    """
    given = [name for name in _LOG_SOURCES if name in fields]
    if len(given) > 1:
        raise FieldError("field_conflict", given[1], other=given[0])
    since, until = fields.get("since"), fields.get("until")
    if since is not None and until is not None and until <= since:
        raise FieldError("until_before_since", "until")
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
        lambda device: device.on_demand_reads.host_config,
        {},
        response_key="host_config",
    ),
    # Logs may contain secrets.
    "get_logs": Action(
        lambda device: device.logs.read,
        _LOGS,
        response_key="logs",
        build_arguments=_log_arguments,
        is_admin_only=True,
        is_for_services=True,
        is_service_optional=True,
    ),
    "get_state": Action(
        lambda device: device.on_demand_reads.state, {}, response_key="state"
    ),
    "get_tags": Action(
        lambda device: device.on_demand_reads.tags, {}, response_key="tags"
    ),
    "get_target_state": Action(
        lambda device: device.on_demand_reads.target_state,
        {vol.Optional("show_secrets", default=False): cv.boolean},
        response_key="target_state",
        is_admin_only=True,
    ),
    "pin_release": Action(
        lambda device: device.cloud_settings.pin_release,
        {vol.Required("release"): _release_name},
        fleet_handler=lambda account: account.fleet_pins.pin_release,
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
        build_arguments=_host_config_arguments,
        is_admin_only=True,
    ),
    "set_tags": Action(
        lambda device: device.commands.set_tags,
        {vol.Required("tags"): vol.All({_tag_name: _text}, vol.Length(min=1))},
    ),
    "set_target_state": Action(
        lambda device: device.commands.set_target_state,
        {
            vol.Required("state"): _json_object,
            vol.Optional("remove_all_apps", default=False): cv.boolean,
        },
        build_arguments=_target_state_arguments,
        is_admin_only=True,
    ),
    "shutdown": Action(
        lambda device: device.commands.shutdown, _FORCE, is_admin_only=True
    ),
    "start_service": Action(
        lambda device: device.commands.start_service,
        _SERVICE | _FORCE,
        is_for_services=True,
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
