"""What several test files use."""

from pathlib import Path

import pytest


@pytest.fixture
def wire():
    """The recorded bodies; ``wire/README.md`` says where they are from."""
    return Path(__file__).parent / "wire"
