"""Files that are watched: who asked for a file is told when it has changed.

A change is found by looking (stat, in a thread), never by the kind of an event: so a write, a rename over the file, a
``..data`` symbolic link swapped by a kubelet, a chmod and a renewed certificate behind a link all count the same, and
an event that is lost costs no more than the time to the next look. inotify on the folders only says when to look at
once; where it is not to be had (NFS tells it nothing of other machines, instances are limited) looking is enough.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from twisted.internet import inotify
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

log = Logger()

# From the first event on, not from the last: a folder that is never quiet must not put a reload off for ever.
DEBOUNCE = 0.25
# The contract promises 10 s from change to effect, and reading what has changed takes its time too.
LOOK_EVERY = 5.0
# Not IN_MODIFY: a file that is still being written is of no use yet, and its IN_CLOSE_WRITE will come.
_MASK = (
    inotify.IN_CLOSE_WRITE
    | inotify.IN_MOVED_TO
    | inotify.IN_MOVED_FROM
    | inotify.IN_CREATE
    | inotify.IN_DELETE
    | inotify.IN_ATTRIB
    | inotify.IN_MOVE_SELF
)
# File systems stamp with the coarse clock of the kernel, which is up to a tick (10 ms) behind.
_CLOCK_SLACK = 0.02

FolderID = tuple[int, int]


class Print(NamedTuple):
    """What tells one state of a file from another. The folder counts as well: a kubeconfig's must be safe."""

    error: int = 0
    device: int = 0
    inode: int = 0
    size: int = 0
    modified: int = 0
    changed: int = 0
    folder_mode: int = 0
    folder_owner: int = 0


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look has seen: a print of each file, and the folders in which its next change would show."""

    prints: Mapping[Path, Print]
    folders: Mapping[str, FolderID]


class FolderEvents(Protocol):
    """Says that something has happened in one of some folders."""

    def watch(self, folders: Mapping[str, FolderID]) -> bool:
        """These folders from now on, and no others. Tells whether one of them was not watched before."""

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _WatchedSet:
    paths: frozenset[Path]
    changed: Callable[[], object]


class FileWatch:
    """Named sets of files, each with a callback of its own. The callback says only that something in its set changed.

    :param reactor: tells time, lends threads and reads inotify.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        look: Callable[[Collection[Path]], Sight] | None = None,
        in_thread: Callable[..., Deferred[Sight]] | None = None,
        folder_events: Callable[[Any, Callable[[], None]], FolderEvents] | None = None,
    ) -> None:
        self._clock = reactor
        self._look = look or look_at
        self._in_thread = in_thread or (lambda *call: deferToThreadPool(reactor, reactor.getThreadPool(), *call))
        self._events = (folder_events or InotifyFolders)(reactor, self._look_soon)
        self._sets: dict[str, _WatchedSet] = {}
        self._prints: dict[Path, Print] = {}
        self._since: float | None = None
        self._soon: IDelayedCall | None = None
        self._looking = self._look_again = self._stopped = False
        self._loop = LoopingCall(self._look_now)
        self._loop.clock = reactor

    def watch(self, name: str, paths: Iterable[Path], changed: Callable[[], object]) -> None:
        """Add a set, or put it in the place of the one with that name."""
        sets = {each: (known.paths, known.changed) for each, known in self._sets.items()}
        self.replace({**sets, name: (paths, changed)})

    def replace(
        self, sets: Mapping[str, tuple[Iterable[Path], Callable[[], object]]], *, since: float | None = None
    ) -> None:
        """Watch these sets and no others. What is known of a file that stays is kept.

        :param since: when the files began to be read (seconds since the epoch). A file that is new here and has changed
            after that is reported, so that nothing is lost between the reading and the first look.
        """
        self._sets = {name: _WatchedSet(frozenset(paths), changed) for name, (paths, changed) in sets.items()}
        self._prints = {path: seen for path, seen in self._prints.items() if path in self._wanted()}
        self._since = since
        if not self._loop.running and not self._stopped:
            self._loop.start(LOOK_EVERY, now=False)
        self._look_now()

    def stop(self) -> None:
        """Nobody is called any more, and nothing is left in the reactor."""
        self._stopped = True
        self._events.stop()
        if self._loop.running:
            self._loop.stop()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    def _wanted(self) -> frozenset[Path]:
        return frozenset().union(*(each.paths for each in self._sets.values()))

    def _look_soon(self) -> None:
        if self._soon is None and not self._stopped:
            self._soon = self._clock.callLater(DEBOUNCE, self._debounced)

    def _debounced(self) -> None:
        self._soon = None
        self._look_now()

    def _look_now(self) -> None:
        """One look at a time: what is asked for meanwhile may have come too late for the one under way."""
        if self._stopped:
            return
        if self._looking:
            self._look_again = True
            return
        self._looking = True
        seeing = self._in_thread(self._look, self._wanted())
        seeing.addCallback(self._saw).addErrback(_log_failure).addBoth(self._looked)

    def _saw(self, sight: Sight) -> None:
        if self._stopped:
            return
        if self._events.watch(sight.folders):
            self._look_soon()  # what happened between this look and that watch has made no event
        news = {path for path, seen in sight.prints.items() if self._is_news(path, seen)}
        wanted = self._wanted()
        self._prints |= {path: seen for path, seen in sight.prints.items() if path in wanted}
        for each in list(self._sets.values()):
            if each.paths & news:
                _call(each.changed)

    def _is_news(self, path: Path, seen: Print) -> bool:
        if path in self._prints:
            return self._prints[path] != seen
        return self._since is not None and seen.changed / 1e9 >= self._since - _CLOCK_SLACK

    def _looked(self, _: object) -> None:
        self._looking = False
        if self._look_again:
            self._look_again = False
            self._look_now()


def look_at(paths: Collection[Path]) -> Sight:
    """Look at files, and through links at where they really are. Blocks."""
    folders: dict[str, FolderID] = {}
    for path in paths:
        # Both: a link may be pointed elsewhere, and what it points at may be written in place. Real names, since two
        # names of one folder would be one watch to inotify, and mix its book-keeping up.
        for folder in (os.path.realpath(path.parent), os.path.dirname(os.path.realpath(path))):
            try:
                status = os.stat(folder)
            except OSError:
                continue  # it may come; the next look will see
            folders[folder] = (status.st_dev, status.st_ino)
    return Sight({path: _print(path) for path in paths}, folders)


def _print(path: Path) -> Print:
    try:
        it, folder = os.stat(path), os.stat(path.parent)
    except OSError as error:
        return Print(error.errno or -1)
    times = (it.st_mtime_ns, it.st_ctime_ns)
    return Print(0, it.st_dev, it.st_ino, it.st_size, *times, folder.st_mode, folder.st_uid)


def _call(changed: Callable[[], object]) -> None:
    try:
        changed()
    except Exception:
        log.failure("telling of a changed file")


def _log_failure(failure: Failure) -> None:
    log.failure("looking at watched files", failure)


class InotifyFolders:
    """:class:`FolderEvents` through Linux' inotify. Where that fails it says nothing."""

    def __init__(self, reactor: Any, happened: Callable[[], None]) -> None:
        self._reactor = reactor
        self._happened = happened
        self._notifier: _Notifier | None = None
        self._watched: dict[str, FolderID] = {}
        self._stopped = False

    def watch(self, folders: Mapping[str, FolderID]) -> bool:
        """These folders (name to device and inode) and no others. A folder that another has replaced is another one."""
        notifier = self._notifier or self._open()
        if notifier is None:
            return False
        for folder in [name for name, identity in self._watched.items() if folders.get(name) != identity]:
            del self._watched[folder]
            with suppress(KeyError):  # deleted a moment ago
                notifier.ignore(FilePath(folder))  # type: ignore[no-untyped-call]
        added = folders.keys() - self._watched.keys()
        for folder in added:
            # It may be gone again, or fs.inotify.max_user_watches is reached: the next look tries again.
            with suppress(inotify.INotifyError):
                notifier.watch(FilePath(folder), _MASK, callbacks=[self._heard])  # type: ignore[no-untyped-call]
                self._watched[folder] = folders[folder]
        return not added.isdisjoint(self._watched)

    def stop(self) -> None:
        self._stopped = True
        if self._notifier is not None:
            self._notifier.loseConnection()  # type: ignore[no-untyped-call]

    def _open(self) -> _Notifier | None:
        if self._stopped:
            return None
        try:
            self._notifier = _Notifier(self._reactor, self._lost)
        except inotify.INotifyError as error:
            log.debug("no inotify (fs.inotify.max_user_instances?): {error}", error=error)
            return None
        self._notifier.startReading()  # type: ignore[no-untyped-call]
        return self._notifier

    def _heard(self, ignored: object, path: FilePath[Any], mask: int) -> None:
        self._happened()

    def _lost(self) -> None:
        """The next look opens another."""
        self._notifier = None
        self._watched.clear()
        if not self._stopped:
            self._happened()


class _Notifier(inotify.INotify):
    """Twisted closes the whole of inotify when one watched folder is deleted; this one says so."""

    def __init__(self, reactor: Any, lost: Callable[[], None]) -> None:
        super().__init__(reactor)  # type: ignore[no-untyped-call]
        self._lost = lost

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self._lost()
