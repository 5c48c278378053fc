"""The classes of failures, and the coarser types that reports speak of (CONTRACTS, "Failure classes")."""

from enum import StrEnum


class ErrorType(StrEnum):
    """The requirement documents' own six types."""

    TIMEOUT = "timeout"
    PERMISSION = "permission"
    RESOURCE = "resource"
    APPLICATION = "application"
    NETWORK = "network"
    UNKNOWN = "unknown"


class FailureClass(StrEnum):
    """Why a run failed, as finely as somebody acts on it. GONE: it was there and is not any more."""

    PREEMPTED = "preempted"
    HOST_LOST = "host_lost"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    STOCK_OUT = "stock_out"
    QUOTA = "quota"
    NETWORK = "network"
    DEPENDENCY_DOWN = "dependency_down"
    PERMISSION = "permission"
    IMAGE = "image"
    CONFIGURATION = "configuration"
    APPLICATION = "application"
    CANCELLED = "cancelled"
    GONE = "gone"
    UNKNOWN = "unknown"

    @property
    def error_type(self) -> ErrorType:
        """The documents' type of this class."""
        return _TYPES[self]


_F, _E = FailureClass, ErrorType
_TYPES = {
    _F.PREEMPTED: _E.RESOURCE,
    _F.HOST_LOST: _E.RESOURCE,
    _F.OUT_OF_MEMORY: _E.RESOURCE,
    _F.TIMED_OUT: _E.TIMEOUT,
    _F.STOCK_OUT: _E.RESOURCE,
    _F.QUOTA: _E.RESOURCE,
    _F.NETWORK: _E.NETWORK,
    _F.DEPENDENCY_DOWN: _E.NETWORK,
    _F.PERMISSION: _E.PERMISSION,
    _F.IMAGE: _E.APPLICATION,
    _F.CONFIGURATION: _E.APPLICATION,
    _F.APPLICATION: _E.APPLICATION,
    _F.CANCELLED: _E.UNKNOWN,
    _F.GONE: _E.UNKNOWN,
    _F.UNKNOWN: _E.UNKNOWN,
}

PERMANENT = frozenset({_F.PERMISSION, _F.IMAGE, _F.CONFIGURATION})
"""Another try of the same would end alike: these end the task without Airflow's retries."""

ENVIRONMENTAL = frozenset({_F.PREEMPTED, _F.HOST_LOST, _F.STOCK_OUT, _F.QUOTA})
"""These say something about where a run was, not about the run."""

DEPENDENT = frozenset({_F.NETWORK, _F.DEPENDENCY_DOWN})
"""These say something about what a run talks to."""
