"""The tiny model as the one file that llama.cpp reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from real_servers import tiny_model as tiny

if TYPE_CHECKING:
    from gguf import GGUFWriter

NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""A layer's tensors, as Qwen2 calls them and as GGUF does."""


def make(folder: Path) -> Path:
    """Write ``tiny.gguf`` beside the model in ``folder`` that :func:`tiny_model.make` made, and return its path."""
    import gguf

    path = folder / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("tiny")
    writer.add_context_length(tiny.CONTEXT)
    writer.add_embedding_length(tiny.TINY.hidden)
    writer.add_block_count(tiny.TINY.layers)
    writer.add_feed_forward_length(tiny.TINY.inner)
    writer.add_head_count(tiny.TINY.heads)
    writer.add_head_count_kv(tiny.TINY.kv_heads)
    writer.add_rope_freq_base(tiny.ROPE_BASE)
    writer.add_layer_norm_rms_eps(tiny.EPSILON)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_tokenizer(writer, folder / "tokenizer.json")
    for name, tensor in tiny.weights().items():
        writer.add_tensor(_named(name), tensor.astype(np.float16) if tensor.ndim == 2 else tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: GGUFWriter, path: Path) -> None:
    import gguf

    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    numbers: dict[str, int] = tokenizer["model"]["vocab"]
    special = {token["id"] for token in tokenizer["added_tokens"] if token["special"]}
    kinds = [gguf.TokenType.CONTROL if number in special else gguf.TokenType.NORMAL for number in range(len(numbers))]
    writer.add_vocab_size(len(numbers))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(sorted(numbers, key=numbers.__getitem__))
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(numbers[tiny.END])
    writer.add_pad_token_id(numbers[tiny.PAD])
    writer.add_add_bos_token(False)
    writer.add_chat_template(tiny.CHAT_TEMPLATE)


def _named(name: str) -> str:
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in whole:
        return whole[name]
    layer, rest = name.removeprefix("model.layers.").split(".", 1)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[part]}.{kind}"
