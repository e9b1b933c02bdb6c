"""The seam ``audit.admit``: in the blocking modes of the audit webhook a record is on disk before the first byte goes
upstream."""

from __future__ import annotations

from kubeoidcproxy.exchange import Exchange


class NoAdmission:
    """Implement :class:`~kubeoidcproxy.interfaces.Admission` where no sink is blocking: nothing is ever held back."""

    def admit(self, exchange: Exchange) -> None:
        """Go on at once."""
