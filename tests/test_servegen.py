"""Reading ServeGen's folders: right, whatever they look like, and never a traceback for a broken one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from groundswell.clients._dataset import _scanned
from groundswell.clients._plain import parse_dataset
from groundswell.clients._scan import PADDING, scan_trace
from groundswell.clients.pool import ClientPool
from groundswell.clients.servegen import list_servegen, read_servegen
from groundswell.errors import DataError, UsageError
from servegen_folder import PAIR, QUIET, Written, write_servegen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_servegen(tmp_path / "pair")


def padded(raw: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(raw + bytes(PADDING), np.uint8)


def test_a_folder_gives_its_clients_in_the_order_of_their_numbers(folder: Path) -> None:
    pool = read_servegen(folder)
    assert pool.names == ("chunk-2", "chunk-10")
    assert (pool.start_s, pool.window_s, pool.window_count, pool.slot_s, pool.slot_count) == (0, 600, 4, 1200, 2)
    assert pool.rate_per_s.tolist() == [[0.5, 0, 1.5, 0.02], [0, 3.0, 0, 0]]
    assert [pool.families[f] for f in pool.family[0, [0, 2, 3]]] == ["gamma", "weibull", "gamma"]
    np.testing.assert_array_equal(pool.cv[0], np.array([2.0, np.nan, 1.25, 1.0], np.float32))
    np.testing.assert_array_equal(pool.first_parameter[1], np.array([np.nan, 1.2345, np.nan, np.nan], np.float32))
    np.testing.assert_array_equal(pool.second_parameter[0], np.array([8.0, np.nan, 0.6, 50.0], np.float32))
    assert not pool.stated.any()
    assert pool.origin["kind"] == "servegen"
    assert pool.origin["folder"] == "pair"
    assert len(pool.origin["sha256"]) == 64


def test_lengths_are_those_of_the_file_and_empty_slots_have_none(folder: Path) -> None:
    pool = read_servegen(folder)
    assert pool.fields == ("input_tokens", "output_tokens", "reason_ratio")
    assert pool.has_lengths.tolist() == [True, False]
    assert (pool.table[0, 1] == -1).all()
    assert (pool.table[1] == -1).all()
    for f, expected in enumerate(([3, 8], [1], [0.25, 1.0])):
        values, probabilities = pool.lengths.table(int(pool.table[0, 0, f]))
        assert values.tolist() == expected
        assert abs(probabilities.sum() - 1) < 1e-9
    assert pool.lengths.table(int(pool.table[0, 0, 0]))[1].tolist() == [0.25, 0.75]


def test_a_slot_may_have_some_of_its_fields_only(tmp_path: Path) -> None:
    slots = {0: {"input_tokens": {5: 1.0}, "output_tokens": {}}, 600: {"output_tokens": {2: 1.0}}}
    pool = read_servegen(
        write_servegen(tmp_path / "p", {"chunk-0": Written([(1.0, 1.0, "Gamma", 1.0, 1.0)] * 2, slots)})
    )
    assert (pool.table[0] >= 0).tolist() == [[True, False], [False, True]]


def test_text_tokens_of_multimodal_files_are_input_tokens(tmp_path: Path) -> None:
    slots = {0: {"text_tokens": {5: 1.0}, "image_count": {0: 0.5, 2: 0.5}, "output_tokens": {2: 1.0}}}
    pool = read_servegen(write_servegen(tmp_path / "p", {"chunk-0": Written([QUIET], slots)}))
    assert pool.fields == ("input_tokens", "output_tokens", "image_count")


def test_slots_outside_the_span_of_the_traces_are_left_out(tmp_path: Path) -> None:
    slots = {s: {"input_tokens": {s + 1: 1.0}, "output_tokens": {2: 1.0}} for s in (0, 600, 1200, 60_000)}
    pool = read_servegen(
        write_servegen(tmp_path / "p", {"chunk-0": Written([(1.0, 1.0, "Gamma", 1.0, 1.0)] * 2, slots)})
    )
    assert pool.table.shape == (1, 2, 2)
    assert pool.lengths.table(int(pool.table[0, 1, 0]))[0].tolist() == [601]


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: json.dumps(json.loads(text), separators=(",", ":")),
        lambda text: json.dumps(dict(reversed(json.loads(text).items())), indent=7),
        lambda text: text.replace("input_tokens", "\\u0069nput_tokens"),
        lambda text: text.replace("{3: 0.25, 8: 0.75}", "{ 8 :75e-2 ,3: +.25 , }"),
        lambda text: "\ufeff" + text,
    ],
)
def test_only_the_meaning_of_a_dataset_matters(folder: Path, rewrite: Callable[[str], str]) -> None:
    before = read_servegen(folder)
    file = folder / "chunk-2-dataset.json"
    file.write_text(rewrite(file.read_text()))
    after = read_servegen(folder)
    for at in np.argwhere(before.table >= 0):
        for one, other in zip(
            *(pool.lengths.table(int(pool.table[tuple(at)])) for pool in (before, after)), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    assert ((before.table >= 0) == (after.table >= 0)).all()


@settings(deadline=None)  # the first call compiles
@given(st.dictionaries(st.integers(0, 2**24), st.floats(0, 1e3, allow_subnormal=False), min_size=1))
def test_the_compiled_reader_reads_the_very_numbers(table: dict[int, float]) -> None:
    raw = json.dumps({"0": {"input_tokens": repr(table)}}).encode()
    fast, slow = _scanned(padded(raw)), parse_dataset(Path("x"), raw)
    if fast is not None:  # it leaves powers of ten beyond 40, as in 1e-90, to the slow one
        assert (fast.value == slow.value).all()
        assert (fast.weight == slow.weight).all()
    assert slow.value.tolist() == list(table)
    assert slow.weight.tolist() == list(table.values())


@settings(deadline=None)
@given(st.floats(1e-20, 1.0), st.floats(1e-3, 999.0))
def test_the_compiled_reader_knows_the_usual_numbers(weight: float, rate: float) -> None:
    raw = json.dumps({"0": {"input_tokens": repr({7: weight})}}).encode()
    parsed = _scanned(padded(raw))
    assert parsed is not None
    assert parsed.weight.tolist() == [weight]
    column, family = np.empty((5, 9)), np.empty(9, np.uint8)
    text = padded(f"0,{rate!r},0,,0,0\r\n".encode())
    assert scan_trace(text, np.empty(0, np.uint8), np.zeros(2, np.int64), column, family) == 1
    assert column[1, 0] == rate


def replaced(file: str, old: str, new: str) -> Callable[[Path], object]:
    """A fault: in ``file`` the first ``old`` becomes ``new``."""

    def apply(folder: Path) -> None:
        text = (folder / file).read_bytes().decode()
        assert old in text
        (folder / file).write_bytes(text.replace(old, new, 1).encode())

    return apply


TRACE, DATASET = "chunk-2-trace.csv", "chunk-2-dataset.json"


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (replaced(TRACE, "0,0.5", "0,-0.5"), r"chunk-2-trace\.csv:1: rate -0\.5 must be"),
        (replaced(TRACE, "1.5", "nan"), r"chunk-2-trace\.csv:3: rate nan must be"),
        (replaced(TRACE, "1.5", "inf"), r"chunk-2-trace\.csv:3: rate inf must be"),
        (replaced(TRACE, "1.25", "-1"), r"chunk-2-trace\.csv:3: CV -1 must be"),
        (replaced(TRACE, "Gamma", "Pareto"), r"chunk-2-trace\.csv:1: family 'Pareto' is not known"),
        (replaced(TRACE, "Gamma", ""), r"chunk-2-trace\.csv:1: a window with 0\.5 requests/s must say its family"),
        (replaced(TRACE, "0.25", "-1"), r"chunk-2-trace\.csv:1: first parameter -1 must"),
        (replaced(TRACE, "1200,", "1300,"), r"chunk-2-trace\.csv:3: window start 1300 leaves the grid"),
        (replaced(TRACE, ",50.0\r\n", ""), r"chunk-2-trace\.csv:4: the last line has no line end"),
        (replaced(TRACE, ",50.0", ""), r"chunk-2-trace\.csv:4: .* has 5 columns; a line has six"),
        (replaced(TRACE, "0.5", "half"), r"chunk-2-trace\.csv:1: 'half' is not a number"),
        (replaced(TRACE, "1800,0.02,1.0,Gamma,1.0,50.0\r\n", ""), r"4 windows .* but chunk-2-trace\.csv has 3"),
        (lambda folder: (folder / TRACE).write_bytes(b""), r"chunk-2-trace\.csv: no windows"),
        (lambda folder: (folder / TRACE).write_bytes(b"\xff\xfe0,1"), r"chunk-2-trace\.csv: not text: byte 0"),
        (lambda folder: (folder / TRACE).unlink(), r"chunk-2-dataset\.json: its client has no chunk-2-trace\.csv"),
        (replaced(DATASET, "8: 0.75}", "8: 0.75"), r"chunk-2-dataset\.json:3: slot '0', input_tokens: not a literal"),
        (replaced(DATASET, "8: 0.75", "8: nan"), r"dataset\.json:3: slot '0', input_tokens: probability nan must be"),
        (replaced(DATASET, "8: 0.75", "8: -1"), r"dataset\.json:3: slot '0', input_tokens: probability -1 must be"),
        (
            replaced(DATASET, "8: 0.75", "8: 0.5"),
            r"dataset\.json:3: slot '0', input_tokens: .* sum to 0\.75; they must",
        ),
        (
            replaced(DATASET, "8: 0.75", "-8: 0.75"),
            r"dataset\.json:3: slot '0', input_tokens: -8 must be between 0 and 16",
        ),
        (replaced(DATASET, "8: 0.75", "16777217: 0.75"), r"input_tokens: 16777217 must be between 0 and 16777216"),
        (replaced(DATASET, "8: 0.75", "8.5: 0.75"), r"input_tokens: 8\.5 must be a whole number"),
        (replaced(DATASET, "8: 0.75", "3: 0.75"), r"input_tokens: 3 is there twice"),
        (replaced(DATASET, "1.0: 0.5", "1.5: 0.5"), r"dataset\.json:5: slot '0', reason_ratio: 1\.5 must be .* and 1"),
        (replaced(DATASET, "8: 0.75", "__import__('os'): 1"), r"input_tokens: not a literal .* stands after 1 entries"),
        (
            replaced(DATASET, "input_tokens", "prompt_tokens"),
            r"slot '0', prompt_tokens: no such field; there are input",
        ),
        (replaced(DATASET, '"1200"', '"0"'), r"a slot is there twice"),
        (replaced(DATASET, '"1200"', '"0.0"'), r"a slot is there twice"),
        (replaced(DATASET, '"1200"', '"noon"'), r"'noon' is no slot"),
        (replaced(DATASET, '"1200"', '"1250"'), r"slots of lengths start 1250 s apart"),
        (replaced(DATASET, '"{}"', "7"), r"dataset\.json:8: slot '1200', input_tokens: must be text"),
        (lambda folder: (folder / DATASET).write_text("[1]"), r"the file must be an object of slots"),
        (lambda folder: (folder / DATASET).write_text('{"0": 1}'), r"slot '0' must be an object of fields"),
        (lambda folder: (folder / DATASET).write_text("[" * 100_000), r"not JSON"),
        (lambda folder: (folder / DATASET).write_bytes(b'{"\xff'), r"not JSON"),
    ],
)
def test_a_broken_file_is_named_with_the_place_and_what_would_be_right(
    folder: Path, break_it: Callable[[Path], object], said: str
) -> None:
    break_it(folder)
    with pytest.raises(DataError, match=said) as caught:
        read_servegen(folder)
    assert "\n" not in str(caught.value)


def test_extreme_windows_are_read(tmp_path: Path) -> None:
    """A CV of 0, one beyond what a window's requests allow, and rate without lengths all occur: they are no faults."""
    windows = [(1.0, 0.0, "Gamma", float("inf"), 0.0), (1.0, 142.0, "Gamma", 4.96e-05, 20166.0), QUIET]
    pool = read_servegen(write_servegen(tmp_path / "p", {"chunk-0": Written(windows, {})}))
    np.testing.assert_array_equal(pool.cv[0], np.array([0, 142, np.nan], np.float32))
    assert np.isnan(pool.first_parameter[0, 0])
    assert not pool.has_lengths.any()


def test_what_is_no_pool_is_said_in_a_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        read_servegen(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is a file; a ServeGen pool is a folder"):
        read_servegen(folder / TRACE)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "trace.csv").write_text("0,1\n")
    with pytest.raises(UsageError, match=r"is no ServeGen pool: it has no chunk-N-trace\.csv"):
        read_servegen(tmp_path / "other")


def test_a_repository_lists_its_pools(tmp_path: Path) -> None:
    made = [write_servegen(tmp_path / "data" / place) for place in ("language/m-one", "reason/m-two")]
    assert list_servegen(tmp_path) == made
    assert list_servegen(tmp_path / "data" / "reason") == made[1:]
    assert list_servegen(made[0]) == made[:1]
    with pytest.raises(UsageError, match="holds several pools, say which: data/language/m-one, data/reason/m-two"):
        read_servegen(tmp_path)


def read_or_refuse(folder: Path) -> ClientPool | None:
    try:
        return read_servegen(folder)
    except (DataError, UsageError):
        return None


@pytest.mark.parametrize("name", [TRACE, DATASET])
def test_a_file_cut_at_any_byte_is_refused(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    lines = whole.count(b"\n")
    for size in range(len(whole)):
        (folder / name).write_bytes(whole[:size])
        pool = read_or_refuse(folder)
        assert pool is None, f"{size} of {len(whole)} bytes, {lines} lines"


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_folder_is_a_pool_or_a_named_fault(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = write_servegen(tmp_path_factory.mktemp("damaged"), PAIR)
    name = data.draw(st.sampled_from(sorted(file.name for file in folder.iterdir())))
    raw = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        junk = data.draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"-", b"e9", b"0", b"9", b'"', b"}", b"{}", b","]))
        )
        raw[at : at + data.draw(st.integers(0, 3))] = junk
    (folder / name).write_bytes(raw)
    pool = read_or_refuse(folder)
    if pool is not None:
        assert np.isfinite(pool.rate_per_s).all()
        assert (pool.table < pool.lengths.size).all()


# Facts of the public pools, from the papers' notes and computed independently of this package.
PUBLIC = {
    "language/m-large": (162, 15, 14, 195.8, 583, (0.160, 0.365, 0.632)),
    "language/m-small": (43, 5, 14, 1174, 3880, (0.299, 0.713, 0.928)),
    "reason/deepseek-r1": (73, 0, 1, 16.0, 42.5, (0.286, 0.480, 0.677)),
    "multimodal/mm-image": (35, 0, 1, 9.47, 13.3, (0.135, 0.492, 0.828)),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_pools_are_what_is_known_of_them(public_data: Path, name: str) -> None:
    clients, without, days, mean, peak, shares = PUBLIC[name]
    pool = read_servegen(public_data / "servegen" / "data" / name)
    assert (len(pool), int((~pool.has_lengths).sum()), pool.span_s) == (clients, without, days * 86_400)
    assert pool.total_rate_per_s.mean() == pytest.approx(mean, rel=3e-3)
    assert pool.total_rate_per_s.max() == pytest.approx(peak, rel=3e-3)
    ranked = np.sort(pool.mean_rate_per_s)[::-1].cumsum() / pool.mean_rate_per_s.sum()
    assert ranked[[0, 3, 9]] == pytest.approx(shares, abs=1e-3)
    requests = pool.rate_per_s * pool.window_s
    assert np.abs(requests - np.round(requests)).max() < 1e-6


def test_every_public_file_takes_the_compiled_path(public_data: Path) -> None:
    for file in (public_data / "servegen" / "data" / "reason" / "deepseek-r1").glob("*-dataset.json"):
        raw = file.read_bytes()
        fast, slow = _scanned(padded(raw)), parse_dataset(file, raw)
        assert fast is not None
        assert (fast.value == slow.value).all()
        assert (fast.weight == slow.weight).all()
