"""What servers say of themselves at ``/metrics``, under one set of names.

The text is Prometheus' exposition format 0.0.4. Names are those of vLLM (docs.vllm.ai, "Production Metrics"), SGLang
(docs.sglang.io, "Production Metrics"), llama.cpp (tools/server/README.md) and Dynamo's frontend and workers
(docs.nvidia.com/dynamo, "Metrics Catalog").
"""

from __future__ import annotations

import math
from collections.abc import Mapping

SERVERS = {"vllm:": "vLLM", "sglang:": "SGLang", "llamacpp:": "llama.cpp", "dynamo_": "Dynamo"}
"""Which server says names that begin so."""

GAUGES: Mapping[str, tuple[str, ...]] = {
    # Requests that the engine works on. Of Dynamo's frontend: all it holds.
    "running": (
        "vllm:num_requests_running",
        "sglang:num_running_reqs",
        "llamacpp:requests_processing",
        "dynamo_frontend_inflight_requests",
        "dynamo_component_inflight_requests",
    ),
    # Requests that the engine has not begun. Of Dynamo's frontend: those it holds that have no first token yet.
    "waiting": (
        "vllm:num_requests_waiting",
        "sglang:num_queue_reqs",
        "llamacpp:requests_deferred",
        "dynamo_frontend_queued_requests",
    ),
    # The share of the KV cache in use, 0 to 1; the mean, where there are several engines.
    "kv_used": (
        "vllm:kv_cache_usage_perc",
        "vllm:gpu_cache_usage_perc",
        "sglang:token_usage",
        "llamacpp:kv_cache_usage_ratio",
        "dynamo_component_gpu_cache_usage_percent",
        "dynamo_component_kvstats_gpu_cache_usage_percent",
    ),
}
"""Figures of the moment, and the names they have, the preferred one first."""

_LLAMACPP_PROMPT = "llamacpp:prompt_tokens_total + llamacpp:prompt_tokens_cached_total"
COUNTERS: Mapping[str, tuple[str, ...]] = {
    # Requests whose memory was taken away again; SGLang says retracted.
    "preemptions": (
        "vllm:num_preemptions_total",
        "sglang:num_retracted_requests_total",
        "sglang:num_retracted_reqs_total",
    ),
    "prompt_tokens": (
        "vllm:prompt_tokens_total",
        "sglang:prompt_tokens_total",
        _LLAMACPP_PROMPT,
        "dynamo_frontend_input_sequence_tokens_sum",
    ),
    # Tokens of prompts without those that a cache had, which is all that llama.cpp counted before 2026.
    "computed_tokens": ("llamacpp:prompt_tokens_total",),
    "output_tokens": (
        "vllm:generation_tokens_total",
        "sglang:generation_tokens_total",
        "llamacpp:tokens_predicted_total",
        "dynamo_frontend_output_tokens_total",
        "dynamo_frontend_output_sequence_tokens_sum",
    ),
    # Tokens of prompts that were looked for in the prefix cache, and those that were there.
    "prefix_queries": (
        "vllm:prefix_cache_queries_total",
        "vllm:gpu_prefix_cache_queries_total",
        "sglang:prompt_tokens_total",
        _LLAMACPP_PROMPT,
        "dynamo_frontend_input_sequence_tokens_sum",
    ),
    "prefix_hits": (
        "vllm:prefix_cache_hits_total",
        "vllm:gpu_prefix_cache_hits_total",
        "sglang:cached_tokens_total",
        "llamacpp:prompt_tokens_cached_total",
        "dynamo_frontend_cached_tokens_sum",
    ),
    "requests": (
        "vllm:request_success_total",
        "sglang:num_requests_total",
        "dynamo_frontend_requests_total",
    ),
}
"""Figures that only grow, until the server starts anew; where two are to be added, both have to be there."""

_LLAMACPP_DIGITS = 6
_NAMES = frozenset(
    part for names in (*GAUGES.values(), *COUNTERS.values()) for name in names for part in name.split(" + ")
)
_FIRST_ONLY = {"tp_rank": "0", "pp_rank": "0", "moe_ep_rank": "0", "priority": ""}
"""Labels by which SGLang repeats what it has said: ranks that share one engine's work, and a total's parts."""


def figures_of(text: str) -> dict[str, float]:
    """The figures that ``text`` holds, summed over engines and models (``kv_used``: their mean); those it has not are
    left out. Raises ValueError where a line that matters is not in the exposition format.

    >>> figures_of('vllm:num_requests_running{engine="0"} 3\\nvllm:num_requests_running{engine="1"} 4\\n')
    {'running': 7.0}
    """
    values = _values(text)
    figures = {}
    for figure, names in (*GAUGES.items(), *COUNTERS.items()):
        found = next((parts for name in names if (parts := _found(name, values))), None)
        if found:
            figures[figure] = sum(found) / (len(found) if figure == "kv_used" else 1)
    return figures


def _found(name: str, values: Mapping[str, list[float]]) -> list[float]:
    parts = name.split(" + ")
    return [value for part in parts for value in values[part]] if all(part in values for part in parts) else []


def rounding_of(server: str | None, figure: str, value: float) -> float:
    """By how much a counter may be off, as its server rounds what it writes.

    llama.cpp writes six digits of a number, as C++ does by itself, of each of those that a figure is the sum of; the
    others write all.

    >>> rounding_of("llama.cpp", "output_tokens", 1234570.0), rounding_of("llama.cpp", "prompt_tokens", 1234570.0)
    (5.0, 10.0)
    """
    if server != "llama.cpp" or value < 10**_LLAMACPP_DIGITS:
        return 0.0
    parts = max((name.count(" + ") + 1 for name in COUNTERS[figure] if name.startswith("llamacpp:")), default=0)
    return parts * 0.5 * 10.0 ** (math.floor(math.log10(value)) + 1 - _LLAMACPP_DIGITS)


def server_of(text: str) -> str | None:
    """Which server's metrics these are, or None.

    >>> server_of("# TYPE llamacpp:prompt_tokens_total counter\\nllamacpp:prompt_tokens_total 5\\n")
    'llama.cpp'
    """
    return next((server for prefix, server in SERVERS.items() if f"\n{prefix}" in f"\n{text}"), None)


def _values(text: str) -> dict[str, list[float]]:
    from prometheus_client.parser import text_string_to_metric_families

    # A page of histograms takes 20 ms to parse, and a dozen of its lines matter.
    kept = [line for line in text.splitlines() if _name(line) in _NAMES]
    values: dict[str, list[float]] = {}
    for family in text_string_to_metric_families("\n".join([*kept, ""])):
        for sample in family.samples:
            speaks = all(sample.labels.get(label, first) == first for label, first in _FIRST_ONLY.items())
            if speaks and math.isfinite(sample.value):
                values.setdefault(sample.name, []).append(sample.value)
    return values


def _name(line: str) -> str:
    return line.partition("{")[0].partition(" ")[0]
