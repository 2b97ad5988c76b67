"""Work on rows by index, in this process or in several: what a row holds never depends on how many."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from typing import Any, Protocol

import numpy as np

from kokeilu.core.protocols import Floats
from kokeilu.errors import DesignError

__all__ = ["Progress", "Work", "filled"]

Progress = Callable[[int, int], None]
"""Told the draws done and the draws asked for."""

_HELD: list[Any] = []


class Work(Protocol):
    """Rows start..stop of the result along its last axis, shape (..., stop - start)."""

    def __call__(self, start: int, stop: int) -> Floats:
        """Return the rows."""
        ...


def filled(
    work: Work,
    shape: tuple[int, ...],
    *,
    step: int,
    workers: int = 1,
    progress: Progress | bool | None = None,
) -> Floats:
    """Return an array filled by ranges of its last axis.

    The ranges depend on `step` alone, so that any number of workers gives the same bits.

    Parameters
    ----------
    work : Work
        Must be picklable for more than one worker.
    shape : tuple of int
    step : int
    workers : int
    progress : callable of (done, total), or True for a line on the terminal
    """
    out = np.empty(shape)
    total = shape[-1]
    spans = [(start, min(start + step, total)) for start in range(0, total, step)]
    tell = shown if progress is True else progress if callable(progress) else None
    done = 0
    for start, stop, rows in _alone(work, spans) if workers == 1 or len(spans) == 1 else _shared(work, spans, workers):
        out[..., start:stop] = rows
        done += stop - start
        if tell is not None:
            tell(done, total)
    return out


def _alone(work: Work, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int, Floats]]:
    for start, stop in spans:
        yield start, stop, work(start, stop)


def _shared(work: Work, spans: list[tuple[int, int]], workers: int) -> Iterator[tuple[int, int, Floats]]:
    # A fresh interpreter on every platform: a fork would copy locks that other threads hold.
    context = get_context("spawn")
    _refuse_unsendable(work)
    pool = ProcessPoolExecutor(min(workers, len(spans)), mp_context=context, initializer=_hold, initargs=(work,))
    try:
        waiting = {pool.submit(_part, *span): span for span in spans}
        for future in as_completed(waiting):
            yield (*waiting[future], future.result())
    except BrokenProcessPool:
        raise DesignError(
            "the worker processes could not start. Keep the call under `if __name__ == '__main__':` in a script, and "
            "define worlds and estimators of your own in a module that can be imported; or leave workers at 1."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _refuse_unsendable(work: Work) -> None:
    try:
        ForkingPickler.dumps(work)
    except Exception:  # noqa: BLE001 (whatever the object's own pickling raises)
        sendable = False
    else:
        sendable = True
    if not sendable:
        raise DesignError(
            "the design, the world or the analysis cannot be sent to worker processes: define it in a module that can "
            "be imported, or leave workers at 1."
        )


def _hold(work: Work) -> None:
    _HELD[:] = [work]


def _part(start: int, stop: int) -> Floats:
    work: Work = _HELD[0]
    return work(start, stop)


def shown(done: int, total: int) -> None:
    """Write how far it is as one line on the terminal: what `progress=True` stands for."""
    sys.stderr.write(f"\r{done:,} of {total:,} draws" + ("\n" if done == total else ""))
    sys.stderr.flush()
