"""llama.cpp's own HTTP server, as the wheel of xllamacpp has it: serve_gguf.py PORT FILE MODEL SLOTS CONTEXT."""

from __future__ import annotations

import signal
import sys


def main(port: int, gguf_file: str, model: str, slots: int, context: int) -> None:
    """Serve until killed."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path, settings.model_alias = gguf_file, {model}
    settings.n_ctx, settings.n_parallel, settings.cont_batching = context, slots, True
    settings.kv_unified = True  # the slots share the context, none has a fixed part of it
    settings.fit_params = False
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.hostnames, settings.port = ["127.0.0.1"], port
    settings.endpoint_metrics = settings.endpoint_slots = True
    server = xllamacpp.Server(settings)
    signal.pause()
    del server


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
