"""Puts the small project within reach of the flow tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_project import project_in


@pytest.fixture(scope="session")
def write_project():
    """Write the small project into a folder; gives its recipe."""
    return project_in
