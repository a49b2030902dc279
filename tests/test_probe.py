"""What is learned of a server before a run, and what is said where it is not there or will not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from certificate import self_signed
from fault_server import FaultServer
from groundswell.errors import GroundswellError, UsageError
from groundswell.replay.probe import FIRST_WORDS, Probed, probe
from groundswell.replay.vocabulary import vocabulary_of
from groundswell.replay.wire import Tls
from groundswell.replay.words import Words, words_of
from real_servers import Server as Real

LETTERS = "abcdefghijkl"
WORDS = words_of("common words", [a + b + "at" for a in LETTERS for b in LETTERS], ids=False, sure=False)
IDS = words_of("ids", [str(1000 + i) for i in range(200)], ids=True)


@dataclass
class Server:
    """A server whose template puts ``begin`` tokens before a conversation, ``around`` around each message and ``end``
    after it; it counts ``per_word`` tokens for each word. The rest says how it behaves."""

    begin: int = 3
    around: int = 4
    end: int = 2
    per_word: float = 1.0
    models: Any = field(default_factory=lambda: [{"id": "tiny", "owned_by": "vllm"}])
    models_status: int = 200
    stream: bool = True
    usage: bool = True
    refuses: str | None = None
    """A field that it does not know."""
    key: str | None = None
    conversations: bool = True
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)

    def get(self, path: str) -> tuple[int, Any]:
        if path == "/v1/models":
            return self.models_status, {"object": "list", "data": self.models}
        versions = {"/version": {"version": "0.32.0"}, "/props": {"build_info": "b7000-abc"}}
        return (200, versions[path]) if path in versions else (404, {"detail": "Not Found"})

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append((path, body))
        if self.refuses in body:
            return 400, {"error": {"message": f"{self.refuses}: extra fields not permitted"}}
        if self.models and body["model"] not in [each["id"] for each in self.models]:
            return 404, {"object": "error", "message": f"The model `{body['model']}` does not exist.", "code": 404}
        if "messages" in body:
            if len(body["messages"]) > 1 and not self.conversations:
                return 400, {"error": {"message": "roles must alternate"}}
            words = sum(len(message["content"].split()) for message in body["messages"])
            prompt = self.begin + self.around * len(body["messages"]) + self.end + round(self.per_word * words)
        elif isinstance(body["prompt"], str):
            prompt = self.begin + round(self.per_word * len(body["prompt"].split()))
        else:
            prompt = len(body["prompt"])
        return 200, {"prompt_tokens": prompt, "completion_tokens": body["max_tokens"]}


@contextmanager
def serving(server: Server) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*(server.get(self.path) if self._may() else (401, {"error": "no such key"})))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self._may():
                return self._answer(401, {"error": {"message": "invalid api key"}})
            status, found = server.post(self.path, body)
            if status != 200:
                return self._answer(status, found)
            usage = {"usage": found} if server.usage and (not server.stream or "stream_options" in body) else {}
            chat = "messages" in body
            if not server.stream:
                said = {"message": {"role": "assistant", "content": "hm"}} if chat else {"text": "hm"}
                return self._answer(200, {"choices": [{"index": 0, "finish_reason": "length", **said}], **usage})
            said = {"delta": {"content": "hm"}} if chat else {"text": "hm"}
            events = [{"choices": [{"index": 0, "finish_reason": "length", **said}]}, {"choices": [], **usage}]
            data = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
            return self._send(200, "text/event-stream", data)

        def _may(self) -> bool:
            server.keys.add(self.headers.get("Authorization"))
            return server.key is None or self.headers.get("Authorization") == f"Bearer {server.key}"

        def _answer(self, status: int, found: Any) -> None:
            self._send(status, "application/json", json.dumps(found))

        def _send(self, status: int, kind: str, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def probed(server: Server, target: str = "openai_chat", words: Words = WORDS, **options: Any) -> Probed:
    with serving(server) as url:
        return probe(url, target, words, **options)


def test_the_template_s_tokens_are_learned_from_what_the_server_counts() -> None:
    server = Server(begin=3, around=4, end=2)
    assert probed(server, turns=True) == Probed(
        "tiny", "vLLM", "0.32.0", first_overhead=3 + 4 + 2, turn_overhead=2 * 4, tokens_per_word=1.0
    )
    assert [len(body["messages"]) for _, body in server.asked] == [1, 1, 3]
    first, second = (body["messages"][0]["content"].split() for _, body in server.asked[:2])
    assert (len(first), len(second)) == (FIRST_WORDS, 2 * FIRST_WORDS)
    assert all(body["max_tokens"] == 2 and body["stream"] for _, body in server.asked)


def test_without_conversations_two_requests_are_enough() -> None:
    server = Server()
    assert probed(server).turn_overhead == 0
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("target", "words", "overhead"), [("openai_completions", WORDS, 1), ("openai_completions:ids=1", IDS, 0)]
)
def test_a_prompt_without_a_template_has_what_the_tokenizer_puts_before_it(
    target: str, words: Words, overhead: int
) -> None:
    server = Server(begin=1)
    found = probed(server, target, words, turns=True)
    assert (found.first_overhead, found.turn_overhead, found.notes) == (overhead, 0, ())
    assert {path for path, _ in server.asked} == {"/v1/completions"}


def test_words_that_are_not_one_token_each_are_noticed() -> None:
    found = probed(Server(per_word=1.25), turns=True)
    assert found.tokens_per_word == 1.25
    assert (found.first_overhead, found.turn_overhead) == (9, 8)
    (note,) = found.notes
    assert "counts 1.25 tokens for each word of common words" in note
    assert "--tokenizer" in note


def test_the_template_s_tokens_are_told_from_words_of_any_number_of_tokens() -> None:
    class Uneven(Server):
        def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
            letters = sum(len(m["content"].replace(" ", "").replace("a", "")) for m in body["messages"])
            messages = len(body["messages"])
            return 200, {"prompt_tokens": 5 + 6 * messages + letters, "completion_tokens": 2}

    found = probed(Uneven(), turns=True)
    assert 2 < found.tokens_per_word < 3
    assert (found.first_overhead, found.turn_overhead) == (11, 12)


def test_a_server_that_does_not_stream_or_does_not_count_is_taken_as_it_is() -> None:
    found = probed(Server(stream=False))
    assert (found.streams, found.first_overhead) == (False, 9)
    assert "does not stream" in found.notes[0]
    found = probed(Server(usage=False), turns=True)
    assert (found.counts, found.streams, found.first_overhead, found.turn_overhead) == (False, True, 0, 0)
    assert "does not say how many tokens" in found.notes[0]


def test_a_server_that_refuses_to_be_asked_for_its_count_is_not_asked() -> None:
    server = Server(refuses="stream_options")
    found = probed(server)
    assert (found.usage, found.counts) == (False, False)
    assert "stream_options" in found.notes[0]
    assert ["stream_options" in body for _, body in server.asked] == [True, False]


def test_a_refused_field_comes_with_how_to_leave_it_out() -> None:
    with pytest.raises(GroundswellError, match=r"with 400: min_tokens: extra.*--extra-body '{\"min_tokens\": null}'"):
        probed(Server(refuses="min_tokens"))
    server = Server(refuses="min_tokens")
    assert probed(server, extra={"min_tokens": None}).first_overhead == 9
    assert probed(Server(refuses="ignore_eos"), forced=False).first_overhead == 9

    class Strict(Server):
        def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
            unknown = {"ignore_eos", "min_tokens"} & body.keys()
            return (422, {"detail": f"Unexpected fields: {unknown}"}) if unknown else super().post(path, body)

    with pytest.raises(GroundswellError) as fault:
        probed(Strict())
    asked = str(fault.value).partition("--extra-body '")[2].partition("'")[0]
    assert probed(Strict(), extra=json.loads(asked)).first_overhead == 9


def test_a_template_that_takes_no_conversation_is_no_error() -> None:
    found = probed(Server(conversations=False), turns=True)
    assert (found.first_overhead, found.turn_overhead) == (9, 0)
    assert "roles must alternate" in found.notes[0]


def test_the_model_is_the_only_one_the_server_has() -> None:
    assert probed(Server(models=[{"id": "org/Name-7B", "owned_by": "llamacpp"}])) == Probed(
        "org/Name-7B", "llama.cpp", "b7000-abc", first_overhead=9
    )


def test_a_model_s_context_is_what_the_server_says_of_that_model() -> None:
    models = [
        {"id": "small", "max_model_len": 1024},
        {"id": "large", "context_window": 4096},
        {"id": "odd", "max_model_len": "9"},
    ]
    for name, tokens in {"small": 1024, "large": 4096, "odd": None}.items():
        assert probed(Server(models=models), model=name).context_tokens == tokens


def test_a_server_with_several_models_is_not_guessed_at() -> None:
    models = [{"id": f"model-{i}"} for i in range(20)]
    with pytest.raises(UsageError, match=r"has 20 models: model-0, .*model-7, …; say which with --model$"):
        probed(Server(models=models))
    assert probed(Server(models=models), model="model-3") == Probed("model-3", first_overhead=9)


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (Server(models_status=500), "status 500 from /v1/models"),
        (Server(models_status=404), "status 404 from /v1/models"),
        (Server(models=[]), "none from /v1/models"),
        (Server(models="nonsense"), "none from /v1/models"),
        (Server(models=[1, {"id": 2}, {}]), "none from /v1/models"),
    ],
)
def test_a_server_that_does_not_list_its_models_needs_one_named(server: Server, why: str) -> None:
    with pytest.raises(UsageError, match=rf"\({why}\): give --model$"):
        probed(server)


def test_a_model_that_is_named_needs_no_list() -> None:
    assert probed(Server(models_status=500, models=[]), model="tiny") == Probed("tiny", first_overhead=9)


def test_a_model_that_is_not_there_is_said_in_the_server_s_words() -> None:
    said = r"answered /v1/chat/completions with 404: The model `huge` does not exist.; it lists tiny$"
    with pytest.raises(GroundswellError, match=said):
        probed(Server(), model="huge")


def test_prompts_begin_as_those_of_a_run_do() -> None:
    """With a word that may begin a text, and no space before it."""
    few = words_of("few", [a + b + "at" for a in LETTERS for b in LETTERS], ids=False, first=["abat", "bbat"])
    server = Server()
    with serving(server) as url:
        probe(url, "openai_chat", few, turns=True)
    texts = [message["content"] for _, body in server.asked for message in body["messages"]]
    assert [len(text.split()) for text in texts] == [FIRST_WORDS, 2 * FIRST_WORDS, *[FIRST_WORDS] * 3]
    assert all(text.split(" ")[0] in ("abat", "bbat") for text in texts)
    assert texts[1].startswith(texts[0] + " ")


def test_a_key_is_sent_and_never_shown() -> None:
    server = Server(key="sk-secret")
    assert probed(server, key="sk-secret").first_overhead == 9
    assert server.keys == {"Bearer sk-secret"}
    with pytest.raises(GroundswellError, match="401: invalid api key; --api-key-env") as fault:
        probed(server, key="sk-wrong", model="tiny")
    assert "sk-" not in str(fault.value)
    with pytest.raises(UsageError, match="status 401 from /v1/models") as fault:
        probed(server, key="sk-wrong")
    assert "sk-" not in str(fault.value)
    with pytest.raises(UsageError) as fault:
        probed(server, key="sk-\n", model="tiny")
    assert "sk-" not in str(fault.value)


def test_what_a_server_names_its_models_cannot_move_the_cursor() -> None:
    with pytest.raises(UsageError) as fault:
        probed(Server(models=[{"id": "a\x1b[2J"}, {"id": "b\r\n"}]))
    assert str(fault.value).isprintable()


def test_a_server_that_is_not_there_is_said_in_a_line() -> None:
    with serving(Server()) as url:
        pass
    with pytest.raises(
        GroundswellError, match=rf"^{url} cannot be used \(refused\): Connection refused; is the server"
    ):
        probe(url, "openai_chat", WORDS)
    with pytest.raises(GroundswellError, match=r"cannot be used \(name\): "):
        probe("http://nowhere.invalid", "openai_chat", WORDS, model="tiny")


def test_what_is_no_url_of_a_server_is_refused() -> None:
    with pytest.raises(UsageError, match="no URL of a server"):
        probe("localhost:8000", "openai_chat", WORDS)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("garbage", r"\(protocol\)"),
        ("reset", r"\((reset|protocol)\)"),
        ("status_429", "429"),
        ("status_500", "500"),
        ("error_in_stream", "cannot answer a prompt"),
        ("half_json", "no reply"),
        ("hang_up_in_stream", r"\(reset\)"),
        ("endless_head", "too large"),
        ("endless", "too large"),
        ("long_line", "too large|no reply"),
    ],
)
def test_a_server_that_misbehaves_is_said_in_a_line(fault: str, said: str) -> None:
    with FaultServer(fault) as server:
        server.script.append("status_500")  # to /v1/models
        with pytest.raises(GroundswellError, match=said) as raised:
            probe(server.url, "openai_chat", WORDS, model="tiny")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500


def test_a_page_where_a_reply_should_be_is_no_reply() -> None:
    class Page(Server):
        def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
            return 203, "<html>welcome</html>"

    with pytest.raises(GroundswellError, match="what is no reply"):
        probed(Page())


def test_certificates_are_verified_unless_asked_not_to(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with FaultServer(certificate=certificate) as server:
        for tls in (None, Tls()):
            with pytest.raises(GroundswellError, match=r"cannot be used \(tls\): .*--ca-file"):
                probe(server.url, "openai_chat", WORDS, model="tiny", tls=tls)
        for tls in (Tls(ca_file=certificate[0]), Tls(verify=False)):
            assert probe(server.url, "openai_chat", WORDS, model="tiny", tls=tls).streams
        with pytest.raises(GroundswellError, match=r"cannot be used \((reset|protocol)\): .*https://"):
            probe(server.url.replace("https", "http"), "openai_chat", WORDS, model="tiny")


def test_a_count_that_does_not_grow_with_the_prompt_teaches_nothing() -> None:
    found = probed(Server(per_word=0.0), turns=True)
    assert (found.first_overhead, found.turn_overhead) == (0, 0)
    assert "does not grow" in found.notes[0]


def test_a_real_server_s_template_is_learned(llama_server: Real) -> None:
    from tokenizers import Tokenizer

    words = vocabulary_of(str(llama_server.folder), ids=False)
    encode = Tokenizer.from_file(str(llama_server.folder / "tokenizer.json")).encode
    prompt = words.table[: 10 * words.width].decode()
    first = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
    both = f"{first}{prompt}<|im_end|>\n{first}"
    first_tokens, both_tokens = (len(encode(text, add_special_tokens=False).ids) for text in (first, both))
    found = probe(llama_server.url, "openai_chat", words, turns=True)
    assert (found.server, found.model, found.tokens_per_word) == ("llama.cpp", llama_server.model, 1.0)
    assert (found.first_overhead, found.turn_overhead) == (first_tokens - 10, both_tokens - first_tokens - 20)
    assert (found.streams, found.usage, found.counts, found.notes) == (True, True, True, ())
    plain = probe(llama_server.url, "openai_completions", words)
    assert (plain.first_overhead, plain.tokens_per_word) == (0, 1.0)
