"""Stops dependencies from reporting to their vendors.

Owns: the variables that switch their telemetry off. A dependency reads its variable when it is loaded, so
`opt_out` is called before the first import of each.
"""

from __future__ import annotations

import os

# onnxruntime 1.29 and later send events to a host of their vendor and write an identifier below ~/.cache, on
# Linux and macOS too. 1.29 reads another variable than its successors:
# https://github.com/microsoft/onnxruntime/pull/27379, https://github.com/microsoft/onnxruntime/pull/29843.
# huggingface_hub adds telemetry to its requests:
# https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
_VARIABLES = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED", "HF_HUB_DISABLE_TELEMETRY")


def opt_out() -> None:
    """Switch telemetry off in this process and in those that it starts."""
    for name in _VARIABLES:
        os.environ[name] = "1"
