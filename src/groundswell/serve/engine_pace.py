"""The pace of simulated engines: replies get their tokens when those would have made them."""

from __future__ import annotations

from math import isfinite

from groundswell.serve.pace import Asked
from groundswell.serve.server import Metric
from groundswell.simulate.live import Live


class EnginePace:
    """A :class:`~groundswell.serve.pace.Pace` whose times are those of a fleet that runs since ``start_ns``."""

    def __init__(self, live: Live, start_ns: int) -> None:
        self.live, self.start_ns = live, start_ns
        self._slot_of: dict[int, int] = {}
        self._reply_in: dict[int, int] = {}

    def begin(self, reply: int, asked: Asked, now_ns: int) -> None:
        """A request came; an empty prompt counts as one token."""
        slot = self.live.send(self._seconds(now_ns), max(asked.prompt_tokens, 1), asked.output_tokens, asked.blocks)
        self._slot_of[reply], self._reply_in[slot] = slot, reply

    def give_up(self, reply: int) -> None:
        """The engine aborts it."""
        slot = self._slot_of.pop(reply)
        del self._reply_in[slot]
        self.live.give_up(slot)

    def next_ns(self) -> int | None:
        """When a step ends, or a request comes to an engine."""
        at_s = self.live.next_s()
        return self.start_ns + int(at_s * 1e9) + 1 if isfinite(at_s) else None

    def tokens(self, now_ns: int) -> list[tuple[int, int]]:
        """Replies and numbers of tokens."""
        come = []
        for slot, count, is_over in self.live.until(self._seconds(now_ns)):
            reply = self._reply_in[slot]
            come.append((reply, count))
            if is_over:
                del self._reply_in[slot], self._slot_of[reply]
        return come

    def metrics(self) -> dict[str, Metric]:
        """What vLLM tells of its engine, under its names, of all instances together."""
        found = self.live.figures()
        return {
            "num_requests_running": ("gauge", found.running),
            "num_requests_waiting": ("gauge", found.waiting),
            "kv_cache_usage_perc": ("gauge", found.kv_used),
            "num_preemptions_total": ("counter", found.preemptions),
            "prefix_cache_queries_total": ("counter", found.prefix_queries),
            "prefix_cache_hits_total": ("counter", found.prefix_hits),
        }

    def _seconds(self, at_ns: int) -> float:
        return (at_ns - self.start_ns) * 1e-9
