"""Small tokenizers of every kind, trained on some of the standard library's sources in a second each at most."""

from __future__ import annotations

import json
import sysconfig
from functools import cache
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

TEXT_BYTES = 300_000
UNKNOWN = "<unk>"
SPECIAL = [UNKNOWN, "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
LLAMA_3 = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
KINDS = (
    "byte_level",
    "byte_level_digits",
    "metaspace",
    "metaspace_kept",
    "unigram",
    "wordpiece",
    "truncating",
)
"""Those with enough words; ``bare_metaspace`` has not."""


@cache
def sources() -> list[str]:
    """Lines of the standard library, about ``TEXT_BYTES`` of them."""
    lines: list[str] = []
    size = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines += text.splitlines(keepends=True)
        size += len(text)
        if size > TEXT_BYTES:
            break
    return lines


@cache
def tokenizer(kind: str, size: int = 6000) -> Tokenizer:
    """One of ``KINDS``, with about ``size`` tokens."""
    letters = pre_tokenizers.ByteLevel.alphabet()
    bpe = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    bytes_bpe = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, initial_alphabet=letters, show_progress=False
    )
    if kind in ("byte_level", "truncating"):  # as GPT-2
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        made.train_from_iterator(sources(), bytes_bpe)
        if kind == "truncating":
            made.enable_truncation(64)
            made.enable_padding(length=64)
    elif kind == "byte_level_digits":  # as Llama 3 and Qwen 2
        made = Tokenizer(models.BPE(ignore_merges=True))
        made.normalizer = normalizers.NFC()
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(LLAMA_3), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        made.decoder = decoders.ByteLevel()
        made.train_from_iterator(sources(), bytes_bpe)
    elif kind in ("metaspace", "metaspace_kept"):  # as Mistral: ▁ in front of the first word, or of none
        made = Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True, byte_fallback=True))
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first" if kind == "metaspace" else "never")
        made.decoder = decoders.Metaspace()
        made.train_from_iterator(sources(), bpe)
    elif kind == "bare_metaspace":  # as Llama 2 does it, but merges may cross words, as nothing splits the text
        made = Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True))
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
        made.train_from_iterator(sources(), bpe)
    elif kind == "unigram":  # as T5
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.Replace(Regex(r"\s+"), " ")
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        made.train_from_iterator(
            sources(),
            trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIAL, unk_token=UNKNOWN, show_progress=False),
        )
    else:  # as BERT
        made = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
        made.normalizer = normalizers.Lowercase()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        made.train_from_iterator(
            sources(), trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
        )
    return made


def crossing(size: int = 8000) -> Tokenizer:
    """As Llama 2, but with a merge before all others that joins an e and the space after it."""
    content = json.loads(tokenizer("metaspace", size).to_str())
    content["pre_tokenizer"] = None
    content["normalizer"] = {"type": "Sequence", "normalizers": [_PREPEND, _REPLACE]}
    content["model"]["vocab"]["e▁"] = len(content["model"]["vocab"])
    content["model"]["merges"].insert(0, ["e", "▁"])
    return Tokenizer.from_str(json.dumps(content))


def joining(pairs: list[tuple[str, str]]) -> Tokenizer:
    """As T5's, but nothing splits the text, and each of ``pairs`` of words is also one token."""
    content = json.loads(tokenizer("unigram").to_str())
    content["pre_tokenizer"] = None
    content["normalizer"] = {"type": "Sequence", "normalizers": [_PREPEND, _REPLACE]}
    content["model"]["vocab"] += [[f"▁{first}▁{second}", -1.0] for first, second in pairs]
    return Tokenizer.from_str(json.dumps(content))


_PREPEND = {"type": "Prepend", "prepend": "▁"}
_REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
