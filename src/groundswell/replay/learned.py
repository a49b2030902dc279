"""What a run has to know before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from groundswell.errors import UsageError
from groundswell.replay.limits import check_items
from groundswell.replay.options import Options, key_of
from groundswell.replay.plan import Plan
from groundswell.replay.probe import Probed, probe
from groundswell.replay.vocabulary import vocabulary_of
from groundswell.replay.words import Words
from groundswell.targets import TARGETS


@dataclass(frozen=True)
class Learned:
    """What prompts are made of, and what is known of the server: the same for all runs against one."""

    words: Words
    probed: Probed


def learn(plan: Plan, options: Options, say: Callable[[str], None] = lambda text: None) -> Learned:
    """What a run has to know before it begins: reads the tokenizer, and tries the server with small requests."""
    check_items(plan, options.target)
    words = vocabulary_of(options.tokenizer, ids=TARGETS.build(options.target).ids)
    if not words.sure and options.target != "null":
        say(f"no --tokenizer: prompts are of {words.name}, which are taken to be one token each")
    probed = _probed(options, words, plan)
    for text in probed.notes:
        say(text)
    return Learned(words, probed)


def _probed(options: Options, words: Words, plan: Plan) -> Probed:
    if options.target.partition(":")[0] == "null" or not options.probe:
        if options.model is None and options.target.partition(":")[0] != "null":
            raise UsageError("--no-probe asks the server nothing: give --model, too")
        return Probed(model=options.model or "null")
    return probe(
        options.url,
        options.target,
        words,
        model=options.model,
        key=key_of(options.key_env),
        headers=options.headers,
        extra=options.extra,
        forced=options.forced,
        tls=options.tls,
        turns=options.turns == "closed" and plan.conversations > 0,
        images=plan.images.requests,
        audio=plan.audio.requests,
    )
