"""How many blocks of keys and values fit beside a model: what vLLM finds out when it starts, from facts.

vLLM may use a share of the memory (``gpu_memory_utilization``). Off go the weights, what a step of the largest size
needs for its activations (it runs one to see), and what lies outside PyTorch's allocator: the CUDA context, graphs and,
where there are several processors, NCCL's buffers. The rest holds blocks. (vLLM 0.19, ``v1/worker/gpu_worker.py``:
``determine_available_memory``.)
"""

from __future__ import annotations

from groundswell.errors import UsageError
from groundswell.simulate.facts import BYTES, Gpu, Model
from groundswell.units import show_bytes

OUTSIDE_BYTES = 0.8 * 2**30
"""CUDA's context, graphs and the like. With :data:`SAMPLING_BYTES` it makes what vLLM 0.19 kept for itself on an RTX
4090 with Llama-3.1-8B: 1.15 GiB."""
PARALLEL_BYTES = 0.4 * 2**30
"""NCCL's buffers: 0.33 to 0.38 GiB in AIConfigurator 0.12.0, 0.34 to 0.43 GiB in logs of vLLM."""
SAMPLING_BYTES = 12
"""For each request that may run and each word of the vocabulary: scores in float32, three times over while sampling."""


def blocks_that_fit(
    model: Model,
    gpu: Gpu,
    tp: int = 1,
    pp: int = 1,
    block_tokens: int = 16,
    memory_share: float = 0.9,
    most_running: int = 256,
    most_tokens: int = 2048,
) -> int:
    """Blocks of ``block_tokens`` tokens that fit on every one of ``tp * pp`` processors, each of which has its heads
    and layers of every block.

    Raises UsageError where the model cannot be divided so, or leaves no memory for a block.
    """
    check_division(model, tp, pp)
    if not 0.0 < memory_share <= 1.0:
        raise UsageError(f"the share of the memory that an engine may use is above 0 and at most 1, not {memory_share}")
    usable = memory_share * gpu.memory_bytes
    fewest, layers_of = None, stages(model.layers, pp)
    for stage, layers in enumerate(layers_of):
        first, last = stage == 0, stage == pp - 1
        weights = weight_bytes(model, tp, layers, first, last)
        reserve = reserve_bytes(model, tp, tp * pp, most_running if last else 0, most_tokens)
        block_bytes = 2 * layers * model.kv_heads_on(tp) * model.head_size * BYTES * block_tokens
        blocks = int((usable - weights - reserve) // block_bytes)
        left = usable - weights - reserve
        if blocks < 1 and left >= block_bytes / block_tokens:
            raise UsageError(
                f"not one block of {block_tokens:,} tokens (block_size) fits beside {model.model} on {tp * pp} "
                f"{gpu.gpu} (tp {tp}, pp {pp}): it takes {show_bytes(block_bytes)} on each, where {show_bytes(left)} "
                "are left; smaller blocks would help"
            )
        if blocks < 1:
            raise UsageError(
                f"{model.model} does not fit on {tp * pp} {gpu.gpu} (tp {tp}, pp {pp}): of the {show_bytes(usable)} "
                f"that it may use on each, its weights take {show_bytes(weights)} and working memory "
                f"{show_bytes(reserve)}; more processors, or a larger share of the memory, would help"
            )
        fewest = blocks if fewest is None else min(fewest, blocks)
    assert fewest is not None  # noqa: S101  # there is at least one stage
    return fewest


def weight_bytes(model: Model, tp: int, layers: int, first: bool = True, last: bool = True) -> float:
    """Of a stage of so many layers, on one of its ``tp`` processors; words' vectors are with the first stage, the
    scores' matrix with the last."""
    ends = (first + last) * model.vocabulary * model.hidden / tp + last * model.hidden
    return BYTES * (layers * model.layer_parameters(tp) + ends)


def reserve_bytes(model: Model, tp: int, processors: int, most_running: int, most_tokens: int) -> float:
    """What is neither weights nor keys and values. Of the largest step either the feed-forward part's activations are
    the peak or, later, the sampling."""
    feeding = most_tokens * BYTES * (3 * model.feed_forward / tp + 2 * model.hidden)
    sampling = SAMPLING_BYTES * most_running * model.vocabulary
    return OUTSIDE_BYTES + (PARALLEL_BYTES if processors > 1 else 0.0) + max(feeding, sampling)


def stages(layers: int, pp: int) -> tuple[int, ...]:
    """Layers of each stage of a pipeline, as vLLM divides them: what is left over goes to the last but one, the one
    before it, and so on (``vllm/distributed/utils.py``: ``get_pp_indices``)."""
    even, over = divmod(layers, pp)
    return tuple(even + (pp - 1 - over <= stage < pp - 1) for stage in range(pp))


def check_division(model: Model, tp: int, pp: int) -> None:
    """Raises UsageError where a model cannot be divided among so many processors."""
    if tp < 1 or pp < 1:
        raise UsageError(f"tp and pp must be 1 or more, not {tp} and {pp}")
    if model.heads % tp:
        raise UsageError(f"{model.model} has {model.heads} heads, which cannot be divided among {tp} processors (tp)")
    if pp > model.layers:
        raise UsageError(f"{model.model} has {model.layers} layers, too few for {pp} stages (pp)")
