"""The ways by which devices are reached."""

from enum import StrEnum


class Way(StrEnum):
    """How Home Assistant reaches a device."""

    DIRECT = "direct"
    ACCOUNT = "account"
