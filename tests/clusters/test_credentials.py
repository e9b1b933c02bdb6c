"""Credentials in use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted
from certificates import Authority
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from kubeoidcproxy.clusters.credentials import READ_EVERY, ClientCertificate, StaticToken, TokenFile, open_credential
from kubeoidcproxy.clusters.kubeconfig import ClientCertificateSpec, TokenCredentialSpec, TokenFileSpec


class Thread:
    """Stands in for deferToThread: readings wait until the test lets them run."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, function: Callable[[Path], str], path: Path) -> Deferred[str]:
        result: Deferred[str] = Deferred()

        def run() -> None:
            try:
                result.callback(function(path))
            except Exception:
                result.errback()

        self.waiting.append(run)
        return result

    def run(self) -> None:
        self.waiting.pop(0)()


@pytest.fixture
def thread() -> Thread:
    return Thread()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path, thread: Thread, clock: Clock) -> TokenFile:
    return TokenFile(TokenFileSpec(tmp_path / "token", "first"), clock, in_thread=thread)


def test_a_static_token() -> None:
    token = open_credential(TokenCredentialSpec("abc"), Clock())
    assert isinstance(token, StaticToken)
    assert token.authorization() == b"Bearer abc"
    assert token.problem() is None
    assert token.refresh().called
    token.stop()


def test_a_client_certificate_speaks_through_its_connection() -> None:
    authority = Authority()
    one, two = authority.issue("a"), authority.issue("a")
    first, second = (ClientCertificateSpec(each.cert_pem, each.key_pem) for each in (one, two))
    credential = open_credential(first, Clock())
    assert isinstance(credential, ClientCertificate)
    assert credential.authorization() is None
    assert credential.problem() is None
    assert credential.refresh().called
    assert credential.identity == ClientCertificate(first).identity != ClientCertificate(second).identity
    assert credential.identity != StaticToken.identity


class TestTokenFile:
    def test_it_begins_with_what_the_kubeconfig_read(self, file: TokenFile, thread: Thread) -> None:
        assert file.authorization() == b"Bearer first"
        assert file.problem() is None
        assert thread.waiting == []

    def test_a_new_token_is_used_and_needs_no_new_connection(self, file: TokenFile, thread: Thread) -> None:
        identity = file.identity
        file.path.write_text("second\n")
        refreshed = file.refresh()
        assert file.authorization() == b"Bearer first"
        thread.run()
        assert file.authorization() == b"Bearer second"
        assert refreshed.called
        assert file.identity == identity

    def test_it_is_read_again_by_itself(self, file: TokenFile, thread: Thread, clock: Clock) -> None:
        file.path.write_text("second")
        clock.advance(READ_EVERY)
        thread.run()
        assert file.authorization() == b"Bearer second"

    def test_a_slow_disk_is_not_asked_twice(self, file: TokenFile, thread: Thread, clock: Clock) -> None:
        file.path.write_text("second")
        clock.pump([READ_EVERY] * 5)
        assert len(thread.waiting) == 1

    @pytest.mark.parametrize("text", [None, "", " \n", "two words", "t\u00f6ken"])
    def test_the_last_good_token_stays(self, file: TokenFile, thread: Thread, text: str | None) -> None:
        if text is not None:
            file.path.write_text(text)
        refreshed = file.refresh()
        thread.run()
        assert file.authorization() == b"Bearer first"
        assert refreshed.called
        problem = file.problem()
        assert problem is not None
        assert problem.startswith(f"{file.path}: ")
        assert text is None or not text.strip() or text not in problem

    def test_a_problem_passes(self, file: TokenFile, thread: Thread) -> None:
        file.refresh()
        thread.run()
        file.path.write_text("second")
        file.refresh()
        thread.run()
        assert file.problem() is None

    def test_a_change_during_a_reading_is_read_again(self, file: TokenFile, thread: Thread) -> None:
        file.path.write_text("second")
        first, second, third = file.refresh(), file.refresh(), file.refresh()
        assert len(thread.waiting) == 1
        thread.run()
        assert (first.called, second.called, third.called) == (True, False, False)
        file.path.write_text("third")
        thread.run()
        assert second.called
        assert third.called
        assert file.authorization() == b"Bearer third"
        assert thread.waiting == []

    def test_stopped_it_leaves_nothing_behind(self, file: TokenFile, clock: Clock) -> None:
        file.stop()
        file.stop()
        assert clock.getDelayedCalls() == []

    @pytest_twisted.ensureDeferred
    async def test_in_a_real_thread(self, tmp_path: Path) -> None:
        path = tmp_path / "token"
        path.write_text("second")
        credential = open_credential(TokenFileSpec(path, "first"), reactor)
        await credential.refresh()
        assert credential.authorization() == b"Bearer second"
        credential.stop()
