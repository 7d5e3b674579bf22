"""Loaded before all else: bridges the time in which Home Assistant is ahead of its published test helpers."""

# Since 2026.11 this puts another HTTP client in place of httpx, which must not be loaded before.
from homeassistant.const import MAJOR_VERSION, MINOR_VERSION

if (MAJOR_VERSION, MINOR_VERSION) >= (2026, 11):
    # This patches the recorder, which must not be loaded before, either.
    import pytest_homeassistant_custom_component.patch_recorder  # noqa: F401

    from homeassistant.components import logger
    from homeassistant.components.logger import helpers

    # The helpers import it from where it was until 2026.10.
    MOVED = "_clear_logger_overwrites"
    vars(logger).setdefault(MOVED, getattr(helpers, MOVED))
