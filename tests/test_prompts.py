"""Prompts: exact lengths, equal blocks are equal text, and the same bytes on every machine."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from groundswell import chance
from groundswell.replay.prompts import PIECE, Prompts, key_of, numbers_at
from groundswell.replay.words import Words, words_of

Ints = NDArray[np.int64]
Run = tuple[int, int]

WORDS = words_of("three letters", [a + b + c for a in "bdfglm" for b in "aeiou" for c in "nprst"], ids=False)
IDS = words_of("numbers", [str(number) for number in range(3000, 3700)], ids=True)
NO_RUNS = np.zeros(0, np.int64)


def texts(words: Words, seed: int, block: int, asked: Sequence[tuple[int, Sequence[Run], int, int]]) -> list[bytes]:
    """Prompts of (row, runs, begin, end), made together."""
    runs = [number for _, some, _, _ in asked for run in some for number in run]
    return Prompts(words, seed, block).texts(
        np.array([row for row, _, _, _ in asked], np.int64),
        (np.array(runs, np.int64), np.array([len(some) for _, some, _, _ in asked], np.int32)),
        np.array([begin for _, _, begin, _ in asked], np.int64),
        np.array([end for _, _, _, end in asked], np.int64),
    )


def tokens(words: Words, text: bytes) -> list[str]:
    return text.decode().removesuffix(",").split("," if words.ids else " ") if text else []


def plainly(words: Words, seed: int, block: int, row: int, runs: Sequence[Run], place: int) -> str:
    """One token, by the definition, with the generator of :mod:`groundswell.chance`."""
    ids = [first + i for first, count in runs for i in range(count)]
    which = place // block if block else len(ids)
    if which < len(ids):
        key, place = word(chance.stream_key(seed, "blocks"), ids[which]), place % block
    else:
        key = word(chance.stream_key(seed, "rows"), row)
    lanes = math.gcd(block, 4)
    lane = word(key, place // lanes) >> (16 * (place % lanes)) & 0xFFFF
    return words.strings()[lane * len(words) >> 16]


def word(key: int, index: int) -> int:
    return int(chance.words(np.uint64(key), np.int64(index).astype(np.uint64)))


def alone(words: Words, seed: int, count: int, row: int = 0) -> list[str]:
    return tokens(words, texts(words, seed, 0, [(row, [], 0, count)])[0])


def test_the_numbers_are_those_of_chance() -> None:
    index = np.array([0, 1, 5, 2**40, -1, -(2**63), 2**63 - 1])
    for seed in (0, 7, -3):
        assert key_of(seed, "blocks") == chance.stream_key(seed, "blocks")
        key = key_of(seed, "rows")
        assert (numbers_at(key, index) == chance.words(np.uint64(key), index.view(np.uint64))).all()


run = st.tuples(st.integers(-(2**63), 2**63 - 100), st.integers(0, 6))
asking = st.tuples(st.integers(0, 2**62), st.lists(run, max_size=4), st.integers(0, 70), st.integers(0, 40))


@given(
    asked=st.lists(asking, min_size=1, max_size=6),
    block=st.sampled_from([0, 1, 2, 3, 4, 6, 7, 16, 20]),
    seed=st.integers(0, 2**64),
    words=st.sampled_from([WORDS, IDS]),
)
def test_every_token_is_what_the_definition_says(
    asked: list[tuple[int, list[Run], int, int]], block: int, seed: int, words: Words
) -> None:
    spans = [(row, runs, begin, begin + size) for row, runs, begin, size in asked]
    made = texts(words, seed, block, spans)
    for text, (row, runs, begin, end) in zip(made, spans, strict=True):
        assert tokens(words, text) == [plainly(words, seed, block, row, runs, j) for j in range(begin, end)]


@pytest.mark.parametrize("block", [0, 1, 3, 16, 512])
@pytest.mark.parametrize("words", [WORDS, IDS], ids=["text", "ids"])
def test_a_prompt_cut_anywhere_is_its_parts(words: Words, block: int) -> None:
    count = 3 * PIECE
    runs = [(40, 2), (-7, 3)] if block else []
    whole = tokens(words, texts(words, 1, block, [(9, runs, 0, count)])[0])
    assert len(whole) == count
    rng = np.random.default_rng(2)
    spans = [*np.sort(rng.integers(0, count + 1, (300, 2)), axis=1).tolist(), [0, 0], [count, count], [0, 1]]
    parts = texts(words, 1, block, [(9, runs, begin, end) for begin, end in spans])
    for part, (begin, end) in zip(parts, spans, strict=True):
        assert tokens(words, part) == whole[begin:end]


def test_a_text_begins_with_a_letter_and_ids_end_in_a_comma() -> None:
    text, nothing = texts(WORDS, 1, 16, [(0, [(1, 2)], 5, 30), (1, [(1, 2)], 5, 5)])
    assert len(text) == 25 * WORDS.width - 1
    assert text[:1].isalpha()
    assert nothing == b""
    ids, nothing = texts(IDS, 1, 16, [(0, [(1, 2)], 5, 30), (1, [(1, 2)], 5, 5)])
    assert len(ids) == 25 * IDS.width
    assert ids.endswith(b",")
    assert nothing == b""


@pytest.mark.parametrize("block", [1, 5, 16, 64])
def test_equal_blocks_are_equal_text_wherever_they_stand(block: int) -> None:
    one, other = texts(WORDS, 3, block, [(0, [(100, 3), (7, 2)], 0, 5 * block), (1, [(5, 4), (101, 2)], 0, 6 * block)])
    first, second = tokens(WORDS, one), tokens(WORDS, other)
    assert first[block : 3 * block] == second[4 * block :]  # blocks 101 and 102
    assert first[4 * block :] == second[3 * block : 4 * block]  # block 8
    if block > 4:
        assert first[:block] != second[:block]


def test_runs_are_a_shorthand_for_their_blocks() -> None:
    short, long = texts(
        WORDS, 3, 16, [(5, [(100, 3), (7, 1)], 3, 90), (5, [(100, 1), (101, 0), (101, 2), (7, 1)], 3, 90)]
    )
    assert short == long


def test_what_no_block_names_belongs_to_the_row() -> None:
    a, b, c = texts(WORDS, 3, 16, [(5, [(1, 1)], 0, 64), (6, [(1, 1)], 0, 64), (5, [(2, 1)], 0, 64)])
    assert tokens(WORDS, a)[:16] == tokens(WORDS, b)[:16]
    assert tokens(WORDS, a)[16:] != tokens(WORDS, b)[16:]
    assert tokens(WORDS, a)[16:] == tokens(WORDS, c)[16:]


def test_a_prompt_is_the_same_alone_and_among_others() -> None:
    asked = [(row, [(row % 3, row % 4)], row % 7, 50 + 13 * row) for row in range(40)]
    assert texts(WORDS, 4, 16, asked) == [texts(WORDS, 4, 16, [one])[0] for one in asked]


def test_another_seed_makes_other_prompts() -> None:
    assert texts(WORDS, 1, 16, [(0, [(1, 2)], 0, 32)]) != texts(WORDS, 2, 16, [(0, [(1, 2)], 0, 32)])


def test_blocks_and_rows_of_one_number_are_unlike_each_other() -> None:
    block, row = texts(WORDS, 1, 400, [(0, [(5, 1)], 0, 400), (5, [], 0, 400)])
    # equal by chance once in 150; five standard errors above
    same = sum(a == b for a, b in zip(tokens(WORDS, block), tokens(WORDS, row), strict=True))
    assert same < 400 / 150 + 5 * math.sqrt(400 / 150)


def test_every_word_is_as_frequent_as_the_others() -> None:
    # 16 bits choose among 150 words, so a word is up to 0.2 % more frequent than another: no more than noise here
    found = np.unique(alone(WORDS, 11, 60_000), return_counts=True)[1]
    assert found.size == len(WORDS)
    assert stats.chisquare(found).pvalue > 1e-6


def test_what_comes_next_does_not_follow_from_what_came() -> None:
    place = {word: i for i, word in enumerate(WORDS.strings())}
    code = np.array([place[word] for word in alone(WORDS, 12, 90_000)])
    for lag in (1, 2, 3, 4, 8):
        pairs = np.zeros((15, 15))
        np.add.at(pairs, (code[:-lag] // 10, code[lag:] // 10), 1)
        assert stats.chi2_contingency(pairs).pvalue > 1e-6


def test_texts_are_the_same_on_every_machine() -> None:
    asked = [(row, [(1000 * row, 3), (7, row % 2)], row % 5, 100 + 97 * row) for row in range(30)]
    digest = hashlib.sha256()
    for words in (WORDS, IDS):
        for block in (0, 3, 16, 512):
            digest.update(b"\n".join(texts(words, 2026, block, asked)))
    assert texts(WORDS, 1, 0, [(0, [], 0, 6)]) == [b"bin lis fon dap gin mun"]
    assert digest.hexdigest() == "b462893015928a7e308c2e58d2464becc60c1716401d7e8d74bf5e2efa592cc0"


def test_a_word_that_may_not_begin_a_text_gives_way_to_one_that_may() -> None:
    first = WORDS.strings()[::11]
    words = words_of("some", WORDS.strings(), ids=False, first=first)
    asked = [(row, [(1, row % 3)], row % 9, row % 9 + row % 5) for row in range(200)]
    for text, plain in zip(texts(words, 1, 4, asked), texts(WORDS, 1, 4, asked), strict=True):
        got, free = tokens(words, text), tokens(WORDS, plain)
        assert len(got) == len(free)
        assert got[1:] == free[1:]
        assert all(word in first for word in got[:1])
        if free and free[0] in first:
            assert got == free
    # what begins is a function of the token: equal blocks begin equally
    assert len(set(texts(words, 1, 4, [(row, [(9, 2)], 4, 8) for row in range(20)]))) == 1
    assert words.some(40).split()[0].decode() in first
    assert len(words.some(40).split()) == 40


def test_a_long_prompt_takes_little_memory_beside_itself() -> None:
    prompts, count = Prompts(WORDS, 1, 16), 200_000
    runs: tuple[Ints, NDArray[Any]] = (np.array([0, count // 32]), np.array([1]))
    prompts.texts(np.array([0]), runs, np.array([0]), np.array([100]))
    tracemalloc.start()
    text = prompts.texts(np.array([0]), runs, np.array([0]), np.array([count]))[0]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most - len(text) < 16 * count


def test_words_travel_as_messagepack() -> None:
    words = words_of("some", ["tide", "wave"], ids=False, first=["wave"])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(words), type=Words) == words


@pytest.mark.parametrize(
    ("width", "table", "first"), [(5, b"", b""), (5, b" tides", b""), (1, b"ab", b""), (5, b" tide", b" tid")]
)
def test_a_table_that_holds_no_words_is_refused(width: int, table: bytes, first: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        Words("none", False, width, table, first)


def test_a_worker_makes_prompts_without_heavy_imports() -> None:
    code = (
        "import sys, groundswell.replay.prompts, groundswell.replay.images, groundswell.replay.audio;"
        "print({name.split('.')[0] for name in sys.modules} & {'numba', 'polars', 'scipy', 'tokenizers', 'rich'})"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"
