"""Outcome: what one check measured, and whether that passes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAILED", "PASSED", "SKIPPED", "Outcome"]

PASSED, FAILED, SKIPPED = 0, 1, 77
"""Exit codes; 77 is what test drivers take for a test that could not be run."""


@dataclass(frozen=True)
class Outcome:
    """What one check measured."""

    check: str
    """What was asked."""

    subject: str
    """Of which method or operator."""

    measured: float | None
    """The figure; None when it could not be had."""

    limit: float | None
    """The largest figure that passes; None: it is told, not judged."""

    unit: str = ""
    """Of both figures."""

    cpu: float | None = None
    """The same figure on the CPU, where comparing is the point."""

    said: str = ""
    """What went wrong, when there is no figure."""

    @property
    def passed(self) -> bool:
        """Whether the promise holds; a figure that is not a number never passes."""
        if self.measured is None:
            return False
        return self.limit is None or self.measured <= self.limit
