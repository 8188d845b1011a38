"""How long before its slot a message is claimed: as long as the claim and the second decision take, which is measured.

Claimed too early, more messages than are on the wire become uncertain when the process is killed; too late, slots are missed
and messages wait for another one while they are claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Room for the next measurement to be longer than the last.
_MARGIN, _DECAY = 1.5, 0.8


@dataclass
class ClaimLead:
    """``seconds`` follows what was measured, between ``minimum`` and ``maximum``: up at once, down slowly."""

    minimum: float
    maximum: float
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.seconds = self.minimum

    def measured(self, seconds: float) -> None:
        """What one claim with its second decision took."""
        self.seconds = min(self.maximum, max(self.minimum, _MARGIN * seconds, _DECAY * self.seconds))
