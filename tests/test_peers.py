"""Our files as the tools they are for read them, with these tools' own code.

``pip install aiperf==0.13`` or ``pip install guidellm==0.8.1`` beside groundswell, then ``pytest -m peer``. Neither is
needed to develop groundswell, and what is not installed is skipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from groundswell import formats
from groundswell.table import Workload
from workloads import talking

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("default")]

W = talking()


def written(folder: Path, text: str, workload: Workload = W) -> Path:
    path = folder / "trace.jsonl"
    formats.write([workload], path, text, workload.metadata)
    return path


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tokenizer of bytes and pairs, made here, as nothing can be fetched."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=2000, initial_alphabet=letters, special_tokens=["<s>"])
    words = ["some words that a prompt is made of", *(f"number {i} and {i * i}" for i in range(3000))]
    model.train_from_iterator(words, trainer)
    folder = tmp_path_factory.mktemp("tokenizer")
    marks = dict.fromkeys(("bos_token", "eos_token"), "<s>")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model, **marks)
    fast.save_pretrained(folder)
    return folder


# AIPerf's


@pytest.fixture
def prompts(tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("aiperf")
    from aiperf.common import random_generator
    from aiperf.common.tokenizer import Tokenizer
    from aiperf.dataset.generator.prompt import PromptGenerator
    from aiperf.dataset.loader import hash_ids_synthesis

    random_generator.reset()
    random_generator.init(1)
    tokenizer = Tokenizer.from_pretrained(str(tokenizer_folder), resolve_alias=False)
    # in this process: AIPerf's own workers ask for a tokenizer by its name
    monkeypatch.setattr(hash_ids_synthesis, "parallel_decode", lambda ids, *_, **__: [tokenizer.decode(i) for i in ids])
    return PromptGenerator(prompts=None, prefix_prompts=None, tokenizer=tokenizer)


def conversations(loader: Any) -> dict[str, Any]:
    return {c.session_id: c for c in loader.convert_to_conversations(loader.load_dataset())}


def same_conversations(found: dict[str, Any], tokens: Any) -> None:
    """Whether AIPerf's conversations are ours: when they begin, their pauses, and how much is new in each turn."""
    told = W.frame.filter(pl.col("conversation").is_not_null())
    for (name,), turns in told.group_by("conversation"):
        c = found[str(name)]
        assert [t.max_tokens for t in c.turns] == turns["output_tokens"].to_list()
        assert c.turns[0].timestamp == pytest.approx(turns["arrival_s"][0] * 1000, abs=0.001)
        assert [t.timestamp for t in c.turns[1:]] == [None] * (len(turns) - 1)
        assert [t.delay for t in c.turns[1:]] == pytest.approx([s * 1000 for s in turns["think_s"][1:]], abs=0.001)
        context = (turns["input_tokens"] + turns["output_tokens"]).shift(1).fill_null(0)
        new = (turns["input_tokens"] - context).to_list()
        assert [tokens(t) for t in c.turns] == pytest.approx(new, rel=0.02, abs=2)  # a text may be cut otherwise


def loader_of(kind: Any, path: Path, prompts: Any, block: int) -> Any:
    return kind(filename=path, prompt_generator=prompts, default_block_size=block)


def test_aiperf_reads_conversations_as_they_are(tmp_path: Path, prompts: Any) -> None:
    from aiperf.dataset.loader.mooncake_trace import MooncakeTraceDatasetLoader

    path = written(tmp_path, "aiperf:block_tokens=16")
    assert all(MooncakeTraceDatasetLoader.can_load(json.loads(line)) for line in path.open())
    loader = loader_of(MooncakeTraceDatasetLoader, path, prompts, 16)
    found = conversations(loader)
    assert sum(len(c.turns) for c in found.values()) == len(W)
    encode = prompts.tokenizer.encode
    same_conversations(found, lambda turn: len(encode(turn.texts[0].contents[0], add_special_tokens=False)))
    # first prompts begin with the same text where their first blocks are the same
    firsts: dict[int, set[str]] = {}
    for (name,), turns in W.frame.filter(pl.col("conversation").is_not_null()).group_by("conversation"):
        if len(turns["prefix_blocks"][0]) > 4:
            firsts.setdefault(turns["prefix_blocks"][0][0], set()).add(
                found[str(name)].turns[0].texts[0].contents[0][:20]
            )
    assert all(len(begins) == 1 for begins in firsts.values())


def test_aiperf_reads_bailians_chats(tmp_path: Path, prompts: Any) -> None:
    from aiperf.dataset.loader.bailian_trace import BailianTraceDatasetLoader

    path = written(tmp_path, "bailian")
    assert all(BailianTraceDatasetLoader.can_load(json.loads(line)) for line in path.open())
    loader = loader_of(BailianTraceDatasetLoader, path, prompts, 16)
    found = conversations(loader)
    told = W.frame["conversation"].drop_nulls().value_counts()["count"].to_list()
    assert sorted(len(c.turns) for c in found.values()) == sorted([*told, *[1] * W.frame["conversation"].null_count()])


def test_aiperf_reads_sessions_of_wekas_kind(tmp_path: Path) -> None:
    pytest.importorskip("aiperf")
    from aiperf.dataset.loader.weka_trace_models import WekaTrace

    lines = written(tmp_path, "weka").read_text().splitlines()
    traces = [WekaTrace.model_validate_json(line) for line in lines]
    assert sum(len(trace.requests) for trace in traces) == len(W)
    by_name = {trace.id: trace for trace in traces}
    for (name,), turns in W.frame.filter(pl.col("conversation").is_not_null()).group_by("conversation"):
        requests = by_name[str(name)].requests
        assert [r.input_length for r in requests] == turns["input_tokens"].to_list()
        assert [r.think_time for r in requests] == turns["think_s"].to_list()
        ends = np.array([r.t + r.api_time for r in requests[:-1]])
        idle = np.array([r.t for r in requests[1:]]) - ends  # what AIPerf waits between them
        assert idle == pytest.approx(turns["think_s"][1:].to_numpy(), abs=1e-5)


# GuideLLM's


def graphs(path: Path, tokenizer_folder: Path, **config: Any) -> list[Any]:
    from guidellm.data.deserializers.trace_common import TraceDatasetDeserializer
    from guidellm.schemas.data import DataArgs
    from transformers import AutoTokenizer

    arguments = DataArgs.model_validate({"source": {"kind": "json_file", "path": str(path)}, **config})
    tokenizer = AutoTokenizer.from_pretrained(str(tokenizer_folder))
    rows = TraceDatasetDeserializer()(arguments, lambda: tokenizer)
    return [json.loads(row["conversation_turns"])["turns"] for row in rows]


@pytest.mark.parametrize("kind", ["mooncake", "trace_synthetic"])
def test_guidellm_reads_every_request(kind: str, tmp_path: Path, tokenizer_folder: Path) -> None:
    pytest.importorskip("guidellm")
    path = written(tmp_path, f"guidellm:kind={kind},block_tokens=16")
    more = {"hash_id_block_size": 16} if kind == "mooncake" else {}
    found = [turn["columns"] for turns in graphs(path, tokenizer_folder, kind=kind, **more) for turn in turns]
    assert [c["prompt_tokens_count_column"][0] for c in found] == W.input_tokens.tolist()
    assert [c["output_tokens_count_column"][0] for c in found] == W.output_tokens.tolist()
    due = [c["relative_timestamp_column"][0] for c in found]
    assert due == pytest.approx((W.arrival_s - W.arrival_s[0]).tolist(), abs=2e-6)


@pytest.mark.parametrize("scope", ["local", "global"])
def test_guidellm_reads_sessions_of_wekas_kind(scope: str, tmp_path: Path, tokenizer_folder: Path) -> None:
    pytest.importorskip("guidellm")
    path = written(tmp_path, f"weka:scope={scope},block_tokens=16")
    found = graphs(path, tokenizer_folder, kind="weka", hash_id_block_size=16)
    turns = W.frame.filter(pl.col("conversation").is_not_null()).group_by("conversation").len()["len"].to_list()
    assert sorted(map(len, found)) == sorted([*turns, *[1] * W.frame["conversation"].null_count()])
    begins = sorted(turn[0]["columns"]["relative_timestamp_column"][0] for turn in found)
    first = W.frame.filter(pl.col("think_s").is_null())["arrival_s"]
    assert begins == pytest.approx((first - first.min()).to_list(), abs=2e-6)
