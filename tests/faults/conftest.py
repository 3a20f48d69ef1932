"""What the fault tests share: the process that forks, the project that it runs, and the tally."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from faults.forks import Forks
from faults.project import Project
from faults.tally import KEY, Tally


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    """The process that forks runs."""
    made = Forks(tmp_path_factory.mktemp("runs"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def project(forks, tmp_path_factory):
    """The project, with undisturbed outputs: `old`, `new` from nothing, `renewed` in place of old."""
    made = Project.create(tmp_path_factory.mktemp("project"), forks)
    made.keep("old")
    made.keep("new")
    made.keep("renewed", start="old")
    return made


@pytest.fixture
def tally(request):
    """The counts of one test, told at the end of all."""
    made = Tally()
    yield made
    request.node.user_properties.append((KEY, json.dumps(asdict(made))))
