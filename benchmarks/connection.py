"""The ways to connect Home Assistant to devices."""

from enum import StrEnum


class Connection(StrEnum):
    """A direct connection, or a connection through an account."""

    DIRECT = "direct"
    ACCOUNT = "account"
