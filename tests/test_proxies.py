"""Which proxy is taken: the one of httpx, which reads the same environment."""

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxassist import Client
from rxassist.wire.proxies import Proxies

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
HOSTS = ["a.test", "x.a.test", "xa.test", "localhost", "127.0.0.1", "127.0.0.12", "[::1]", "b"]
URLS = st.builds(
    "{}://{}{}/v1".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(HOSTS),
    st.sampled_from(["", ":80", ":8080"]),
)
SPARED = [
    *HOSTS[:-2],  # httpx fails at [::1]
    ".a.test",
    "*.a.test",
    "A.test",
    "::1",
    "a.test:8080",
    "http://a.test",
    "https://a.test:8080",
    "all://a.test",
    "all://*a.test",
    "all://*.a.test",
    "",
]
ENVIRONMENTS = st.fixed_dictionaries(
    {},
    optional={
        "http_proxy": st.just("http://one.test:3128"),
        "https_proxy": st.just("two.test:3128"),
        "all_proxy": st.just("http://three.test"),
        "no_proxy": st.lists(st.sampled_from(SPARED), max_size=3).map(", ".join)
        | st.sampled_from(["*", "a.test,*"]),
    },
)


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def of_httpx(url):
    with httpx.Client() as client:
        transport = client._transport_for_url(url)
        if transport is client._transport:
            return None
        proxy = transport._pool._proxy_url
        port = "" if proxy.port is None else f":{proxy.port}"
        return f"{proxy.scheme.decode()}://{proxy.host.decode()}{port}"


@settings(max_examples=300, deadline=None)
@example({"all_proxy": "http://three.test", "no_proxy": "http://a.test"}, "https://a.test/v1")
@given(ENVIRONMENTS, URLS)
def test_the_proxy_is_the_one_that_httpx_takes(environment, url):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        given = httpx.URL(url)
        assert Proxies().of(given.scheme, given.host, given.port) == of_httpx(given)


def test_a_proxy_that_is_given_is_taken_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    assert Proxies("http://one.test").of("https", "a.test", None) == "http://one.test"


@pytest.mark.parametrize(
    "proxy",
    ["", "one.test:3128", "ftp://one.test", "http://", "http://one.test:0", "http://a:b@x:y"],
)
def test_what_is_no_proxy_is_refused_when_the_client_is_made(proxy):
    with pytest.raises(ValueError, match="proxy must be a URL") as caught:
        Client(base_url="http://a.test/v1", proxy=proxy)
    assert "a:b" not in str(caught.value)
