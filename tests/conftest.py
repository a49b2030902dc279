"""What several tests need: the public pools, where a machine has them, and real servers with a tiny model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from real_servers import Server, in_venvs, tiny_gguf, tiny_model
from real_servers.llama_cpp import MISSING, llama_cpp

# The first example of a test may compile a kernel; tests do not judge by the clock.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of public data (``servegen/data/…`` under it), where ``GROUNDSWELL_DATA`` says; skips without it."""
    data = (ROOT / os.environ.get("GROUNDSWELL_DATA", "../shared/data")).resolve()
    if not (data / "servegen" / "data").is_dir():
        pytest.skip(f"no public pools under {data}; GROUNDSWELL_DATA names their folder")
    return data


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read in pieces of a few lines, as large files are in pieces of many."""
    from groundswell.formats.reading import lines, order, parquet_rows

    monkeypatch.setattr(lines, "PIECE_BYTES", 200)
    monkeypatch.setattr(parquet_rows, "BATCH_ROWS", 10)
    monkeypatch.setattr(order, "FRAME_ROWS", 8)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random language model and its tokenizer; skips without the package that makes tokenizers."""
    pytest.importorskip("tokenizers")
    return tiny_model.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def llama_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """llama.cpp's own server with the tiny model; skips where its wheel is missing."""
    if MISSING:
        pytest.skip(f"no {', '.join(MISSING)}: pip install xllamacpp gguf tokenizers")
    with llama_cpp(tiny_gguf.make(request.getfixturevalue("tiny_folder"))) as server:
        yield server


def _venv_of(name: str) -> Path:
    return in_venvs.venv_of(name) or pytest.skip(in_venvs.how_to_get(name))


@pytest.fixture(scope="session")
def vllm_server(tiny_folder: Path) -> Iterator[Server]:
    """vLLM with the tiny model and little KV cache; skips without its venv."""
    with in_venvs.vllm(_venv_of("vllm"), tiny_folder) as server:
        yield server


@pytest.fixture(scope="session")
def transformers_server(tiny_folder: Path) -> Iterator[Server]:
    """``transformers serve`` with the tiny model; skips without its venv."""
    with in_venvs.transformers_serve(_venv_of("transformers"), tiny_folder) as server:
        yield server


@pytest.fixture(scope="session")
def dynamo_server(tiny_folder: Path) -> Iterator[Server]:
    """Dynamo's frontend and mocker with the tiny model's tokenizer; skips without their venv."""
    with in_venvs.dynamo(_venv_of("dynamo"), tiny_folder) as server:
        yield server
