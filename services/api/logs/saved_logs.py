"""A run's logs, as its stages saved them: which there are, in order, and what is new in them."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from slipway import keys
from slipway.errors import MissingKey
from slipway.run.names import PROCESS_NAMES
from slipway.store.interface import ObjectStore

_NAME = re.compile(r"(?P<stage>[^/]+)/(?P<attempt>\d+)/(?P<member>.+)-(?P<segment>\d+)\.log")
_BEGAN = re.compile(r"-(\d{9,})-\d+$")  # a member's name ends with when its process began, and its number
_AT_ONCE = 1 << 20  # bytes of a log that are sent as one event


@dataclass(frozen=True)
class Log:
    """One segment of what a process logged."""

    key: str
    stage: str
    attempt: int
    member: str
    segment: int

    @property
    def order(self) -> tuple[int, int, float, str, int]:
        """Stage by stage, attempt by attempt; in it by when the process began, the controller's remarks last."""
        began = _BEGAN.search(self.member)
        stage = PROCESS_NAMES.index(self.stage) if self.stage in PROCESS_NAMES else len(PROCESS_NAMES)
        return stage, self.attempt, float(began[1]) if began else float("inf"), self.member, self.segment

    @property
    def id(self) -> str:
        """What a position calls it."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Chosen:
    """Which logs are asked for; what is None does not matter."""

    run: str
    stage: str | None = None
    attempt: int | None = None


def logs(store: ObjectStore, chosen: Chosen) -> list[Log]:
    """List the logs, in order."""
    prefix = f"{keys.logs(chosen.run)}/"
    found = []
    for key in store.list(prefix.rstrip("/")):
        if match := _NAME.fullmatch(key.removeprefix(prefix)):
            log = Log(key, match["stage"], int(match["attempt"]), match["member"], int(match["segment"]))
            if chosen.stage in (None, log.stage) and chosen.attempt in (None, log.attempt):
                found.append(log)
    return sorted(found, key=lambda log: log.order)


def text(store: ObjectStore, found: list[Log]) -> Iterator[bytes]:
    """Yield the logs' content, in pieces."""
    for log in found:
        yield from store.stream(log.key).chunks


@dataclass
class Reader:
    """Reads on where it, or one before it, has stopped.

    Attributes:
      position: Id of a log to how many bytes of it were read.
    """

    store: ObjectStore
    chosen: Chosen
    position: dict[str, int] = field(default_factory=dict)
    _complete: set[str] = field(default_factory=set)

    @property
    def place(self) -> str:
        """The position in a line."""
        return ",".join(f"{log}:{read}" for log, read in self.position.items())

    def news(self, is_last: bool) -> Iterator[str]:
        """Yield new lines, several at a time.

        Args:
          is_last: Nothing is written any more, so a line without an end is whole.
        """
        found = logs(self.store, self.chosen)
        newest = {(log.stage, log.attempt, log.member): log.segment for log in found}
        for log in found:
            if log.key in self._complete:
                continue
            read = b""
            while new := self._new(log, is_last):
                read = new
                yield new.decode(errors="replace")
            if not read and log.segment < newest[log.stage, log.attempt, log.member]:
                self._complete.add(log.key)  # a process writes only its newest segment

    def _new(self, log: Log, is_last: bool) -> bytes:
        start = self.position.get(log.id, 0)
        try:
            size = self.store.size(log.key) or 0
            if size <= start:
                return b""
            new = b"".join(self.store.stream(log.key, start, min(size, start + _AT_ONCE)).chunks)
        except MissingKey:
            return b""
        whole = new if is_last or len(new) == _AT_ONCE else new[: new.rfind(b"\n") + 1]
        self.position[log.id] = start + len(whole)
        return whole


def parse_place(text: str) -> dict[str, int]:
    """Read a place back; what is none of it counts as unread."""
    return {log: int(read) for log, read in re.findall(r"([0-9a-f]{8}):(\d{1,15})(?=,|$)", text)}
