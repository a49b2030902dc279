"""What servers send: streams as they were on the wire, shortened, and what they mean.

vLLM 0.32 (CPU), llama.cpp (xllamacpp 2026.10), transformers serve 5.23 and Dynamo 1.6 (mocker) were recorded, asked for
four tokens; the streams of SGLang, of reasoning and of faults are written after the servers' sources.
"""

# A line is an event, as it was on the wire.
# ruff: noqa: E501

from __future__ import annotations

from dataclasses import dataclass

from groundswell.targets import ANSWER, END, NOTHING, REASONING


@dataclass(frozen=True)
class Stream:
    """A stream and what it means: flags, tokens (of prompt, output, reasoning, cache), the reason to finish, text."""

    data: bytes
    brings: tuple[int, ...]
    tokens: tuple[int, int, int, int]
    finish: str | None
    text: str
    error: str | None = None
    ended: bool = True


def wire(text: str) -> bytes:
    """The events that ``text`` shows, one a line: an event's data, or a line that is sent as it is after ``!``."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return "".join(f"{line[1:]}\n\n" if line.startswith("!") else f"data: {line}\n\n" for line in lines).encode()


_VLLM = '"object":"chat.completion.chunk","created":1795295623,"model":"tiny"'
_LLAMA = '"created":1795295509,"model":"tiny","system_fingerprint":"b0-unknown"'
_TIMED = '"prompt_ms":1.4,"prompt_per_second":9695.29,"predicted_n":4,"predicted_ms":0.9'
_NOT_TOLD = -1

STREAMS = {
    "vllm chat: a role first, the last token with the finish, usage by itself": Stream(
        wire(f"""
        {{"id":"c-1",{_VLLM},"choices":[{{"index":0,"delta":{{"role":"assistant","content":""}},"logprobs":null,"finish_reason":null}}],"prompt_token_ids":null,"prompt_text":null}}
        {{"id":"c-1",{_VLLM},"choices":[{{"index":0,"delta":{{"content":" to"}},"logprobs":null,"finish_reason":null,"token_ids":null}}]}}
        {{"id":"c-1",{_VLLM},"choices":[{{"index":0,"delta":{{"content":" your"}},"logprobs":null,"finish_reason":null,"token_ids":null}}]}}
        {{"id":"c-1",{_VLLM},"choices":[{{"index":0,"delta":{{"content":" char"}},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null}}]}}
        {{"id":"c-1",{_VLLM},"choices":[],"usage":{{"prompt_tokens":14,"total_tokens":18,"completion_tokens":4}},"system_fingerprint":"vllm-0.32.0"}}
        [DONE]
        """),
        (NOTHING, ANSWER, ANSWER, ANSWER | END, NOTHING, END),
        (14, 4, _NOT_TOLD, _NOT_TOLD),
        "length",
        " to your char",
    ),
    "vllm completions with continuous usage": Stream(
        wire("""
        {"id":"cmpl-1","object":"text_completion","created":1,"model":"tiny","choices":[{"index":0,"text":"Con","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":{"prompt_tokens":4,"total_tokens":5,"completion_tokens":1}}
        {"id":"cmpl-1","object":"text_completion","created":1,"model":"tiny","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2}}
        {"id":"cmpl-1","object":"text_completion","created":1,"model":"tiny","choices":[{"index":0,"text":"copy","logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":4,"total_tokens":7,"completion_tokens":3}}
        {"id":"cmpl-1","object":"text_completion","created":1,"model":"tiny","choices":[],"usage":{"prompt_tokens":4,"total_tokens":7,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}}
        [DONE]
        """),
        (ANSWER, NOTHING, ANSWER | END, NOTHING, END),
        (4, 3, _NOT_TOLD, 2),
        "stop",
        "Concopy",
    ),
    "vllm reasoning": Stream(
        wire(f"""
        {{"id":"c-2",{_VLLM},"choices":[{{"index":0,"delta":{{"role":"assistant","content":""}},"finish_reason":null}}]}}
        {{"id":"c-2",{_VLLM},"choices":[{{"index":0,"delta":{{"reasoning":"Hmm"}},"finish_reason":null}}]}}
        {{"id":"c-2",{_VLLM},"choices":[{{"index":0,"delta":{{"reasoning":".","content":"Yes"}},"finish_reason":null}}]}}
        {{"id":"c-2",{_VLLM},"choices":[{{"index":0,"delta":{{"content":"","tool_calls":[]}},"finish_reason":"stop"}}]}}
        {{"id":"c-2",{_VLLM},"choices":[],"usage":{{"prompt_tokens":9,"total_tokens":13,"completion_tokens":4,"prompt_tokens_details":null,"completion_tokens_details":{{"reasoning_tokens":2}}}}}}
        [DONE]
        """),
        (NOTHING, REASONING, REASONING | ANSWER, END, NOTHING, END),
        (9, 4, 2, _NOT_TOLD),
        "stop",
        "Yes",
    ),
    "vllm fault": Stream(
        wire(f"""
        {{"id":"c-3",{_VLLM},"choices":[{{"index":0,"delta":{{"content":"So"}},"finish_reason":null}}]}}
        {{"error": {{"message": "EngineCore encountered an issue.", "type": "InternalServerError", "param": null, "code": 500}}}}
        [DONE]
        """),
        (ANSWER, END, END),
        (_NOT_TOLD, _NOT_TOLD, _NOT_TOLD, _NOT_TOLD),
        None,
        "So",
        "EngineCore encountered an issue.",
    ),
    "sglang chat: reasoning, usage null until it comes": Stream(
        wire("""
        {"id":"s1","object":"chat.completion.chunk","created":1,"model":"tiny","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}
        {"id":"s1","object":"chat.completion.chunk","created":1,"model":"tiny","choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":"Let me","tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}
        {"id":"s1","object":"chat.completion.chunk","created":1,"model":"tiny","choices":[{"index":0,"delta":{"role":null,"content":"4","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}
        {"id":"s1","object":"chat.completion.chunk","created":1,"model":"tiny","choices":[{"index":0,"delta":{"role":null,"content":null},"logprobs":null,"finish_reason":"stop","matched_stop":151645}],"usage":null}
        {"id":"s1","object":"chat.completion.chunk","created":1,"model":"tiny","choices":[],"usage":{"prompt_tokens":11,"total_tokens":15,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":8},"reasoning_tokens":2}}
        [DONE]
        """),
        (NOTHING, REASONING, ANSWER, END, NOTHING, END),
        (11, 4, 2, 8),
        "stop",
        "4",
    ),
    "sglang abort": Stream(
        wire("""
        {"id":"s2","object":"text_completion","created":1,"model":"tiny","choices":[{"index":0,"text":"A","logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}
        {"id":"s2","object":"text_completion","created":1,"model":"tiny","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"abort","matched_stop":null}],"usage":null}
        [DONE]
        """),
        (ANSWER, END, END),
        (_NOT_TOLD, _NOT_TOLD, _NOT_TOLD, _NOT_TOLD),
        "abort",
        "A",
        "the server ended the reply with 'abort'",
    ),
    "llama.cpp chat: content null in the first, pings, usage by itself, timings": Stream(
        wire(f"""
        !:
        {{"choices":[{{"finish_reason":null,"index":0,"delta":{{"role":"assistant","content":null}}}}],{_LLAMA},"object":"chat.completion.chunk"}}
        {{"choices":[{{"finish_reason":null,"index":0,"delta":{{"content":" full"}}}}],{_LLAMA},"object":"chat.completion.chunk"}}
        !:
        {{"choices":[{{"finish_reason":null,"index":0,"delta":{{"content":"name"}}}}],{_LLAMA},"object":"chat.completion.chunk"}}
        {{"choices":[{{"finish_reason":"length","index":0,"delta":{{}}}}],{_LLAMA},"object":"chat.completion.chunk"}}
        {{"choices":[],{_LLAMA},"usage":{{"completion_tokens":4,"prompt_tokens":14,"total_tokens":18,"prompt_tokens_details":{{"cached_tokens":13}}}},"timings":{{"cache_n":13,"prompt_n":1,{_TIMED}}}}}
        [DONE]
        """),
        (NOTHING, ANSWER, ANSWER, END, NOTHING, END),
        (14, 4, _NOT_TOLD, 13),
        "length",
        " fullname",
    ),
    "llama.cpp completions: usage with the finish": Stream(
        wire(f"""
        {{"choices":[{{"text":" within","index":0,"logprobs":null,"finish_reason":null}}],{_LLAMA},"object":"text_completion"}}
        {{"choices":[{{"text":"","index":0,"logprobs":null,"finish_reason":"length"}}],{_LLAMA},"usage":{{"completion_tokens":4,"prompt_tokens":4,"total_tokens":8,"prompt_tokens_details":{{"cached_tokens":0}}}},"timings":{{"cache_n":0,"prompt_n":4,{_TIMED}}}}}
        [DONE]
        """),
        (ANSWER, END, END),
        (4, 4, _NOT_TOLD, 0),
        "length",
        " within",
    ),
    "llama.cpp chat that was not asked for usage: timings alone": Stream(
        wire(f"""
        {{"choices":[{{"finish_reason":null,"index":0,"delta":{{"content":"items"}}}}],{_LLAMA},"object":"chat.completion.chunk"}}
        {{"choices":[{{"finish_reason":"length","index":0,"delta":{{}}}}],{_LLAMA},"object":"chat.completion.chunk","timings":{{"cache_n":13,"prompt_n":1,{_TIMED}}}}}
        [DONE]
        """),
        (ANSWER, END, END),
        (14, 4, _NOT_TOLD, 13),
        "length",
        "items",
    ),
    "llama.cpp fault, until 2025 in a field of its own": Stream(
        wire(f"""
        {{"choices":[{{"finish_reason":null,"index":0,"delta":{{"content":"a"}}}}],{_LLAMA}}}
        !error: {{"code":500,"message":"Input prompt is too big compared to KV size","type":"server_error"}}
        """),
        (ANSWER, END),
        (_NOT_TOLD, _NOT_TOLD, _NOT_TOLD, _NOT_TOLD),
        None,
        "a",
        "Input prompt is too big compared to KV size",
        ended=False,
    ),
    "transformers serve: no [DONE], no finish_reason until it has one, usage in the last choices chunk": Stream(
        wire("""
        {"id":"t1","choices":[{"delta":{"role":"assistant"},"index":0}],"created":1,"model":"tiny@main","object":"chat.completion.chunk","system_fingerprint":""}
        {"id":"t1","choices":[{"delta":{"content":"|"},"index":0}],"created":1,"model":"tiny@main","object":"chat.completion.chunk","system_fingerprint":""}
        {"id":"t1","choices":[{"delta":{"content":"ü"},"index":0}],"created":1,"model":"tiny@main","object":"chat.completion.chunk","system_fingerprint":""}
        {"id":"t1","choices":[{"delta":{},"index":0,"finish_reason":"length"}],"created":1,"model":"tiny@main","object":"chat.completion.chunk","system_fingerprint":"","usage":{"completion_tokens":4,"prompt_tokens":14,"total_tokens":18}}
        """),
        (NOTHING, ANSWER, ANSWER, END),
        (14, 4, _NOT_TOLD, _NOT_TOLD),
        "length",
        "|ü",
    ),
    "transformers serve fault: text": Stream(
        wire("""
        {"id":"t2","choices":[{"delta":{"role":"assistant"},"index":0}],"created":1,"model":"tiny@main","object":"chat.completion.chunk"}
        {"error": "No requests can be scheduled and no requests can be offloaded."}
        """),
        (NOTHING, END),
        (_NOT_TOLD, _NOT_TOLD, _NOT_TOLD, _NOT_TOLD),
        None,
        "",
        "No requests can be scheduled and no requests can be offloaded.",
        ended=False,
    ),
    "dynamo chat: the role comes with the first token": Stream(
        wire("""
        {"id":"d1","choices":[{"index":0,"delta":{"content":" del","role":"assistant"},"finish_reason":null,"logprobs":null}],"created":1,"model":"tiny","object":"chat.completion.chunk"}
        {"id":"d1","choices":[{"index":0,"delta":{"content":"ram"},"finish_reason":null,"logprobs":null}],"created":1,"model":"tiny","object":"chat.completion.chunk"}
        {"id":"d1","choices":[{"index":0,"delta":{},"finish_reason":"length","logprobs":null}],"created":1,"model":"tiny","object":"chat.completion.chunk"}
        {"id":"d1","choices":[],"created":1,"model":"tiny","object":"chat.completion.chunk","usage":{"prompt_tokens":14,"completion_tokens":4,"total_tokens":18,"prompt_tokens_details":{"audio_tokens":null,"cached_tokens":0}}}
        [DONE]
        """),
        (ANSWER, ANSWER, END, NOTHING, END),
        (14, 4, _NOT_TOLD, 0),
        "length",
        " delram",
    ),
    "dynamo fault: an event whose words are a comment": Stream(
        wire('{"id":"d2","choices":[{"text":"yn","index":0}],"created":1,"model":"tiny","usage":null}')
        + b"event: error\n: the worker has gone\n\n",
        (ANSWER, END),
        (_NOT_TOLD, _NOT_TOLD, _NOT_TOLD, _NOT_TOLD),
        None,
        "yn",
        "the worker has gone",
        ended=False,
    ),
    "dynamo fault: an error that is not wrapped": Stream(
        wire('{"message":"Model not found","type":"Not Found","code":404}'),
        (END,),
        (_NOT_TOLD, _NOT_TOLD, _NOT_TOLD, _NOT_TOLD),
        None,
        "",
        "Model not found",
        ended=False,
    ),
    "tools": Stream(
        wire("""
        {"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"f1","type":"function","function":{"name":"add","arguments":""}}]},"finish_reason":null}]}
        {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\": 1}"}}]},"finish_reason":null}]}
        {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
        [DONE]
        """),
        (ANSWER, ANSWER, END, END),
        (_NOT_TOLD, _NOT_TOLD, _NOT_TOLD, _NOT_TOLD),
        "tool_calls",
        "",
    ),
    "content in parts, as Mistral's models have it": Stream(
        wire("""
        {"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Well"}]}]},"finish_reason":null}]}
        {"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"Fine"},{"type":"text","text":"."}]},"finish_reason":null}]}
        {"choices":[{"index":0,"delta":{"content":[]},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3.0,"total_tokens":10}}
        [DONE]
        """),
        (REASONING, ANSWER, END, END),
        (7, 3, _NOT_TOLD, _NOT_TOLD),
        "stop",
        "Fine.",
    ),
    "odd but meant: nothing where something should be": Stream(
        wire("""
        {"choices":null,"usage":null}
        {"choices":[],"error":null}
        {"choices":[{"index":null,"delta":null,"finish_reason":""}]}
        {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}
        {"choices":[{"index":0,"delta":{"content":"\\ude00"},"logprobs":NaN}]}
        {"choices":[{"index":0,"delta":{"content":""},"finish_reason":{"type":"length","length":4}}]}
        {"usage":{"prompt_tokens":5,"completion_tokens":-1,"prompt_tokens_details":{"cached_tokens":1e300}}}
        """)
        + b"data:\n\ndata: [DONE] \n\n",
        (NOTHING, NOTHING, NOTHING, ANSWER, ANSWER, END, NOTHING, NOTHING, END),
        (5, _NOT_TOLD, _NOT_TOLD, _NOT_TOLD),
        "length",
        "\ud83d\ude00",
    ),
    "several choices: the first one is the conversation's": Stream(
        wire("""
        {"choices":[{"index":1,"delta":{"content":"no"}},{"index":0,"delta":{"content":"yes"}}]}
        {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}
        """),
        (ANSWER, END),
        (_NOT_TOLD, _NOT_TOLD, _NOT_TOLD, _NOT_TOLD),
        "stop",
        "yes",
    ),
}

WHOLE = {
    "vllm chat": (
        b'{"id":"c","object":"chat.completion","created":1,"model":"tiny","choices":[{"index":0,"message":{"role":"assistant",'
        b'"content":"util","refusal":null,"annotations":null,"audio":null,"function_call":null,"reasoning":null},'
        b'"logprobs":null,"finish_reason":"length","stop_reason":null}],"service_tier":null,"usage":{"prompt_tokens":14,'
        b'"total_tokens":18,"completion_tokens":4,"prompt_tokens_details":null,"completion_tokens_details":null}}',
        ANSWER | END,
        (14, 4, _NOT_TOLD, _NOT_TOLD),
        "util",
    ),
    "reasoning": (
        b'{"choices":[{"index":0,"message":{"role":"assistant","content":"4","reasoning_content":"2+2"},'
        b'"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":5,"reasoning_tokens":4}}',
        REASONING | ANSWER | END,
        (1, 5, 4, _NOT_TOLD),
        "4",
    ),
    "llama.cpp completions": (
        b'{"choices":[{"text":"istered lex","index":0,"logprobs":null,"finish_reason":"length"}],"created":1,"usage":'
        b'{"completion_tokens":4,"prompt_tokens":2,"total_tokens":6,"prompt_tokens_details":{"cached_tokens":1}},'
        b'"timings":{"cache_n":1,"prompt_n":1,"predicted_n":4}}',
        ANSWER | END,
        (2, 4, _NOT_TOLD, 1),
        "istered lex",
    ),
}

REFUSALS = {
    "vllm": (
        404,
        b'{"error":{"message":"The model `nosuch` does not exist.","type":"NotFoundError","param":"model","code":404}}',
        "The model `nosuch` does not exist.",
    ),
    "vllm until 2025": (
        400,
        b'{"object":"error","message":"max_tokens is too large","type":"BadRequestError","param":null,"code":400}',
        "max_tokens is too large",
    ),
    "llama.cpp": (
        400,
        b'{"error":{"code":400,"message":"request (60011 tokens) exceeds the available context size (2048 tokens)",'
        b'"type":"exceed_context_size_error","n_prompt_tokens":60011,"n_ctx":2048}}',
        "request (60011 tokens) exceeds the available context size (2048 tokens)",
    ),
    "transformers serve": (
        422,
        b"{\"detail\":\"Unexpected fields in the request: {'ignore_eos', 'min_tokens'}\"}",
        "Unexpected fields in the request: {'ignore_eos', 'min_tokens'}",
    ),
    "FastAPI": (
        422,
        b'{"detail":[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error","input":{}},'
        b'{"type":"missing","loc":["body","model"],"msg":"Field required"}]}',
        "body.1: JSON decode error; body.model: Field required",
    ),
    "dynamo": (404, b'{"message":"Model not found","type":"Not Found","code":404}', "Model not found"),
    "text for an error": (500, b'{"error":"overloaded"}', "overloaded"),
    "an error in an error": (500, b'{"error":{"error":{"message":"deep"}}}', "deep"),
    "a list": (500, b'[{"error":{"message":"one"}},{"message":"two"}]', "one; two"),
    "no words": (500, b'{"error":{"kind":7}}', '{"kind": 7}'),
    "nginx": (
        502,
        b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>"
        b"<hr><center>nginx/1.27.0</center>\r\n</body>\r\n</html>\r\n",
        "502 Bad Gateway",
    ),
    "HTML without a title": (
        503,
        b"<!DOCTYPE html><html><head><style>p {}</style></head><body><p>Come&nbsp;back &amp; see</p></body></html>",
        "Come back & see",
    ),
    "text": (429, b"  slow\n  down\x1b[31m \n", "slow down [31m"),
    "empty": (503, b"", "Service Unavailable"),
    "empty, and a status of nobody's": (599, b" \n", "no words"),
    "an empty object": (429, b"{}", "Too Many Requests"),
    "half a JSON": (500, b'{"error": {"mess', '{"error": {"mess'),
    "not UTF-8": (500, b"caf\xe9", "caf�"),
    "long": (500, b"x" * 1000, "x" * 299 + "…"),
}
