"""The server's metrics: read, named alike, bounded, and never in the way of a run."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from groundswell.replay.scrape import MOST_POINTS, Kept, Scraper
from groundswell.replay.server_metrics import COUNTERS, GAUGES, figures_of, rounding_of, server_of
from real_servers import Server

VLLM = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_running{engine="1",model_name="tiny"} 4.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 1.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="tiny"} 0.75
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="tiny"} 1.2e+06
vllm:generation_tokens_total{engine="0",model_name="tiny"} 50.0
vllm:generation_tokens_created{engine="0",model_name="tiny"} 1.79e+09
vllm:num_preemptions_total{engine="0",model_name="tiny"} 228.0
vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 100.0
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 60.0
vllm:request_success_total{finished_reason="stop",model_name="a \\"quoted\\" {name}"} 5.0
vllm:request_success_total{finished_reason="length",model_name="tiny"} 7.0
vllm:time_to_first_token_seconds_bucket{le="+Inf",model_name="tiny"} 12.0
"""
SGLANG = """sglang:num_running_reqs{model_name="tiny",priority="",tp_rank="0"} 5.0
sglang:num_running_reqs{model_name="tiny",priority="1",tp_rank="0"} 5.0
sglang:num_running_reqs{model_name="tiny",priority="",tp_rank="1"} 5.0
sglang:num_queue_reqs{model_name="tiny",tp_rank="0"} 2.0
sglang:token_usage{model_name="tiny",tp_rank="0"} 0.28
sglang:prompt_tokens_total{model_name="tiny"} 8.0e+06
sglang:generation_tokens_total{model_name="tiny"} 7.0
sglang:cached_tokens_total{cache_source="device",model_name="tiny"} 400.0
sglang:cached_tokens_total{cache_source="host",model_name="tiny"} 100.0
sglang:num_retracted_reqs{model_name="tiny",pid="7"} 1.0
sglang:num_retracted_requests_total{model_name="tiny"} 48.0
sglang:num_requests_total{model_name="tiny"} 9.0
"""
LLAMA = """# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 640
llamacpp:tokens_predicted_total 320
llamacpp:prompt_tokens_seconds nan
llamacpp:requests_processing 4
llamacpp:requests_deferred 46
"""
DYNAMO = """dynamo_frontend_inflight_requests{model="tiny"} 12
dynamo_frontend_queued_requests{model="tiny"} 2
dynamo_frontend_requests_total{endpoint="chat_completions",model="tiny",status="success"} 100
dynamo_frontend_requests_total{endpoint="chat_completions",model="tiny",status="error"} 1
dynamo_frontend_input_sequence_tokens_sum{model="tiny"} 6400
dynamo_frontend_input_sequence_tokens_count{model="tiny"} 100
dynamo_frontend_output_tokens_total{model="tiny"} 3200
dynamo_frontend_output_sequence_tokens_sum{model="tiny"} 3100
dynamo_frontend_cached_tokens_sum{model="tiny"} 16
"""


def test_every_server_s_figures_have_the_same_names() -> None:
    assert figures_of(VLLM) == {
        "running": 7,
        "waiting": 1,
        "kv_used": 0.5,
        "preemptions": 228,
        "prompt_tokens": 1.2e6,
        "output_tokens": 50,
        "prefix_queries": 100,
        "prefix_hits": 60,
        "requests": 12,
    }
    assert figures_of(LLAMA) == {"running": 4, "waiting": 46, "computed_tokens": 640, "output_tokens": 320}
    assert figures_of(DYNAMO) == {
        "running": 12,
        "waiting": 2,
        "prompt_tokens": 6400,
        "output_tokens": 3200,
        "prefix_queries": 6400,
        "prefix_hits": 16,
        "requests": 101,
    }


def test_llama_cpp_counts_a_prompt_s_cached_tokens_apart() -> None:
    assert figures_of(LLAMA + "llamacpp:prompt_tokens_cached_total 360\n") == {
        "running": 4,
        "waiting": 46,
        "prompt_tokens": 1000,
        "computed_tokens": 640,
        "output_tokens": 320,
        "prefix_queries": 1000,
        "prefix_hits": 360,
    }


def test_counters_of_llama_cpp_are_known_as_far_as_it_writes_them() -> None:
    # It counted 179,900 tokens from its cache between two readings of 914,659 and 1.09456e+06, and 12,593 between
    # 1.99406e+06 and 2.00665e+06.
    for first, last, grew in ((914_659, 1.09456e6, 179_900), (1.99406e6, 2.00665e6, 12_593)):
        off = rounding_of("llama.cpp", "prefix_hits", first) + rounding_of("llama.cpp", "prefix_hits", last)
        assert 0 < abs(last - first - grew) <= off <= 10
    assert rounding_of("llama.cpp", "output_tokens", 999_999) == 0
    assert rounding_of("llama.cpp", "output_tokens", 1e8) == 500
    assert rounding_of("llama.cpp", "prompt_tokens", 2.5e6) == 10  # of each of the two that it is the sum of
    assert rounding_of("vLLM", "output_tokens", 1e8) == 0


def test_what_sglang_repeats_by_rank_and_priority_counts_once() -> None:
    assert figures_of(SGLANG) == {
        "running": 5,
        "waiting": 2,
        "kv_used": 0.28,
        "preemptions": 48,
        "prompt_tokens": 8e6,
        "output_tokens": 7,
        "prefix_queries": 8e6,
        "prefix_hits": 500,
        "requests": 9,
    }


def test_a_server_is_known_by_its_metrics() -> None:
    assert [server_of(text) for text in (VLLM, SGLANG, LLAMA, DYNAMO)] == ["vLLM", "SGLang", "llama.cpp", "Dynamo"]
    assert server_of("process_cpu_seconds_total 3\n") is None


def test_lines_that_do_not_matter_may_be_anything() -> None:
    assert figures_of("<html>vllm: no\n# broken {\nfoo{ 3 x\nvllm:num_requests_running 2\n") == {"running": 2}
    with pytest.raises(ValueError, match="many"):
        figures_of("vllm:num_requests_running many\n")


def test_what_a_counter_had_before_the_run_does_not_count() -> None:
    kept = Kept()
    for at, tokens in enumerate((1000, 1000, 1250, 1300)):
        kept.add(at * 10**9, {"prompt_tokens": tokens, "running": 2})
    assert kept.totals() == {"prompt_tokens": 300}
    assert kept.series(10**9) == {
        "at_s": [-1, 0, 1, 2],
        "running": [2, 2, 2, 2],
        "prompt_tokens": [0, 0, 250, 300],
    }
    assert kept.latest() == {"running": 2, "prompt_tokens": 300}


def test_a_run_s_totals_come_with_what_the_server_rounded() -> None:
    def rounded(_: object, number: int) -> tuple[int, dict[str, str], str]:
        return 200, {}, LLAMA.replace("640", f"{1.23457 + number / 100:.5f}e+06")

    with metrics_server(rounded) as (url, _):
        scraper = Scraper(url, period_s=0.02)
        scraper.start()
        scraper.stop()
    assert scraper.rounding() == {"computed_tokens": 10}
    assert "output_tokens" in scraper.totals()


def test_a_counter_goes_on_when_its_server_was_started_anew() -> None:
    kept = Kept()
    for at, tokens in enumerate((1000, 1200, 50, 80)):
        kept.add(at, {"output_tokens": tokens})
    assert kept.totals() == {"output_tokens": 200 + 80}


def test_a_counter_that_appears_with_its_first_event_counts_from_0() -> None:
    kept = Kept()
    kept.add(0, {"running": 0})
    kept.add(1, {"running": 1, "requests": 3})
    assert kept.totals() == {"requests": 3}
    assert kept.series(0)["requests"] == [None, 3]


def test_a_long_run_s_points_are_bounded_and_keep_the_last() -> None:
    kept, at, most = Kept(), 0, 0
    while at < 10 * MOST_POINTS:
        kept.add(at * 10**9, {"running": at, "requests": at})
        most = max(most, len(kept.series(0)["at_s"]) if kept.stride == 4 else 0)
        last, at = at, at + kept.stride
    series = kept.series(0)
    assert most == MOST_POINTS
    assert MOST_POINTS / 2 < len(series["at_s"]) <= MOST_POINTS
    assert kept.stride == 16
    assert series["running"] == series["at_s"] == series["requests"]
    assert series["running"][-1] == last
    assert kept.totals() == {"requests": last}


Answer = Callable[[BaseHTTPRequestHandler, int], tuple[int, dict[str, str], str]]


@contextmanager
def metrics_server(answer: Answer) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A server whose replies ``answer`` makes of a request and its number; its URL, and (path, Authorization) of what
    came."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            status, headers, body = answer(self, len(seen) - 1)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # whoever asked may have given up
                self.end_headers()
                self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def counting(_: object, number: int) -> tuple[int, dict[str, str], str]:
    return 200, {}, f"vllm:num_requests_running {number}\nvllm:generation_tokens_total {100 + 10 * min(number, 6)}\n"


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come")


def test_a_scraper_reads_before_the_run_while_it_goes_on_and_after_it() -> None:
    with metrics_server(counting) as (url, seen):
        scraper = Scraper(url + "/v1", [("Authorization", "Bearer secret")], period_s=0.02)
        scraper.start(wait_s=10)
        assert scraper.latest() == {"running": 0, "output_tokens": 0}
        wait_for(lambda: len(seen) > 5)
        scraper.stop()
    assert set(seen) == {("/metrics", "Bearer secret")}
    assert scraper.server == "vLLM"
    assert scraper.totals() == {"output_tokens": 60}
    series = scraper.series()
    assert series["running"] == list(range(len(seen)))
    at_s = [at for at in series["at_s"] if at is not None]
    assert at_s == sorted(at_s)


def test_the_last_readings_are_taken_until_they_agree() -> None:
    with metrics_server(counting) as (url, seen):
        scraper = Scraper(url, period_s=3600)
        scraper.start(wait_s=10)
        assert len(seen) == 1
        scraper.stop()
    assert len(seen) == 6  # each said something new
    assert scraper.totals() == {"output_tokens": 50}


@pytest.mark.parametrize("status", [404, 501])
def test_a_server_without_metrics_is_asked_once_and_is_no_error(status: int) -> None:
    with metrics_server(lambda *_: (status, {}, "vllm:num_requests_running 3\n")) as (url, seen):
        scraper = Scraper(url, period_s=0.01)
        scraper.start(wait_s=10)
        scraper.stop()
    assert len(seen) == 1
    assert (scraper.series(), scraper.totals(), scraper.latest()) == ({}, {}, {})
    assert scraper.trouble == f"HTTP status {status}"


def test_a_server_that_is_not_there_or_talks_nonsense_is_no_error() -> None:
    with metrics_server(lambda *_: (200, {}, "<html>welcome</html>")) as (url, _):
        scraper = Scraper(url)
        scraper.start(wait_s=10)
        scraper.stop()
    assert (scraper.series(), scraper.totals()) == ({}, {})
    gone = Scraper(url)  # its port is closed now
    gone.start(wait_s=10)
    gone.stop()
    assert (gone.series(), gone.totals()) == ({}, {})
    assert "refused" in str(gone.trouble)


def test_a_reading_that_fails_leaves_the_others() -> None:
    def answer(_: object, number: int) -> tuple[int, dict[str, str], str]:
        return (503, {}, "busy") if number == 1 else counting(_, number)

    with metrics_server(answer) as (url, seen):
        scraper = Scraper(url, period_s=0.02)
        scraper.start(wait_s=10)
        wait_for(lambda: len(seen) > 3)
        scraper.stop()
    assert scraper.series()["running"][:3] == [0, 2, 3]


def test_a_server_that_hangs_is_waited_for_once_at_the_end() -> None:
    let_go = threading.Event()

    def answer(_: object, number: int) -> tuple[int, dict[str, str], str]:
        if number:
            let_go.wait(30)
        return counting(_, number)

    with metrics_server(answer) as (url, seen):
        scraper = Scraper(url, period_s=3600, timeout_s=0.1)
        scraper.start(wait_s=10)
        scraper.stop()
        assert len(seen) == 2
        let_go.set()
    assert "timed out" in str(scraper.trouble)
    assert scraper.series()["running"] == [0]


def test_a_redirect_is_followed_on_the_server_itself_only() -> None:
    def elsewhere(handler: BaseHTTPRequestHandler, number: int) -> tuple[int, dict[str, str], str]:
        if handler.path == "/metrics":
            return 307, {"Location": "http://elsewhere.invalid/metrics/"}, ""
        return counting(handler, number)

    with metrics_server(elsewhere) as (url, seen):
        scraper = Scraper(url, [("Authorization", "Bearer secret")], period_s=3600)
        scraper.start(wait_s=10)
        assert [path for path, _ in seen] == ["/metrics", "/metrics/"]
        assert scraper.latest()["running"] == 1
        scraper.stop()


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    scraper = Scraper("http://127.0.0.1:9", [("Authorization", "Bearer se\ncret")])
    scraper.start(wait_s=10)
    scraper.stop()
    assert scraper.trouble == "ValueError"


def test_metrics_without_end_are_given_up() -> None:
    with metrics_server(lambda *_: (200, {}, "x" * (9 << 20))) as (url, _):
        scraper = Scraper(url)
        scraper.start(wait_s=10)
        scraper.stop()
    assert scraper.trouble == "more than 8 MiB of metrics"


def test_every_figure_has_a_name_for_each_server_or_says_so_by_having_none() -> None:
    names = [name for family in (GAUGES, COUNTERS) for alternatives in family.values() for name in alternatives]
    assert all(server_of(f"{name} 1\n") for name in names)
    assert not GAUGES.keys() & COUNTERS.keys()


def test_a_real_server_s_counters_are_what_its_replies_said(llama_server: Server) -> None:
    scraper = Scraper(llama_server.url + "/v1", period_s=0.1)
    scraper.start(wait_s=10)
    said = [completion(llama_server, "once upon a time " * repeats) for repeats in (1, 2, 3, 3)]
    scraper.stop()
    totals = scraper.totals()
    assert scraper.server == "llama.cpp"
    assert totals["prompt_tokens"] == totals["prefix_queries"] == sum(usage["prompt_tokens"] for usage in said)
    assert totals["output_tokens"] == sum(usage["completion_tokens"] for usage in said) == 4 * 8
    cached = sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in said)
    assert totals["prefix_hits"] == totals["prompt_tokens"] - totals["computed_tokens"] == cached > 0
    assert {"running", "waiting"} <= scraper.latest().keys()


def completion(server: Server, prompt: str) -> dict[str, Any]:
    """What a server says it counted for a prompt and eight tokens."""
    body = json.dumps({"prompt": prompt, "model": server.model, "max_tokens": 8, "ignore_eos": True}).encode()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    usage: dict[str, Any] = json.loads(connection.getresponse().read())["usage"]
    connection.close()
    return usage
