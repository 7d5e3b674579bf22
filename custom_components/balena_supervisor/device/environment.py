"""Environment variables that balena sets in a container."""

from dataclasses import dataclass, field
import os
from typing import Self


def _variable(name: str) -> str | None:
    """Return a variable of the Supervisor. Before 7.22 the names began with RESIN_."""
    return os.environ.get(f"BALENA_{name}") or os.environ.get(f"RESIN_{name}") or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The device, app and service that Home Assistant runs in.

    Address and key are None in a container without the label
    `io.balena.features.supervisor-api`. Everything is None outside of balena.
    """

    address: str | None
    api_key: str | None = field(repr=False)
    app_id: int | None
    # The name when the container was created. The device may have another one now.
    device_name: str | None = None
    device_uuid: str | None
    service: str | None

    @classmethod
    def read(cls) -> Self:
        """Read the variables."""
        app_id = _variable("APP_ID")
        return cls(
            address=_variable("SUPERVISOR_ADDRESS"),
            api_key=_variable("SUPERVISOR_API_KEY"),
            app_id=int(app_id) if app_id and app_id.isdecimal() else None,
            device_name=_variable("DEVICE_NAME_AT_INIT"),
            device_uuid=_variable("DEVICE_UUID"),
            service=_variable("SERVICE_NAME"),
        )

    @property
    def is_on_balena(self) -> bool:
        """Whether Home Assistant runs in a container on a balena device."""
        return self.device_uuid is not None

    @property
    def has_supervisor(self) -> bool:
        """Whether address and key of the Supervisor are known."""
        return self.address is not None and self.api_key is not None
