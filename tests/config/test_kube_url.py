from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.config.kube_url import GoURL, URLError, parse


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://a.test/x", GoURL("https", False, "", "")),
        ("HTTPS://a.test", GoURL("https", False, "", "")),
        ("https://", GoURL("https", False, "", "")),
        ("https:x", GoURL("https", False, "", "")),
        ("https://a.test:", GoURL("https", False, "", "")),
        ("https://a.test:99999", GoURL("https", False, "", "")),
        ("https://::1/x", GoURL("https", False, "", "")),
        ("https://[::1]:1/x", GoURL("https", False, "", "")),
        ('https://h"x/', GoURL("https", False, "", "")),
        ("https://ä.test", GoURL("https", False, "", "")),
        ("https://a.test/a b", GoURL("https", False, "", "")),
        ("https://u:p@a.test", GoURL("https", True, "", "")),
        ("https://a.test?b=c", GoURL("https", False, "b=c", "")),
        ("https://a.test?", GoURL("https", False, "", "")),
        ("https://a.test#b", GoURL("https", False, "", "b")),
        ("https://a.test#", GoURL("https", False, "", "")),
        ("a.test/x", GoURL("", False, "", "")),
        ("//a.test", GoURL("", False, "", "")),
    ],
)
def test_what_go_takes(text: str, url: GoURL) -> None:
    assert parse(text) == url


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("://a", 'parse "://a": missing protocol scheme'),
        ("https://a:x", 'parse "https://a:x": invalid port ":x" after host'),
        ("https://a\n", 'parse "https://a\\n": net/url: invalid control character in URL'),
        ("https://[::1/x", "parse \"https://[::1/x\": missing ']' in host"),
        ("https://[::1]x", 'parse "https://[::1]x": invalid port "x" after host'),
        ("https://a b", 'parse "https://a b": invalid character " " in host name'),
        ("https://a/%zz", 'parse "https://a/%zz": invalid URL escape "%zz"'),
        ("https://a/%2", 'parse "https://a/%2": invalid URL escape "%2"'),
        ("https://a%41", 'parse "https://a%41": invalid URL escape "%41"'),
        ("https://a b@c", 'parse "https://a b@c": net/url: invalid userinfo'),
        ("https://a#%zz", 'parse "https://a#%zz": invalid URL escape "%zz"'),
        ("1http://a", 'parse "1http://a": first path segment in URL cannot contain colon'),
    ],
)
def test_what_go_refuses(text: str, error: str) -> None:
    with pytest.raises(URLError) as caught:
        parse(text)
    assert str(caught.value) == error


@given(st.text(alphabet='https:/?#@[]%a1 \n"é', max_size=30))
def test_any_text_is_taken_or_refused(text: str) -> None:
    with suppress(URLError):
        assert parse(text).scheme.islower() or not parse(text).scheme
