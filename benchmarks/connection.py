"""The ways to connect Home Assistant to devices."""

from enum import StrEnum
from typing import Final

from custom_components.balena_supervisor.const import ACCOUNT_INTERVAL, POLL_INTERVAL


class Connection(StrEnum):
    """A direct connection, or a connection through an account."""

    DIRECT = "direct"
    ACCOUNT = "account"


# How often each is polled.
INTERVALS: Final = {
    Connection.DIRECT: POLL_INTERVAL,
    Connection.ACCOUNT: ACCOUNT_INTERVAL,
}
