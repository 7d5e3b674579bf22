"""How Home Assistant is connected to devices."""

from enum import StrEnum


class Connection(StrEnum):
    """Directly, or through an account."""

    DIRECT = "direct"
    ACCOUNT = "account"
