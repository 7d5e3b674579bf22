"""Add the dashboard of the integration, and make it the start page."""

from typing import Final

from .home_assistant import HomeAssistant

PATH: Final = "balena-demo"


async def show(home_assistant: HomeAssistant) -> None:
    """Store the dashboard and make it the default."""
    dashboards = await home_assistant.command("lovelace/dashboards/list")
    if not any(dashboard["url_path"] == PATH for dashboard in dashboards):
        await home_assistant.command(
            "lovelace/dashboards/create",
            url_path=PATH,
            title="balena",
            icon="mdi:cube-outline",
            mode="storage",
            show_in_sidebar=True,
            require_admin=False,
        )
    await home_assistant.command(
        "lovelace/config/save",
        url_path=PATH,
        config={"strategy": {"type": "custom:balena"}},
    )
    await home_assistant.command(
        "frontend/set_user_data", key="core", value={"default_panel": PATH}
    )
