"""The number of examples, and the time limit."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings
import pytest

# Examples share Home Assistant and the simulator. Each example restores their state.
_SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile(
    "quick", max_examples=40, deadline=None, suppress_health_check=_SHARED
)
settings.register_profile(
    "long",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5000")),
    deadline=None,
    suppress_health_check=_SHARED,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Remove the time limit of fuzz tests."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(0))
