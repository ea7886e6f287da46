"""TLS with a certificate made for the test; what does not load is said at the start."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

import chroma
from chroma.cli import cli

from ...support import server
from ..cli.running import run
from .processes import running

PASSWORD = "of the key"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, cert.pem, key.pem, locked.pem (the key with a password), other.pem (another key), named.pem
    and named-key.pem (for another host)."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1", "localhost")
    chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
    (folder / "cert.pem").write_bytes(chain)
    key = issued.private_key_pem.bytes()
    (folder / "key.pem").write_bytes(key)
    locked = load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode())
    )
    (folder / "locked.pem").write_bytes(locked)
    (folder / "other.pem").write_bytes(authority.issue_cert("127.0.0.1").private_key_pem.bytes())
    named = authority.issue_cert("elsewhere.example")
    (folder / "named.pem").write_bytes(b"".join(part.bytes() for part in named.cert_chain_pems))
    (folder / "named-key.pem").write_bytes(named.private_key_pem.bytes())
    (folder / "text.pem").write_text("no certificate")
    return folder


def options(files: Path, certificate: str = "cert.pem", key: str = "key.pem") -> list[str]:
    return ["--ssl-certfile", str(files / certificate), "--ssl-keyfile", str(files / key)]


@pytest.mark.parametrize("workers", [1, 2])
def test_our_client(folder: Path, files: Path, workers: int) -> None:
    with running(folder, *options(files), "--workers", str(workers)) as served:
        assert served.url.startswith("https://127.0.0.1:")
        settings = chroma.Settings(chroma_server_ssl_verify=str(files / "ca.pem"))
        port = int(served.url.rpartition(":")[2])
        with chroma.HttpClient("127.0.0.1", port, ssl=True, settings=settings) as client:
            things = client.create_collection("things", embedding_function=None)
            things.add(ids=["a"], embeddings=[[1.0, 2.0]])
            assert things.count() == 1
        with pytest.raises(chroma.errors.ServerConnectionError, match="certificate"):
            chroma.HttpClient("127.0.0.1", port, ssl=True, settings=chroma.Settings(chroma_http_retries=0))
        with pytest.raises(chroma.errors.ServerConnectionError):
            chroma.HttpClient("127.0.0.1", port, settings=chroma.Settings(chroma_http_retries=0))
        assert served.ended() == 0


def test_http_and_https_mixed_up(folder: Path, files: Path) -> None:
    """Embedded in the message is the address that would have been right."""
    once = chroma.Settings(chroma_http_retries=0)
    refused = chroma.errors.ServerConnectionError
    with running(folder, *options(files)) as served:
        address = served.url.removeprefix("https://")
        with pytest.raises(refused, match=f"speaks https, not http: connect to https://{address}"):
            chroma.HttpClient(f"http://{address}", settings=once)
        with pytest.raises(refused, match="speaks https, not http"):
            asyncio.run(chroma.AsyncHttpClient(f"http://{address}", settings=once))
        with pytest.raises(refused, match="does not know who issued .* ca='ca.pem'"):
            chroma.HttpClient(served.url)
        with chroma.HttpClient(served.url, ca=files / "ca.pem") as client:
            assert client.heartbeat()
        told = run("ls", served.url)
        assert told.exit_code == 4 and "--ca ca.pem" in told.stderr
        assert run("ls", served.url, "--ca", str(files / "ca.pem")).exit_code == 0
        assert run("ls", served.url, env={"CHROMA_CA": str(files / "ca.pem")}).exit_code == 0
        told = run("ls", served.url, "--ca", str(files / "text.pem"))
        assert told.exit_code == 2 and "text.pem' is no file of certificates" in told.stderr


def test_a_certificate_for_another_name(folder: Path, files: Path) -> None:
    with running(folder, *options(files, "named.pem", "named-key.pem")) as served:
        with pytest.raises(chroma.errors.ServerConnectionError, match="is for another name"):
            chroma.HttpClient(served.url, ca=files / "ca.pem")


def test_https_to_a_server_without_it() -> None:
    address = server.url().removeprefix("http://")
    with pytest.raises(chroma.errors.ServerConnectionError, match=f"speaks http, .* http://{address}"):
        chroma.HttpClient(f"https://{address}", settings=chroma.Settings(chroma_http_retries=0))


def test_plain_httpx(folder: Path, files: Path) -> None:
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))
    with running(folder, *options(files)) as served:
        with httpx.Client(verify=context, trust_env=False) as client:
            assert client.get(f"{served.url}/api/v2/heartbeat").status_code == 200
        old = ssl.create_default_context(cafile=str(files / "ca.pem"))
        with pytest.warns(DeprecationWarning):
            old.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with httpx.Client(verify=old, trust_env=False) as client, pytest.raises(httpx.ConnectError):
            client.get(f"{served.url}/api/v2/heartbeat")


def test_a_key_with_a_password(folder: Path, files: Path) -> None:
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))
    secret = {"CHROMA_SSL_KEYFILE_PASSWORD": PASSWORD}
    with running(folder, *options(files, key="locked.pem"), "--log-level", "debug", env=secret) as served:
        with httpx.Client(verify=context, trust_env=False) as client:
            assert client.get(f"{served.url}/api/v2/heartbeat").status_code == 200
        assert PASSWORD not in served.text()
        arguments = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(served.process.pid)], capture_output=True, text=True
        )
        assert PASSWORD not in arguments.stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ({"certificate": "none.pem"}, {}, "none.pem"),
        ({"key": "none.pem"}, {}, "none.pem"),
        ({"certificate": "text.pem"}, {}, "text.pem"),
        ({"key": "text.pem"}, {}, "text.pem"),
        ({"key": "other.pem"}, {}, "KEY_VALUES_MISMATCH"),
        ({"key": "locked.pem"}, {}, "CHROMA_SSL_KEYFILE_PASSWORD"),
        ({"key": "locked.pem"}, {"CHROMA_SSL_KEYFILE_PASSWORD": "geheim"}, "does not load"),
    ],
)
def test_what_does_not_load(
    folder: Path, files: Path, arguments: dict[str, Any], variables: dict[str, str], said: str
) -> None:
    start = ["run", "--path", str(folder), "--port", "0", *options(files, **arguments)]
    result = CliRunner().invoke(cli, start, prog_name="chroma", env=variables)
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert "geheim" not in result.output
    assert not folder.exists(), "refused before the folder is made"
