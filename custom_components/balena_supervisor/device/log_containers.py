"""Find the containers whose lines a log selection includes."""

from collections.abc import Iterable

from ..client import (
    Container,
    Endpoint,
    JournalEntry,
    StateStatus,
    Supervisor,
    short_container_id,
)
from .logs import LogSelection


class ContainerReader:
    """Reads which containers a local device has. Raises BalenaError."""

    __slots__ = ("_supervisor",)

    def __init__(self, supervisor: Supervisor) -> None:
        """Read from a Supervisor."""
        self._supervisor = supervisor

    async def read_of_service(self, selection: LogSelection) -> list[Container]:
        """Return the containers of the selected service in all apps."""
        status = await self._status()
        own = [
            container
            for container in status.containers
            if container.service == selection.service
        ]
        if select_containers(own, selection):
            return own
        # The status is about one app. The ids by name are of all apps.
        if not self._supervisor.supports(Endpoint.CONTAINER_ID):
            return own
        ids = await self._supervisor.container_ids()
        container_id = ids.get(selection.service or "")
        if container_id in {None, *(item.container_id for item in status.containers)}:
            return own
        other = Container(
            app_id=selection.app_id,
            container_id=container_id,
            service=selection.service,
        )
        return [*own, other]

    async def apps_by_service(
        self, selection: LogSelection
    ) -> dict[int | None, int | None]:
        """Return the app ids of the services with the selected name, by service id."""
        containers = await self.read_of_service(selection)
        return {container.service_id: container.app_id for container in containers}

    async def selected_tags(
        self, entry: JournalEntry, selection: LogSelection
    ) -> dict[str, bool]:
        """Return whether each container belongs to the selection, by tag.

        The status does not list a container that is already gone or belongs to another app. The
        name of such a container decides, which may have an unknown form.
        """
        status = await self._status()
        is_listed = selection.app_id is not None and status.is_about(selection.app_id)
        by_name = entry.service == selection.service and not is_listed
        selected = select_containers(status.containers, selection)
        return (
            {short_container_id(entry.container_id or ""): by_name}
            | dict.fromkeys(map(container_tag, status.containers), False)
            | dict.fromkeys(map(container_tag, selected), True)
        )

    async def _status(self) -> StateStatus:
        # Reading the status can crash a Supervisor that cannot read the apps.
        await self._supervisor.apps()
        return await self._supervisor.state_status()


def select_containers(
    containers: Iterable[Container], selection: LogSelection
) -> list[Container]:
    """Return those of the containers that belong to the selected service and app."""
    return [
        container
        for container in containers
        if container.container_id
        and container.service == selection.service
        and selection.app_id in (None, container.app_id)
    ]


def newest_by_app(
    containers: Iterable[Container], selection: LogSelection
) -> dict[int | None, str]:
    """Return the ids of the selected containers by app, the newest of each app."""
    return {
        container.app_id: container.container_id or ""
        for container in select_containers(containers, selection)
    }


def container_tag(container: Container) -> str:
    """Return the tag of the lines of a container."""
    return short_container_id(container.container_id or "")
