"""The contracts in public: the very checks that CI runs, for methods, operators and sensors kept elsewhere.

>>> from stsfusion.testing import check_method
>>> check_method(MyMethod)            # doctest: +SKIP

Each check raises ContractBroken with its own name and what it measured.
"""

from __future__ import annotations

from collections.abc import Callable

from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.method import FusionMethod
from stsfusion.sensing.check import check_sensor
from stsfusion.testing import form, substance
from stsfusion.testing.broken import ContractBroken
from stsfusion.testing.operators import check_operator
from stsfusion.testing.tiled import fuse_tiled

__all__ = [
    "METHOD_CHECKS",
    "ContractBroken",
    "check_method",
    "check_operator",
    "check_sensor",
    "fuse_tiled",
    "tiny_problem",
]

METHOD_CHECKS: dict[str, Callable[[type[FusionMethod]], None]] = {
    "card": form.check_card,
    "shape": form.check_shape,
    "purity": form.check_purity,
    "roles": form.check_roles,
    "seams": substance.check_seams,
    "flat": substance.check_flat,
    "gaps": substance.check_gaps,
    "useful": substance.check_useful,
    "truth": substance.check_truth,
    "blind": substance.check_blind,
    "saved": form.check_saved,
    "memory": form.check_memory,
    "one date": form.check_one_date,
    "order": form.check_order,
}
"""Every promise of a method, by name."""


def check_method(cls: type[FusionMethod]) -> None:
    """Run every check of the method contract on a class, with its example's settings.

    Raises
    ------
    ContractBroken
        The first check that fails, with what it measured.
    """
    for check in METHOD_CHECKS.values():
        check(cls)
