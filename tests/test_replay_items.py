"""Images and audio in a run: what a server that looks at them finds, and what becomes of conversations with them."""

from __future__ import annotations

import base64
import io
import json
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from groundswell.errors import UsageError
from groundswell.replay.plan import survey
from groundswell.replay.source import held
from groundswell.table import Workload
from real_runs import sent
from replaying import workload

AROUND_MESSAGE, AROUND_IMAGE, AUDIO_PER_S = 5, 2, 25
"""Tokens that the template of the server below has, and tokens of a second of sound."""


class Seeing:
    """A server that counts words, squares of 28 pixels of images, and the seconds of sounds."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    def count(self, body: dict[str, Any]) -> int:
        return sum(AROUND_MESSAGE + sum(map(self.part, parts(message))) for message in body["messages"])

    def part(self, part: dict[str, Any]) -> int:
        if part["type"] == "text":
            return len(str(part["text"]).split())
        if part["type"] == "image_url":
            return image_tokens(part) + AROUND_IMAGE
        return audio_tokens(part)


def parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def image_tokens(part: dict[str, Any]) -> int:
    kind, data = part["image_url"]["url"].split(",")
    assert kind == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    assert image.width % 28 == image.height % 28 == 0
    return image.width // 28 * (image.height // 28)


def audio_tokens(part: dict[str, Any]) -> int:
    assert part["input_audio"]["format"] == "wav"
    with wave.open(io.BytesIO(base64.b64decode(part["input_audio"]["data"], validate=True))) as sound:
        span_s: float = sound.getnframes() / sound.getframerate()
        return round(span_s * AUDIO_PER_S)


@contextmanager
def seeing() -> Iterator[tuple[Seeing, str]]:
    server = Seeing()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(
                json.dumps({"data": [{"id": "seer"}]}), "application/json", 200 if "models" in self.path else 404
            )

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.bodies.append(body)
            usage = {"prompt_tokens": server.count(body), "completion_tokens": body["max_tokens"]}
            said = {"delta": {"content": "hm " * body["max_tokens"]}, "index": 0, "finish_reason": "length"}
            events = [{"choices": [said]}, {"choices": [], "usage": usage}]
            self._send("".join(f"data: {json.dumps(event)}\n\n" for event in events), "text/event-stream", 200)

        def _send(self, text: str, kind: str, status: int) -> None:
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
        yield server, f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def with_items(given: Workload, **items: list[list[int]]) -> Workload:
    columns = [pl.Series(f"{name}_tokens", sizes, dtype=pl.List(pl.Int32)) for name, sizes in items.items()]
    return Workload(given.frame.with_columns(columns), dict(given.metadata))


def test_a_server_finds_the_images_and_sounds_that_the_workload_has(tmp_path: Path) -> None:
    images, audio = [[256, 64], [], [1020]], [[], [50], [25, 75]]
    given = with_items(workload([0.0, 0.05, 0.1], inputs=40), image=images, audio=audio)
    with seeing() as (server, url):
        run = sent(given, url, tmp_path)
    tried, bodies = server.bodies[:-3], server.bodies[-3:]
    assert [len(parts(body["messages"][0])) for body in tried] == [1, 1, 2, 2]  # two of text, an image, a sound
    for body, image, sound in zip(bodies, images, audio, strict=True):
        (message,) = body["messages"]
        text, *rest = parts(message)
        assert len(text["text"].split()) == 40 - AROUND_MESSAGE
        assert [image_tokens(part) for part in rest if part["type"] == "image_url"] == image
        assert [audio_tokens(part) for part in rest if part["type"] == "input_audio"] == sound
    # What the template puts around images nobody knows before.
    off = run.ints("prompt_tokens") - run.ints("made_tokens")
    assert off.tolist() == [AROUND_IMAGE * len(image) for image in images]
    assert (run.ints("made_tokens") - run.ints("input_tokens")).tolist() == [320, 50, 1120]


def test_in_a_conversation_with_an_image_the_text_is_as_long_as_the_workload_says(tmp_path: Path) -> None:
    """Its tokens are held by all later turns, and are none of their text."""
    given = workload(
        [0.0, 0.02, 0.04],
        conversation=[1, 1, 1],
        turn=[1, 2, 3],
        think_s=[None, 0.01, 0.01],
        input_tokens=[40, 80, 130],
    )
    with seeing() as (server, url):
        run = sent(with_items(given, image=[[900], [], [100]]), url, tmp_path)
    assert run.results.frame["fresh"].to_list() == [False] * 3
    assert [len(body["messages"]) for body in server.bodies[-3:]] == [1, 3, 5]
    seen = [900 + AROUND_IMAGE] * 2 + [1000 + 2 * AROUND_IMAGE]
    assert (run.ints("prompt_tokens") - seen).tolist() == run.ints("input_tokens").tolist()


def test_video_is_left_out_and_that_is_said(tmp_path: Path) -> None:
    given = with_items(workload([0.0, 0.01]), video=[[2000], []])
    said = "cannot be sent: 1 requests go without theirs"
    assert said in survey(held(given)).text()
    with seeing() as (server, url):
        run = sent(given, url, tmp_path)
    assert [line for line in run.said if line.startswith("video")] == [f"video {said}"]
    assert [part["type"] for body in server.bodies for part in parts(body["messages"][0])] == ["text"] * 4


def test_an_api_without_a_place_for_images_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    given = with_items(workload([0.0, 0.01]), image=[[64], []], audio=[[25], [25]])
    with seeing() as (server, url):
        with pytest.raises(
            UsageError,
            match="of 2 requests 1 have images and 2 have audio, and openai_completions carries text alone: "
            "openai_chat carries both",
        ):
            sent(given, url, tmp_path, target="openai_completions")
        assert server.bodies == []
    assert list(tmp_path.iterdir()) == []
