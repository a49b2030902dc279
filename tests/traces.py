"""Small traces as files, and a trace read whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from groundswell.formats.reading import Trace, in_order, read

HEADER = "arrival_s,client,input_tokens,output_tokens\n"

TABLES = {
    "azure": "\ufeffTIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n"
    "2023-11-16 18:17:04.0319600,3180,8\r\n2023-11-16 18:17:04.0319601,110,27\r\n",
    "burstgpt": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,230,1317,Conversation log\n"
    "118,GPT-4,417,0,417,API log\n",
    "servegen": "request_id,timestamp,input_tokens,output_tokens\n0,0.01,120,30\n1,0.5,7,400\n2,1.25,3000,1\n",
    "vidur": "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.314579,396,109\n4.5,879,55\n",
    "csv": HEADER + '0.5,"a,b",10,20\n0.75,b,11,21\n2.5,"a,b",12,22\n',
    "jsonl": '{"arrival_s":0.5,"client":"a","input_tokens":10,"output_tokens":20}\n'
    '{"arrival_s":0.75,"client":"b","input_tokens":11,"output_tokens":21}\n'
    '{"arrival_s":2.5,"client":"a","input_tokens":12,"output_tokens":22}\n',
}
"""A file of each format that is a table, with three rows."""


def saved(folder: Path, text: str | bytes, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows_of(trace: Trace) -> pl.DataFrame:
    """All rows, clients as text, whatever their order in the file."""

    def whole(trace: Trace) -> pl.DataFrame:
        return pl.concat([block.checked().frame.with_columns(pl.col("client").cast(pl.String)) for block in trace])

    return in_order(trace, whole)


def read_text(folder: Path, text: str | bytes, format: str | None = None, **how: Any) -> pl.DataFrame:  # noqa: A002
    return rows_of(read(saved(folder, text), format, **how))
