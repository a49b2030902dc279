"""Clients of a user's own: stated in Python, stated in a TOML file, or measured from their own requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate

from groundswell.arrivals import ARRIVALS
from groundswell.arrivals.gamma import Gamma
from groundswell.clients.client import Client, pool_of, window_means
from groundswell.clients.client_file import clients_of, read_clients
from groundswell.clients.recorded import RecordedClient
from groundswell.compose import compose
from groundswell.errors import DataError, GroundswellError, UsageError
from groundswell.lengths import LENGTHS, atoms
from groundswell.rates import Curve

LENGTHS_OF_CHAT = {"input_tokens": "lognormal:mean=800,cv=1.5", "output_tokens": "exponential:mean=200"}
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "clients.toml"


def chat(name: str = "chat", rate: Any = 2.5, arrivals: Any = "gamma:cv=3", lengths: Any = None) -> Client:
    return Client(name, rate, arrivals, LENGTHS_OF_CHAT if lengths is None else lengths)


def test_a_stated_client_is_laid_out_over_windows_and_slots() -> None:
    pool = pool_of([chat(), chat("other", 1, "onoff:duty=0.1,burst=5")])
    assert pool.names == ("chat", "other")
    assert (pool.window_count, pool.slot_count, pool.start_s, pool.end_s) == (144, 4, 0, 86_400)
    assert pool.stated.all()
    assert (pool.rate_per_s == [[2.5], [1]]).all()
    assert [pool.families[f] for f in pool.family[:, 0]] == ["gamma", "onoff"]
    onoff = ARRIVALS.build("onoff:duty=0.1,burst=5")
    assert pool.cv[:, 7] == pytest.approx([3, onoff.cv])
    assert (pool.first_parameter[1, 7], pool.second_parameter[1, 7]) == pytest.approx((0.1, 5))
    assert pool.has_lengths.all()


def test_clients_of_equal_laws_share_their_tables() -> None:
    pool = pool_of([chat(f"chat-{i}") for i in range(5)])
    assert pool.lengths.size == 2
    assert pool.mean_length("input_tokens") == pytest.approx([800] * 5, rel=1e-3)
    assert pool.mean_length("output_tokens") == pytest.approx([200] * 5, rel=1e-3)
    values, probabilities = pool.lengths.table(int(pool.table[0, 0, 0]))
    expected = atoms(LENGTHS.build("lognormal:mean=800,cv=1.5"))
    assert (values == expected[0]).all()
    assert probabilities == pytest.approx(expected[1], abs=2.0**-31)


def test_all_fields_can_be_given() -> None:
    lengths = {
        **LENGTHS_OF_CHAT,
        "reason_ratio": "empirical:values=(0,0.6,0.9)",
        "image_count": "zipf:exponent=2,most=4",
        "image_tokens": 1200,
    }
    pool = pool_of([chat(lengths=lengths), chat("text")])
    assert pool.fields == ("input_tokens", "output_tokens", "reason_ratio", "image_tokens", "image_count")
    assert (pool.table[1, :, 2:] == -1).all()
    assert pool.mean_length("reason_ratio")[0] == pytest.approx(0.5)
    assert pool.mean_length("image_tokens")[0] == 1200


@pytest.mark.parametrize("span_s", [1.0, 90.0, 600.0, 601.0, 30_000.0])
@pytest.mark.parametrize("start_s", [0.0, 21_300.0, 100.0, 1e6])
def test_the_windows_cover_the_span(span_s: float, start_s: float) -> None:
    pool = pool_of([chat()], span_s, start_s=start_s)
    assert pool.start_s <= start_s < pool.start_s + 600
    assert pool.end_s - 600 < start_s + span_s <= pool.end_s
    assert pool.slot_of_window[-1] == pool.slot_count - 1


# Rates.

CURVE = ((0.0, 1.0), (900.0, 4.0), (1000.0, 0.0), (5000.0, 2.0))


def test_a_windows_rate_is_the_curves_mean_over_it() -> None:
    time_s, rate = zip(*CURVE, strict=True)
    pool = pool_of([chat(rate=CURVE)], span_s=6000)
    for window, found in enumerate(pool.rate_per_s[0]):
        low, high = 600.0 * window, 600.0 * (window + 1)
        bends = [t for t in time_s if low < t < high]
        exact = integrate.quad(lambda t: np.interp(t, time_s, rate), low, high, points=bends or None)[0] / 600
        assert found == pytest.approx(exact, rel=1e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e3)), min_size=1, max_size=8, unique_by=lambda p: p[0]),
    st.lists(st.floats(-2e6, 2e6), min_size=2, max_size=8, unique=True),
)
def test_window_means_add_up_and_lie_within_the_curve(points: list[tuple[float, float]], edges: list[float]) -> None:
    time_s, rate = zip(*sorted(points), strict=True)
    edge_s = np.sort(edges)
    assume((np.diff(edge_s) > 1e-3).all() and (np.diff(time_s) > 1e-3).all() and max(rate) > 0)
    curve = Curve(time_s, rate)
    means = window_means(curve, edge_s)
    assert (means >= min(rate) - 1e-3).all()
    assert (means <= max(rate) + 1e-3).all()
    whole = window_means(curve, edge_s[[0, -1]])[0] * (edge_s[-1] - edge_s[0])
    assert (means * np.diff(edge_s)).sum() == pytest.approx(whole, rel=1e-9, abs=1e-3)


def test_a_rate_can_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("time_s,rate_per_s\n" + "\n".join(f"{t},{r}" for t, r in CURVE))
    from_file = pool_of([chat(rate=tmp_path / "curve.csv")], span_s=6000)
    assert (from_file.rate_per_s == pool_of([chat(rate=CURVE)], span_s=6000).rate_per_s).all()


# What cannot be.


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: chat(""), "name"),
        (lambda: chat("  "), "name"),
        (lambda: chat(3), "name"),  # type: ignore[arg-type]
        (lambda: chat(rate=-1), "client 'chat': rate -1"),
        (lambda: chat(rate=0), "client 'chat': rate 0"),
        (lambda: chat(rate=float("nan")), "client 'chat': rate nan"),
        (lambda: chat(rate=float("inf")), "client 'chat': rate inf"),
        (lambda: chat(rate=1e306), "client 'chat': rate 1e+306 is too large; at most 1e+12 requests/s"),
        (lambda: chat(rate=True), "client 'chat': rate"),
        (lambda: chat(rate=[]), "client 'chat': rate"),
        (lambda: chat(rate=[1, 2, 3]), "client 'chat': rate"),
        (lambda: chat(rate=[(0, 1), (0, 2)]), "must rise"),
        (lambda: chat(rate=[(0, 1), (5, -2)]), "negative"),
        (lambda: chat(rate=[(0, 0), (5, 0)]), "not all 0"),
        (lambda: chat(rate="no/such.csv"), "no/such.csv"),
        (lambda: chat(arrivals="gamma:cv=0"), "client 'chat': gamma: cv"),
        (lambda: chat(arrivals="sticky"), "arrivals has no 'sticky'"),
        (lambda: chat(arrivals=3), "arrivals must be"),
        (lambda: chat(lengths={}), "input_tokens are missing"),
        (lambda: chat(lengths={"input_tokens": 5}), "output_tokens are missing"),
        (lambda: chat(lengths=5), "lengths"),
        (lambda: chat(lengths={**LENGTHS_OF_CHAT, "tokens": 5}), "no field 'tokens'"),
        (
            lambda: chat(lengths={**LENGTHS_OF_CHAT, "output_tokens": 0}),
            "output_tokens must be whole numbers between 1",
        ),
        (lambda: chat(lengths={**LENGTHS_OF_CHAT, "output_tokens": 2.5}), "output_tokens must be whole numbers"),
        (lambda: chat(lengths={**LENGTHS_OF_CHAT, "output_tokens": "lognormal:mean=3"}), "output_tokens: "),
        (
            lambda: chat(lengths={**LENGTHS_OF_CHAT, "reason_ratio": 1.5}),
            "reason_ratio must be numbers between 0 and 1",
        ),
        (lambda: chat(lengths={**LENGTHS_OF_CHAT, "reason_ratio": "exponential:mean=2"}), "empirical"),
        (lambda: chat(lengths={**LENGTHS_OF_CHAT, "image_count": 1}), "image_count"),
        (lambda: chat(lengths={**LENGTHS_OF_CHAT, "audio_tokens": 1}), "audio_count"),
        (lambda: pool_of([]), "at least one client"),
        (lambda: pool_of([chat(), chat()]), "two clients are called 'chat'"),
        (lambda: pool_of([chat()], span_s=0), "more than 0 s"),
        (lambda: pool_of([chat()], span_s=float("nan")), "more than 0 s"),
        (lambda: pool_of([chat()], window_s=-1), "more than 0 s"),
        (lambda: pool_of([chat()], start_s=float("inf")), "more than 0 s"),
    ],
)
def test_what_cannot_be_is_told_of_in_a_line(made: Any, told: str) -> None:
    with pytest.raises(UsageError) as fault:
        made()
    assert told in str(fault.value)
    assert "\n" not in str(fault.value)


# Clients measured from their own requests.


def poisson_records(n: int = 20_000, seed: int = 1) -> tuple[Any, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    columns = {"input_tokens": rng.integers(1, 5000, n), "output_tokens": rng.geometric(0.01, n)}
    return np.cumsum(rng.exponential(1.0, n)), columns


def test_a_recorded_client_keeps_every_windows_count() -> None:
    arrival_s, columns = poisson_records()
    pool = pool_of([Client.from_records("mine", arrival_s, columns)], span_s=24_000)
    assert not pool.stated.any()
    count = np.histogram(arrival_s, pool.start_s + 600 * np.arange(pool.window_count + 1))[0]
    assert pool.rate_per_s[0] * 600 == pytest.approx(count)


@pytest.mark.parametrize("cv", [0.4, 1.0, 3.0])
def test_a_recorded_client_keeps_the_burstiness_of_its_gaps(cv: float) -> None:
    gaps = np.random.default_rng(2).gamma(cv**-2, 0.1 * cv**2, 100_000)
    _, columns = poisson_records(gaps.size)
    pool = pool_of([Client.from_records("mine", np.cumsum(gaps), columns)], span_s=9600)
    busy = pool.rate_per_s[0] > 0
    assert pool.cv[0, busy].mean() == pytest.approx(cv, rel=0.03)
    mean_gap_s = pool.first_parameter[0, busy] * pool.second_parameter[0, busy]
    assert mean_gap_s == pytest.approx(0.1, rel=0.3)


def test_a_recorded_clients_lengths_are_its_own_in_each_slot() -> None:
    arrival_s = np.array([10.0, 20.0, 30.0, 50_000.0])
    mine = Client.from_records("mine", arrival_s, {"input_tokens": [5, 9, 5, 700], "output_tokens": [1, 2, 3, 4]})
    pool = pool_of([mine])
    assert (pool.table[0, :, 0] >= 0).tolist() == [True, False, True, False]
    values, probabilities = pool.lengths.table(int(pool.table[0, 0, 0]))
    assert values.tolist() == [5, 9]
    assert probabilities == pytest.approx([2 / 3, 1 / 3])
    assert pool.lengths.table(int(pool.table[0, 2, 0]))[0].tolist() == [700]


def test_requests_may_be_recorded_in_any_order() -> None:
    arrival_s, columns = poisson_records(3000)
    order = np.random.default_rng(3).permutation(3000)
    one = pool_of([Client.from_records("mine", arrival_s, columns)], span_s=3600)
    other = pool_of(
        [Client.from_records("mine", arrival_s[order], {f: v[order] for f, v in columns.items()})], span_s=3600
    )
    assert (one.rate_per_s == other.rate_per_s).all()
    assert (one.cv == other.cv).all()
    assert (one.lengths.value == other.lengths.value).all()


@pytest.mark.parametrize("arrival_s", [[5.0], [5.0, 5.0, 5.0], [5.0, 700.0], [599.999999, 600.0]])
def test_a_client_of_few_requests_has_a_pool_too(arrival_s: list[float]) -> None:
    ones = np.ones(len(arrival_s))
    pool = pool_of([Client.from_records("mine", arrival_s, {"input_tokens": ones, "output_tokens": ones})], span_s=1800)
    assert pool.rate_per_s.sum() * 600 == pytest.approx(len(arrival_s))
    assert (pool.cv == 1).all()
    assert len(compose(pool, seed=1).collect().arrival_s) == len(arrival_s)


def test_a_recorded_client_is_generated_with_its_counts_and_lengths() -> None:
    arrival_s, columns = poisson_records(4000)
    mine = Client.from_records("mine", arrival_s, columns)
    workload = compose(pool_of([mine], span_s=4200), seed=1).collect()
    assert len(workload.arrival_s) == pytest.approx((arrival_s < 4200).sum(), abs=1)
    assert set(workload.input_tokens.tolist()) <= set(columns["input_tokens"].tolist())


@pytest.mark.parametrize(
    ("arrival_s", "columns", "told"),
    [
        ([], {"input_tokens": [], "output_tokens": []}, "arrival_s"),
        ([1, np.nan], {"input_tokens": [1, 2], "output_tokens": [1, 2]}, "arrival_s"),
        ([1, 2], {"input_tokens": [1, 2]}, "output_tokens are missing"),
        ([1, 2], {"input_tokens": [1, 2], "output_tokens": [1]}, "2 arrivals have 1 of output_tokens"),
        ([1, 2], {"input_tokens": [1, 2], "output_tokens": [1, 0]}, "output_tokens must be"),
        ([1, 2], {"input_tokens": [1, 2], "output_tokens": [1, 2], "colour": [1, 2]}, "no field 'colour'"),
        ([1, 2], {"input_tokens": ["a", "b"], "output_tokens": [1, 2]}, "input_tokens"),
    ],
)
def test_records_that_cannot_be_are_told_of(arrival_s: Any, columns: Any, told: str) -> None:
    with pytest.raises(UsageError) as fault:
        Client.from_records("mine", arrival_s, columns)
    assert told in str(fault.value)
    assert "client 'mine'" in str(fault.value)


def test_a_trace_that_lies_outside_the_pools_span_is_told_of() -> None:
    arrival_s, columns = poisson_records(10)
    with pytest.raises(UsageError, match=r"sent nothing between 0 s and 86400 s; its requests lie between 1\.7e"):
        pool_of([Client.from_records("mine", arrival_s + 1.7e9, columns)])


# The file.

FILE = """
[[client]]
name = "chat"
rate = [[0, 1.0], [900, 4.0], [1000, 0.0], [5000, 2.0]]
arrivals = "gamma:cv=3"
lengths = {input_tokens = "lognormal:mean=800,cv=1.5", output_tokens = "exponential:mean=200"}

[[client]]
name = "agent"
count = 20
rate = "curve.csv"
lengths = {input_tokens = "empirical:file=lengths.csv", output_tokens = 50}

[[client]]
name = "mine"
trace = "mine.csv"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder, with (brackets)"
    folder.mkdir()
    (folder / "clients.toml").write_text(FILE)
    (folder / "curve.csv").write_text("0,1\n600,2\n")
    (folder / "lengths.csv").write_text("tokens,weight\n100,1\n200,3\n")
    (folder / "mine.csv").write_text("arrival_s,output_tokens,input_tokens\n0.5,7,70\n1.5,8,80\n4000,9,90\n")
    return folder / "clients.toml"


def test_a_file_states_clients(file: Path) -> None:
    pool = read_clients(file, span_s=6000)
    assert len(pool) == 22
    assert pool.names[:3] == ("chat", "agent-0", "agent-1")
    assert pool.names[-2:] == ("agent-19", "mine")
    assert pool.stated.tolist() == [True] * 21 + [False]
    assert (pool.rate_per_s[0] == pool_of([chat(rate=CURVE)], span_s=6000).rate_per_s[0]).all()
    assert pool.rate_per_s[1, :2] == pytest.approx([1.5, 2])
    assert pool.mean_length("input_tokens")[[1, 21]] == pytest.approx([175, 80])
    assert pool.origin["file"] == "clients.toml"


def test_a_client_without_arrivals_is_poisson(file: Path) -> None:
    pool = read_clients(file)
    assert pool.families[pool.family[1, 0]] == "poisson"


def test_a_file_gives_the_clients_that_python_gives(file: Path) -> None:
    first = clients_of(file)[0]
    assert first == Client("chat", CURVE, Gamma(cv=3), LENGTHS_OF_CHAT)
    assert isinstance(clients_of(file)[-1], RecordedClient)


GOOD = "lengths = {input_tokens = 5, output_tokens = 5}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected [[client]] tables"),
        ("client = 3", "expected [[client]] tables"),
        ("client = [3]", "client 1: must be a table"),
        ("[[client]", "not TOML"),
        ("[[clients]]\nname='a'", "found 'clients'"),
        (f"title = 'mine'\n[[client]]\nname = 'a'\nrate = 1\n{GOOD}", "found 'title'"),
        (f"[[client]]\nrate = 1\n{GOOD}", "clients.toml:1: client 1: 'name' is missing"),
        (f"\n[[client]]\nname = 'a'\n{GOOD}", "clients.toml:2: client 'a': 'rate' is missing"),
        (
            f"[[client]]\nname = 'a'\nrate = 1\ncolour = 'red'\n{GOOD}",
            "client 'a': unknown key 'colour'; a client with a rate",
        ),
        ("[[client]]\nname = 'a'\ntrace = 'x.csv'\nrate = 1", "unknown key 'rate'; a client with a trace"),
        ("[[client]]\nname = 'a'\nrate = 1", "client 'a': lengths for input_tokens are missing"),
        (f"[[client]]\nname = ''\nrate = 1\n{GOOD}", "name must be"),
        (f"[[client]]\nname = 7\nrate = 1\n{GOOD}", "name must be"),
        (f"[[client]]\nname = 'a'\nrate = -1\n{GOOD}", "client 'a': rate -1"),
        (f"[[client]]\nname = 'a'\nrate = nan\n{GOOD}", "client 'a': rate nan"),
        (f"[[client]]\nname = 'a'\nrate = 'none.csv'\n{GOOD}", "none.csv: cannot be read"),
        (f"[[client]]\nname = 'a'\nrate = 'bad.csv'\n{GOOD}", "bad.csv:2:"),
        (f"[[client]]\nname = 'a'\nrate = [1, 2]\n{GOOD}", "rate must be a number"),
        (f"[[client]]\nname = 'a'\nrate = {{}}\n{GOOD}", "rate must be a number"),
        (f"[[client]]\nname = 'a'\nrate = 1\narrivals = 3\n{GOOD}", "arrivals must be a text"),
        (f"[[client]]\nname = 'a'\nrate = 1\narrivals = 'gamma:cv=0'\n{GOOD}", "client 'a': gamma: cv"),
        ("[[client]]\nname = 'a'\nrate = 1\nlengths = 5", "lengths must be a table"),
        ("[[client]]\nname = 'a'\nrate = 1\nlengths = {input_tokens = [1], output_tokens = 2}", "a length is a number"),
        (
            "[[client]]\nname = 'a'\nrate = 1\nlengths = {input_tokens = 'empirical:file=no.csv', output_tokens = 2}",
            "no.csv",
        ),
        (f"[[client]]\nname = 'a'\nrate = 1\ncount = 0\n{GOOD}", "count must be"),
        (f"[[client]]\nname = 'a'\nrate = 1\ncount = 2.5\n{GOOD}", "count must be"),
        (f"[[client]]\nname = 'a'\nrate = 1\ncount = true\n{GOOD}", "count must be"),
        (2 * f"[[client]]\nname = 'a'\nrate = 1\n{GOOD}", "clients.toml:5: there is already a client 'a', at"),
        ("[[client]]\nname = 'a'\ntrace = 'none.csv'", "none.csv: cannot be read"),
        (f'[[client]]\nname = "a"\nrate = "a\\u0000b"\n{GOOD}', "rate holds a control character"),
        ("[[client]]\nname = 'a'\nrate = 1\nlengths = {x = \"a\\nb\"}", "x holds a control character"),
        ("[[client]]\nname = 'a'\ntrace = 3", "trace must be the path"),
        ("[[client]]\nname = 'a'\ntrace = 'bad.csv'", "bad.csv:2: expected 2 numbers, found '7,soon'"),
        ("[[client]]\nname = 'a'\ntrace = 'headless.csv'", "expected a header"),
        ("[[client]]\nname = 'a'\ntrace = 'colour.csv'", "column 'colour'"),
        ("[[client]]\nname = 'a'\ntrace = 'timeless.csv'", "arrival_s is missing"),
        ("[[client]]\nname = 'a'\ntrace = 'short.csv'", "output_tokens are missing"),
    ],
)
def test_a_file_of_other_things_is_told_of_in_a_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "clients.toml"
    path.write_text(text)
    (tmp_path / "bad.csv").write_text("time_s,rate_per_s\n7,soon\n")
    (tmp_path / "headless.csv").write_text("1,2,3\n")
    (tmp_path / "colour.csv").write_text("arrival_s,colour\n1,2\n")
    (tmp_path / "timeless.csv").write_text("input_tokens,output_tokens\n1,2\n")
    (tmp_path / "short.csv").write_text("arrival_s,input_tokens\n1,2\n")
    with pytest.raises(DataError) as fault:
        read_clients(path)
    assert told in str(fault.value)
    assert str(fault.value).startswith(str(path))
    assert "\n" not in str(fault.value)


def test_a_file_that_is_not_there_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_clients(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_clients(tmp_path / "binary.toml")


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60) | st.text(max_size=60).map(json.dumps) | st.floats().map(repr) | st.integers().map(repr),
    st.sampled_from(["name", "rate", "arrivals", "lengths", "input_tokens"]),
)
def test_no_value_whatever_makes_a_traceback(tmp_path_factory: pytest.TempPathFactory, value: str, key: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    lengths = '{input_tokens = "7", output_tokens = 7}'
    chat = {"name": '"chat"', "rate": "1", "arrivals": '"poisson"', "lengths": lengths}
    chat["lengths"] = chat["lengths"].replace('"7"', value if key == "input_tokens" else '"7"')
    lines = [f"{name} = {value if name == key else given}" for name, given in chat.items()]
    path.write_text("\n".join(["[[client]]", *lines]), encoding="utf-8", errors="replace")
    told = ""
    try:
        read_clients(path, span_s=600)
    except GroundswellError as fault:
        told = str(fault)
    assert "\n" not in told


def test_the_worked_example_is_as_its_comment_says() -> None:
    pool = read_clients(EXAMPLE)
    assert len(pool) == 22
    assert {name.partition("-")[0] for name in pool.names} == {"chat", "agent", "captions"}
    workload = compose(pool, duration_s=3600, seed=1).collect()
    assert len(workload.arrival_s) == pytest.approx(pool.total_rate_per_s[:6].sum() * 600, rel=0.2)
    assert {"chat", "captions"} <= set(pool.where(lambda name: "-" not in name).names)
