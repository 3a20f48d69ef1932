"""The method contract, for every method by discovery."""

import pytest

from stsfusion import methods
from stsfusion.testing import METHOD_CHECKS


@pytest.mark.parametrize("check", METHOD_CHECKS)
@pytest.mark.parametrize("name", methods.names())
def test_method(name, check):
    METHOD_CHECKS[check](methods.kind(name))
