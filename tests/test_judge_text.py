"""A judgement as a person reads it."""

from __future__ import annotations

import numpy as np

from groundswell.judge import SLO, describe, judge
from groundswell.results import Results
from runs import failing, run_of

SAID = "\x1b[31mbusy\x07\nagain \u202elater " + "x" * 400


def long_run() -> Results:
    """With everything that a judgement can have, names that are too long, and words that would harm a terminal."""
    random = np.random.default_rng(9)
    n = 3_000
    due = np.sort(random.uniform(0, 600, n))
    first = due + random.exponential(0.4, n)
    return run_of(
        due,
        first - due,
        {
            "run": {"target": "openai_chat", "url": "http://127.0.0.1:8000", "model": "m", "span_s": 600.0},
            "totals": {"requests": n, "prompt_tokens": 7, "output_tokens": 8},
        },
        client=[f"client-with-quite-a-long-name-{i % 30}" for i in range(n)],
        sent_s=due + 1e-4,
        first_answer_s=first + 0.1,
        done_s=first + random.uniform(0.1, 900.0, n),
        input_tokens=random.integers(1, 100_000, n),
        asked_tokens=[300] * n,
        output_tokens=random.integers(2, 300, n),
        prompt_tokens=[10] * n,
        made_tokens=[11] * n,
        longest_gap_s=[0.0405] * 300 + [0.01] * (n - 300),
        error=failing(n, range(0, n, 100), "status"),
        status=[503] * n,
        words=[SAID] * n,
    )


def test_it_fits_into_80_columns_whatever_is_in_it() -> None:
    text = describe(judge(long_run(), SLO.parse("ttft:p99.9<2s,e2e:mean<100ms,tpot:p50<10s,itl:p99<1s")))
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert all(line.isprintable() for line in text.splitlines())
    assert "“[31mbusy again later xxx" in text


def test_names_that_are_too_long_keep_their_ends() -> None:
    text = describe(judge(long_run(), SLO.parse("ttft:p50<2s")))
    lines = text.split("\nclient ")[1].splitlines()[1:11]
    ends = [line.split()[0].rpartition("-")[2] for line in lines]
    assert len(set(ends)) == 10
    assert all("…" in line.split()[0] and end.isdigit() for line, end in zip(lines, ends, strict=True))


def test_the_verdict_comes_first_and_says_why() -> None:
    text = describe(judge(long_run(), SLO.parse("ttft:p50<2s,e2e:max<100ms,ttft:p99<2s")))
    assert "FAILS ttft:p50<2s,e2e:max<100ms,ttft:p99<2s" in text
    assert "✓  ttft:p50<2s" in text
    assert "✗  e2e:max<100ms" in text
    assert text.index("FAILS") < text.index("ttft  ms")


def test_one_request_is_one() -> None:
    text = describe(judge(run_of([1.0], [0.5], done_s=[2.0])))
    assert "1 request in " in text
    assert "1 requests" not in text


def test_an_invalid_run_says_what_to_do() -> None:
    due = np.arange(100.0)
    text = describe(judge(run_of(due, np.ones(100), sent_s=due + 0.9), SLO.parse("ttft:p50<2s")))
    assert "INVALID: requests left late: the p99 of the lag is 900 ms" in text
    assert "What to do: give the run more workers" in text
    assert "MEETS" not in text


def test_without_an_slo_figures_alone_are_said() -> None:
    text = describe(judge(run_of(np.arange(50.0), np.full(50, 0.25))))
    assert "50 requests in 49s, none failed." in text
    assert "ttft  ms" in text
    assert not any(word in text for word in ("MEETS", "FAILS", "UNCLEAR", "SLO", "note"))


def test_figures_are_rounded_so_that_they_stay_true() -> None:
    due = np.linspace(0, 999, 100_000)
    latency = np.full(100_000, 0.5)
    latency[777] = 3.0
    text = describe(judge(run_of(due, latency), SLO.parse("ttft:p99<1s"), 0.0, 0.0))
    assert "99.999 %" in text
    assert "500 ms" in text
