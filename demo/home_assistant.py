"""A Home Assistant in its own folder: its configuration, its process, its API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import json
import os
from pathlib import Path
import signal
import sys
from typing import Any, Final, Self

import aiohttp

ROOT: Final = Path(__file__).parent.parent
_RESTART_EXIT_CODE: Final = 100
_CONFIGURATION: Final = """\
homeassistant:
  name: balena demo
  latitude: 52.37
  longitude: 4.89
  elevation: 2
  unit_system: metric
  time_zone: Europe/Amsterdam
  currency: EUR
  country: NL
  language: en
  auth_providers:
    # Logs every visitor in. Only this machine can reach the port.
    - type: trusted_networks
      trusted_networks: [127.0.0.1/32, "::1/128"]
      allow_bypass_login: true
    - type: homeassistant
history:
logbook:
automation: !include automations.yaml
logger:
  default: info
  logs:
    haffmpeg: critical
    homeassistant.components.camera.img_util: critical
  filters:
    # Home Assistant interrupts the threads that a slow machine has not ended a second after the
    # stop. Python reports each of them with a traceback.
    concurrent.futures: ["^Exception in worker$"]
"""


def prepare(folder: Path, port: int) -> None:
    """Write the configuration for the start. Files that Home Assistant wrote are kept."""
    storage = folder / ".storage"
    storage.mkdir(parents=True, exist_ok=True)
    (folder / "configuration.yaml").write_text(_CONFIGURATION)
    automations = folder / "automations.yaml"
    if not automations.exists():
        automations.write_text("[]\n")
    components = folder / "custom_components"
    if not components.is_symlink():
        components.symlink_to(ROOT / "custom_components")
    http = {
        "server_host": ["127.0.0.1"],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": False,
        "ssl_profile": "modern",
        "use_x_frame_options": True,
        "created_at": "2026-01-01T00:00:00+00:00",
        "error": None,
        "error_message": None,
    }
    _write_store(
        storage / "http",
        2,
        2,
        {"stable": http, "pending": None, "yaml_migration_done": True},
    )
    if not (storage / "onboarding").exists():
        # Without the step "user", the demo can create a user and its token through the API.
        done = {"done": ["core_config", "analytics", "integration"]}
        _write_store(storage / "onboarding", 4, 1, done)


def _write_store(path: Path, version: int, minor: int, data: dict[str, Any]) -> None:
    store = {"version": version, "minor_version": minor, "key": path.name, "data": data}
    path.write_text(json.dumps(store))


class HomeAssistant:
    """The API of a Home Assistant."""

    def __init__(self, url: str, token: str, session: aiohttp.ClientSession) -> None:
        """Store the connection."""
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session = session
        self._token = token

    @classmethod
    async def log_in(
        cls, url: str, folder: Path, session: aiohttp.ClientSession
    ) -> Self:
        """Return the API with the stored token of the last run, or with that of a new user."""
        token_file = folder / ".token"
        if token_file.exists():
            return cls(url, token_file.read_text(), session)
        client = f"{url}/"
        user = {
            "name": "Demo",
            "username": "demo",
            "password": "demo-demo",
            "client_id": client,
            "language": "en",
        }
        async with session.post(f"{url}/api/onboarding/users", json=user) as response:
            response.raise_for_status()
            code = (await response.json())["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": client}
        async with session.post(f"{url}/auth/token", data=grant) as response:
            response.raise_for_status()
            token = (await response.json())["access_token"]
        home_assistant = cls(url, token, session)
        token = await home_assistant.command(
            "auth/long_lived_access_token", client_name="demo", lifespan=3650
        )
        token_file.touch(mode=0o600)
        token_file.write_text(token)
        return cls(url, token, session)

    async def request(self, method: str, path: str, json: object = None) -> Any:
        """Return the response of the REST API."""
        async with self._session.request(
            method, f"{self.url}/api/{path}", json=json, headers=self._headers
        ) as response:
            response.raise_for_status()
            return await response.json()

    async def command(self, kind: str, **arguments: Any) -> Any:
        """Return the response of the WebSocket API."""
        address = f"{self.url}/api/websocket"
        async with self._session.ws_connect(address, max_msg_size=0) as websocket:
            await websocket.receive_json()
            await websocket.send_json({"type": "auth", "access_token": self._token})
            await websocket.receive_json()
            await websocket.send_json({"id": 1, "type": kind, **arguments})
            answer = await websocket.receive_json()
        if not answer["success"]:
            raise RuntimeError(f"{kind}: {answer['error']['message']}")
        return answer["result"]


@asynccontextmanager
async def run_home_assistant(
    folder: Path, *, verbose: bool
) -> AsyncIterator[asyncio.Task[int]]:
    """Run Home Assistant. Yields a task whose result is the exit code."""
    task = asyncio.create_task(_run(folder, verbose=verbose))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _run(folder: Path, *, verbose: bool) -> int:
    """Run Home Assistant, and again after it restarts itself. Returns its exit code."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BALENA_", "RESIN_"))
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    environment["HA_DISABLE_LOG_FILE"] = "1"
    code = _RESTART_EXIT_CODE
    while code == _RESTART_EXIT_CODE:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("hass"),
            "--config",
            folder,
            "--log-no-color",
            "--skip-pip",
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # The demo itself handles Ctrl-C, and stops Home Assistant.
            start_new_session=True,
            limit=2**20,
        )
        try:
            await _print_log(process, verbose=verbose)
            code = await process.wait()
        finally:
            await _stop(process, verbose=verbose)
    return code


async def _stop(process: asyncio.subprocess.Process, *, verbose: bool) -> None:
    """Stop Home Assistant if it runs, and kill it after 20 seconds."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(20):
            await _print_log(process, verbose=verbose)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _print_log(process: asyncio.subprocess.Process, *, verbose: bool) -> None:
    """Print errors with their tracebacks, or the whole log."""
    shown = False
    if process.stdout is None:
        return
    async for line in process.stdout:
        text = line.decode(errors="replace").rstrip()
        parts = text.split(maxsplit=3)
        if len(parts) > 2 and parts[0][:2] == "20":
            shown = parts[2] in {"ERROR", "CRITICAL"}
        if verbose or shown:
            print(text, flush=True)


async def wait_until_up(
    url: str, session: aiohttp.ClientSession, task: asyncio.Task[int]
) -> None:
    """Wait until Home Assistant responds. Raises RuntimeError if it ends instead."""
    while not task.done():
        try:
            async with session.get(f"{url}/manifest.json") as response:
                if response.ok:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.2)
    raise RuntimeError(f"Home Assistant ended with code {task.result()}")
