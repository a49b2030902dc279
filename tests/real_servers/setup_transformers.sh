#!/usr/bin/env bash
# `transformers serve`, in a venv of its own: 1.2 GB, a minute. usage: setup_transformers.sh VENV
set -euo pipefail
VENV=$1
test -x "$VENV/bin/python" || python3 -m venv "$VENV"
"$VENV/bin/pip" install --quiet torch==2.13.0
"$VENV/bin/pip" install --quiet 'transformers[serving]==5.23.0'
"$VENV/bin/python" -c 'import transformers; print("transformers", transformers.__version__)'
