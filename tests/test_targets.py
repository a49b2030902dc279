"""Targets: what servers are asked, and how their replies read."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundswell.errors import UsageError
from groundswell.replay.sse import Events
from groundswell.targets import ANSWER, END, NOTHING, REASONING, TARGETS, ProtocolError, Reply, Settings
from groundswell.targets._refusal import words
from groundswell.targets._reply import OpenAIReply, _decode, _lenient
from reply_streams import REFUSALS, STREAMS, WHOLE, Stream

PLAIN = Settings("tiny")
PAGE = (Path(__file__).parent.parent / "docs" / "targets.md").read_text(encoding="utf-8")


def tokens(reply: Reply) -> tuple[int, int, int, int]:
    return reply.prompt_tokens, reply.output_tokens, reply.reason_tokens, reply.cached_tokens


def read(pieces: list[bytes], *, keep: bool = True) -> tuple[Reply, tuple[int, ...]]:
    """What a worker does with a reply."""
    events, reply = Events(), TARGETS.build("openai_chat").reply()
    reply.keep = keep
    return reply, tuple(reply.event(data) for piece in pieces for data in events.feed(piece))


def check(stream: Stream, pieces: list[bytes]) -> None:
    reply, brought = read(pieces)
    assert brought == stream.brings
    assert tokens(reply) == stream.tokens
    assert (reply.finish, reply.error, reply.ended) == (stream.finish, stream.error, stream.ended)
    assert "".join(reply.text) == stream.text


@pytest.mark.parametrize("name", STREAMS)
def test_a_servers_stream_means_what_it_says_wherever_it_is_cut(name: str) -> None:
    stream = STREAMS[name]
    check(stream, [stream.data])
    for cut in range(1, len(stream.data)):
        check(stream, [stream.data[:cut], stream.data[cut:]])


@pytest.mark.parametrize("name", STREAMS)
def test_both_decoders_agree(name: str) -> None:
    for data in Events().feed(STREAMS[name].data):
        try:
            typed = _decode(data)
        except (ValueError, UnicodeDecodeError):
            continue
        if typed.choices is None:
            continue
        one, other = OpenAIReply(), OpenAIReply()
        one.keep = other.keep = True
        assert one._take(typed) == other._take(_lenient(data))
        assert (tokens(one), one.finish, one.error, one.text) == (tokens(other), other.finish, other.error, other.text)


@pytest.mark.parametrize("name", WHOLE)
def test_a_reply_may_come_whole(name: str) -> None:
    body, brings, counts, text = WHOLE[name]
    reply = TARGETS.build("openai_chat").reply()
    reply.keep = True
    assert reply.whole(body) == brings
    assert (tokens(reply), reply.text, reply.ended, reply.error) == (counts, [text], True, None)


def test_a_whole_reply_may_be_an_error_though_its_status_is_well() -> None:
    reply = TARGETS.build("openai_chat").reply()
    assert reply.whole(b'{"error": {"message": "out of memory"}}') == END
    assert (reply.error, reply.ended) == ("out of memory", False)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"7", b'"x"', b"<html>", b'{"choices": []}', b'{"choices": {}}', b"\xff"]
)
def test_a_body_without_a_reply_is_none(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        TARGETS.build("openai_chat").reply().whole(body)


@pytest.mark.parametrize(
    "data",
    [b"[]", b"7", b'"x"', b"null", b"{", b"DONE", b"[DONE", b'{"choices": [}', b"\xff", b'{"x":' + b"[" * 100_000],
)
def test_an_event_that_is_no_object_is_refused_in_a_line(data: bytes) -> None:
    with pytest.raises(ProtocolError) as fault:
        TARGETS.build("openai_chat").reply().event(data)
    assert "\n" not in str(fault.value)
    assert len(str(fault.value)) < 200


def test_usage_is_believed_before_timings() -> None:
    reply, _ = read(
        [
            b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}\n\n',
            b'data: {"choices":[],"timings":{"cache_n":1,"prompt_n":1,"predicted_n":1}}\n\n',
        ]
    )
    assert tokens(reply) == (5, 6, -1, -1)


def test_the_words_of_a_fault_outlive_the_bare_reason() -> None:
    reply, _ = read([b'data: {"error":"out of memory"}\n\ndata: {"choices":[{"finish_reason":"abort"}]}\n\n'])
    assert (reply.error, reply.finish) == ("out of memory", "abort")


def test_an_error_may_be_nested_deeper_than_words_are_looked_for() -> None:
    nested: dict[str, Any] = {"message": "deep"}
    for _ in range(5000):
        nested = {"error": nested}
    assert words(nested) == ""


def test_text_is_kept_only_where_it_is_asked_for() -> None:
    for stream in STREAMS.values():
        assert read([stream.data], keep=False)[0].text == []


NAMES = [
    "choices",
    "delta",
    "message",
    "content",
    "text",
    "reasoning",
    "reasoning_content",
    "tool_calls",
    "usage",
    "error",
]
MORE_NAMES = [
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "cached_tokens",
    "finish_reason",
    "timings",
    "index",
]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4))
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES + MORE_NAMES), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(value=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5))
@example(value={"choices": [{"delta": {"content": {"text": ["x"]}}, "finish_reason": [1]}]})
@example(value={"error": {"error": [[{"message": {"detail": 1}}]]}})
@settings(max_examples=600, deadline=None)
def test_no_shape_of_json_is_an_accident(value: dict[str, Any]) -> None:
    reply = TARGETS.build("openai_chat").reply()
    reply.keep = True
    assert reply.event(json.dumps(value).encode()) in range(8)
    assert all(-1 <= count < 2**31 and isinstance(count, int) for count in tokens(reply))
    assert all(isinstance(said, str) for said in reply.text)
    assert reply.error is None or 0 < len(reply.error) <= 300
    assert OpenAIReply.refusal(500, json.dumps(value).encode())


@given(data=st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_bytes_are_json_or_refused(data: bytes) -> None:
    said = ""
    try:
        TARGETS.build("openai_chat").reply().event(data)
    except ProtocolError as fault:
        said = str(fault)
    assert said.isprintable()


@pytest.mark.parametrize("name", REFUSALS)
def test_an_errors_message_is_found(name: str) -> None:
    status, body, said = REFUSALS[name]
    assert OpenAIReply.refusal(status, body) == said


@given(status=st.integers(0, 999), body=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode)))
@example(status=500, body=b"[" * 100_000)
@example(status=500, body=b'{"error":' * 900 + b"1" + b"}" * 900)
@example(status=500, body=b'{"error": "\\ud800"}')
@example(status=500, body=b"<" * 5000)
@settings(max_examples=300, deadline=None)
def test_a_refusal_is_a_line(status: int, body: bytes) -> None:
    said = OpenAIReply.refusal(status, body)
    assert 0 < len(said) <= 300
    assert said.isprintable()
    assert said.encode()


# Bodies


def chat(pieces: list[bytes], output_tokens: int = 7, settings: Settings = PLAIN) -> Any:
    return json.loads(TARGETS.build("openai_chat").bodies(settings).body(pieces, output_tokens))


def test_a_chats_body_says_everything() -> None:
    bodies = TARGETS.build("openai_chat").bodies(PLAIN)
    pieces = [bodies.message(b"one two"), bodies.answer('three "four"\n'), bodies.message(b"five")]
    assert chat(pieces) == {
        "messages": [
            {"role": "user", "content": "one two"},
            {"role": "assistant", "content": 'three "four"\n'},
            {"role": "user", "content": "five"},
        ],
        "model": "tiny",
        "stream": True,
        "max_tokens": 7,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
        "min_tokens": 7,
    }


def test_images_and_audio_follow_the_text() -> None:
    bodies = TARGETS.build("openai_chat").bodies(PLAIN)
    image, audio = {"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "input_audio", "input_audio": {}}
    message = bodies.message(b"look", [json.dumps(image).encode(), json.dumps(audio).encode()])
    assert chat([message])["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "look"}, image, audio]}
    ]


def test_a_completions_body_has_one_prompt() -> None:
    bodies = TARGETS.build("openai_completions").bodies(Settings("tiny", forced=False, usage=False))
    body = json.loads(bodies.body([bodies.message(b" one two")], 3))
    assert body == {"prompt": " one two", "model": "tiny", "stream": True, "max_tokens": 3}
    with pytest.raises(ValueError, match="unpack"):
        bodies.body([b'"a"', b'"b"'], 3)


def test_a_prompt_may_be_token_ids() -> None:
    bodies = TARGETS.build("openai_completions:ids=1").bodies(PLAIN)
    assert json.loads(bodies.body([bodies.message(b"12,7,99,")], 3))["prompt"] == [12, 7, 99]
    assert json.loads(bodies.body([bodies.message(b"")], 3))["prompt"] == []


def test_a_prompt_carries_no_images() -> None:
    with pytest.raises(UsageError, match="openai_chat does"):
        TARGETS.build("openai_completions").bodies(PLAIN).message(b"look", [b"{}"])


def test_ids_are_chosen_or_not() -> None:
    with pytest.raises(UsageError, match="ids is 1"):
        TARGETS.build("openai_completions:ids=maybe")


@pytest.mark.parametrize("text", ["openai_chat", "openai_completions", "openai_completions:ids=1", "null"])
def test_a_target_is_its_text(text: str) -> None:
    assert TARGETS.text(TARGETS.build(text)) == text


def test_what_is_not_forced_or_counted_is_not_asked_for() -> None:
    asked = chat([], settings=Settings("tiny", forced=False, usage=False))
    assert asked == {"messages": [], "model": "tiny", "stream": True, "max_tokens": 7}


def test_extra_fields_win_and_null_takes_one_out() -> None:
    extra = {"temperature": 0.5, "min_tokens": None, "ignore_eos": False, "stop": ["ü"], "model": "other"}
    asked = chat([], settings=Settings("tiny", extra=extra))
    assert "min_tokens" not in asked
    assert (asked["temperature"], asked["ignore_eos"], asked["stop"], asked["model"]) == (0.5, False, ["ü"], "other")


def test_the_length_of_the_reply_may_go_under_other_names() -> None:
    extra = {"max_tokens": None, "max_completion_tokens": "$output_tokens", "nvext": {"min": ["$output_tokens", 1]}}
    asked = chat([], 123, Settings("tiny", extra=extra))
    assert "max_tokens" not in asked
    assert (asked["max_completion_tokens"], asked["nvext"], asked["min_tokens"]) == (123, {"min": [123, 1]}, 123)


def test_a_body_may_be_nothing_but_its_prompt() -> None:
    extra = dict.fromkeys(["model", "stream", "max_tokens", "stream_options", "ignore_eos", "min_tokens"])
    assert chat([], settings=Settings("tiny", extra=extra)) == {"messages": []}


@pytest.mark.parametrize(("target", "name"), [("openai_chat", "messages"), ("openai_completions", "prompt")])
def test_the_prompt_is_the_workloads(target: str, name: str) -> None:
    with pytest.raises(UsageError, match=name):
        TARGETS.build(target).bodies(Settings("tiny", extra={name: []}))


@pytest.mark.parametrize("value", [{1, 2}.__iter__(), object(), "\ud800"])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="extra body"):
        TARGETS.build("openai_chat").bodies(Settings("tiny", extra={"x": value}))


@given(text=st.text(st.characters(exclude_categories=["Cs"])), settings=st.booleans())
def test_an_answer_is_carried_as_it_was(text: str, settings: bool) -> None:
    answer = TARGETS.build("openai_chat").bodies(Settings("tiny", forced=settings)).answer(text)
    assert json.loads(answer) == {"role": "assistant", "content": text}


def test_halves_of_a_character_are_made_whole_and_a_lone_one_is_marked() -> None:
    answer = TARGETS.build("openai_chat").bodies(PLAIN).answer
    assert json.loads(answer("a" + "\ud83d" + "\ude00"))["content"] == "a😀"
    assert json.loads(answer("a\ud83db"))["content"] == "a�b"


# All targets


@pytest.mark.parametrize("name", TARGETS.names())
def test_a_target_has_a_place_bodies_of_json_and_fresh_replies(name: str) -> None:
    target = TARGETS.build(name)
    assert target.path.startswith("/")
    assert target.takes in ("messages", "prompt")
    bodies = target.bodies(Settings("tiny", extra={"top_p": 0.5}))
    assert isinstance(json.loads(bodies.body([bodies.message(b"word word")], 5)), dict)
    first, second = target.reply(), target.reply()
    first.text.append("x")
    assert tokens(second) == (-1, -1, -1, -1)
    assert (second.finish, second.error, second.keep, second.text) == (None, None, False, [])
    assert second.refusal(500, b"no") == "no"


@pytest.mark.parametrize("name", TARGETS.names())
def test_the_page_of_targets_has_a_row_for_every_target(name: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    assert name == "null" or f"`{TARGETS[name].path}`" in row
    assert all(f"`{field.name}=" in row for field in dataclasses.fields(TARGETS[name]))  # type: ignore[arg-type]


@pytest.mark.parametrize("extra", re.findall(r"--extra-body '(.*?)'`", PAGE))
def test_the_pages_extra_fields_make_bodies(extra: str) -> None:
    asked = chat([], 3, Settings("tiny", extra=json.loads(extra)))
    kept = {name: value for name, value in json.loads(extra).items() if value is not None}
    assert {name: asked[name] for name in kept} == {n: 3 if v == "$output_tokens" else v for n, v in kept.items()}
    assert set(asked).isdisjoint(json.loads(extra).keys() - kept.keys())


def test_nowhere_answers_at_once() -> None:
    reply = TARGETS.build("null").reply()
    assert reply.ended
    assert reply.event(b"") == reply.whole(b"") == ANSWER | END


def test_flags_are_distinct() -> None:
    assert len({NOTHING, REASONING, ANSWER, END}) == 4
    assert REASONING | ANSWER | END == 7


def test_a_worker_loads_targets_without_heavy_packages() -> None:
    code = (
        "import sys, groundswell.replay.sse; from groundswell.targets import TARGETS;"
        "parts = [TARGETS[name] for name in TARGETS];"
        "heavy = {'numpy', 'polars', 'numba', 'scipy', 'rich', 'tokenizers', 'typer'};"
        "print({name.split('.')[0] for name in sys.modules} & heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
