"""Carrying out many measurements, several at a time, and saying how long it will still take."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Task(Generic[Result]):
    """Something to do; tasks of one `kind` take about as long as each other."""

    kind: str
    label: str
    run: Callable[[], Result]


class Pace:
    """How much is done and how long the rest will take, from how long its like has taken."""

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs
        self._left: Counter[str] = Counter()
        self._seconds: dict[str, list[float]] = {}
        self.done = 0

    @property
    def total(self) -> int:
        """Tasks done and tasks known to come."""
        return self.done + sum(self._left.values())

    def expect(self, kind: str, count: int = 1) -> None:
        """Announces tasks; a negative count takes some back."""
        self._left[kind] = max(0, self._left[kind] + count)

    def finish(self, kind: str, seconds: float) -> None:
        """Notes that a task has taken so long."""
        self.done += 1
        self.expect(kind, -1)
        self._seconds.setdefault(kind, []).append(seconds)

    @property
    def remaining(self) -> float | None:
        """Seconds to go, None before anything is known."""
        every = [value for values in self._seconds.values() for value in values]
        if not every:
            return None
        usual = sum(every) / len(every)
        seconds = 0.0
        for kind, count in self._left.items():
            own = self._seconds.get(kind)
            seconds += count * (sum(own) / len(own) if own else usual)
        return seconds / self._jobs

    def __str__(self) -> str:
        left = self.remaining
        if left is None or self.done == self.total:
            return f"[{self.done}/{self.total}]"
        minutes, seconds = divmod(round(left), 60)
        return f"[{self.done}/{self.total}, {minutes}:{seconds:02} left]"


def run_tasks(
    tasks: Sequence["Task[Result]"],
    pace: Pace,
    jobs: int,
    finished: Callable[["Task[Result]", Result | BaseException], None],
    expected: tuple[type[BaseException], ...],
) -> list[Result | BaseException]:
    """Runs tasks, `jobs` at a time; gives their results, or what they raised, in their order.

    `finished` is called after each, in this thread. An exception that is not of the `expected`
    kinds ends everything and is raised.
    """

    def timed(task: Task[Result]) -> tuple[float, Result | BaseException]:
        start = time.perf_counter()
        try:
            result: Result | BaseException = task.run()
        except expected as error:
            result = error
        return time.perf_counter() - start, result

    results: dict[int, Result | BaseException] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            waiting: dict[Future[tuple[float, Result | BaseException]], int] = {
                pool.submit(timed, task): i for i, task in enumerate(tasks)
            }
            for future in as_completed(waiting):
                i = waiting[future]
                seconds, results[i] = future.result()
                pace.finish(tasks[i].kind, seconds)
                finished(tasks[i], results[i])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[i] for i in range(len(tasks))]
