"""Apps, their releases and services, and the containers of the services."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
import hashlib
import itertools
import secrets
from typing import Final

_ids: Final = itertools.count(3_000_000)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Service:
    """A service of a release. By default, its ids and its image are derived from its name."""

    name: str
    image_id: int = field(default_factory=lambda: next(_ids))
    service_id: int = field(default_factory=lambda: next(_ids))
    image: str = ""

    def __post_init__(self) -> None:
        """Derive the image if none is given."""
        if not self.image:
            repository, digest = _digest(self.name)[:32], _digest(self.name * 2)
            image = f"registry2.balena-cloud.com/v2/{repository}@sha256:{digest}"
            object.__setattr__(self, "image", image)


@dataclass(frozen=True, slots=True)
class Release:
    """A release of an app."""

    commit: str
    id: int = field(default_factory=lambda: next(_ids))
    services: tuple[Service, ...] = ()
    version: str = ""

    @property
    def raw_version(self) -> str:
        """The version as the balena API reports it. A release without a version is 0.0.0."""
        return self.version or f"0.0.0+rev{self.id}"


@dataclass(slots=True)
class App:
    """An app and its running release."""

    id: int
    name: str
    release: Release
    uuid: str = ""
    # True for the host OS and the Supervisor.
    is_system: bool = False

    def __post_init__(self) -> None:
        """Derive the UUID."""
        self.uuid = self.uuid or _digest(f"app {self.id}")[:32]


@dataclass(slots=True)
class Container:
    """A container of a service."""

    app_id: int
    service: Service
    status: str = "Running"
    # Whether the container still runs after a command to stop it.
    is_stopping: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(32))
    created_at: str = field(
        default_factory=lambda: (
            datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
    )


RECORDED_SERVICES: Final = (
    Service(
        "main",
        2885946,
        640681,
        "registry2.balena-cloud.com/v2/0d6e4079e36703ebd37c00722f5891d2@sha256:"
        "a1e16421abeccf4f0c4c070aca97e59b8b30f4e9fc6ec5e7638ef9bc0dfe8514",
    ),
    Service(
        "redis",
        2885947,
        640682,
        "registry2.balena-cloud.com/v2/34fb46c847bb9df96e5205a39d382f64@sha256:"
        "fb207b46260620c1505ba04493e0e3c39ce3cb272f8532d03e313685a4d1b26e",
    ),
)
RECORDED_RELEASE: Final = Release(
    "7fc9c5bea8e361acd49886fe6cc1e1cd", 99999, RECORDED_SERVICES
)
RECORDED_NEXT_RELEASE: Final = Release(
    "4e380136c2cf56cd64197d51a1ab263a",
    100001,
    (
        *RECORDED_SERVICES,
        Service(
            "worker",
            2885948,
            640683,
            "registry2.balena-cloud.com/v2/87eba76e7f3164534045ba922e7770fb@sha256:"
            "d3d3d61cde1e018fe1d65a192c1bc53d3fb2c00b7eecc4124d6783b62036a5a5",
        ),
    ),
)


def recorded_app() -> App:
    """Return the app of the recorded device."""
    return App(
        1658654, "demo-fleet", RECORDED_RELEASE, "e2bf6410ffc30850e96f5071cdd1dca8"
    )


# These values are the same for all devices.
SUPERVISOR_UUIDS: Final = {
    "aarch64": "900de4f3cbac4b9bbd232885a35e407b",
    "amd64": "52e35121417640b1b28a680504e4039b",
    "armv7hf": "2e66a95795c149959c69472a8c2f92b8",
    "i386": "531b357e155c480cbec0fdd33041a1f5",
    "rpi": "6822565f766e413e96d9bebe2227cdcc",
}


def system_apps(device_type: str, arch: str, *, has_services: bool) -> tuple[App, App]:
    """Return the system apps: the host OS, which has no services, and the Supervisor."""
    core = (Service("core", 3_900_001, 900_001),) if has_services else ()
    return (
        App(
            1_667_441,
            device_type,
            Release(_digest(device_type)[:32], 3_800_001),
            is_system=True,
        ),
        App(
            1_667_442,
            f"{arch}-supervisor",
            Release(_digest(f"{arch}-supervisor")[:32], 3_800_002, core),
            SUPERVISOR_UUIDS[arch],
            is_system=True,
        ),
    )
