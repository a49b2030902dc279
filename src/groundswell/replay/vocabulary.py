"""Which words are one token each, asked of a model's own tokenizer, or guessed without one.

Only the command's own process asks: a tokenizer is large, and workers are told the words.
"""

from __future__ import annotations

import re
from collections import defaultdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.replay.prompts import key_of, numbers_at
from groundswell.replay.words import MOST, Words, words_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LEAST = 128
"""Words that a table has at least."""
FEW = 8
"""Words that can also begin a text, at least; the others are then not used there."""
ENOUGH = 512
"""Words that can also begin a text, of which there are so many that no others are taken."""

_LENGTHS = range(3, 9)
_CROSSED = 384  # words of a tokenizer whose tokens may reach across a space: every pair of them is tried
_CLEAN = 3  # random texts in a row that must come out exactly
_TEXT = 4096  # words in each

Ints = NDArray[np.int64]


def vocabulary_of(tokenizer: str | None, ids: bool) -> Words:
    """Words that are one token each: of text, or the ids themselves.

    ``tokenizer`` is a folder with a ``tokenizer.json``, such a file, or a model's name on the Hugging Face hub. Words
    of text are taken only if random texts of them come out as exactly as many tokens, each word always as the same one.
    Without a tokenizer they are a guess: frequent English words that are one token each in the vocabularies of GPT-2,
    Llama, Mistral and Qwen, or ids that every model has. Raises :class:`UsageError` for what is no tokenizer, and for
    one that has fewer than ``LEAST`` such words.
    """
    if tokenizer is None:
        return _guessed_ids() if ids else _guessed()
    loaded = _load(tokenizer)
    loaded.no_truncation()
    loaded.no_padding()
    name = f"the tokenizer {tokenizer}"
    return _id_words(loaded, name) if ids else _text_words(loaded, name)


def _guessed() -> Words:
    text = resources.files("groundswell.data").joinpath("words.txt").read_text("ascii")
    words = [word for line in text.splitlines() if not line.startswith("#") for word in line.split()]
    return words_of("frequent words, a guess", words, ids=False, sure=False)


def _guessed_ids() -> Words:
    # Below 1,000 some vocabularies keep tokens with a meaning of their own; few end before 2,000.
    return words_of("ids 1000 to 1999, a guess", [str(number) for number in range(1000, 2000)], ids=True, sure=False)


def _load(text: str) -> Tokenizer:
    try:
        import tokenizers
    except ImportError:
        raise UsageError("--tokenizer needs the library tokenizers: pip install 'groundswell[replay]'") from None
    path = _file(text)
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a tokenizer: {error}") from None
    try:
        return tokenizers.Tokenizer.from_str(content)
    except Exception as error:
        # Rust's errors come as Exception itself, and have no class of their own to be caught by.
        if type(error) is not Exception:
            raise
        raise UsageError(f"{path} is no tokenizer as the library tokenizers writes it: {error}") from None


def _file(text: str) -> Path:
    path = Path(text).expanduser()
    if path.is_dir():
        if not (path / "tokenizer.json").is_file():
            raise UsageError(
                f"{path} has no tokenizer.json; transformers writes one: AutoTokenizer.from_pretrained(…)"
                ".save_pretrained(…)"
            )
        return path / "tokenizer.json"
    if path.is_file():
        return path
    if text.startswith((".", "/", "~")) or path.suffix or text.count("/") > 1:
        raise UsageError(f"there is no tokenizer at {text}: a folder with tokenizer.json, such a file, or a hub name")
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(huggingface_hub.hf_hub_download(text, "tokenizer.json"))
    except (OSError, ValueError, EntryNotFoundError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(f"no tokenizer {text!r}: neither a folder, nor had from the hub: {said[0]}") from None


def _id_words(tokenizer: Tokenizer, name: str) -> Words:
    """Ids of one number of digits, rather such as are letters than such as may have a meaning of their own."""
    vocabulary = _vocabulary(tokenizer)
    letters = [number for token, number in vocabulary.items() if re.fullmatch(r"[^A-Za-z]*[A-Za-z]+", token)]
    for numbers in (letters, list(vocabulary.values())):
        by_digits = defaultdict(list)
        for number in sorted(numbers):
            by_digits[len(str(number))].append(str(number))
        most = max(by_digits.values(), key=len, default=[])
        if len(most) >= LEAST:
            return words_of(name, _thinned(most), ids=True)
    raise UsageError(f"{name} has {len(vocabulary):,} tokens; prompts need {LEAST} whose ids have equally many digits")


def _text_words(tokenizer: Tokenizer, name: str) -> Words:
    vocabulary = _vocabulary(tokenizer)
    by_length: dict[int, dict[str, None]] = {length: {} for length in _LENGTHS}
    for token in sorted(vocabulary, key=vocabulary.__getitem__):
        found = re.fullmatch(r"[^A-Za-z]?([A-Za-z]+)", token)
        if found and len(found[1]) in by_length:
            by_length[len(found[1])][found[1]] = None
    crossed = not _split_at_spaces(tokenizer) and any(re.search(r"[A-Za-z][ ▁Ġ]", token) for token in vocabulary)

    best = 0
    for words in sorted((list(found) for found in by_length.values()), key=len, reverse=True):
        standing = _standing(tokenizer, words, crossed) if len(words) >= LEAST else []
        best = max(best, len(standing))
        if len(standing) < LEAST:
            continue
        first = _beginning(tokenizer, standing)
        if len(first) >= ENOUGH or len(first) == len(standing):
            return words_of(name, _thinned(first), ids=False)
        if len(first) >= FEW:
            return words_of(name, _thinned(standing), ids=False, first=_thinned(first))
    raise UsageError(
        f"{name} has {best} words of one length that are one token each after a space, some of them also without one;"
        f" prompts need {LEAST}: send token ids (--target openai_completions), or leave --tokenizer out"
    )


def _vocabulary(tokenizer: Tokenizer) -> dict[str, int]:
    """Each token's id, without those that were added to what was learned, as they may mean something."""
    added = tokenizer.get_added_tokens_decoder()
    return {
        token: number for token, number in tokenizer.get_vocab(with_added_tokens=False).items() if number not in added
    }


def _split_at_spaces(tokenizer: Tokenizer) -> bool:
    """Whether text is cut at spaces before words are looked up, so that neighbours cannot matter."""
    if tokenizer.pre_tokenizer is None:
        return False
    text = "some words"
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    return len(tokenizer.pre_tokenizer.pre_tokenize_str(text)) > 1


def _standing(tokenizer: Tokenizer, words: list[str], crossed: bool) -> list[str]:
    """The words that are one token each, always the same, after any other of them and a space."""
    clean, trial = 0, 0
    while len(words) >= LEAST and clean < _CLEAN:
        faults = _faults(tokenizer, words, _random_order(len(words), trial))
        if crossed and not faults.any():
            words = _thinned(words, _CROSSED)
            faults = _faults_of_pairs(tokenizer, words)
        clean = 0 if faults.any() else clean + 1
        words = _without_worst(words, faults, crossed)
        trial += 1
    return words


def _random_order(count: int, trial: int) -> Ints:
    """Each of so many words once, and then at random."""
    index = np.arange(max(2 * count, 4 * _TEXT))
    picks = (numbers_at(key_of(trial, "vocabulary"), index) >> np.uint64(32)) * np.uint64(count) >> np.uint64(32)
    return np.concatenate([np.arange(count), picks.astype(np.int64)])


def _faults_of_pairs(tokenizer: Tokenizer, words: list[str]) -> Ints:
    """As :func:`_faults`, of a text in which every word follows every other."""
    each = np.arange(len(words))
    return _faults(tokenizer, words, np.stack([np.repeat(each, each.size), np.tile(each, each.size)], axis=1).ravel())


def _without_worst(words: list[str], faults: Ints, crossed: bool) -> list[str]:
    """What is left without the words that are most often at fault.

    Where neighbours matter, half of a fault is a neighbour's, so the worst go first.
    """
    bound = faults.max() / 2 if crossed else 0
    return [word for word, fault in zip(words, faults.tolist(), strict=True) if fault <= bound]


def _faults(tokenizer: Tokenizer, words: list[str], order: Ints) -> Ints:
    """How often each word was not one token of its own, or not the same one as elsewhere, in a text of that order."""
    width = len(words[0]) + 1
    faults = np.zeros(len(words), np.int64)
    token_of = np.full(len(words), -1)
    for at in range(0, order.size, _TEXT):
        part = order[at : at + _TEXT]
        encoded = tokenizer.encode(" ".join(words[i] for i in part), add_special_tokens=False)
        end = np.array(encoded.offsets, np.int64).reshape(-1, 2)[:, 1]
        # a token that ends with the space before a word is that word's; what ends within one is not it alone
        place = np.minimum(end // width, part.size - 1)
        tokens = np.bincount(place, minlength=part.size)
        whole = np.bincount(place[end % width == width - 1], minlength=part.size)
        good = (tokens == 1) & (whole == 1)
        number = np.full(part.size, -1)
        number[place] = encoded.ids
        good[0] = True  # it begins the text; that is looked at elsewhere
        inner = np.flatnonzero(good)[1:]
        fresh = inner[token_of[part[inner]] < 0]
        token_of[part[fresh]] = number[fresh]
        good[inner] &= token_of[part[inner]] == number[inner]
        faults += np.bincount(part[~good], minlength=len(words))
    return faults


def _beginning(tokenizer: Tokenizer, words: list[str]) -> list[str]:
    """The words that are also one token where they begin a text, a line, or what follows a special token.

    What comes before may itself take more tokens in front of a word. So words count that take equally many, and as few
    as any number of words do.
    """
    added: Any = tokenizer.get_added_tokens_decoder().values()
    for before in ("", "\n", *[token.content for token in added if token.special][:4]):
        taken = np.array([_tokens(tokenizer, before + word) for word in words], np.int64)
        common = np.flatnonzero(np.bincount(taken, minlength=1) >= FEW)
        words = [words[i] for i in np.flatnonzero(taken == (common[0] if common.size else -1))]
    return words


def _tokens(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


def _thinned(words: list[str], most: int = MOST) -> list[str]:
    """At most so many of the words, evenly spread."""
    return [words[i] for i in np.linspace(0, len(words) - 1, min(len(words), most)).astype(np.int64)]
