"""A language model of random parameters, with a tokenizer of its own, made here as nothing need be fetched.

It is a Qwen2, of two layers and two million parameters as a rule. What it says makes no sense; that servers load it,
batch it and count its tokens does. The folder is one that vLLM, transformers and Dynamo read; ``tiny_gguf`` makes the
file for llama.cpp.
"""

from __future__ import annotations

import json
import struct
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 8192
CONTEXT = 32_768
ROPE_BASE, EPSILON = 10_000.0, 1e-6

PAD, TURN, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What Qwen2's tokenizers do not join. Transformers reads a Qwen2 with this pattern, whatever its file says."""
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Shape:
    """How large a model is; its heads are 64 wide, and two of them share keys and values."""

    layers: int
    hidden: int
    inner: int

    @property
    def heads(self) -> int:
        """Of queries."""
        return self.hidden // 64

    @property
    def kv_heads(self) -> int:
        """Of keys and values."""
        return self.heads // 2


TINY = Shape(2, 256, 512)
SMALL = Shape(8, 512, 1536)
"""Of 29 million parameters, so that a step takes longer than what a server does around it."""


def make(folder: Path, shape: Shape = TINY) -> Path:
    """Write model and tokenizer into ``folder``, and return it. Takes about three seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_tokenizer(folder)
    _write_config(folder, shape)
    _write_safetensors(weights(shape), folder / "model.safetensors")
    return folder


def _write_tokenizer(folder: Path) -> None:
    """A byte-level BPE of what every Python has: the sources of its standard library."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:120]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    pieces = pre_tokenizers.Split(Regex(PIECES), "isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, letters])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(name, special=True) for name in (PAD, TURN, END)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(path) for path in sources], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def _write_config(folder: Path, shape: Shape) -> None:
    end_of = {"pad_token_id": 0, "eos_token_id": 2}
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "dtype": "bfloat16",
        "vocab_size": VOCABULARY,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "max_position_embeddings": CONTEXT,
        "hidden_act": "silu",
        "rms_norm_eps": EPSILON,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE},
        "tie_word_embeddings": True,
        **end_of,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "generation_config.json").write_text(json.dumps(end_of), encoding="utf-8")


def weights(shape: Shape = TINY) -> Weights:
    """Random weights under the names that Qwen2 has for them, as matrices of (out, in)."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.02, shape).astype(np.float32)

    hidden, inner = shape.hidden, shape.inner
    kv_width = hidden // shape.heads * shape.kv_heads
    found = {"model.embed_tokens.weight": random(VOCABULARY, hidden), "model.norm.weight": np.ones(hidden, np.float32)}
    for layer in range(shape.layers):
        at = f"model.layers.{layer}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found[f"{at}.{norm}.weight"] = np.ones(hidden, np.float32)
        for name, width in (("q", hidden), ("k", kv_width), ("v", kv_width)):
            found[f"{at}.self_attn.{name}_proj.weight"] = random(width, hidden)
            found[f"{at}.self_attn.{name}_proj.bias"] = np.zeros(width, np.float32)
        found[f"{at}.self_attn.o_proj.weight"] = random(hidden, hidden)
        for name, size in (("gate", (inner, hidden)), ("up", (inner, hidden)), ("down", (hidden, inner))):
            found[f"{at}.mlp.{name}_proj.weight"] = random(*size)
    return found


def _write_safetensors(tensors: Weights, path: Path) -> None:
    """Hugging Face's file of tensors: the length of a header, the header as JSON, and the bytes, here of bfloat16."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    pieces: list[bytes] = []
    at = 0
    for name, tensor in tensors.items():
        piece = (tensor.view(np.uint32) >> 16).astype("<u2").tobytes()  # a bfloat16 is the upper half of a float32
        header[name] = {"dtype": "BF16", "shape": tensor.shape, "data_offsets": [at, at + len(piece)]}
        pieces.append(piece)
        at += len(piece)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(pieces))
