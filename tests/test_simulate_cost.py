"""What steps cost: the embedded profiles, pipelines, memory, and profiles of one's own."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.errors import DataError, OutputError, UsageError
from groundswell.population import embedded_names
from groundswell.simulate.cost import OVERHEAD_S, Profile, engine_of, kv_blocks, profile_of, profiles
from groundswell.simulate.facts import gpu_of, model_of
from groundswell.simulate.memory import blocks_that_fit, stages, weight_bytes
from groundswell.simulate.parts import Engine, StepCost
from groundswell.simulate.pipeline import SEND_S, pipelined
from groundswell.simulate.step import step_s

DATA = Path(os.environ.get("GROUNDSWELL_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
FITTED = DATA / "latency" / "step_time_coefficients.csv"
RUN = DATA / "vllm_runs" / "RTX4090_Llama-3.1-8B" / "meta.json"
MODELS = sorted({one.model for one in profiles()})
PAGE = (Path(__file__).parent.parent / "docs" / "costs.md").read_text("utf-8")
GIB = 2**30


def seconds(cost: StepCost, tokens: float, decodes: float, context: float, prefill: float) -> float:
    """A step, as a simulation takes it."""
    settings = Engine(cost, 1).record(1).reshape(1)[0]
    return float(step_s(settings, float(tokens), float(decodes), float(context), float(prefill)))


# The embedded profiles.


@pytest.mark.skipif(not FITTED.exists(), reason="needs the fitted step times (GROUNDSWELL_DATA)")
def test_the_table_holds_every_fitted_combination() -> None:
    units = {"c0": "ms", "cN": "us", "cN2": "us", "cD": "us", "cK": "ns", "cP": "ps"}
    names = {"c0": "c0_s", "cN": "token_s", "cN2": "hinge_s", "cD": "decode_s", "cK": "context_s", "cP": "prefill_s"}
    size = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}
    with FITTED.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 105
    for row in rows:
        one = profile_of(row["model"], row["system"].split("_")[0], int(row["tp"]))
        for key, unit in units.items():
            fitted = float(row[f"{key}_{unit}"]) * size[unit]
            assert getattr(one.kernels, names[key]) == pytest.approx(fitted, rel=1e-12)
        assert one.kernels.hinge_tokens == float(row["N0"])
        assert one.error == pytest.approx(float(row["hinge_MAPE"]) / 100, abs=5.1e-5)
        assert one.held_out_error == pytest.approx(float(row["hold_MAPE"]) / 100, abs=5.1e-5)


def test_every_profile_says_where_it_is_from_how_wrong_it_is_and_how_far_it_holds() -> None:
    assert len(profiles()) >= 105
    assert len({(one.model, one.gpu, one.tp) for one in profiles()}) == len(profiles())
    for one in profiles():
        assert "Apache-2.0" in one.source or "MIT" in one.source
        assert one.engine.startswith("vllm 0.")
        assert one.error is not None
        assert one.held_out_error is not None
        assert 0 < one.error < 0.08
        assert 0 < one.held_out_error < 0.08
        assert one.most_step_tokens is not None
        assert one.most_step_tokens >= 2048
        assert one.most_context_tokens is not None
        assert one.most_context_tokens <= model_of(one.model).positions
        assert profile_of(one.model, one.gpu, one.tp) == one


def test_a_step_is_what_the_fitted_figures_say_by_hand() -> None:
    """Qwen2.5-14B on two A100: c0 12.173 ms, 20.42 us a token and 41.334 beyond 96, 66.148 ns, 2598.9 ps."""
    cost = profile_of("qwen2.5-14b", "a100", 2).with_overhead(0.0).cost
    assert seconds(cost, 64, 64, 65_536, 0) == pytest.approx(0.0178149553, rel=1e-7)
    assert seconds(cost, 2048, 0, 0, 2048 * (1000 + 1024)) == pytest.approx(0.145449963, rel=1e-7)


@pytest.mark.parametrize(
    ("gpu", "tp", "decodes", "context", "chunk", "milliseconds"),
    [
        ("a100", 1, 1, 128, 0, 11.63),
        ("a100", 1, 64, 1024, 0, 17.83),
        ("a100", 1, 0, 0, 2048, 125.19),
        ("a100", 2, 256, 1024, 0, 23.09),
        ("a100", 4, 0, 0, 8192, 195.45),
        ("h100", 1, 16, 1024, 0, 7.51),
        ("h100", 1, 64, 4096, 0, 17.87),
        ("h100", 2, 0, 0, 512, 8.33),
        ("h100", 4, 0, 0, 2048, 19.52),
        ("h200", 1, 256, 1024, 0, 15.35),
        ("h200", 2, 64, 4096, 0, 7.61),
        ("h200", 4, 0, 0, 8192, 73.94),
    ],
)
def test_steps_take_what_the_kernel_tables_say(
    gpu: str, tp: int, decodes: int, context: int, chunk: int, milliseconds: float
) -> None:
    """Of Llama-3.1-8B, put together by AIConfigurator 0.12 itself from its tables of vLLM (its P95 is 11 %)."""
    cost = profile_of("llama-3.1-8b", gpu, tp).kernels
    took = seconds(cost, decodes + chunk, decodes, decodes * context, chunk * chunk / 2)
    assert took == pytest.approx(milliseconds / 1e3, rel=0.08)


def test_decoding_is_never_faster_than_memory() -> None:
    """A step reads all weights, at most at the processor's full bandwidth (as their makers state it)."""
    bytes_per_s = {"a100": 2039e9, "h100": 3350e9, "h200": 4800e9, "rtx4090": 1008e9, "rtxpro6000": 1792e9}
    for one in profiles():
        model = model_of(one.model)
        read = weight_bytes(model, one.tp, model.layers) - 2 * model.vocabulary * model.hidden / one.tp
        assert one.kernels.c0_s > read / bytes_per_s[one.gpu]


@pytest.mark.parametrize("model", ["Qwen2.5-14B", "qwen2.5-14b", "Qwen/Qwen2.5-14B-Instruct", "QWEN2.5_14B"])
@pytest.mark.parametrize("gpu", ["a100", "A100", "A100-SXM4-80GB", "a100_sxm", "NVIDIA A100-SXM4-80GB"])
def test_names_are_read_as_people_write_them(model: str, gpu: str) -> None:
    assert profile_of(model, gpu, 2) == profile_of("qwen2.5-14b", "a100", 2)


def test_no_name_stands_for_two() -> None:
    assert gpu_of("4090").gpu == "rtx4090"
    assert model_of("meta-llama/Meta-Llama-3.1-8B-Instruct").model == "llama-3.1-8b"
    with pytest.raises(UsageError, match="a100-40gb"):
        gpu_of("a100-40gb")
    with pytest.raises(UsageError, match="awq"):
        model_of("qwen2.5-14b-instruct-awq")


def test_what_is_not_known_is_refused_with_what_is() -> None:
    with pytest.raises(UsageError, match=r"no model 'gpt-5'; those known are .*qwen2\.5-14b"):
        profile_of("gpt-5", "a100")
    with pytest.raises(UsageError, match="no gpu 'b200'; those known are a100, h100, h200"):
        profile_of("qwen2.5-14b", "b200")
    with pytest.raises(UsageError, match=r"with tp 3; of it there are a100 \(tp 1, 2, 4, 8\), h100 \(tp 1"):
        profile_of("qwen2.5-14b", "a100", 3)
    with pytest.raises(UsageError, match="rtx4090 with tp 1; of it there are a100"):
        profile_of("qwen2.5-14b", "rtx4090")


def test_the_tables_of_engines_are_no_populations() -> None:
    assert not {"models", "gpus"} & set(embedded_names())


def test_the_hosts_part_is_added_to_every_step() -> None:
    one = profile_of("qwen2.5-14b", "a100", 2)
    assert one.overhead_s == OVERHEAD_S
    assert one.cost.c0_s == pytest.approx(0.012173 + OVERHEAD_S)
    slower = one.with_overhead(0.026)
    assert slower.cost == dataclasses.replace(one.kernels, c0_s=0.012173 + 0.026)
    assert engine_of("qwen2.5-14b", "a100", 2, overhead_s=0.026).cost == slower.cost


def test_what_is_beyond_the_range_is_said() -> None:
    one = profile_of("qwen2.5-14b", "a100", 2)
    assert one.notes(8192, 32_768) == []
    steps, contexts = one.notes(10_000, 40_000)
    assert "10,000" in steps
    assert "8,192" in steps
    assert "40,000" in contexts
    assert "32,768" in contexts
    assert Profile("mine", "mine", "mine", StepCost(0.01)).notes(10**9, 10**9) == []


# Memory.


@pytest.mark.parametrize("name", MODELS)
def test_a_shape_has_as_many_parameters_as_the_model_card_says(name: str) -> None:
    model = model_of(name)
    assert model.counted_parameters == model.parameters


def test_blocks_are_what_vllm_found() -> None:
    """vLLM 0.19, Llama-3.1-8B, an RTX 4090: 2,588 blocks. The reserve was chosen with this run in sight."""
    assert kv_blocks("llama-3.1-8b", "rtx4090") == pytest.approx(2588, rel=0.01)


def test_blocks_are_what_an_earlier_vllm_logged() -> None:
    """Llama-3.1-8B on a card of 79.14 GiB: "the rest of the memory reserved for KV Cache is 54.93GiB"."""
    card = dataclasses.replace(gpu_of("a100"), memory_bytes=round(79.14 * GIB))
    assert blocks_that_fit(model_of("llama-3.1-8b"), card) == pytest.approx(54.93 * GIB / (16 * 131_072), rel=0.01)


@pytest.mark.skipif(not RUN.exists(), reason="needs the recorded runs of vLLM (GROUNDSWELL_DATA)")
def test_blocks_are_what_the_recorded_run_had() -> None:
    meta = json.loads(RUN.read_text("utf-8"))
    cache = meta["kv_cache"]
    assert gpu_of("rtx4090").memory_bytes == meta["hardware"]["device_total_memory_bytes"]
    there = kv_blocks("llama-3.1-8b", "rtx4090", 1, 1, cache["block_size"], cache["gpu_memory_utilization"])
    assert there == pytest.approx(cache["num_gpu_blocks"], rel=0.01)


def test_a_block_is_divided_among_processors() -> None:
    """Twice the processors, half of each block on each: more than twice the blocks, as the weights are halved too."""
    blocks = [kv_blocks("qwen2.5-32b", "h100", tp) for tp in (1, 2, 4, 8)]
    assert all(more > 2 * fewer for fewer, more in itertools.pairwise(blocks))
    assert kv_blocks("qwen2.5-32b", "h100", 2, block_tokens=32) == pytest.approx(blocks[1] / 2, abs=1)
    assert kv_blocks("qwen2.5-32b", "h100", 2, memory_share=0.95) > blocks[1]


def test_fewer_heads_than_processors_are_there_again() -> None:
    model = dataclasses.replace(model_of("llama-3.1-8b"), kv_heads=2)
    assert (model.kv_heads_on(1), model.kv_heads_on(2), model.kv_heads_on(8)) == (2, 1, 1)
    card = gpu_of("h100")
    two, four = blocks_that_fit(model, card, 2), blocks_that_fit(model, card, 4)
    assert two < four < 1.2 * two


def test_stages_share_the_layers_as_vllm_does() -> None:
    assert stages(48, 2) == (24, 24)
    assert stages(30, 4) == (7, 8, 8, 7)
    assert stages(31, 4) == (8, 8, 8, 7)
    assert all(sum(stages(layers, pp)) == layers for layers in (1, 28, 80) for pp in (1, 2, 3, 7) if pp <= layers)


def test_a_model_that_does_not_fit_says_so() -> None:
    with pytest.raises(UsageError, match=r"qwen2\.5-72b does not fit on 1 a100 .* 76\.5 GB .* weights take 145 GB"):
        kv_blocks("qwen2.5-72b", "a100")
    with pytest.raises(UsageError, match=r"not one block of 1,000,000 tokens .* takes 98\.3 GB on each"):
        kv_blocks("qwen2.5-14b", "a100", 2, 1, 1_000_000)
    with pytest.raises(UsageError, match="28 heads, which cannot be divided among 8"):
        kv_blocks("qwen2.5-7b", "a100", 8)
    with pytest.raises(UsageError, match="80 layers, too few for 81"):
        kv_blocks("qwen2.5-72b", "a100", 1, 81)
    with pytest.raises(UsageError, match="1 or more"):
        kv_blocks("qwen2.5-72b", "a100", 0)
    for share in (0.0, 1.1, math.nan):
        with pytest.raises(UsageError, match="share of the memory"):
            kv_blocks("qwen2.5-7b", "a100", memory_share=share)


def test_every_embedded_profile_has_memory_for_requests() -> None:
    for one in profiles():
        assert one.configured().most_context > 10_000


# Pipelines.


def round_s(stage_s: list[float], send_s: float, rounds: int) -> float:
    """How long a batch takes from one entry to the next, in a pipeline in which as many equal batches go round as it
    has stages: stage by stage, one batch at a time in each; the last of many rounds."""
    free = [0.0] * len(stage_s)
    entered = [0.0] * len(stage_s)
    back = [0.0] * len(stage_s)
    for _ in range(rounds):
        for batch in range(len(stage_s)):
            now = back[batch]
            for stage, takes in enumerate(stage_s):
                begin = max(now, free[stage])
                if stage == 0:
                    entered[batch] = begin
                free[stage] = begin + takes
                now = begin + takes + (send_s if stage + 1 < len(stage_s) else 0.0)
            back[batch] = now
    return back[0] - entered[0]


@pytest.mark.parametrize(("pp", "tp"), [(2, 1), (4, 1), (4, 2), (8, 2)])
@pytest.mark.parametrize(("tokens", "decodes", "prefill"), [(64, 64, 0), (2048, 0, 2e6), (4096, 256, 4e6)])
def test_a_round_is_what_batches_take_stage_by_stage(
    pp: int, tp: int, tokens: int, decodes: int, prefill: float
) -> None:
    model, card = model_of("qwen2.5-32b"), gpu_of("a100")
    whole = profile_of(model.model, "a100", tp).kernels
    context = decodes * 1000
    batch_s = seconds(whole, tokens / pp, decodes / pp, context / pp, prefill / pp)
    link = card.link_bytes_per_s if tp * pp <= 8 else card.node_link_bytes_per_s
    send_s = SEND_S + tokens / pp * model.hidden * 2 * 2 / link
    expected = round_s([batch_s / pp] * pp, send_s, 50)
    assert seconds(pipelined(whole, model, card, tp, pp), tokens, decodes, context, prefill) == pytest.approx(expected)


def test_the_stage_with_most_layers_sets_the_pace() -> None:
    """28 layers in three stages are 9, 10 and 9: everybody waits for the 10."""
    model, card = model_of("qwen2.5-7b"), gpu_of("a100")
    whole = profile_of("qwen2.5-7b", "a100").kernels
    step = seconds(whole, 512 / 3, 0, 0, 0)
    expected = round_s([step * layers / 28 for layers in stages(28, 3)], 0.0, 50)
    no_link = dataclasses.replace(card, link_bytes_per_s=math.inf)
    assert expected < 3 * step * 10 / 28 * (1 + 1e-9)
    got = seconds(pipelined(whole, model, no_link, 1, 3), 512, 0, 0, 0) - 2 * SEND_S
    assert got == pytest.approx(3 * step * 10 / 28)
    assert got == pytest.approx(expected, rel=0.08)


def test_a_pipeline_gives_more_tokens_but_not_sooner() -> None:
    one, two = profile_of("qwen2.5-14b", "a100", 1), profile_of("qwen2.5-14b", "a100", 1, 2)
    assert seconds(two.cost, 1, 1, 500, 0) == pytest.approx(seconds(one.cost, 1, 1, 500, 0), rel=0.01)
    per_step, per_round = seconds(one.cost, 2048, 0, 0, 2e6), seconds(two.cost, 4096, 0, 0, 4e6)
    assert per_round == pytest.approx(per_step, rel=0.01)


def test_an_engine_with_stages_has_a_budget_for_each_of_its_batches() -> None:
    one, two = engine_of("qwen2.5-14b", "a100", 1), engine_of("qwen2.5-14b", "a100", 1, 2)
    assert (one.most_tokens, two.most_tokens) == (2048, 4096)
    assert two.most_running == one.most_running
    assert two.blocks > 2 * one.blocks
    profile = profile_of("qwen2.5-14b", "a100", 1, 2)
    assert (profile.pp, profile.gpus, profile.most_step_tokens) == (2, 2, 16_384)
    assert "2 stages" in profile.source
    assert profile_of("qwen2.5-14b", "a100", 2, 4).gpus == 8
    with pytest.raises(UsageError, match="too few for 100 stages"):
        profile_of("qwen2.5-14b", "a100", 1, 100)


# Engines.


def test_an_engine_has_the_options_it_is_given() -> None:
    engine = engine_of("qwen2.5-14b", "a100", 2, most_running=128, most_tokens=8192, policy="shortest", caching=False)
    assert (engine.most_running, engine.most_tokens, engine.policy, engine.caching) == (128, 8192, "shortest", False)
    assert engine.blocks == blocks_that_fit(model_of("qwen2.5-14b"), gpu_of("a100"), 2, 1, 16, 0.9, 128, 8192)
    assert engine_of("qwen2.5-14b", "a100", 2, blocks=77).blocks == 77
    assert engine_of("qwen2.5-14b", "a100", 2, block_tokens=32).blocks == kv_blocks("qwen2.5-14b", "a100", 2, 1, 32)
    with pytest.raises(UsageError, match="whose steps have 1 token cannot run 2 requests"):
        engine_of("qwen2.5-14b", "a100", 2, most_tokens=1, most_running=2)
    with pytest.raises(UsageError, match="policy"):
        engine_of("qwen2.5-14b", "a100", 2, policy="best")


def test_an_engine_of_ones_own_says_how_much_it_holds() -> None:
    mine = Profile("mine-9b", "a-card", "an engine", StepCost(0.01, 1e-5), kv_tokens=41_408)
    assert mine.configured().blocks == 2588
    with pytest.raises(UsageError, match=r"no model 'mine-9b'.* kv_tokens"):
        dataclasses.replace(mine, kv_tokens=None).configured()
    with pytest.raises(UsageError, match=r"not one block of 16 tokens .* fits: .* memory for 15"):
        dataclasses.replace(mine, kv_tokens=15).configured()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tp": 0}, "tp must be 1 or more"),
        ({"kv_tokens": 0}, "kv_tokens must be 1 or more"),
        ({"error": -0.1}, "error is a share"),
        ({"held_out_error": math.nan}, "held_out_error is a share"),
        ({"kernels": StepCost(0.01, token_s=-1e-6)}, "token_s must be 0 or more"),
        ({"kernels": StepCost(math.inf)}, "c0_s must be 0 or more"),
        ({"kernels": StepCost(0.01, context_s=1e300)}, "context_s is a time of one step, at most a day, not 1e\\+300"),
        ({"overhead_s": 86_401.0}, "overhead_s is a time of one step, at most a day"),
        ({"prompt_host_s": 1e300}, "prompt_host_s is a time of one step, at most a day"),
        ({"overhead_s": -0.011}, "must take some time"),
        ({"overhead_s": math.nan}, "must take some time"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    mine = Profile("mine", "mine", "mine", StepCost(0.01))
    with pytest.raises(UsageError, match=words):
        dataclasses.replace(mine, **change)  # type: ignore[arg-type]


# Files.

COSTS = st.builds(StepCost, *[st.floats(1e-12, 1e3)], *[st.floats(0, 1e3)] * 7)
SOME = st.none() | st.integers(1, 2**40)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(
    st.builds(
        Profile,
        model=TEXTS,
        gpu=TEXTS,
        engine=TEXTS,
        kernels=COSTS,
        tp=st.integers(1, 64),
        pp=st.integers(1, 64),
        source=TEXTS,
        error=st.none() | st.floats(0, 10),
        held_out_error=st.none() | st.floats(0, 10),
        most_step_tokens=SOME,
        most_context_tokens=SOME,
        kv_tokens=SOME,
        overhead_s=st.floats(0, 1),
    )
)
@settings(max_examples=100, deadline=None)
def test_a_file_gives_the_profile_back(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> None:
    path = tmp_path_factory.getbasetemp() / "profile.toml"
    profile.write(path)
    assert Profile.read(path) == profile


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('model = "m"\ngpu = "g"\nengine = "e"\n[kernels]\nc0_s = 0.02\n', "utf-8")
    assert Profile.read(path) == Profile("m", "g", "e", StepCost(0.02))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("tp = 2", "tensor_parallel = 2", r":7: unknown key 'tensor_parallel'; there are model, gpu, tp, .* kernels"),
        ("mixed_s =", "mix =", r":\d+: unknown key 'mix' in \[kernels\]; there are c0_s, .* mixed_s"),
        ("tp = 2", "tp = 2.5", r":7: tp must be a whole number, not 2\.5"),
        ("tp = 2", "tp = true", r":7: tp must be a whole number, not True"),
        ('gpu = "a100"', "gpu = 100", r":5: gpu must be a text, not 100"),
        ("c0_s = 0.012173", 'c0_s = "fast"', r":\d+: c0_s must be a number, not 'fast'"),
        ("tp = 2", "tp = 0", r"mine\.toml: a profile's tp must be 1 or more, not 0"),
        ("error = 0.0273", "error = nan", "error is a share"),
        ("tp = 2", "tp = 9" + "9" * 30, ":7: tp must be a whole number"),
        ("[kernels]", "[[kernels]]", r":\d+: kernels is a table"),
        ("c0_s = 0.012173", "", r"'c0_s' is missing in \[kernels\]"),
        ('engine = "vllm 0.14"', "", r"mine\.toml: 'engine' is missing"),
        ("tp = 2", "tp = ", r"mine\.toml: not TOML: .*line 7"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_the_place(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "mine.toml"
    profile_of("qwen2.5-14b", "a100", 2).write(path)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DataError, match=words) as fault:
        Profile.read(path)
    assert str(fault.value).startswith(str(path))
    assert "\n" not in str(fault.value)


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read"):
        Profile.read(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not text in UTF-8"):
        Profile.read(tmp_path / "binary.toml")
    one = profile_of("qwen2.5-14b", "a100", 2)
    with pytest.raises(UsageError, match="there is no folder"):
        one.write(tmp_path / "nowhere" / "mine.toml")
    with pytest.raises(OutputError, match="cannot be written"):
        one.write("/dev/full")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["binary.toml"]


# The page.


def test_the_page_of_costs_names_every_combination() -> None:
    rows = [row.split("|")[1:-1] for row in PAGE.splitlines() if row.startswith("| `")]
    stated = {
        (model, gpu, int(tp))
        for models, *cells in rows
        for model in re.findall("`(.*?)`", models)
        for gpu, cell in zip(("a100", "h100", "h200"), cells, strict=True)
        for tp in re.findall(r"\d+", cell)
    }
    embedded = {(one.model, one.gpu, one.tp) for one in profiles()}
    assert embedded - stated == {("llama-3.1-8b", "rtx4090", 1), ("llama-3.1-8b", "rtxpro6000", 1)}
    assert stated <= embedded


def test_the_pages_example_is_a_profile(tmp_path: Path) -> None:
    example = re.search("```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    (tmp_path / "mine.toml").write_text(example[1], "utf-8")
    assert Profile.read(tmp_path / "mine.toml").configured().blocks == 151_000 // 16
