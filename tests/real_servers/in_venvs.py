"""Servers that live in venvs of their own: each is named by an environment variable, and made by a ``setup_*.sh``."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from real_servers import MODEL, Server, free_port, started

VARIABLES = {"vllm": "GROUNDSWELL_VLLM", "transformers": "GROUNDSWELL_TRANSFORMERS", "dynamo": "GROUNDSWELL_DYNAMO"}


def venv_of(name: str) -> Path | None:
    """Where the venv of a server is, if there is one."""
    folder = Path(os.environ.get(VARIABLES[name], "/nowhere"))
    return folder if (folder / "bin" / "python").exists() else None


def how_to_get(name: str) -> str:
    """What to do for the venv of a server, in a line."""
    return f"no {name}: tests/real_servers/setup_{name}.sh VENV makes one, {VARIABLES[name]}=VENV names it"


def vllm(
    venv: Path, model: Path, *, blocks: int = 256, block_tokens: int = 32, max_model_len: int = 4096
) -> AbstractContextManager[Server]:
    """vLLM on one core, with so few blocks of KV cache that it has to preempt when more than a few replies are long.

    It takes half a minute to start.
    """
    port = free_port()
    command = [
        *(str(venv / "bin" / "vllm"), "serve", str(model), "--served-model-name", MODEL),
        *("--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16", "--enforce-eager"),
        *("--max-model-len", str(max_model_len), "--max-num-seqs", "64", "--max-num-batched-tokens", "2048"),
        *("--block-size", str(block_tokens), "--num-gpu-blocks-override", str(blocks)),
    ]
    environment = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "0",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_HOST_IP": "127.0.0.1",
    }
    return started([command], f"http://127.0.0.1:{port}", model, environment=environment)


def transformers_serve(venv: Path, model: Path) -> AbstractContextManager[Server]:
    """``transformers serve`` with continuous batching. Its model goes by the path of its folder."""
    port = free_port()
    command = [
        *(str(venv / "bin" / "transformers"), "serve", str(model), "--device", "cpu", "--dtype", "bfloat16"),
        *("--host", "127.0.0.1", "--port", str(port), "--continuous-batching"),
        *("--cb-block-size", "32", "--cb-num-blocks", "2048", "--cb-max-batch-tokens", "2048"),
    ]
    return started([command], f"http://127.0.0.1:{port}", model, model=str(model))


def dynamo(venv: Path, model: Path, *, speedup: float = 100.0) -> AbstractContextManager[Server]:
    """Dynamo's HTTP frontend before its mocker, a simulated engine that is so many times as fast as a GPU's."""
    port = free_port()
    python = str(venv / "bin" / "python")
    planes = ("--discovery-backend", "file", "--request-plane", "tcp", "--event-plane", "zmq")
    engine = ("--model-path", str(model), "--model-name", MODEL, "--speedup-ratio", str(speedup))
    commands = [
        [python, "-m", "dynamo.mocker", *engine, *planes],
        [python, "-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", str(port), *planes],
    ]
    hosts = ("DYN_TCP_RPC_HOST", "DYN_TCP_RESPONSE_STREAM_HOST", "DYN_EVENT_PLANE_HOST")
    environment = dict.fromkeys(hosts, "127.0.0.1")
    return started(commands, f"http://127.0.0.1:{port}", model, environment=environment, ready=f"/v1/models/{MODEL}")
