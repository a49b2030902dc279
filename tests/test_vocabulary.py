"""Words that are one token each: texts of them are exactly as long as asked, for tokenizers of every kind."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

import small_tokenizers
from groundswell.errors import UsageError
from groundswell.replay.prompts import Prompts
from groundswell.replay.vocabulary import LEAST, vocabulary_of
from groundswell.replay.words import Words
from small_tokenizers import KINDS, crossing

BEFORE = ("", "\n", "<|im_start|>", "<s>", "<|im_start|>user\n")


def saved(tokenizer: Tokenizer, folder: Path) -> str:
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder)


def whole(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer, but one that neither cuts nor fills up what it is given."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def random_texts(words: Words, seed: int, longest: int = 3000, count: int = 60) -> tuple[list[str], list[int]]:
    """Texts of random parts of prompts, some of blocks, and how many tokens each should have."""
    rng = np.random.default_rng(seed)
    begin = rng.integers(0, longest, count)
    end = begin + rng.integers(1, longest, count)
    runs = np.stack([rng.integers(0, 50, count), rng.integers(0, 40, count)], axis=1).ravel()
    made = Prompts(words, seed, 16).texts(np.arange(count), (runs, np.ones(count, np.int64)), begin, end)
    return [text.decode() for text in made], (end - begin).tolist()


def tokens(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("kind", [*KINDS, "crossing"])
@pytest.mark.parametrize("seed", [1, 2])
def test_any_part_of_a_prompt_has_exactly_its_tokens(kind: str, seed: int, tmp_path: Path) -> None:
    tokenizer = crossing() if kind == "crossing" else small_tokenizers.tokenizer(kind)
    words = vocabulary_of(saved(tokenizer, tmp_path), ids=False)
    tokenizer = whole(tokenizer)
    assert len(words) >= LEAST
    texts, lengths = random_texts(words, seed)
    for before in BEFORE:
        # what stands before may take more tokens in front of a word, but always the same number
        extra = {len(tokens(tokenizer, before + text)) - n for text, n in zip(texts, lengths, strict=True)}
        assert len(extra) == 1
        if before in ("", "<s>"):
            assert extra == {len(before) // 3}


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_is_decoded_and_encoded_again_is_the_same(kind: str, tmp_path: Path) -> None:
    tokenizer = small_tokenizers.tokenizer(kind)
    words = vocabulary_of(saved(tokenizer, tmp_path), ids=False)
    tokenizer = whole(tokenizer)
    for text, _ in zip(*random_texts(words, 3), strict=True):
        ids = tokens(tokenizer, text)
        assert tokens(tokenizer, tokenizer.decode(ids)) == ids


@pytest.mark.parametrize("kind", ["byte_level_digits", "metaspace", "unigram"])
def test_a_word_is_the_same_token_wherever_it_stands(kind: str, tmp_path: Path) -> None:
    tokenizer = small_tokenizers.tokenizer(kind)
    words = vocabulary_of(saved(tokenizer, tmp_path), ids=False)
    seen: dict[str, set[int]] = {}
    for text, _ in zip(*random_texts(words, 4), strict=True):
        for word, number in list(zip(text.split(" "), tokens(tokenizer, text), strict=True))[1:]:
            seen.setdefault(word, set()).add(number)
    assert len(seen) == len(words)
    assert all(len(numbers) == 1 for numbers in seen.values())


@pytest.mark.parametrize("kind", ["byte_level", "crossing"])
def test_a_prompt_of_two_hundred_thousand_tokens_is_exact(kind: str, tmp_path: Path) -> None:
    tokenizer = crossing() if kind == "crossing" else small_tokenizers.tokenizer(kind)
    words = vocabulary_of(saved(tokenizer, tmp_path), ids=False)
    text = Prompts(words, 5).texts(np.array([0]), nothing(), np.array([0]), np.array([200_000]))[0]
    assert len(tokens(tokenizer, text.decode())) == 200_000


def test_no_word_is_taken_whose_end_joins_what_comes_next(tmp_path: Path) -> None:
    words = vocabulary_of(saved(crossing(), tmp_path), ids=False)
    assert not [word for word in words.strings() if word.endswith("e")]
    assert len(words) >= LEAST


def test_two_words_that_are_one_token_side_by_side_are_not_both_taken(tmp_path: Path) -> None:
    words = vocabulary_of(saved(small_tokenizers.tokenizer("unigram"), tmp_path), ids=False).strings()
    tokenizer = small_tokenizers.joining([(words[2 * i], words[2 * i + 1]) for i in range(6)])
    left = vocabulary_of(saved(tokenizer, tmp_path), ids=False).strings()
    assert len(left) >= LEAST
    for word in left:
        text = " ".join(f"{word} {other}" for other in left)
        assert len(tokens(tokenizer, text)) == 2 * len(left)


def test_a_token_that_was_given_a_meaning_is_no_word(tmp_path: Path) -> None:
    tokenizer = whole(small_tokenizers.tokenizer("wordpiece"))
    words = vocabulary_of(saved(tokenizer, tmp_path), ids=False).strings()
    some = next(word for word in words if (tokenizer.token_to_id(word) or 0) >= 1000)
    tokenizer.add_special_tokens([some])
    assert some not in vocabulary_of(saved(tokenizer, tmp_path), ids=False).strings()
    assert str(tokenizer.token_to_id(some)) not in vocabulary_of(saved(tokenizer, tmp_path), ids=True).strings()


def test_words_are_chosen_the_same_again_and_whatever_the_folder(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        found.append(vocabulary_of(saved(small_tokenizers.tokenizer("metaspace"), tmp_path / name), ids=False))
    assert found[0].table == found[1].table
    assert found[0].first == found[1].first


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_of_tokens_without_a_meaning_of_their_own(kind: str, tmp_path: Path) -> None:
    tokenizer = small_tokenizers.tokenizer(kind)
    words = vocabulary_of(str(Path(saved(tokenizer, tmp_path)) / "tokenizer.json"), ids=True)
    numbers = [int(word) for word in words.strings()]
    special = set(tokenizer.get_added_tokens_decoder())
    assert words.ids
    assert len(set(numbers)) == len(numbers) >= LEAST
    assert all(tokenizer.id_to_token(number) and number not in special for number in numbers)


def nothing() -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return np.zeros(0, np.int64), np.zeros(1, np.int64)


def test_prompts_of_ids_are_their_numbers(tmp_path: Path) -> None:
    words = vocabulary_of(saved(small_tokenizers.tokenizer("byte_level"), tmp_path), ids=True)
    made = Prompts(words, 6).texts(np.array([3]), nothing(), np.array([5]), np.array([50]))[0]
    numbers = made.decode().removesuffix(",").split(",")
    assert len(numbers) == 45
    assert set(numbers) <= set(words.strings())


def test_without_a_tokenizer_words_are_a_guess() -> None:
    words, ids = vocabulary_of(None, ids=False), vocabulary_of(None, ids=True)
    assert len(words) >= 300
    assert words.width == 5
    assert not words.sure
    assert not ids.sure
    assert len(set(words.strings())) == len(words)
    assert all(word.isalpha() and word.islower() for word in words.strings())
    assert ids.strings()[0] == "1000"
    listed = resources.files("groundswell.data").joinpath("words.txt").read_text("ascii")
    assert set(words.strings()) <= set(listed.split())


def test_a_tokenizer_whose_tokens_reach_across_words_is_refused(tmp_path: Path) -> None:
    folder = saved(small_tokenizers.tokenizer("bare_metaspace"), tmp_path)
    with pytest.raises(UsageError, match=r"prompts need 128: send token ids .* or leave --tokenizer out"):
        vocabulary_of(folder, ids=False)
    assert len(vocabulary_of(folder, ids=True)) >= LEAST


def test_a_vocabulary_that_is_too_small_is_refused_for_ids_too(tmp_path: Path) -> None:
    from tokenizers import models

    letters = {letter: number for number, letter in enumerate("abcdefgh")}
    with pytest.raises(UsageError, match="has 8 tokens; prompts need 128"):
        vocabulary_of(saved(Tokenizer(models.BPE(letters, [])), tmp_path), ids=True)


def test_what_is_no_tokenizer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"has no tokenizer\.json; transformers writes one"):
        vocabulary_of(str(tmp_path), ids=False)
    with pytest.raises(UsageError, match="there is no tokenizer at"):
        vocabulary_of(str(tmp_path / "none"), ids=False)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(UsageError, match=r"tokenizer\.json is no tokenizer as the library tokenizers writes it"):
        vocabulary_of(str(tmp_path), ids=False)
    (tmp_path / "tokenizer.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read as a tokenizer"):
        vocabulary_of(str(tmp_path), ids=False)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match=r"pip install 'groundswell\[replay\]'"):
        vocabulary_of(str(tmp_path), ids=False)


def test_a_name_that_the_hub_does_not_give_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def absent(name: str, file: str) -> str:
        raise LocalEntryNotFoundError(f"{file} of {name} is not here.\nMore.")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", absent)
    with pytest.raises(
        UsageError, match=r"no tokenizer 'someone/model': neither a folder, nor had from the hub"
    ) as said:
        vocabulary_of("someone/model", ids=False)
    assert "\n" not in str(said.value)


def test_a_name_on_the_hub_is_a_file_that_it_gives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    path = saved(small_tokenizers.tokenizer("wordpiece"), tmp_path) + "/tokenizer.json"
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda name, file: path)
    assert vocabulary_of("someone/model", ids=False).name == "the tokenizer someone/model"
