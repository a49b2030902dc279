"""The prompts so far as a tree of blocks, compiled: how much of a prompt is known, who sent it last, who shares it.

Equal ids are equal tokens behind equal tokens, so prompts form a trie; where nothing branches, its blocks lie in one
row (a radix tree, as caches of prefixes keep it: SGLang, Zheng et al. 2024). A node is a row of blocks that the same
requests sent, and a request that sends a part of it splits it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled, mix

NODE = np.dtype(
    [
        ("start", np.int64), ("uid", np.int64), ("by", np.int64), ("last", np.int64), ("mark", np.int64),
        ("talk", np.uint64), ("key", np.uint64), ("seen_s", np.float64), ("tokens", np.int64), ("client", np.uint32),
        ("parent", np.int32), ("size", np.int32), ("depth", np.int32), ("ways", np.int32), ("again", np.int32),
        ("later", np.bool_), ("ends", np.bool_), ("shared", np.bool_),
    ]
)  # fmt: skip
"""A row of blocks: where its ids start, how many they are (``size``), and how many there are from the root to its end
(``depth``), which are of ``tokens``. ``uid`` keeps naming the same end, and ``key`` is a hash of its id; ``by`` is
the first request that sent it, ``last`` the last one, ``talk``, ``client`` and ``seen_s`` that one's family, client and
time.
``ways`` is how many different blocks have followed, ``again`` how many prompts ended with it that had been sent before.
``later`` says that no conversation's first prompt brought it, ``ends`` that somebody's full blocks ended there,
``shared`` that a family began there."""

TALK = np.dtype(
    [("id", np.int64), ("word", np.uint64), ("first", np.int64), ("last", np.int64), ("turns", np.int64),
     ("seen_s", np.float64), ("first_leaf", np.int32), ("leaf", np.int32)]
)  # fmt: skip
"""A conversation that the trace names: its family (0 in an empty place), its first and its last request, and where
their prompts end in the tree."""

NODES, IDS, UIDS, TALKS = range(4)
"""What is used of each."""
BEGINS, SHARES, JOINS, GOES_ON = range(4)
"""How a request hangs together with those before it: not at all; it begins a family with blocks of another; it joins
the family that sent these blocks last; its conversation, which the trace names, goes on."""

WAYS, WAYS_LATER, AGAIN = 8, 32, 32
MOST_TURNS = 4096
"""A conversation of more turns is cut."""


@compiled
def is_common(node: Any) -> Any:
    """Whether blocks are so many requests' beginning that these have nothing else to do with each other."""
    return node["ways"] >= (WAYS_LATER if node["later"] else WAYS) or node["again"] >= AGAIN


@compiled
def _slot(index: Any, nodes: Any, ids: Any, parent: Any, block: Any) -> Any:
    """Where the node that follows ``parent`` with ``block`` is in the index, or would be put."""
    mask = np.uint64(index.size - 1)
    h = mix(np.uint64(block) ^ mix(np.uint64(parent) + np.uint64(1))) & mask
    while index[h] >= 0 and not (nodes[index[h]]["parent"] == parent and ids[nodes[index[h]]["start"]] == block):
        h = (h + np.uint64(1)) & mask
    return h


@compiled
def reindexed(index: Any, nodes: Any, ids: Any, count: Any) -> None:
    """Put nodes 1 … ``count`` - 1 into an empty index."""
    for n in range(1, count):
        index[_slot(index, nodes, ids, nodes[n]["parent"], ids[nodes[n]["start"]])] = n


@compiled
def _split(at: Any, size: Any, h: Any, block_tokens: Any, nodes: Any, ids: Any, index: Any, used: Any) -> Any:
    """A new node for the first ``size`` blocks of node ``at``, whose place in the index is ``h``."""
    upper = used[NODES]
    used[NODES] += 1
    nodes[upper] = nodes[at]
    nodes[upper]["uid"] = used[UIDS]
    used[UIDS] += 1
    depth = nodes[at]["depth"] - nodes[at]["size"] + size
    nodes[upper]["size"], nodes[upper]["depth"] = size, depth
    nodes[upper]["ways"], nodes[upper]["again"], nodes[upper]["shared"] = 1, 0, False
    nodes[upper]["ends"] = depth == nodes[at]["tokens"] // block_tokens
    nodes[upper]["tokens"] = depth * block_tokens
    nodes[upper]["key"] = mix(np.uint64(ids[nodes[at]["start"] + size - 1]) + np.uint64(depth))
    index[h] = upper
    nodes[at]["parent"], nodes[at]["start"] = upper, nodes[at]["start"] + size
    nodes[at]["size"] -= size
    index[_slot(index, nodes, ids, upper, ids[nodes[at]["start"]])] = at
    return upper


@compiled
def _known(prompt: Any, block_tokens: Any, nodes: Any, ids: Any, index: Any, used: Any) -> Any:
    """The node with which the longest known beginning of ``prompt`` ends: 0, the root, if nothing is known."""
    node, done = 0, 0
    while done < prompt.size:
        h = _slot(index, nodes, ids, node, prompt[done])
        child = index[h]
        if child < 0:
            break
        start, size = nodes[child]["start"], min(np.int64(nodes[child]["size"]), prompt.size - done)
        same = 1
        while same < size and ids[start + same] == prompt[done + same]:
            same += 1
        done += same
        if same < nodes[child]["size"]:
            return _split(child, same, h, block_tokens, nodes, ids, index, used)
        node = child
    return node


@compiled
def _talk(talks: Any, name: Any) -> Any:
    mask = np.uint64(talks.size - 1)
    h = mix(np.uint64(name) + np.uint64(0x9E3779B97F4A7C15)) & mask
    while talks[h]["word"] != 0 and talks[h]["id"] != name:
        h = (h + np.uint64(1)) & mask
    return h


@compiled
def put_talks(talks: Any, some: Any) -> None:
    """Put conversations into a table."""
    for i in range(some.size):
        talks[_talk(talks, some[i]["id"])] = some[i]


@compiled
def _own(node: Any, mark: Any, talk: Any, nodes: Any) -> Any:
    """Of the path to ``node``, which has this ``mark``, how many blocks the conversation sent, and in which request.

    That is its last one where it sent none of them; blocks are -1 where that one's are forgotten.
    """
    base, blocks = talk["last"], np.int64(0 if talk["leaf"] > 0 else -1)
    at = node
    while at > 0:
        if nodes[at]["talk"] == talk["word"]:
            base, blocks = nodes[at]["last"], np.int64(nodes[at]["depth"])
            break
        at = nodes[at]["parent"]
    for at, request in ((talk["leaf"], talk["last"]), (talk["first_leaf"], talk["first"])):
        while at > 0 and nodes[at]["mark"] != mark:
            at = nodes[at]["parent"]
        if at > 0 and nodes[at]["depth"] > blocks:
            base, blocks = request, np.int64(nodes[at]["depth"])
    return base, blocks


@compiled
def link(
    prompts: Any, ends: Any, at_s: Any, tokens: Any, client: Any, named: Any, name: Any, block_tokens: int,
    before: int, begin: int, nodes: Any, ids: Any, index: Any, talks: Any, used: Any,
    kind: Any, word: Any, base: Any, blocks: Any, known: Any, known_uid: Any, leaf_uid: Any,
) -> Any:  # fmt: skip
    """Say of each request from ``begin`` on how it hangs together with those before: the next one, where room ends.

    Request i is number ``before + i``. It is of family ``word`` and begins with the first ``blocks`` of request
    ``base``, which is -1 for none; -1 ``blocks`` are not known. Of its prompt the first ``known`` blocks had been sent
    before, which end at node ``known_uid``; its own end is at ``leaf_uid``.
    """
    bits = at_s.view(np.uint64)
    for i in range(begin, ends.size):
        prompt = prompts[(ends[i - 1] if i else 0) : ends[i]]
        if (
            2 * (used[NODES] + 2) > index.size
            or used[NODES] + 2 > nodes.size
            or used[IDS] + prompt.size > ids.size
            or 2 * (used[TALKS] + 1) > talks.size
        ):
            return i
        number = before + i
        node = _known(prompt, block_tokens, nodes, ids, index, used)
        at = node
        while at > 0:
            nodes[at]["mark"] = number
            at = nodes[at]["parent"]
        done = np.int64(nodes[node]["depth"])
        word[i] = mix(bits[i] ^ mix(np.uint64(number) + np.uint64(client[i]))) | np.uint64(1)
        kind[i], base[i], blocks[i] = BEGINS, -1, 0
        known[i], known_uid[i] = done, nodes[node]["uid"]
        later = False
        h = _talk(talks, name[i]) if named[i] else np.uint64(0)
        if named[i] and talks[h]["word"] != 0 and talks[h]["turns"] < MOST_TURNS:
            kind[i], word[i], later = GOES_ON, talks[h]["word"], True
            base[i], blocks[i] = _own(node, number, talks[h], nodes)
            if 0 <= blocks[i] < done:  # others sent more of its prompt than its own conversation did
                blocks[i] = 0
                nodes[node]["shared"] = True
        elif done and named[i] and talks[h]["word"] != 0:
            kind[i] = SHARES  # the conversation is cut here, and does not join itself
        elif done:
            apart = is_common(nodes[node]) or nodes[node]["client"] != client[i]
            if apart or (named[i] and not nodes[node]["later"]):
                kind[i] = SHARES
            else:
                kind[i], word[i] = JOINS, nodes[node]["talk"]
                base[i], blocks[i] = nodes[node]["last"], done
                later = named[i] or nodes[node]["later"] or nodes[node]["ends"]
        if kind[i] == SHARES:
            nodes[node]["shared"] = True
        full = tokens[i] // block_tokens
        if done == prompt.size:
            nodes[node]["again"] += done > 0
        else:
            if done == full:
                nodes[node]["ends"] = True
            nodes[node]["ways"] += 1
            leaf = used[NODES]
            used[NODES] += 1
            nodes[leaf]["start"], nodes[leaf]["size"] = used[IDS], prompt.size - done
            nodes[leaf]["parent"], nodes[leaf]["depth"] = node, prompt.size
            nodes[leaf]["tokens"] = min(np.int64(tokens[i]), np.int64(prompt.size * block_tokens))
            nodes[leaf]["uid"], nodes[leaf]["later"] = used[UIDS], later
            nodes[leaf]["key"] = mix(np.uint64(prompt[prompt.size - 1]) + np.uint64(prompt.size))
            nodes[leaf]["by"], nodes[leaf]["ways"], nodes[leaf]["again"] = number, 0, 0
            nodes[leaf]["ends"], nodes[leaf]["shared"] = False, False
            used[UIDS] += 1
            ids[used[IDS] : used[IDS] + prompt.size - done] = prompt[done:]
            used[IDS] += prompt.size - done
            index[_slot(index, nodes, ids, node, prompt[done])] = leaf
            node = leaf
        if prompt.size == full:
            nodes[node]["ends"] = True
        leaf_uid[i] = nodes[node]["uid"]
        at = node
        while at > 0:
            nodes[at]["last"], nodes[at]["talk"], nodes[at]["client"] = number, word[i], client[i]
            nodes[at]["seen_s"] = at_s[i]
            at = nodes[at]["parent"]
        if named[i]:
            turns = talks[h]["turns"] + 1 if kind[i] == GOES_ON else 1
            used[TALKS] += talks[h]["word"] == 0
            talks[h]["id"], talks[h]["word"], talks[h]["last"] = name[i], word[i], number
            talks[h]["turns"], talks[h]["seen_s"], talks[h]["leaf"] = turns, at_s[i], node
            if turns == 1:
                talks[h]["first"], talks[h]["first_leaf"] = number, node
    return ends.size


@compiled
def kept_nodes(nodes: Any, ids: Any, number: Any, kept: Any, kept_ids: Any) -> Any:
    """Copy the nodes that have a ``number``, under it, and their ids: how many ids that are."""
    copied = 0
    for n in range(number.size):
        k = number[n]
        if k < 0:
            continue
        kept[k] = nodes[n]
        size = nodes[n]["size"]
        kept[k]["start"] = copied
        kept[k]["parent"] = number[nodes[n]["parent"]]
        kept_ids[copied : copied + size] = ids[nodes[n]["start"] : nodes[n]["start"] + size]
        copied += size
    return copied


@compiled
def deepest_shared(nodes: Any, chosen: Any, at: Any, out: Any) -> None:
    """For each node of ``at`` the deepest that ``chosen`` marks on the path to it, itself included; 0 for none."""
    for i in range(at.size):
        n = at[i]
        while n > 0 and not chosen[n]:
            n = nodes[n]["parent"]
        out[i] = n


@compiled
def all_common(nodes: Any, out: Any) -> None:
    """Which nodes :func:`is_common` says so of."""
    for n in range(1, nodes.size):
        out[n] = is_common(nodes[n])


@compiled
def families(base: Any, joins: Any, out: Any) -> None:
    """For each request the first one of its family, where those that ``joins`` marks are of their base's."""
    for i in range(base.size):
        out[i] = out[base[i]] if joins[i] else i
