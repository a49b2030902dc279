"""The real servers that others test with are there, and know the tiny model."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from real_servers import Server


def asked(server: Server, path: str, **body: Any) -> Any:
    data = json.dumps({"model": server.model} | body).encode()
    request = urllib.request.Request(server.url + path, data, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=120) as reply:  # noqa: S310
        text = reply.read().decode()
    if not body.get("stream"):
        return json.loads(text)
    found = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(event) for event in found if event != "[DONE]"]


def chat(server: Server, words: str, tokens: int, **more: Any) -> Any:
    """The usage that a streamed chat ends with."""
    usage = {"include_usage": True}
    body = {"messages": [{"role": "user", "content": words}], "max_tokens": tokens, "stream_options": usage}
    return asked(server, "/v1/chat/completions", stream=True, **body, **more)[-1]["usage"]


def counter(server: Server, name: str) -> float:
    """The sum of a Prometheus counter over all its labels."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as reply:  # noqa: S310
        lines = reply.read().decode().splitlines()
    found = [line.rsplit(" ", 1) for line in lines if line.startswith((f"{name} ", name + "{"))]
    assert found, f"no {name} in the metrics"
    return sum(float(value) for _, value in found)


def template_and(words: str, folder: Path) -> int:
    """How many tokens a chat of one message has."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return len(tokenizer.encode(f"<|im_start|>user\n{words}<|im_end|>\n<|im_start|>assistant\n").ids)


WORDS = "import self, names: 'ünï' 12345 and\n\tlines"


def test_llama_cpp_counts_tokens_as_the_tokenizer_does(llama_server: Server) -> None:
    usage = chat(llama_server, WORDS, 5, ignore_eos=True)
    assert usage["prompt_tokens"] == template_and(WORDS, llama_server.folder)
    assert usage["completion_tokens"] == 5


def test_llama_cpp_takes_token_ids_and_counts_them(llama_server: Server) -> None:
    before = counter(llama_server, "llamacpp:tokens_predicted_total")
    reply = asked(llama_server, "/v1/completions", prompt=[700, 701, 702], max_tokens=7, ignore_eos=True)
    assert reply["usage"]["prompt_tokens"] == 3
    assert counter(llama_server, "llamacpp:tokens_predicted_total") - before == 7


def test_llama_cpp_answers_many_at_a_time(llama_server: Server) -> None:
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda i: chat(llama_server, f"word {i}", 20, ignore_eos=True), range(64)))
    assert [usage["completion_tokens"] for usage in found] == [20] * 64


@pytest.mark.vllm
def test_vllm_counts_tokens_as_the_tokenizer_does(vllm_server: Server) -> None:
    usage = chat(vllm_server, WORDS, 5, ignore_eos=True)
    assert usage["prompt_tokens"] == template_and(WORDS, vllm_server.folder)
    assert usage["completion_tokens"] == 5


@pytest.mark.vllm
def test_vllm_preempts_when_replies_outgrow_its_cache(vllm_server: Server) -> None:
    names = [f"vllm:{what}_total" for what in ("num_preemptions", "generation_tokens")]
    before = [counter(vllm_server, name) for name in names]
    with ThreadPoolExecutor(48) as pool:
        found = list(pool.map(lambda i: chat(vllm_server, f"word {i}", 256, ignore_eos=True), range(48)))
    preemptions, tokens = (counter(vllm_server, name) - old for name, old in zip(names, before, strict=True))
    assert preemptions > 0
    assert tokens == sum(usage["completion_tokens"] for usage in found) == 48 * 256


@pytest.mark.servers
def test_transformers_serve_counts_tokens_as_the_tokenizer_does(transformers_server: Server) -> None:
    usage = chat(transformers_server, WORDS, 5)
    assert usage["prompt_tokens"] == template_and(WORDS, transformers_server.folder)


@pytest.mark.servers
def test_dynamo_counts_tokens_as_the_tokenizer_does(dynamo_server: Server) -> None:
    usage = chat(dynamo_server, WORDS, 5, ignore_eos=True)
    assert usage["prompt_tokens"] == template_and(WORDS, dynamo_server.folder)
    assert usage["completion_tokens"] == 5
