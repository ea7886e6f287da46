"""Ask the server in this container whether it is healthy: exit code 0 if it is, else 1 with the reason.

It reads CHROMA_PORT and CHROMA_SSL_CERTFILE, as the server does, and needs the standard library only. It
does not check the server's certificate, which need not name 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

SECONDS = 5


def main() -> int:
    """Print the reason why the server is not healthy, and return the exit code."""
    port = os.environ.get("CHROMA_PORT", "8000").rpartition(":")[2]  # Kubernetes sets tcp://10.0.0.1:8000
    scheme = "https" if os.environ.get("CHROMA_SSL_CERTFILE") else "http"
    url = f"{scheme}://127.0.0.1:{port}/api/v2/healthcheck"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=SECONDS) as answer:
            healthy = bool(json.load(answer)["is_executor_ready"])
    except HTTPError as error:
        sys.stdout.write(f"{url} answered {error.code}: {error.read(1000).decode('utf-8', 'replace')}\n")
        return 1
    except (URLError, OSError, ValueError, KeyError) as error:
        sys.stdout.write(f"{url} did not answer: {error}\n")
        return 1
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
