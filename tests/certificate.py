"""A certificate that a test's server shows, made with the ``openssl`` command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def self_signed(folder: Path, name: str = "IP:127.0.0.1,DNS:localhost") -> tuple[str, str]:
    """The files of a new certificate for ``name`` and of its key; skips where there is no ``openssl``."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    made = subprocess.run(
        [*command.split(), "-addext", f"subjectAltName={name}", "-keyout", str(key), "-out", str(certificate)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"openssl made no certificate: {made.stderr.strip().splitlines()[-1]}")
    return str(certificate), str(key)
