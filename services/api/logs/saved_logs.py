"""The logs that a run's stages saved in the store: their order, their content, and their new lines."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from slipway import keys
from slipway.errors import MissingKey
from slipway.run.names import PROCESS_NAMES
from slipway.store.interface import ObjectStore

_NAME = re.compile(r"([^/]+)/(\d+)/(.+)-(\d+)\.log")  # stage, attempt, member and segment
_START_TIME = re.compile(r"-(\d{9,})-\d+$")  # a member's name ends with its process's start time and number
_EVENT_BYTES = 1 << 20  # of a log, at most, in one event


@dataclass(frozen=True)
class LogSegment:
    """One segment of the log of a process.

    Attributes:
      member: Name of the process: stage and worker, start time, process id; or `controller`.
      size: Bytes, when it was listed.
    """

    key: str
    stage: str
    attempt: int
    member: str
    segment: int
    size: int

    @property
    def order(self) -> tuple[int, int, float, str, int]:
        """By stage, attempt and start time of the process; the controller's remarks come last in their attempt."""
        start_time = _START_TIME.search(self.member)
        stage = PROCESS_NAMES.index(self.stage) if self.stage in PROCESS_NAMES else len(PROCESS_NAMES)
        return stage, self.attempt, float(start_time[1]) if start_time else float("inf"), self.member, self.segment

    @property
    def id(self) -> str:
        """The name of the segment in a position."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class LogFilter:
    """The logs of a run that a request asks for; None stands for all."""

    run: str
    stage: str | None = None
    attempt: int | None = None

    def includes(self, log: LogSegment) -> bool:
        return self.stage in (None, log.stage) and self.attempt in (None, log.attempt)


def list_logs(store: ObjectStore, filter: LogFilter) -> list[LogSegment]:
    """List the segments, in order."""
    folder = keys.logs(filter.run)
    logs = []
    for item in store.scan(folder):
        if match := _NAME.fullmatch(item.key.removeprefix(f"{folder}/")):
            stage, attempt, member, segment = match.groups()
            logs.append(LogSegment(item.key, stage, int(attempt), member, int(segment), item.size))
    return sorted((log for log in logs if filter.includes(log)), key=lambda log: log.order)


def read_logs(store: ObjectStore, logs: list[LogSegment]) -> Iterator[bytes]:
    """Yield the content of the segments, in pieces."""
    for log in logs:
        yield from store.stream(log.key).chunks


@dataclass
class LogReader:
    """Reads the new lines of logs from a position, which may be that of an earlier reader.

    Attributes:
      position: Id of a segment to the number of bytes of it that were read.
    """

    store: ObjectStore
    filter: LogFilter
    position: dict[str, int] = field(default_factory=dict)
    _complete_keys: set[str] = field(default_factory=set)

    @property
    def position_text(self) -> str:
        """The position on one line, for `parse_position`."""
        return ",".join(f"{log}:{offset}" for log, offset in self.position.items())

    def new_lines(self, is_last: bool) -> Iterator[str]:
        """Yield new lines, several at a time.

        Args:
          is_last: Nothing is written any more, so a line without an end is complete.
        """
        logs = list_logs(self.store, self.filter)
        newest_segments = {(log.stage, log.attempt, log.member): log.segment for log in logs}
        for log in logs:
            if log.key in self._complete_keys:
                continue
            has_grown = False
            while lines := self._read_lines(log, is_last):
                has_grown = True
                yield lines.decode(errors="replace")
            if not has_grown and log.segment < newest_segments[log.stage, log.attempt, log.member]:
                self._complete_keys.add(log.key)  # a process writes only its newest segment

    def _read_lines(self, log: LogSegment, is_last: bool) -> bytes:
        start = self.position.get(log.id, 0)
        if log.size <= start:
            return b""
        try:
            content = b"".join(self.store.stream(log.key, start, min(log.size, start + _EVENT_BYTES)).chunks)
        except MissingKey:
            return b""
        lines = content if is_last or len(content) == _EVENT_BYTES else content[: content.rfind(b"\n") + 1]
        self.position[log.id] = start + len(lines)
        return lines


def parse_position(text: str) -> dict[str, int]:
    """Read a position from its line; anything else in the line is ignored."""
    return {log: int(offset) for log, offset in re.findall(r"([0-9a-f]{8}):(\d{1,15})(?=,|$)", text)}
