"""What making prompts, images and sounds costs, as Markdown tables; or how exact prompts are for some tokenizers.

python benchmarks/prompts.py
python benchmarks/prompts.py --tokenizer FOLDER [--tokenizer FOLDER]

The second encodes random parts of prompts alone, on a new line, and behind a template's beginning, and counts those
that are not as many tokens as they should be; both of the tokenizer's own words, and of the guessed ones.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from common import machine, table
from groundswell.replay.audio import audio_item
from groundswell.replay.images import image_item
from groundswell.replay.prompts import Prompts
from groundswell.replay.vocabulary import vocabulary_of

BATCH = 32


def best_s(work: Callable[[], object], times: int, rounds: int = 7) -> float:
    """The least mean time of a call, over some rounds."""
    work()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - began) / times)
    return min(found)


def prompts() -> None:
    words = vocabulary_of(None, ids=False)
    rows = []
    for tokens in (16, 256, 1024, 8192, 131_072):
        for block in (0, 16, 512):
            maker, runs = Prompts(words, 1, block), -(-tokens // block) if block else 0
            flat = np.array([[1000 * i, runs] for i in range(BATCH)]).ravel()
            row, begin, end = np.arange(BATCH), np.zeros(BATCH, np.int64), np.full(BATCH, tokens)
            given = (row, (flat, np.ones(BATCH, np.int64)), begin, end)
            took = best_s(partial(maker.texts, *given), max(200_000 // tokens, 1) // BATCH + 1)
            rows.append((tokens, block or "none", took / BATCH * 1e6, took / BATCH / tokens * 1e9))
    table(("tokens of a prompt", "tokens of a block", "µs a prompt", "ns a token"), rows)


def items() -> None:
    rows: list[tuple[object, ...]] = []
    for tokens in (256, 1280, 16_384):
        took = best_s(partial(image_item, tokens, 1, 2, 3), 1000)
        rows.append(("image", tokens, took * 1e6, len(image_item(tokens, 1, 2, 3)) / 1e3))
    for tokens in (25, 250, 2500):
        took = best_s(partial(audio_item, tokens, 25.0, 1, 2, 3), 200)
        rows.append(("sound", tokens, took * 1e6, len(audio_item(tokens, 25.0, 1, 2, 3)) / 1e3))
    table(("item", "tokens", "µs", "KB of JSON"), rows)


def exactness(folders: list[str], texts: int = 150) -> None:
    from tokenizers import Tokenizer

    rng = np.random.default_rng(1)
    row, begin = np.arange(texts), rng.integers(0, 3000, texts)
    end = begin + rng.integers(1, 3000, texts)
    runs = np.stack([rng.integers(0, 50, texts), rng.integers(0, 40, texts)], axis=1).ravel()
    rows = []
    for folder in folders:
        tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
        tokenizer.no_truncation()
        for words in (vocabulary_of(folder, ids=False), vocabulary_of(None, ids=False)):
            made = Prompts(words, 1, 16).texts(row, (runs, np.ones(texts, np.int64)), begin, end)
            wrong = 0
            for before in ("", "\n", "<|im_start|>user\n"):
                around = len(tokenizer.encode(before, add_special_tokens=False).ids)
                counts = [len(tokenizer.encode(before + text.decode(), add_special_tokens=False).ids) for text in made]
                wrong += int(np.count_nonzero(np.array(counts) - around != end - begin))
            rows.append((folder, words.name, len(words), 3 * texts, 3 * int((end - begin).sum()), wrong))
    table(("tokenizer", "words of", "words", "texts", "tokens", "inexact texts"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokenizer", action="append", metavar="FOLDER", default=[])
    asked = parser.parse_args()
    if asked.tokenizer:
        exactness(asked.tokenizer)
    else:
        print(machine(), end="\n\n")
        prompts()
        items()
