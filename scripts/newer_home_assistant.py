"""Pytest plugin that makes the published test helpers work with a newer Home Assistant. It must load first."""

# Since 2026.11, this import replaces httpx, which must not be imported before.
from homeassistant.const import MAJOR_VERSION, MINOR_VERSION

if (MAJOR_VERSION, MINOR_VERSION) >= (2026, 11):
    # This patches the recorder, which must not be imported before.
    import pytest_homeassistant_custom_component.patch_recorder  # noqa: F401

    from homeassistant.components import logger
    from homeassistant.components.logger import helpers

    # The helpers import it from its location until 2026.10.
    MOVED = "_clear_logger_overwrites"
    vars(logger).setdefault(MOVED, getattr(helpers, MOVED))
