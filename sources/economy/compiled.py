"""How the kernel's loops are compiled: a new machine waits for that before its first economy.

A state is a tuple of some fifty arrays; taking it apart on the way in from Python is a third of what a function takes
to compile. Only those that Python calls (`entry`) get such a way in; compiled code alone calls the others (`inner`).
Called with a constant or with a narrower number, a function would be compiled again for it: here it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from numba import njit, types
from numba.core.registry import CPUDispatcher


class _Once(CPUDispatcher):
    """A function that compiled code calls with whole numbers of 64 bits, whatever it has at hand."""

    def get_call_template(self, args: tuple, kws: dict) -> Any:
        return super().get_call_template(tuple(map(_widened, args)), {k: _widened(v) for k, v in kws.items()})


class _Inner(_Once):
    def __call__(self, *_args: Any, **_named: Any) -> NoReturn:
        raise TypeError(f"{self.__name__} is called by compiled code alone: mark it `entry` to call it from Python")


def entry(function: Callable) -> CPUDispatcher:
    """A compiled function that Python calls too."""
    return _as(_Once, njit(cache=True)(function))


def inner(function: Callable) -> CPUDispatcher:
    """A compiled function without a way in from Python."""
    return _as(_Inner, njit(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))


def _as(kind: type[CPUDispatcher], dispatcher: CPUDispatcher) -> CPUDispatcher:
    dispatcher.__class__ = kind
    return dispatcher


def _widened(kind: types.Type) -> types.Type:
    kind = types.unliteral(kind)
    return types.int64 if isinstance(kind, types.Integer) else kind
