"""Resets state in forked children: a child that used its parent's sessions, threads or locks would wait for ever."""

import ctypes
import os
from functools import cache
from typing import Any, Protocol
from weakref import WeakSet


class Inherited(Protocol):
    """State that belongs to one process."""

    def forget(self) -> None:
        """Drop the state, so that it is created again when it is needed."""


def forget_in_children(state: Inherited) -> None:
    """Call `state.forget()` in every child that this process forks, before anything else runs there."""
    _states().add(state)


def keep_alive(session: Any) -> None:
    """Prevent the parent's session from being destroyed in this process, even at exit: its destructor would wait for
    threads that exist only in the parent."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


@cache
def _states() -> "WeakSet[Inherited]":
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
    return WeakSet()


def _forget() -> None:
    for state in list(_states()):
        state.forget()
