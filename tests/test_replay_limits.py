"""What is said before a run of requests that no server of that context takes."""

from __future__ import annotations

import numpy as np
import pytest

from groundswell.replay import _pieces
from groundswell.replay.limits import left_out
from groundswell.replay.plan import survey
from groundswell.replay.source import held
from replaying import workload


@pytest.mark.parametrize("piece_rows", [2**17, 7])
def test_requests_beyond_the_context_are_counted_with_their_replies(
    monkeypatch: pytest.MonkeyPatch, piece_rows: int
) -> None:
    monkeypatch.setattr(_pieces, "PIECE_ROWS", piece_rows)
    inputs = np.arange(1, 101) * 10
    source = held(workload(np.arange(100.0), input_tokens=inputs, outputs=50))
    plan = survey(source)
    assert list(left_out(source, plan, 900)) == [
        "15 of 100 requests ask for more than the model's context of 900 tokens, the longest for 1,000 and a reply of "
        "50: servers refuse them or cut their replies short"
    ]
    assert list(left_out(source, plan, 1050)) == []
    assert list(left_out(source, plan, None)) == []


def test_the_longest_prompt_and_the_longest_reply_may_be_those_of_two_requests() -> None:
    given = workload([0.0, 1.0], input_tokens=[900, 100], outputs=50)
    frame = given.frame.with_columns(output_tokens=np.array([50, 500], np.int32))
    source = held(type(given)(frame, dict(given.metadata)))
    assert survey(source).longest_prompt + survey(source).longest_reply == 1400
    assert list(left_out(source, survey(source), 1000)) == []
