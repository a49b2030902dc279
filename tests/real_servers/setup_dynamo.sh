#!/usr/bin/env bash
# Dynamo's frontend and its mocker (a simulated engine), in a venv of their own: 0.7 GB. usage: setup_dynamo.sh VENV
# The package itself requires a GPU's engines, so what the two of them import is named here.
set -euo pipefail
VENV=$1 VERSION=1.6.1
test -x "$VENV/bin/python" || python3 -m venv "$VENV"
"$VENV/bin/pip" install --quiet --only-binary :all: "ai-dynamo-runtime==$VERSION" 'aiohttp>=3.14.3' certifi \
  'kubernetes<33,>=32.0.1' msgspec 'prometheus-client<1' pyzmq 'redis<9,>=6.2' tqdm 'transformers>=4.56' 'zstandard<1' uvloop
"$VENV/bin/pip" install --quiet --no-deps "ai-dynamo==$VERSION"
"$VENV/bin/python" -c 'import dynamo.mocker, dynamo.frontend; print("dynamo")'
