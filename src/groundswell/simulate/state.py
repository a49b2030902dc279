"""The arrays that a simulation works on: requests, instances, and what becomes of them.

Kernels take one tuple of arrays, as there are no objects in compiled code. A request is a number, and so is an
instance; what is known of one is a record, so that it lies together in memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Records = NDArray[np.void]

NOBODY = -1

GAP_BUCKETS = 64 * 32
"""Of the histogram of gaps: as many as :mod:`groundswell.gap_buckets` has up to an hour."""

REQUEST = np.dtype(
    [
        ("arrival_s", "f8"),  # when it is due; that of a later turn is known when the one before has ended
        ("think_s", "f8"),  # the pause before it, for a turn that waits
        ("ready_s", "f8"),  # when it came to an engine
        ("admitted_s", "f8"),
        ("first_s", "f8"),
        ("latest_s", "f8"),  # when its newest token came, as far as that is not the engine's clock
        ("done_s", "f8"),
        ("longest_gap_s", "f8"),
        ("names_from", "i8"),  # where its named blocks begin in World.ids
        ("joined", "i8"),  # the engine's tick less the tokens made: what is made is tick - joined
        ("since", "i8"),  # the tick at which it joined those that decode
        ("order", "i8"),  # of admission to its engine
        ("tip", "i4"),  # the last segment that it holds by name
        ("names", "i4"),  # how many named blocks it has
        ("named", "i4"),  # how many of these, from the first on, it holds by name
        ("prompt", "i4"),
        ("output", "i4"),
        ("goal", "i4"),  # tokens with which it leaves its engine: all, or one where others decode
        ("handed", "i4"),  # tokens whose keys and values come with it
        ("computed", "i4"),  # tokens whose keys and values are in memory, while its prompt is read
        ("made", "i4"),  # tokens of the reply, while it does not decode
        ("given", "i4"),  # tokens to compute in this step
        ("cached", "i4"),  # prompt tokens that were found in memory when it was first admitted
        ("preempted", "i4"),
        ("priority", "i4"),
        ("ahead", "i4"),  # who runs and was admitted before it
        ("behind", "i4"),  # who stands behind it, in whatever row it stands
        ("child", "i4"),  # in the heap of those that wait
        ("instance", "i4"),
        ("next_turn", "i4"),
        ("client", "i4"),
        ("size_bytes", "i4"),  # of its prompt, as a router sees it
        ("tries", "i4"),
        ("stage", "i4"),  # how many of the stages before an engine are behind it
        ("error", "i4"),
        ("left_from", "i4"),  # how many named blocks were before those that it left behind when it was preempted,
        ("left", "i4"),  # and the node of these, while some are there
        ("waits", "?"),  # it is a later turn, and comes when the one before has ended
    ],
    align=True,
)

INSTANCE = np.dtype(
    [
        ("clock_s", "f8"),  # when the newest step ends,
        ("began_s", "f8"),  # and when it began; inf if nothing ran before
        ("wake_s", "f8"),  # when something happens on it, if nobody comes before; inf if nothing does
        ("plan_first_s", "f8"),  # how long the first of the planned steps takes,
        ("plan_slope_s", "f8"),  # and how much longer each further one
        ("busy_s", "f8"),
        ("up_s", "f8"),  # how long it was up, at the latest change
        ("changed_s", "f8"),  # when it last went up or down
        ("step_prefill", "f8"),  # Σ chunk · (what was there + chunk / 2) over the prompts of this step
        ("planned", "i8"),  # steps that differ only in the length of contexts, and are not done yet
        ("tick", "i8"),  # steps in which those that decode got a token each
        ("orders", "i8"),  # admissions
        ("context", "i8"),  # tokens in memory of those that decode
        ("free", "i8"),  # blocks that nobody holds and nothing is kept in
        ("kept", "i8"),  # blocks that nobody holds, but that can be found
        ("blocks", "i8"),
        ("steps", "i8"),
        ("preemptions", "i8"),
        ("latest_join", "i8"),  # the tick of it
        ("active", "i8"),  # how many run,
        ("decoding", "i8"),  # and how many of these are past their prompts
        ("waiting", "i8"),
        ("waiting_tokens", "i8"),  # prompt tokens of those that wait
        ("prefilled", "i8"),  # prompt tokens that were read in the newest step, for whoever watches
        ("peaks", "i8"),
        ("nodes", "i8"),  # how many have been in use; those that are so no more are in World.spare,
        ("spares", "i8"),  # which has so many
        ("step_tokens", "i8"),
        ("step_decodes", "i8"),
        ("step_context", "i8"),
        ("pool", "i8"),
        ("partial", "i8"),  # whose prompt is being read, in pieces
        ("first", "i8"),  # those that run, in order of admission
        ("last", "i8"),
        ("head", "i8"),  # those that wait: a row, or a heap with this root
        ("tail", "i8"),
        ("fresh", "i8"),  # those that came during the newest step, and are not known to it
        ("fresh_last", "i8"),
        ("ended", "i8"),  # those that left with the newest step, in order
        ("ended_last", "i8"),
        ("first_kept", "i8"),  # the row of what is kept, longest unused first
        ("last_kept", "i8"),
        ("running", "?"),  # it is paid for: it takes requests, will do so, or still has some
    ],
    align=True,
)

POOL = np.dtype(
    [
        ("most_running", "i8"),
        ("most_tokens", "i8"),  # of a step, prompts' and replies' together
        ("block_tokens", "i8"),
        ("name_blocks", "i8"),  # how many blocks a named one of the workload is
        ("watermark", "i8"),  # blocks that an admission must leave free
        ("policy", "i8"),
        ("c0_s", "f8"),
        ("token_s", "f8"),
        ("hinge_s", "f8"),
        ("hinge_tokens", "f8"),
        ("decode_s", "f8"),
        ("context_s", "f8"),
        ("prefill_s", "f8"),
        ("mixed_s", "f8"),  # more for each token of context where prompts share the step
        ("prompt_s", "f8"),  # more for a step that reads prompts,
        ("prompt_least_s", "f8"),  # and what that takes at least
        ("caching", "?"),
        ("resuming", "?"),
        ("whole_prompts", "?"),
        ("ahead", "?"),
    ],
    align=True,
)
"""How the engines of a pool schedule, and what a step costs (:mod:`groundswell.simulate.cost`)."""

END = np.dtype([("tick", "i8"), ("order", "i8"), ("who", "i8")])
"""At which tick who has all tokens, as a heap."""

PEAK = np.dtype([("tick", "i8"), ("gap_s", "f8")])
"""The longest step from a tick on."""

NODE = np.dtype(
    [
        ("names_from", "i8"),  # where its ids begin in World.ids; NOBODY for blocks without a name
        ("size", "i8"),  # how many named blocks, or blocks without a name, it is,
        ("unit", "i8"),  # each of so many of the engine's
        ("users", "i8"),  # how many requests hold it
        ("parent", "i8"),  # the segment before it; of blocks without a name who comes back to them, or NOBODY
        ("ahead", "i8"),  # its neighbours in the row of those that nobody holds
        ("behind", "i8"),
    ]
)
"""Named blocks behind each other, or blocks without a name that were given back together."""

SLOT = np.dtype([("id", "i8"), ("node", "i8")])
"""Which segment begins with an id."""

COMING = np.dtype([("at_s", "f8"), ("order", "i8"), ("who", "i8"), ("why", "i8")])
"""Who comes when, other than at a recorded arrival, as a heap."""

LOAD = np.dtype([("requests", "i8"), ("prefill_tokens", "i8"), ("tokens", "i8"), ("up", "?")], align=True)
"""What a router knows of an instance: requests in flight, prompt tokens of those that have no token yet, prompt and
reply tokens of all in flight, and whether it takes requests."""

STAGE = np.dtype([("parallel", "i8"), ("begin", "i8")])
"""What comes before an engine: how many at a time (0: any), and where its places begin in World.stage_free_s."""

FLEET = np.dtype(
    [
        ("next", "i8"),  # the next recorded arrival
        ("coming", "i8"),  # how many are in World.coming
        ("orders", "i8"),
        ("front", "i8"),  # instances that take new requests: from 0 on; those behind only decode
        ("lost", "i8"),  # requests that met an instance's failure
        ("most_tries", "i8"),
        ("now_s", "f8"),
        ("until_s", "f8"),
        ("view_s", "f8"),  # how old a router's view can be; 0: never old
        ("refresh_s", "f8"),
        ("transfer_s", "f8"),  # of keys and values from an engine to another: once,
        ("transfer_token_s", "f8"),  # and for each token
        ("retry_s", "f8"),
    ],
    align=True,
)

TOO_LONG, LOST = 1, 2
"""Why a request failed: it does not fit into any memory, or its instances failed too often."""


class World(NamedTuple):
    """Everything: N requests, I instances."""

    requests: Records
    """[N] of REQUEST, by recorded arrival."""
    at: Records
    """[I] of INSTANCE."""
    pools: Records
    """[pools] of POOL."""
    ends: Records
    """[I, most running] of END."""
    peaks: Records
    """[I, 2 · most running + 2] of PEAK."""
    phases: Ints
    """[I, block tokens]: how many of those that decode need a new block at ticks of this remainder."""
    gaps: Ints
    """[stretches, buckets]: gaps between tokens, by when they ended."""
    stretch_s: Floats
    """[1]: how long a stretch is."""
    ids: Ints
    """The ids of all prompts' named blocks, one after the other."""
    slot: Records
    """[I, H] of SLOT, each at a place that the id's hash says; its node is one more than the number, 0 for none."""
    nodes: Records
    """[I, M] of NODE."""
    spare: Ints
    """[I, M]: nodes that are not in use, as a stack."""
    tree: NDArray[np.int64]
    """Which instance wakes first, as a tournament."""
    coming: Records
    """[≤ N] of COMING."""
    load: Records
    """[I] of LOAD: as it is."""
    seen: Records
    """[I] of LOAD: as routers see it; the same array where their view is never old."""
    stages: Records
    """[S] of STAGE."""
    stage_s: Floats
    """[N or 0, S]: how long each takes."""
    stage_done_s: Floats
    """[N or 0, S]: when each ended."""
    stage_free_s: Floats
    """When each place of a stage is free."""
    fleet: Records
    """[1] of FLEET."""


def requests_of(arrival_s: Any, prompt: Any, output: Any) -> Records:
    """[N] requests that have not begun."""
    new = np.zeros(len(arrival_s), REQUEST)
    new["arrival_s"], new["prompt"], new["output"], new["goal"] = arrival_s, prompt, output, output
    for name in ("ready_s", "admitted_s", "first_s", "latest_s", "done_s"):
        new[name] = np.nan
    for name in ("left", "tip", "ahead", "behind", "child", "instance", "next_turn"):
        new[name] = NOBODY
    return new
