"""What a check says when a contract does not hold."""

from __future__ import annotations

__all__ = ["ContractBroken", "hold"]


class ContractBroken(AssertionError):
    """A contract does not hold; the message names the check and the figures."""

    def __init__(self, check: str, said: str) -> None:
        self.check = check
        super().__init__(f"{check}: {said}")


def hold(check: str, holds: bool, said: str) -> None:
    """Raise ContractBroken unless it holds."""
    if not holds:
        raise ContractBroken(check, said)
