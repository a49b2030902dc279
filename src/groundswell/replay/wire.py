"""What the command's process tells its workers: how to send, and what, in columns.

A message is a length of four bytes and MessagePack. Columns travel as the bytes of arrays, so that a block of requests
costs neither side a loop.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

ALONE = -1
"""The ``talk`` of a request that belongs to no conversation."""


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """Requests in order of their arrival, each column the little-endian bytes of an array.

    ``due_s`` is of the workload's clock. A request with a ``think_s`` (not nan) waits for its conversation's reply
    before it, and is due so long after that; where there was none, and for nan, it is due at ``due_s``. ``last``: no
    later request of its conversation comes. ``input_tokens`` is the whole prompt without images and audio. ``runs`` are
    pairs (first block, number of blocks), ``run_count`` of them for each request; so are ``images`` and ``audio`` the
    tokens of items.
    """

    row: bytes  # i64, of the workload
    due_s: bytes  # f64
    talk: bytes  # i64
    think_s: bytes  # f64
    last: bytes  # u1
    input_tokens: bytes  # i32
    output_tokens: bytes  # i32
    run_count: bytes  # i32
    runs: bytes  # i64
    image_count: bytes  # i32
    images: bytes  # i32
    audio_count: bytes  # i32
    audio: bytes  # i32

    def __len__(self) -> int:
        return len(self.row) // 8


BATCH_TYPES: dict[str, Any] = {
    "row": np.int64,
    "due_s": np.float64,
    "talk": np.int64,
    "think_s": np.float64,
    "last": np.uint8,
    "input_tokens": np.int32,
    "output_tokens": np.int32,
    "run_count": np.int32,
    "runs": np.int64,
    "image_count": np.int32,
    "images": np.int32,
    "audio_count": np.int32,
    "audio": np.int32,
}


def batch_of(**columns: NDArray[Any]) -> Batch:
    """A batch of arrays, one for each name of :data:`BATCH_TYPES`; those of items and runs may be left out."""
    nothing = np.zeros(len(columns["row"]), np.int32)
    given = {
        "run_count": nothing,
        "image_count": nothing,
        "audio_count": nothing,
        "runs": [],
        "images": [],
        "audio": [],
    }
    given |= columns
    return Batch(**{name: np.ascontiguousarray(given[name], kind).tobytes() for name, kind in BATCH_TYPES.items()})


def column(batch: Batch, name: str) -> NDArray[Any]:
    """The array of one of the batch's columns, which shares its bytes."""
    return np.frombuffer(getattr(batch, name), BATCH_TYPES[name])


class Tls(msgspec.Struct, frozen=True):
    """How the server's certificate is verified: against ``ca_file``, or what the system trusts; or, if asked, not."""

    ca_file: str | None = None
    verify: bool = True


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """What a worker is told first. The API key is not in it: workers find it in the environment, under ``key_env``."""

    worker: int
    journal: str
    """The folder of journals."""
    url: str
    target: str
    """The text of a target, such as ``openai_chat``."""
    model: str
    seed: int
    block_tokens: int
    words: bytes
    """A :class:`groundswell.replay.words.Words`, as MessagePack."""
    begin_s: float = 0.0
    """When the run begins, on the workload's clock."""
    from_s: float = 0.0
    """Nothing is due before: a run that is resumed has requests that were due, and not sent or not answered."""
    key_env: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    extra: dict[str, Any] = {}
    """What is merged into every body."""
    forced: bool = True
    """Whether replies are made as long as the workload says (``ignore_eos``), or end where the model ends them."""
    usage: bool = True
    """Whether the server is asked for its count of tokens."""
    answers: str = "server"
    """What later turns carry: the ``server``'s own answers, or ``synthetic`` ones, in one prompt made of the blocks."""
    first_overhead: int = 0
    """Tokens that the server's template puts around a prompt of one message."""
    turn_overhead: int = 0
    """Tokens that it puts around each further pair of an answer and a message."""
    audio_tokens_per_s: float = 25.0
    timeout_s: float = 600.0
    most_open: int = 0
    """Requests that may be open at a time; 0 is any number."""
    warm_connections: int = 0
    """Connections that are opened before the run."""
    quick_ack: bool = False
    event_times: bool = False
    tls: Tls = Tls()


class Start(msgspec.Struct, frozen=True, tag="start"):
    """The run begins: ``origin_ns`` is 0 s of the schedule, on the monotonic clock."""

    origin_ns: int


class NoMore(msgspec.Struct, frozen=True, tag="no_more"):
    """No further batch comes."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Send nothing more; what is open may end until ``until_ns``, and is then given up."""

    until_ns: int


ToWorker = Setup | Batch | Start | NoMore | Stop


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker has its setup and its first batch, and waits for the start."""

    batches: int


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """Every request the worker was given is in its journal, but for those that it was stopped before."""

    unsent: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The worker cannot go on, for a reason that a user can put right, such as a full disk."""

    reason: str


FromWorker = Ready | Finished | Failed

_encoder = msgspec.msgpack.Encoder()
_LENGTH = struct.Struct("<I")


def packed(message: ToWorker | FromWorker) -> bytes:
    """The bytes of a message, its length in front."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Messages out of a stream of bytes that arrives in any pieces."""

    def __init__(self, kinds: Any) -> None:
        self._decode = msgspec.msgpack.Decoder(kinds).decode
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The messages that ``data`` completes.

        >>> stream = packed(Start(5)) + packed(NoMore())
        >>> unpacker = Unpacker(ToWorker)
        >>> unpacker.feed(stream[:3]), unpacker.feed(stream[3:])
        ([], [Start(origin_ns=5), NoMore()])
        """
        self._held += data
        messages, at = [], 0
        while len(self._held) - at >= _LENGTH.size:
            end = at + _LENGTH.size + _LENGTH.unpack_from(self._held, at)[0]
            if end > len(self._held):
                break
            messages.append(self._decode(bytes(memoryview(self._held)[at + _LENGTH.size : end])))
            at = end
        del self._held[:at]
        return messages
