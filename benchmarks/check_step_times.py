"""The table of step times against the kernel tables that it was fitted to, in each engine's version of them.

For every model, processor and parallelism: steps of 1 to 256 requests that decode, at contexts up to what the model was
made for; prompts of 16 to 8,192 tokens behind 0 to 65,536 that are there; and both in one step. Printed is the mean
absolute relative error of the form, by processor and kind of step. Needs aiconfigurator-core 0.12, which is not among
this package's dependencies, and nothing of groundswell but its data:

    python -m venv aic && aic/bin/pip install aiconfigurator-core==0.12.0
    aic/bin/python benchmarks/check_step_times.py
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import itertools
import json
import logging
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "src" / "groundswell" / "data" / "engines"
ENGINES = {"vllm": ("0.14.0", "0.24.0"), "trtllm": ("1.0.0", "1.3.0rc20"), "sglang": ("0.5.10", "0.5.14")}
"""Tables of A100, and of H100 and H200."""
Row = dict[str, str]


def form_ms(row: Row, tokens: float, decodes: float, context: float, prefill: float) -> float:
    """A step by the table's row."""
    c = {name: float(row[name]) for name in row if name.endswith(("_ms", "_us", "_ns", "_ps", "_tokens"))}
    beyond = max(0.0, tokens - c["hinge_tokens"])
    micro = c["token_us"] * tokens + c["hinge_us"] * beyond + c["decode_us"] * decodes
    mixed = c["mixed_ns"] * context if prefill else 0.0
    return c["c0_ms"] + micro / 1e3 + (c["context_ns"] * context + mixed) / 1e6 + c["prefill_ps"] * prefill / 1e9


class Tables:
    """What an engine's tables say of a model's steps on a processor."""

    def __init__(self, folder: Path, row: Row, engine: str) -> None:
        sdk = "aiconfigurator_core.sdk"
        common, self.config = (importlib.import_module(f"{sdk}.{name}") for name in ("common", "config"))
        self.steps = importlib.import_module(f"{sdk}.step_estimate")
        version = ENGINES[engine][row["gpu"] != "a100"]
        databases = importlib.import_module(f"{sdk}.perf_database")
        self.database = databases.get_database(f"{row['gpu']}_sxm", engine, version)
        precise = {
            "gemm_quant_mode": common.GEMMQuantMode.bfloat16,
            "kvcache_quant_mode": common.KVCacheQuantMode.bfloat16,
            "fmha_quant_mode": common.FMHAQuantMode.bfloat16,
            "comm_quant_mode": common.CommQuantMode.half,
        }
        one = {"pp_size": 1, "moe_tp_size": 1, "moe_ep_size": 1, "attention_dp_size": 1}
        configured = self.config.ModelConfig(tp_size=int(row["tp"]), **one, **precise)
        self.model = importlib.import_module(f"{sdk}.models").get_model(str(folder / row["model"]), configured, engine)
        self.backend = importlib.import_module(f"{sdk}.backends.factory").get_backend(engine)

    def alone_ms(self, mode: str, **what: Any) -> float:
        """A step that decodes ("static_gen") or reads a prompt ("static_ctx")."""
        asked = self.config.RuntimeConfig(beam_width=1, osl=2, **what)
        return float(self.backend.run_static_latency_only(self.model, self.database, asked, mode))

    def both_ms(self, chunk: int, decodes: int) -> float:
        """A step that reads a prompt and decodes contexts of one token more."""
        asked = self.config.RuntimeConfig(beam_width=1, batch_size=1, isl=chunk, osl=2)
        step = self.steps.MixedStepInput(context_tokens=chunk, num_decode_requests=decodes)
        return float(self.backend.run_mixed(self.model, self.database, asked, step).latency_ms)


def compared(row: Row, tables: Tables) -> Iterator[tuple[str, float]]:
    """Kind of step, and the form's error, as a share."""
    most = int(row["most_context_tokens"])
    contexts = [s for s in (16, 128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131_000) if s <= most]
    for decodes, context in itertools.product((1, 2, 4, 8, 16, 32, 64, 128, 256), contexts):
        if decodes * context <= 2_200_000:
            took = tables.alone_ms("static_gen", batch_size=decodes, isl=context)
            yield "decode", form_ms(row, decodes, decodes, decodes * (context + 1), 0) / took - 1
    for chunk, there in itertools.product((16, 64, 256, 1024, 2048, 4096, 8192), (0, 1024, 4096, 16384, 65536)):
        if chunk + there <= most:
            took = tables.alone_ms("static_ctx", batch_size=1, isl=chunk + there, prefix=there)
            yield "prompt", form_ms(row, chunk, 0, 0, chunk * (there + chunk / 2)) / took - 1
    for chunk, decodes in itertools.product((256, 1024, 2048), (16, 64, 256)):
        took = tables.both_ms(chunk, decodes)
        yield "both", form_ms(row, chunk + decodes, decodes, decodes * (chunk + 1), chunk * chunk / 2) / took - 1


def write_shapes(folder: Path) -> None:
    """Every model's configuration, as its makers publish it; biases do not matter here."""
    for name, shape in tomllib.loads((DATA / "models.toml").read_text("utf-8")).items():
        (folder / name).mkdir()
        stated = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "torch_dtype": "bfloat16",
            "hidden_size": shape["hidden"],
            "num_hidden_layers": shape["layers"],
            "num_attention_heads": shape["heads"],
            "num_key_value_heads": shape["kv_heads"],
            "intermediate_size": shape["feed_forward"],
            "vocab_size": shape["vocabulary"],
            "max_position_embeddings": 131_072,
        }
        (folder / name / "config.json").write_text(json.dumps(stated), "utf-8")


def main() -> None:
    if importlib.util.find_spec("aiconfigurator_core") is None:
        print("skipped: needs aiconfigurator-core 0.12 (see the head of this file)")
        return
    logging.disable(logging.CRITICAL)
    lines = (DATA / "step_times.csv").read_text("utf-8").splitlines()
    rows = [row for row in csv.DictReader(x for x in lines if x[0] != "#") if row["source"] == "aiconfigurator"]
    with tempfile.TemporaryDirectory() as made:
        write_shapes(Path(made))
        for engine in sys.argv[1:] or ENGINES:
            off: dict[tuple[str, str], list[float]] = defaultdict(list)
            for row in rows:
                for kind, error in compared(row, Tables(Path(made), row, engine)):
                    off[row["gpu"], kind].append(abs(error))
            for (gpu, kind), errors in sorted(off.items()):
                print(f"{engine:7} {gpu} {kind:7} {sum(errors) / len(errors):6.2%} of {len(errors)}")


if __name__ == "__main__":
    main()
