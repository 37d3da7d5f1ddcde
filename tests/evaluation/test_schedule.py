"""Tasks in parallel, in order, with the time left."""

from __future__ import annotations

import threading

import pytest

from bsqav.evaluation.compare.schedule import Pace, Task, run_tasks


def test_results_keep_the_order_of_the_tasks() -> None:
    gate = threading.Event()

    def slow() -> str:
        gate.wait(10)
        return "slow"

    def quick() -> str:
        gate.set()
        return "quick"

    said: list[str] = []
    tasks = [Task("a", "first", slow), Task("a", "second", quick)]
    pace = Pace(2)
    pace.expect("a", 2)
    done = run_tasks(tasks, pace, 2, lambda task, _: said.append(task.label), ())
    assert done == ["slow", "quick"]
    assert sorted(said) == ["first", "second"]
    assert (pace.done, pace.total) == (2, 2)


def test_what_is_expected_to_fail_becomes_a_result() -> None:
    def fail() -> int:
        raise ValueError("no")

    (result,) = run_tasks([Task("a", "a", fail)], Pace(), 1, lambda *_: None, (ValueError,))
    assert isinstance(result, ValueError)
    with pytest.raises(ValueError, match="no"):
        run_tasks([Task("a", "a", fail)], Pace(), 1, lambda *_: None, (OSError,))


def test_time_left_follows_tasks_of_the_same_kind() -> None:
    pace = Pace()
    pace.expect("quick", 3)
    pace.expect("slow", 2)
    assert pace.remaining is None
    assert str(pace) == "[0/5]"
    pace.finish("quick", 1.0)
    assert pace.remaining == pytest.approx(2 * 1 + 2 * 1)
    pace.finish("slow", 61.0)
    assert pace.remaining == pytest.approx(2 * 1 + 61)
    assert str(pace) == "[2/5, 1:03 left]"
    pace.expect("slow", -1)
    pace.finish("quick", 1.0)
    pace.finish("quick", 1.0)
    assert str(pace) == "[4/4]"
