"""A model whose layers are divided among the stages of a pipeline.

An engine with p stages has p small batches under way, each on another stage. With the requests spread evenly over
them, a batch of N/p tokens, D/p decoding requests, K/p of context and P/p of prompts passes through all stages in

    c0 + token·N/p + hinge·max(0, N/p - hinge_tokens) + decode·D/p + context·K/p + prefill·P/p + (p - 1)·send

where c0 is whole, as every batch reads all the weights, and it comes round once in that time. So do the others, one
stage behind each other: in that time, a *round*, every request gets its token. A round is therefore both how long a
request waits for its token and how often the engine gives N of them, and the engine is one whose step is a round, with
p times the tokens in it. It is linear in N, D, K and P as a step is.

A send is a latency, and a token's hidden state and residual over the link. The slowest stage sets the pace: where
layers do not divide, all stages take as long as the one with most of them.

What this leaves out: a prompt that comes alone is in one batch, not in p, and its first token comes later by up to
(p - 1)/p of the time of a step of the largest size, as do the tokens of others behind it; and with fewer requests than
stages some stages are idle.
"""

from __future__ import annotations

from groundswell.simulate.facts import BYTES, Gpu, Model
from groundswell.simulate.memory import check_division, stages
from groundswell.simulate.parts import StepCost

SEND_S = 10e-6
"""How long a message takes besides its bytes (AIConfigurator 0.12.0: ``p2p_latency``, its authors' estimate)."""


def pipelined(whole: StepCost, model: Model, gpu: Gpu, tp: int, pp: int) -> StepCost:
    """What a round of ``pp`` stages costs, where a step without a pipeline costs ``whole``, on ``tp * pp`` processors
    of one node, or of several where there are more than a node has."""
    check_division(model, tp, pp)
    if pp == 1:
        return whole
    pace = pp * max(stages(model.layers, pp)) / model.layers
    link = gpu.link_bytes_per_s if tp * pp <= gpu.per_node else gpu.node_link_bytes_per_s
    sent_s = 2 * model.hidden * BYTES / link
    return StepCost(
        c0_s=pace * whole.c0_s + (pp - 1) * SEND_S,
        token_s=(pace * whole.token_s + (pp - 1) * sent_s) / pp,
        hinge_s=pace * whole.hinge_s / pp,
        hinge_tokens=pp * whole.hinge_tokens,
        decode_s=pace * whole.decode_s / pp,
        context_s=pace * whole.context_s / pp,
        prefill_s=pace * whole.prefill_s / pp,
        mixed_s=pace * whole.mixed_s / pp,
        prompt_s=pace * whole.prompt_s,
        prompt_least_s=whole.prompt_least_s,
    )
