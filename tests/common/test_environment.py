"""An inherited environment: loopback stays off proxies, and what is wrong with it is one line."""

import io
import os
import shutil
import ssl
import subprocess
import sys

import certifi
import httpx
import pytest
from bot_process import ROOT

from common.environment import prepare_environment
from errors import ConfigError

WITHOUT_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def environ(monkeypatch):
    """An environment without proxies and certificates, put back afterwards."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL"):
            monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "own",
    [
        {},
        {"no_proxy": "corp.example"},
        {"NO_PROXY": "corp.example"},
        {"No_Proxy": "corp.example"},
        {"no_proxy": "a", "NO_PROXY": "corp.example"},
    ],
)
def test_loopback_goes_through_no_proxy(environ, proxy, own):
    """Whatever the spelling of either variable; and the user's own hosts are kept."""
    for name, value in {proxy: "http://127.0.0.1:9", **own}.items():
        environ.setenv(name, value)
    prepare_environment()
    with httpx.Client(verify=WITHOUT_CERTIFICATES) as client:
        for url in ("http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:1"):
            assert client._transport_for_url(httpx.URL(url)) is client._transport
        outside = client._transport_for_url(httpx.URL("http://polymarket.example"))
        assert outside is not client._transport
        for host in filter(None, ["corp.example" if own else "", own.get("no_proxy", "")]):
            assert client._transport_for_url(httpx.URL(f"http://{host}")) is client._transport


def test_addresses_and_networks_of_ipv6_may_be_listed(environ):
    """httpx cannot read brackets and networks, which other programs accept; the other hosts are kept."""
    environ.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    environ.setenv("NO_PROXY", "[2001:db8::1], fd00::/8,10.0.0.0/8 ,corp.example")
    prepare_environment()
    assert os.environ["NO_PROXY"] == "2001:db8::1,10.0.0.0/8,corp.example,127.0.0.1,localhost,::1"
    with httpx.Client(verify=WITHOUT_CERTIFICATES) as client:
        for url in ("http://[2001:db8::1]", "http://corp.example"):
            assert client._transport_for_url(httpx.URL(url)) is client._transport


def test_a_list_of_everything_stays_everything(environ):
    """`*` means no proxy at all."""
    environ.setenv("ALL_PROXY", "http://127.0.0.1:9")
    environ.setenv("no_proxy", "*")
    prepare_environment()
    with httpx.Client(verify=WITHOUT_CERTIFICATES) as client:
        assert client._transport_for_url(httpx.URL("http://polymarket.example")) is client._transport


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("ALL_PROXY", "socks5://user:hush@127.0.0.1:1080", "ALL_PROXY names a SOCKS proxy"),
        ("all_proxy", "socks5h://127.0.0.1:1080", "all_proxy names a SOCKS proxy"),
        ("HTTPS_PROXY", "foo://hush", "HTTPS_PROXY"),
        ("no_proxy", "http://x:y", "no_proxy"),
        ("SSL_CERT_DIR", "/nonexistent", "no certificate is in SSL_CERT_DIR"),
        ("SSL_CERT_FILE", "/nonexistent", "SSL_CERT_FILE of the environment: No such file"),
        ("SSLKEYLOGFILE", "/nonexistent/keys", "SSLKEYLOGFILE of the environment: No such file"),
    ],
)
def test_what_keeps_connections_from_being_made_is_named(environ, name, value, why):
    """The variable and what to do, on one line, without its value."""
    environ.setenv(name, value)
    with pytest.raises(ConfigError, match=why) as caught:
        prepare_environment()
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_worker_leaves_the_certificates_to_the_runner(environ):
    """They are checked once in a start; the proxies are checked in each process, which sets them itself."""
    environ.setenv("SSL_CERT_FILE", "/nonexistent")
    environ.setenv("no_proxy", "corp.example")
    prepare_environment(certificates=False)
    assert os.environ["NO_PROXY"] == "corp.example,127.0.0.1,localhost,::1"
    environ.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ConfigError, match="ALL_PROXY names a SOCKS proxy"):
        prepare_environment(certificates=False)


@pytest.mark.parametrize(("name", "checks"), [(None, 0), ("https_proxy", 1), ("no_proxy", 1)])
def test_proxies_are_checked_where_there_are_any(environ, name, checks):
    """The check imports the transports of httpx, a tenth of a runner's start."""
    clients = []
    environ.setattr(httpx, "Client", lambda **options: clients.append(options) or io.StringIO())
    if name is not None:
        environ.setenv(name, "http://127.0.0.1:9" if name == "https_proxy" else "corp.example")
    prepare_environment()
    assert len(clients) == checks


def test_one_certificate_in_a_folder_is_enough(environ, tmp_path):
    """In any folder of the list, under its hashed name; a file without one is passed over."""
    (tmp_path / "00000000.0").write_text("no certificate")
    shutil.copy(certifi.where(), tmp_path / "11111111.0")
    environ.setenv("SSL_CERT_DIR", f"/nonexistent{os.pathsep}{tmp_path}")
    prepare_environment()
    (tmp_path / "11111111.0").unlink()
    with pytest.raises(ConfigError, match="no certificate"):
        prepare_environment()


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:1080"}, "ALL_PROXY names a SOCKS proxy"),
        (
            {
                "LOGURU_LEVEL": "nonsense",
                "PROMETHEUS_MULTIPROC_DIR": "/nonexistent",
                "MARKET_TIMEFRAME": "7m",
            },
            "MARKET_TIMEFRAME",
        ),
    ],
)
def test_a_start_ends_in_no_traceback(environment, why, tmp_path):
    """The runner says it in one line; variables meant for other programs are ignored."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "runner.py"), "--test-mode", "--doctor"],
        env={**os.environ, "STATE_DIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n"), why in done.stderr) == (2, 1, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [{"http_proxy": "http://127.0.0.1:9", "no_proxy": "corp.example"}, {"ALL_PROXY": "http://127.0.0.1:9"}],
)
def test_a_proxy_is_not_asked_for_the_practice_venue(environment, tmp_path):
    """The preflight checks reach catalogue, order API, streams and account of the practice venue."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "runner.py"), "--test-mode", "--doctor"],
        env={**os.environ, "STATE_DIR": str(tmp_path), "GRAFANA_PORT": "0", **environment},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout
