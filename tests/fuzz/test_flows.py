"""Any user input results in a form, an entry or an abort with a reason."""

from collections.abc import Generator
from typing import Any
from unittest.mock import AsyncMock, patch

from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.balena_supervisor.const import DOMAIN
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from simulator import CloudServer, Device, Fleet, SupervisorServer

ADDRESSES = st.one_of(
    st.text(),
    st.text("0123456789.:[]abcdef/%@-_#?& \n\t", max_size=40),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(("", "http://", "https://", "ftp://", "HTTP://", "//")),
        st.one_of(
            st.sampled_from(
                ("192.0.2.2", "[fd00::2]", "device.local", "bücher.example", "a" * 64)
            ),
            st.text(min_size=1, max_size=20),
        ),
        st.sampled_from(("", ":", ":0", ":48484", ":65536", ":99999", ":-1", ":x")),
        st.one_of(st.just(""), st.just("/"), st.text(max_size=10).map("/{}".format)),
    ),
)
KEYS = st.one_of(
    st.text(), st.text("0123456789abcdef \t\r\n\0é", min_size=1, max_size=40)
)
CERTIFICATES = st.one_of(
    st.text(),
    st.builds(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n".format,
        st.one_of(st.text(), st.binary().map(bytes.hex)),
    ),
)
DONE = {FlowResultType.ABORT, FlowResultType.CREATE_ENTRY}
type Typed = dict[str, Any]


@pytest.fixture(autouse=True)
def _setup_entry() -> Generator[AsyncMock]:
    """Replace the setup of entries."""
    with (
        patch(
            "custom_components.balena_supervisor.async_setup_entry", return_value=True
        ) as mock,
        patch(
            "custom_components.balena_supervisor.async_unload_entry", return_value=True
        ),
    ):
        yield mock


@pytest.fixture
def resolve_all_hosts(port: int) -> Generator[None]:
    """Resolve every host name to the server of the test."""

    async def resolve(_: object, host: str, __: int, **___: object) -> list[Any]:
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": 2,
                "proto": 6,
                "flags": 0,
            }
        ]

    with patch("aiohttp.connector.TCPConnector._resolve_host", resolve):
        yield


async def submitted(
    hass: HomeAssistant, context: dict[str, Any], typed: Typed, *ways: str
) -> ConfigFlowResult | None:
    """Return the result of a flow, None if the schema rejects the input."""
    flows = hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context=context)
    for way in ways:
        result = await flows.async_configure(result["flow_id"], {"next_step_id": way})
    try:
        return await flows.async_configure(result["flow_id"], typed)
    except InvalidData:
        return None


async def clear(hass: HomeAssistant, *keep: str) -> None:
    """Remove all flows, and all entries except for those to keep."""
    for flow in hass.config_entries.flow.async_progress():
        hass.config_entries.flow.async_abort(flow["flow_id"])
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.entry_id not in keep:
            await hass.config_entries.async_remove(entry.entry_id)


def assert_is_answered(result: ConfigFlowResult | None, fields: set[str]) -> None:
    """Fail if a form shows no error, or an error without a field."""
    if result is None or result["type"] in DONE:
        return
    assert result["type"] is FlowResultType.FORM
    errors = result["errors"] or {}
    assert errors or result["step_id"] == "fleets"
    assert set(errors) <= fields | {"base"}
    assert "unknown" not in errors.values()


class TestDevice:
    """A direct device."""

    @pytest.fixture
    def port(self, server: SupervisorServer) -> int:
        """Return the port of the server."""
        return server.port

    @given(host=ADDRESSES, key=KEYS, verify=st.booleans())
    async def test_any_device(
        self,
        hass: HomeAssistant,
        resolve_all_hosts: None,
        host: str,
        key: str,
        verify: bool,
    ) -> None:
        """Any address and any key."""
        typed = {"host": host, "api_key": key, "verify_ssl": verify}
        result = await submitted(hass, {"source": SOURCE_USER}, typed, "direct")
        assert_is_answered(result, {*typed})
        await clear(hass)

    @given(host=ADDRESSES)
    async def test_any_address_with_a_good_key(
        self,
        hass: HomeAssistant,
        device: Device,
        resolve_all_hosts: None,
        host: str,
    ) -> None:
        """Any address with a valid key."""
        typed = {"host": host, "api_key": device.api_key, "verify_ssl": True}
        result = await submitted(hass, {"source": SOURCE_USER}, typed, "direct")
        assert_is_answered(result, {*typed})
        await clear(hass)

    @given(host=ADDRESSES, key=KEYS)
    async def test_any_correction(
        self,
        hass: HomeAssistant,
        entry: MockConfigEntry,
        resolve_all_hosts: None,
        host: str,
        key: str,
    ) -> None:
        """Any key in a reauthentication, and any address in a reconfiguration."""
        context = {"source": SOURCE_REAUTH, "entry_id": entry.entry_id}
        flows = hass.config_entries.flow
        result = await flows.async_init(DOMAIN, context=context, data=entry.data)
        result = await flows.async_configure(result["flow_id"], {"api_key": key})
        assert_is_answered(result, {"api_key"})
        typed = {"host": host, "api_key": key, "verify_ssl": True}
        context["source"] = SOURCE_RECONFIGURE
        assert_is_answered(await submitted(hass, context, typed), {*typed})
        await clear(hass, entry.entry_id)


class TestAccount:
    """An account of the balena API."""

    @pytest.fixture
    def port(self, cloud: CloudServer) -> int:
        """Return the port of the server."""
        return cloud.port

    @given(token=KEYS, url=ADDRESSES, certificate=CERTIFICATES, verify=st.booleans())
    async def test_any_account(
        self,
        hass: HomeAssistant,
        resolve_all_hosts: None,
        token: str,
        url: str,
        certificate: str,
        verify: bool,
    ) -> None:
        """Any token, address and certificate authority."""
        server = {"url": url, "ca_certificate": certificate, "verify_ssl": verify}
        typed = {"token": token, "server": server}
        result = await submitted(hass, {"source": SOURCE_USER}, typed, "account")
        assert_is_answered(result, {*typed})
        await clear(hass)

    @given(url=ADDRESSES)
    async def test_any_address_with_a_good_token(
        self,
        hass: HomeAssistant,
        resolve_all_hosts: None,
        token: str,
        fleet: Fleet,
        url: str,
    ) -> None:
        """Any address with a valid token."""
        typed = {"token": token, "server": {"url": url, "verify_ssl": True}}
        result = await submitted(hass, {"source": SOURCE_USER}, typed, "account")
        assert_is_answered(result, {*typed})
        await clear(hass)

    @given(token=KEYS, url=ADDRESSES)
    async def test_any_correction(
        self,
        hass: HomeAssistant,
        account_entry: MockConfigEntry,
        resolve_all_hosts: None,
        token: str,
        url: str,
    ) -> None:
        """Any token in a reauthentication, and any address in a reconfiguration."""
        context = {"source": SOURCE_RECONFIGURE, "entry_id": account_entry.entry_id}
        typed = {"token": token, "server": {"url": url, "verify_ssl": True}}
        assert_is_answered(await submitted(hass, context, typed), {*typed})
        await clear(hass, account_entry.entry_id)
