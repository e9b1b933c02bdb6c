"""Watched files: who asked for a file is told when it has changed, and nobody else is."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import inotify, reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python import _inotify

from kubeoidcproxy.reload import DEBOUNCE, LOOK_EVERY, FileWatch, FolderID, Print, Sight, look_at

A, B, C = Path("/etc/a"), Path("/etc/b"), Path("/etc/c")


class Disk:
    """What a look sees; tests change it."""

    def __init__(self) -> None:
        self.prints: dict[Path, Print] = {}
        self.folders: dict[str, FolderID] = {"/etc": (1, 1)}
        self.looks = 0

    def change(self, path: Path, at: float = 0.0) -> None:
        old = self.prints.get(path, Print())
        self.prints[path] = old._replace(size=old.size + 1, changed=int(at * 1e9))

    def look(self, paths: Collection[Path]) -> Sight:
        self.looks += 1
        return Sight({path: self.prints.get(path, Print(2)) for path in paths}, self.folders)


class Events:
    """Stands in for inotify."""

    def __init__(self, happened: Callable[[], None]) -> None:
        self.happened = happened
        self.folders: Mapping[str, FolderID] = {}
        self.stopped = False

    def watch(self, folders: Mapping[str, FolderID]) -> bool:
        before, self.folders = self.folders, folders
        return bool(folders.items() - before.items())

    def stop(self) -> None:
        self.stopped = True


class World:
    """A FileWatch with nothing real under it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.disk = Disk()
        self.slow: list[Callable[[], None]] | None = None
        self.told: list[str] = []
        self.watch = FileWatch(
            self.clock, look=self.disk.look, in_thread=self._in_thread, folder_events=self._folder_events
        )

    def _folder_events(self, _: object, happened: Callable[[], None]) -> Events:
        self.events = Events(happened)
        return self.events

    def _in_thread(self, look: Callable[[Collection[Path]], Sight], paths: Collection[Path]) -> Deferred[Sight]:
        if self.slow is None:
            return succeed(look(paths))
        result: Deferred[Sight] = Deferred()
        sight = look(paths)
        self.slow.append(lambda: result.callback(sight))
        return result

    def tell(self, name: str) -> Callable[[], None]:
        return lambda: self.told.append(name)

    def sets(self, **sets: Collection[Path]) -> dict[str, tuple[Collection[Path], Callable[[], None]]]:
        return {name: (paths, self.tell(name)) for name, paths in sets.items()}


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_there_at_first_is_no_change(world: World) -> None:
    world.disk.change(A)
    world.watch.replace(world.sets(one=[A, B]))
    world.clock.pump([LOOK_EVERY] * 3)
    assert world.told == []


def test_only_the_set_that_holds_the_file_is_told(world: World) -> None:
    world.watch.replace(world.sets(certificates=[A, B], config=[C]))
    world.disk.change(C)
    world.clock.advance(LOOK_EVERY)
    assert world.told == ["config"]


def test_a_file_in_two_sets_tells_both(world: World) -> None:
    world.watch.replace(world.sets(one=[A, B], two=[B]))
    world.disk.change(B)
    world.clock.advance(LOOK_EVERY)
    assert sorted(world.told) == ["one", "two"]


def test_two_files_of_a_set_tell_once(world: World) -> None:
    world.watch.replace(world.sets(one=[A, B]))
    world.disk.change(A)
    world.disk.change(B)
    world.clock.advance(LOOK_EVERY)
    assert world.told == ["one"]


def test_coming_and_going_are_changes(world: World) -> None:
    world.watch.replace(world.sets(one=[A]))
    world.disk.change(A)
    world.clock.advance(LOOK_EVERY)
    del world.disk.prints[A]
    world.clock.advance(LOOK_EVERY)
    assert world.told == ["one", "one"]


class TestEvents:
    def test_an_event_makes_it_look_a_moment_later(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A]))
        world.disk.change(A)
        world.events.happened()
        assert world.told == []
        world.clock.advance(DEBOUNCE - 0.01)
        assert world.told == []
        world.clock.advance(0.02)
        assert world.told == ["one"]

    def test_many_events_are_one_look(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A]))
        looks = world.disk.looks
        for _ in range(100):
            world.events.happened()
        world.clock.advance(DEBOUNCE)
        assert world.disk.looks == looks + 1

    def test_a_folder_that_is_never_quiet_puts_nothing_off(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A]))
        world.disk.change(A)
        for _ in range(30):
            world.events.happened()
            world.clock.advance(0.01)
        assert world.told == ["one"]

    def test_an_event_without_a_change_tells_nobody(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A]))
        world.events.happened()
        world.clock.advance(DEBOUNCE)
        assert world.told == []

    def test_the_folders_follow_every_look(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A]))
        assert world.events.folders == {"/etc": (1, 1)}
        world.disk.folders = {"/etc": (1, 2)}
        world.clock.advance(LOOK_EVERY)
        assert world.events.folders == {"/etc": (1, 2)}

    def test_what_happens_before_a_folder_is_watched_is_seen_at_once(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A]))
        world.disk.change(A)
        world.clock.advance(DEBOUNCE)
        assert world.told == ["one"]


class TestReplace:
    def test_a_file_that_stays_is_still_known(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A]))
        world.disk.change(A)
        world.watch.replace(world.sets(two=[A, B]))
        assert world.told == ["two"]

    def test_a_file_that_left_tells_nobody(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A, B]))
        world.watch.replace(world.sets(one=[B]))
        world.disk.change(A)
        world.clock.advance(LOOK_EVERY)
        assert world.told == []

    def test_one_set_can_be_replaced(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A], two=[B]))
        world.watch.watch("two", [C], world.tell("new two"))
        world.disk.change(A)
        world.disk.change(B)
        world.disk.change(C)
        world.clock.advance(LOOK_EVERY)
        assert sorted(world.told) == ["new two", "one"]

    def test_a_callback_may_replace_the_sets(self, world: World) -> None:
        def again() -> None:
            world.told.append("one")
            world.watch.replace({"one": ([A, B], again)})

        world.watch.replace({"one": ([A], again)})
        world.disk.change(A)
        world.clock.pump([LOOK_EVERY] * 3)
        assert world.told == ["one"]

    @pytest.mark.parametrize(("changed_at", "told"), [(99.0, []), (100.0, ["one"]), (101.0, ["one"])])
    def test_a_change_between_reading_and_the_first_look(
        self, world: World, changed_at: float, told: list[str]
    ) -> None:
        world.disk.change(A, at=changed_at)
        world.watch.replace(world.sets(one=[A]), since=100.0)
        assert world.told == told
        world.clock.pump([LOOK_EVERY] * 2)
        assert world.told == told


class TestSlowDisk:
    def test_one_look_at_a_time_and_another_if_asked_for_meanwhile(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A]))
        world.slow = []
        world.clock.advance(LOOK_EVERY)
        world.disk.change(A)
        world.clock.pump([LOOK_EVERY] * 3)
        assert len(world.slow) == 1
        world.slow.pop()()
        assert world.told == []
        assert len(world.slow) == 1
        world.slow.pop()()
        assert world.told == ["one"]
        assert world.slow == []

    def test_a_file_that_was_added_meanwhile_is_seen_by_the_next(self, world: World) -> None:
        world.slow = []
        world.watch.replace(world.sets(one=[A]))
        world.watch.replace(world.sets(one=[A, B]))
        world.slow.pop()()
        world.slow.pop()()
        world.slow = None
        world.disk.change(B)
        world.clock.advance(LOOK_EVERY)
        assert world.told == ["one"]

    def test_after_stop_nobody_is_told(self, world: World) -> None:
        world.watch.replace(world.sets(one=[A]))
        world.disk.change(A)
        world.slow = []
        world.events.happened()
        world.clock.advance(LOOK_EVERY)
        world.events.happened()
        world.watch.stop()
        world.slow.pop()()
        assert world.told == []
        assert world.events.stopped
        assert world.clock.getDelayedCalls() == []


def test_what_fails_is_not_the_end(world: World) -> None:
    def fail() -> None:
        raise RuntimeError("a callback failed")

    world.watch.replace({"bad": ([A], fail), **world.sets(good=[A])})
    world.disk.change(A)
    world.clock.advance(LOOK_EVERY)
    assert world.told == ["good"]
    world.events.watch = lambda folders: 1 / 0  # type: ignore[method-assign, assignment]
    world.clock.advance(LOOK_EVERY)
    world.events.watch = lambda folders: False  # type: ignore[method-assign]
    world.disk.change(A)
    world.clock.advance(LOOK_EVERY)
    assert world.told == ["good", "good"]


class TestLook:
    def test_every_kind_of_change_shows(self, tmp_path: Path) -> None:
        file = tmp_path / "a"

        def seen() -> Print:
            return look_at([file]).prints[file]

        prints = [seen()]
        for change in (
            lambda: file.write_text("1"),
            lambda: file.write_text("2 longer"),
            lambda: os.utime(file, ns=(1, 1)),
            lambda: file.chmod(0o600),
            lambda: (tmp_path / "b").write_text("2 longer"),
            lambda: (tmp_path / "b").rename(file),
            lambda: tmp_path.chmod(0o711),
            lambda: file.unlink(),
        ):
            change()
            prints.append(seen())
        assert prints[4] == prints[5]  # "b" is another file
        assert len(set(prints)) == len(prints) - 2  # that, and missing at both ends
        assert prints[0] == prints[-1] == Print(2)

    def test_links_are_followed_to_where_the_file_is(self, tmp_path: Path) -> None:
        live, archive = tmp_path / "live", tmp_path / "archive"
        live.mkdir()
        archive.mkdir()
        (archive / "cert1").write_text("1")
        (live / "cert").symlink_to("../archive/cert1")
        assert set(look_at([live / "cert"]).folders) == {str(live), str(archive)}

    def test_two_names_of_a_folder_are_one(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "other").symlink_to("real")
        sight = look_at([tmp_path / "real" / "a", tmp_path / "other" / "b"])
        assert list(sight.folders) == [str(tmp_path / "real")]

    def test_a_folder_that_is_missing_is_left_out(self, tmp_path: Path) -> None:
        assert look_at([tmp_path / "no" / "a"]).folders == {}


class Watched:
    """A FileWatch with everything real under it, but for the slow look."""

    def __init__(self, paths: Collection[Path]) -> None:
        self._told: Deferred[None] = Deferred()
        self.watch = FileWatch(reactor, in_thread=lambda look, paths: succeed(look(paths)))
        self.watch.replace({"one": (paths, self._tell)})

    def _tell(self) -> None:
        told, self._told = self._told, Deferred()
        told.callback(None)

    async def told(self) -> None:
        # Well before the slow look: it was inotify that said so.
        await self._told.addTimeout(LOOK_EVERY - 1, reactor)


@pytest.fixture
def start() -> Iterator[Callable[..., Watched]]:
    started: list[Watched] = []

    def new(*paths: Path) -> Watched:
        started.append(Watched(paths))
        return started[-1]

    yield new
    for each in started:
        each.watch.stop()


Start = Callable[..., Watched]


@pytest_twisted.ensureDeferred
async def test_inotify_tells_of_a_write_and_of_a_rename(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "a"
    watched = start(file)
    file.write_text("1")
    await watched.told()
    (tmp_path / "new").write_text("2")
    (tmp_path / "new").rename(file)
    await watched.told()
    file.chmod(0o600)
    await watched.told()
    file.unlink()
    await watched.told()


@pytest_twisted.ensureDeferred
async def test_inotify_tells_of_a_swapped_folder_as_the_kubelet_does_it(start: Start, tmp_path: Path) -> None:
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "tls.crt").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "tls.crt").symlink_to("..data/tls.crt")
    watched = start(tmp_path / "tls.crt")
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    shutil.rmtree(tmp_path / "..1")
    await watched.told()
    (tmp_path / "..2" / "tls.crt").write_text("in place")
    await watched.told()


@pytest_twisted.ensureDeferred
async def test_inotify_survives_a_folder_that_is_deleted_and_made_again(start: Start, tmp_path: Path) -> None:
    """Twisted's INotify closes as a whole then."""
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    watched = start(folder / "a", other / "b")
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "a").write_text("1")
    await watched.told()
    (other / "b").write_text("1")
    await watched.told()
    (folder / "a").write_text("22")
    await watched.told()


@pytest_twisted.ensureDeferred
async def test_inotify_follows_a_folder_that_another_has_replaced(start: Start, tmp_path: Path) -> None:
    folder, fresh = tmp_path / "folder", tmp_path / "fresh"
    folder.mkdir()
    fresh.mkdir()
    (fresh / "a").write_text("1")
    watched = start(folder / "a")
    folder.rename(tmp_path / "old")
    fresh.rename(folder)
    await watched.told()
    (folder / "a").write_text("22")
    await watched.told()


@pytest_twisted.ensureDeferred
async def test_in_real_threads(tmp_path: Path) -> None:
    told: Deferred[None] = Deferred()
    watch = FileWatch(reactor)
    watch.replace({"one": ([tmp_path / "a"], lambda: told.callback(None))}, since=time.time())
    (tmp_path / "a").write_text("1")  # before or after the first look
    await told.addTimeout(LOOK_EVERY - 1, reactor)
    watch.stop()


@pytest_twisted.ensureDeferred
async def test_without_inotify_looking_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise inotify.INotifyError("fs.inotify.max_user_instances")

    monkeypatch.setattr(_inotify, "init", refuse)
    clock, told = Clock(), []
    watch = FileWatch(clock, in_thread=lambda look, paths: succeed(look(paths)))
    watch.watch("one", [tmp_path / "a"], lambda: told.append(1))
    (tmp_path / "a").write_text("1")
    clock.advance(LOOK_EVERY)
    assert told == [1]
    watch.stop()
