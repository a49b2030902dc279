"""The least number that is enough is found as trying all of them would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from groundswell.plan.figures import Held, Trial
from groundswell.plan.smallest import smallest

NUMBERS = some.integers(1, 300)


@given(NUMBERS, NUMBERS, some.integers(0, 20), some.integers(0, 20))
def test_where_more_is_better_all_three_edges_are_exact(first: int, answer: int, below: int, above: int) -> None:
    tried = []

    def attempt(n: int) -> Trial:
        tried.append(n)
        held: Held = "fails" if n < answer - below else "unclear" if n < answer + above else "meets"
        return Trial(n, held, n >= answer)

    found = smallest(attempt, first, 1_000)
    assert (found.answer, found.low) == (answer, max(answer - below, 1))
    assert found.high == (answer + above if answer + above <= 2 * answer else None)
    assert found.monotone
    assert sorted(tried) == sorted(set(tried)) == [trial.instances for trial in found.trials]
    assert len(tried) < 60


@given(some.lists(some.booleans(), min_size=1, max_size=60), some.integers(1, 80))
def test_the_answer_keeps_the_slo_and_the_numbers_just_below_it_do_not(kept: list[bool], first: int) -> None:
    """Whatever is tried keeps the SLO or not, in any order."""

    def keeps(n: int) -> bool:
        return n > len(kept) or kept[n - 1]

    found = smallest(lambda n: Trial(n, "unclear", keeps(n)), first, 1_000, sure=False)
    assert found.answer is not None
    assert keeps(found.answer)
    assert not any(keeps(n) for n in range(max(found.answer - 3, 1), found.answer))
    keeping = [trial.instances for trial in found.trials if trial.keeps]
    assert found.answer in keeping
    assert found.monotone == all(trial.keeps for trial in found.trials if trial.instances > min(keeping))


def test_where_nothing_is_enough_there_is_no_answer() -> None:
    found = smallest(lambda n: Trial(n, "fails" if n < 40 else "unclear", False), 7, 50)
    assert (found.answer, found.high) == (None, None)
    assert 1 < found.low <= 40
    assert found.trials[-1].instances == 50


def test_one_instance_can_be_the_answer_and_all_that_may_be_tried() -> None:
    found = smallest(lambda n: Trial(n, "meets", True), 9, 1)
    assert (found.answer, found.low, found.high) == (1, 1, 1)
