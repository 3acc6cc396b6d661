"""What a forked child must not inherit: its parent's sessions, threads and locks, for which it would wait for ever."""

import ctypes
import os
from functools import cache
from typing import Any, Protocol
from weakref import WeakSet


class Inherited(Protocol):
    """State that a process makes for itself."""

    def forget(self) -> None:
        """Drop the state, so that it is made anew when it is needed."""


def forget_in_children(state: Inherited) -> None:
    """Call `state.forget()` in every child that this process forks, before anything else runs there."""
    _states().add(state)


def keep_alive(session: Any) -> None:
    """Keep a session of the parent from being destroyed in this process, even at its end: its threads, for which it
    would wait, exist in the parent alone."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


@cache
def _states() -> "WeakSet[Inherited]":
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
    return WeakSet()


def _forget() -> None:
    for state in list(_states()):
        state.forget()
