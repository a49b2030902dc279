"""An engine of vLLM v1's kind, one step after the other, as plainly as it can be said.

What :mod:`groundswell.simulate.engine` does in one piece, with ticks, stacks and heaps in flat arrays, is done here
with lists and objects, token by token. It is slow, and there to be read and compared with.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from groundswell.simulate.parts import Engine

NEVER = math.nan


@dataclass(eq=False)
class Group:
    """Blocks that are found and lost together: a named one of a prompt, or one that has no name."""

    name: int | None
    blocks: int
    users: int = 0
    owner: Request | None = None  # who was preempted, and can come back to it


@dataclass(eq=False)
class Request:
    """What is asked, and what becomes of it."""

    row: int
    arrival_s: float
    prompt: int
    output: int
    names: Sequence[int] = ()
    priority: int = 0
    then: Request | None = None  # the next turn, which comes when this one has ended
    think_s: float = 0.0  # before this one, if it is a later turn

    admitted_s: float = NEVER
    first_s: float = NEVER
    latest_s: float = NEVER
    done_s: float = NEVER
    longest_gap_s: float = 0.0
    cached: int = 0
    preempted: int = 0
    too_long: bool = False

    reading: bool = False  # its prompt, or anew what it had before it was preempted
    made: int = 0  # tokens of the reply
    computed: int = 0  # tokens whose keys and values are in memory
    held: list[Group] = field(default_factory=list)  # named, from the first on
    unnamed: int = 0  # blocks
    left: list[Group] = field(default_factory=list)  # behind when it was preempted, and there still
    left_from: int = 0  # how many named groups are before these

    @property
    def tokens(self) -> int:
        return self.prompt + self.made

    @property
    def decodes(self) -> bool:
        """Whether the token that it lacks is one that it made."""
        return self.made > 0 and self.tokens - self.computed == 1


class Memory:
    """Blocks; those that nobody holds, but that can be found, wait in a row, longest unused first."""

    def __init__(self, blocks: int, block_tokens: int, name_blocks: int, caching: bool, resuming: bool) -> None:
        self.free = blocks
        self.block_tokens, self.name_blocks = block_tokens, name_blocks
        self.caching, self.resuming = caching, resuming
        self.row: OrderedDict[Group, None] = OrderedDict()
        self.in_row = 0
        self.known: dict[int, Group] = {}

    @property
    def room(self) -> int:
        return self.free + self.in_row

    def blocks_of(self, tokens: int) -> int:
        return math.ceil(tokens / self.block_tokens)

    def find(self, request: Request) -> list[Group]:
        """The request's first named groups that are known; one token at least is always computed."""
        found = []
        most = (request.tokens - 1) // (self.name_blocks * self.block_tokens)
        for name in request.names[:most] if self.caching else ():
            if name not in self.known:
                break
            found.append(self.known[name])
        return found

    def hold(self, request: Request, found: list[Group], own: list[Group]) -> None:
        for group in found:
            if group.users == 0:
                self._leave_row(group)
            group.users += 1
        request.held = found
        for group in own:
            self._leave_row(group)
        request.unnamed = len(own)
        for group in request.left:
            group.owner = None
        request.left = []

    def _leave_row(self, group: Group) -> None:
        del self.row[group]
        self.in_row -= group.blocks

    def take(self, request: Request, count: int) -> None:
        while self.free < count:
            group = next(iter(self.row))
            self._leave_row(group)
            self.free += group.blocks
            if group.name is not None:
                del self.known[group.name]
            if group.owner is not None:
                group.owner.left.remove(group)
        self.free -= count
        request.unnamed += count

    def name(self, request: Request, tokens: int) -> None:
        """Groups that are full with the first ``tokens`` get their names, up to one that another has named."""
        full = tokens // (self.name_blocks * self.block_tokens)
        for name in request.names[len(request.held) : full] if self.caching else ():
            if name in self.known:
                return
            self.known[name] = Group(name, self.name_blocks, users=1)
            request.held.append(self.known[name])
            request.unnamed -= self.name_blocks

    def give_back(self, request: Request) -> None:
        """Those without a name first, then the named ones from the last to the first."""
        if not (self.caching or self.resuming):
            self.free += request.unnamed
        else:
            for _ in range(request.unnamed):
                self._append(Group(None, 1))
        for group in reversed(request.held):
            group.users -= 1
            if group.users == 0:
                self._append(group)
        request.held, request.unnamed = [], 0

    def leave_behind(self, request: Request) -> None:
        """As :meth:`give_back`, for a request that can come back to what is full of its own, from the first on."""
        full = request.computed // self.block_tokens - len(request.held) * self.name_blocks
        request.left = [Group(None, 1, owner=request) for _ in range(full if self.resuming else 0)]
        request.left_from = len(request.held)
        for _ in range(request.unnamed - len(request.left) if self.resuming else 0):
            self._append(Group(None, 1))
        for group in reversed(request.left):
            self._append(group)
        request.unnamed = 0 if self.resuming else request.unnamed
        self.give_back(request)

    def _append(self, group: Group) -> None:
        self.row[group] = None
        self.in_row += group.blocks


class PlainEngine:
    """One engine and those that come to it."""

    def __init__(self, how: Engine, name_blocks: int, requests: Sequence[Request]) -> None:
        self.how, self.requests = how, requests
        self.watermark = math.ceil(how.watermark * how.blocks)
        caching = how.caching and any(request.names for request in requests)
        resuming = how.caching and how.resuming
        self.memory = Memory(how.blocks, how.block_tokens, name_blocks, caching, resuming)
        self.clock_s = 0.0
        self.steps = 0
        self.running: list[Request] = []
        self.waiting: list[Request] = []
        self.given: list[tuple[Request, int]] = []  # in this step
        self.budget = 0
        self.gaps: list[tuple[float, float]] = []  # (when it ended, how long it was)
        later = {id(request.then) for request in requests}
        self.coming = [(r.arrival_s, r.row, r) for r in requests if id(r) not in later]
        heapify(self.coming)
        self.came = len(requests)

    def run(self) -> None:
        """Until all have ended."""
        while self.coming or self.running or self.waiting:
            idle = not self.running and not self.waiting
            if idle:
                self.clock_s = max(self.clock_s, self.coming[0][0])
            ahead = self.how.ahead and not idle  # then this step was decided on when the one before began
            if not ahead:
                self.let_come(self.clock_s)
            if self.running or self.waiting:
                begins_s = self.clock_s
                self.step()
                if ahead:
                    self.let_come(begins_s)

    def let_come(self, until_s: float) -> None:
        while self.coming and self.coming[0][0] <= until_s:
            self.come(heappop(self.coming)[2])

    def come(self, request: Request) -> None:
        if self.memory.blocks_of(request.prompt + request.output) + self.watermark > self.how.blocks:
            lost: Request | None = request
            while lost is not None:
                lost.too_long, lost = True, lost.then
        else:
            self.waiting.append(request)

    def step(self) -> None:
        """Those that run are given tokens, then those that wait, and all are computed."""
        self.given = []
        self.budget = self.how.most_tokens
        if not self.serve_running():
            while self.waiting and self.budget > 0 and len(self.running) < self.how.most_running:
                if not self.admit(self.next_waiting()):
                    break
        self.compute()

    def give(self, request: Request, new: int) -> None:
        self.given.append((request, new))
        self.budget -= new
        if request.reading:
            self.memory.name(request, min(request.computed + new, request.prompt))

    def serve_running(self) -> bool:
        """Whether anybody had to go for it."""
        preempted = False
        place = 0
        while place < len(self.running) and self.budget > 0:
            request = self.running[place]
            new = min(request.tokens - request.computed, self.budget)
            more = self.memory.blocks_of(request.computed + new) - self.memory.blocks_of(request.computed)
            while self.memory.room < more and place < len(self.running):
                self.preempt(self.running.pop())
                preempted = True
            if place == len(self.running):  # it had to go itself
                break
            self.memory.take(request, more)
            self.give(request, new)
            place += 1
        return preempted

    def next_waiting(self) -> Request:
        return self.waiting[0] if self.how.policy == "fcfs" else min(self.waiting, key=self.rank)

    def rank(self, request: Request) -> tuple[int, int]:
        size = request.prompt + request.output
        return {"shortest": size, "longest": -size, "priority": request.priority}[self.how.policy], request.row

    def admit(self, request: Request) -> bool:
        """Whether there is memory for it."""
        memory = self.memory
        found = memory.find(request)
        own = list(request.left) if request.left_from == len(found) else []
        blocks = len(found) * memory.name_blocks + len(own)
        there = blocks * memory.block_tokens
        new = min(request.tokens - there, self.budget)
        need = memory.blocks_of(there + new) - blocks
        must = memory.blocks_of(request.tokens) - blocks if self.how.whole_prompts else need
        unused = sum(group.blocks for group in found if group.users == 0) + len(own)
        if must + self.watermark > memory.room - unused:
            return False
        self.waiting.remove(request)
        self.running.append(request)
        memory.hold(request, found, own)
        memory.take(request, need)
        request.computed, request.reading = there, True
        if math.isnan(request.admitted_s):
            request.admitted_s, request.cached = self.clock_s, there
        self.give(request, new)
        return True

    def preempt(self, request: Request) -> None:
        self.memory.leave_behind(request)
        request.computed = 0
        request.preempted += 1
        self.waiting.insert(0, request)

    def compute(self) -> None:
        how, given = self.how.cost, self.given
        tokens = sum(new for _, new in given)
        contexts = [request.computed for request, _ in given if request.decodes]
        prefill = sum(new * (request.computed + new / 2) for request, new in given if not request.decodes)
        took_s = how.c0_s + how.token_s * tokens + how.hinge_s * max(0.0, tokens - how.hinge_tokens)
        took_s += how.decode_s * len(contexts) + how.context_s * sum(contexts) + how.prefill_s * prefill
        if prefill:
            took_s = max(took_s + how.prompt_s + how.mixed_s * sum(contexts), how.prompt_least_s)
        self.clock_s += took_s
        self.steps += 1
        for request, new in given:
            request.computed += new
            if request.computed == request.tokens:
                self.token(request, took_s)

    def token(self, request: Request, took_s: float) -> None:
        if request.made == 0:
            request.first_s = self.clock_s
        else:
            gap_s = self.clock_s - request.latest_s if request.reading else took_s
            self.gaps.append((self.clock_s, gap_s))
            request.longest_gap_s = max(request.longest_gap_s, gap_s)
        request.made += 1
        request.reading = False
        request.latest_s = self.clock_s
        if request.made == request.output:
            self.end(request)

    def end(self, request: Request) -> None:
        request.done_s = self.clock_s
        self.running.remove(request)
        self.memory.name(request, request.computed)
        self.memory.give_back(request)
        if request.then is not None:
            request.then.arrival_s = self.clock_s + request.then.think_s
            self.came += 1
            heappush(self.coming, (request.then.arrival_s, self.came, request.then))
