"""The updates of a device, and the update locks that stop them."""

import asyncio
import contextlib
from typing import Any, Final, Unpack

from .apps import Release
from .engine import ContainerEngine, Update
from .host import HostOptions
from .journal import SUPERVISOR_UNIT
from .refusals import Locked
from .versions import LOCK_MESSAGE, UPDATES_QUEUE

# In percent. A download that restarts keeps complete layers.
_LAYER: Final = 21.0
# In seconds. A device waits longer after each failed attempt to install an update, but no longer
# than this, the interval of its polls.
_LONGEST_BACKOFF: Final = 900.0


class UpdatingDevice(ContainerEngine):
    """A host whose apps are updated, step by step or in real time."""

    def __init__(self, **options: Unpack[HostOptions]) -> None:
        """Create a host without a pending update."""
        super().__init__(**options)
        self.update_pending = False
        self.update_failed = False
        self.update_downloaded = False
        self.settled = True
        self.locks: dict[tuple[int, str], str] = {}
        # The configuration disables update locks.
        self.override_lock = False
        # At the start of an update, the services of the release are not listed yet.
        self.lists_services_late = False
        self.commands: list[tuple[str, dict[str, Any]]] = []
        # The update that continues in the background.
        self._background_update: Update | None = None

    # Locks

    def lock(
        self,
        app_id: int | None = None,
        service: str | None = None,
        name: str = "updates.lock",
    ) -> None:
        """Take an update lock for a service of an app."""
        app_id = self._app_id(app_id)
        service = service or self.apps[app_id].release.services[0].name
        self.locks[app_id, service] = name

    def unlock(self, app_id: int | None = None, service: str | None = None) -> None:
        """Release the update locks of an app or a service, or all locks."""
        for lock in list(self.locks):
            if app_id in (None, lock[0]) and service in (None, lock[1]):
                del self.locks[lock]

    def check_locks(self, app_id: int | None = None, *, force: bool = False) -> None:
        """Check that no lock is held. `force` deletes the locks. Raises Locked."""
        held = [lock for lock in self.locks if app_id in (None, lock[0])]
        if force or self.override_lock:
            for lock in held:
                del self.locks[lock]
        elif held:
            app, service = held[0]
            message = LOCK_MESSAGE.at(self.version)
            raise Locked(
                message.format(app_id=app, service=service, name=self.locks[held[0]])
            )

    # Updates in real time

    def check_for_update(self, *, force: bool = False, cancel: bool = False) -> None:
        """Check for a new target release and apply it."""
        self.commands.append(("update", {"force": force, "cancel": cancel}))
        if not self.internet or self.local_mode:
            return
        update = self.current_update
        if update is None or cancel:
            update = self._restart_update(update) if update else self._find_update()
            if update is None:
                self.settle()
                return
            update.is_forced = force
        elif UPDATES_QUEUE.at(self.version):
            # The new update waits for the current one, so `force` does not affect the
            # current one.
            if update.is_locked_out:
                return
        else:
            update.is_forced = update.is_forced or force
            update.retry_now.set()
        if update is not self._background_update:
            self.spawn(self._finish_update())

    def _find_update(self) -> Update | None:
        for app_id, release in self._targets.items():
            if app_id in self.apps and release != self.apps[app_id].release:
                self.begin_update(release, app_id)
                return self.current_update
        return None

    def _restart_update(self, update: Update) -> Update:
        """Restart an update. Complete layers of the download are kept."""
        update.retry_now.set()
        self.begin_update(self._targets[update.app_id], update.app_id)
        again = self._update
        if again.release == update.release:
            again.progress = update.progress // _LAYER * _LAYER
            if update.phase in {"downloaded", "applying changes"}:
                again.phase, again.progress = "downloaded", 100
        return again

    async def update(self, release: Release, app_id: int | None = None) -> None:
        """Run a whole update in real time."""
        self.begin_update(release, app_id)
        await self._finish_update()

    async def _finish_update(self) -> None:
        update = self._background_update = self._update
        try:
            await self._download_and_apply(update)
            await self._retry(update)
        finally:
            if self._background_update is update:
                self._background_update = None

    async def _download_and_apply(self, update: Update) -> None:
        begun = update.progress
        missing = 100 - begun if update.phase == "downloading" else 0
        seconds = self.timings.download * missing / 100
        steps = 10 if seconds else 1
        for step in range(1, steps + 1):
            if seconds:
                await asyncio.sleep(seconds / steps)
            # A reboot keeps what is already downloaded.
            await self._powered.wait()
            if self.current_update is not update:
                return
            if update.phase == "downloading":
                self.download(begun + missing * step / steps)
        if update.phase == "downloading":
            self.finish_download()
        if self.timings.apply:
            update.phase = "applying changes"
            await asyncio.sleep(self.timings.apply)
            await self._powered.wait()
        if self.current_update is update:
            self.apply()

    async def _retry(self, update: Update) -> None:
        """Retry an update that a lock rejected, with increasing delays."""
        seconds = self.timings.backoff
        while seconds is not None and self.current_update is update:
            update.retry_now.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await update.retry_now.wait()
            await self._powered.wait()
            seconds = min(2 * seconds, _LONGEST_BACKOFF)
            if self.current_update is update:
                self.apply()

    # Single steps of an update

    def set_target(self, release: Release, app_id: int | None = None) -> None:
        """Set the target release. The device detects it with its next check."""
        self._targets[self._app_id(app_id)] = release

    def target(self, app_id: int) -> Release | None:
        """Return the target release of an app, None if it was never set."""
        return self._targets.get(app_id)

    def begin_update(self, release: Release, app_id: int | None = None) -> None:
        """Detect a new release and start to download it."""
        app_id = self._app_id(app_id)
        self._targets[app_id] = release
        self.current_update = Update(
            app_id, release, hides_services=self.lists_services_late
        )
        self.update_pending = True
        self.update_failed = self.update_downloaded = self.settled = False

    def download(self, percent: float) -> None:
        """Set the progress of the download."""
        self._update.progress = percent

    def finish_download(self) -> None:
        """Finish the download. Recreates the services that waited for their images."""
        update = self._update
        update.phase = "downloaded"
        update.progress = 100
        self.update_downloaded = True
        for service in update.release.services:
            if (update.app_id, service.name) in self._without_image:
                self._run(update.app_id, service)

    def apply(self) -> None:
        """Apply the downloaded release. With a lock, this fails and the update stays pending."""
        if self._update.phase == "downloading":
            self.finish_download()
        update = self._update
        update.phase = "applying changes"
        try:
            self.check_locks(update.app_id, force=update.is_forced)
        except Locked:
            self.update_failed = update.is_locked_out = True
            return
        app = self.apps[update.app_id]
        app.release = update.release
        names = {service.name for service in app.release.services}
        for key in [key for key in self.containers if key[0] == app.id]:
            if key[1] not in names:
                del self.containers[key]
        for service in app.release.services:
            container = self.containers.get((app.id, service.name))
            if container is None or container.service != service:
                self._run(app.id, service)
        self.settle()

    def fail_update(self, message: str = "") -> None:
        """Fail an attempt to apply the release."""
        self._update.phase = "aborted"
        self.update_failed = True
        self.log(SUPERVISOR_UNIT, f"[error]   Updating failed: {message}", 3)

    def settle(self) -> None:
        """Remove the update, so that nothing is pending."""
        self.current_update = None
        self.settled = True
        self.update_pending = self.update_failed = self.update_downloaded = False

    @property
    def _update(self) -> Update:
        if self.current_update is None:
            raise RuntimeError("No update is under way")
        return self.current_update
