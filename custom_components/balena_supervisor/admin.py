"""Restrict an action or an entity to administrators."""

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized, UnknownUser


async def async_require_admin(hass: HomeAssistant, context: Context | None) -> None:
    """Check that an administrator or an automation acts. Automations have all rights.

    Raises:
        UnknownUser: The user does not exist any more.
        Unauthorized: The user is not an administrator.
    """
    if context is None or context.user_id is None:
        return
    user = await hass.auth.async_get_user(context.user_id)
    if user is None:
        raise UnknownUser(context=context, permission=POLICY_CONTROL)
    if not user.is_admin:
        raise Unauthorized(
            context=context, user_id=context.user_id, permission=POLICY_CONTROL
        )
