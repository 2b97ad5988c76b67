"""What kokeilu raises.

Every message says what is wrong, where, and what to do; none quotes a person's id or a value of a row.
"""

from __future__ import annotations

__all__ = [
    "ColumnError",
    "DataError",
    "DesignError",
    "EstimationError",
    "FileError",
    "KokeiluError",
    "PlanError",
    "SeedError",
    "VerificationError",
]


class KokeiluError(Exception):
    """Base of all errors of this package."""


class DesignError(KokeiluError):
    """The design contradicts itself, or the register cannot carry it."""


class ColumnError(KokeiluError):
    """A column is absent, of the wrong kind, or named twice."""


class DataError(KokeiluError):
    """The rows cannot be used: missing or duplicate ids, people unknown, values that are not finite."""


class SeedError(KokeiluError):
    """The seed is absent, empty or of a kind that cannot be published."""


class EstimationError(KokeiluError):
    """The outcomes do not carry the estimate that was asked for."""


class PlanError(KokeiluError):
    """The plan contradicts itself, or what is executed is not what was registered."""


class FileError(KokeiluError):
    """A file is not what it should be: cut short, of something else, or changed."""


class VerificationError(KokeiluError):
    """A replay could not be made at all (a replay that differs is a finding, not an error)."""
