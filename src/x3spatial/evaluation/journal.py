"""Existing answers of a run: the journal, the finished output, and the check that their settings agree.

The journal ``.{name}.journal`` lies beside the output. Its first line contains the settings of the answers
and whether the answers in the output are also valid; each further line contains one batch. The journal is
removed when the output is complete.

With several processes rank 0 writes that journal, and each other rank a separate one,
``.{name}.rank{r}of{W}.journal``. The next run, with any number of processes, first merges these into the
journal and removes them. All of them are therefore from the same launch and newer than the journal.
"""

from __future__ import annotations

import glob
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from x3spatial.engine.world import World
from x3spatial.errors import UserError
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.settings import AnswerSettings
from x3spatial.evaluation.stored import stored_replies
from x3spatial.formats.results_file import open_results, run_identity
from x3spatial.formats.typed_json import encode
from x3spatial.io.journal import Journal
from x3spatial.io.locks import lock_file


def journal_path(output_json: Path, world: World | None = None) -> Path:
    """The journal of a run that writes ``output_json``, or that of one of its ranks."""
    rank = "" if world is None or world.leads else f".rank{world.rank}of{world.size}"
    return output_json.with_name(f".{output_json.name}{rank}.journal")


def _rank_journals(output_json: Path) -> list[Path]:
    pattern = f".{glob.escape(output_json.name)}.rank*of*.journal"
    return sorted(output_json.parent.glob(pattern))


class Store:
    """The existing replies of one output file; use within ``open_store`` or ``open_share``."""

    def __init__(self, journal: Journal, replies: dict[str, Reply], output_json: Path) -> None:
        self._journal = journal
        self._output_json = output_json
        self.replies = replies
        """Sample id → reply; samples whose reply is an error are asked again."""

    def add(self, replies: Mapping[str, Reply]) -> None:
        """Store a batch of replies in the journal."""
        self.replies |= replies
        self._journal.append({id: reply.to_json() for id, reply in replies.items()})

    def merge_rank_journals(self, world: World, asked: Sequence[int]) -> None:
        """Read the replies in the journals of the other ranks, which have finished.

        Args:
            world: this process, rank 0.
            asked: number of questions that each rank asked; network file systems show them late.

        Raises:
            UserError: the journal of a rank is not here, or not whole.
        """
        for rank in range(1, world.size):
            path = journal_path(self._output_json, World(rank, world.size))
            replies: dict[str, Reply] = {}
            for _ in _tries():
                replies = _replies_of(_lines(Journal(path)))
                if len(replies) >= asked[rank]:
                    break
            else:
                raise _not_shared(
                    self._output_json,
                    f"{path.name} of rank {rank} holds {len(replies)} of its {asked[rank]} answers",
                )
            self.replies |= replies

    def close(self) -> None:
        """Close the journal; it is kept for a later run."""
        self._journal.close()

    def remove_journal(self) -> None:
        """Remove all journals; called when the output is complete."""
        self._journal.close()
        for path in _rank_journals(self._output_json):
            path.unlink(missing_ok=True)
        self._journal.path.unlink(missing_ok=True)


@contextmanager
def open_store(
    output_json: Path,
    settings: AnswerSettings,
    *,
    fresh: bool,
    about: Mapping[str, Any] | None = None,
) -> Iterator[Store]:
    """Lock the output for this process and read its existing replies.

    ``about`` stands in the first line of a new journal, for readers of unfinished runs (``unfinished``).

    Raises:
        UserError: another process writes the output, or it was written with other settings or not by x3 eval.
    """
    with _exclusive(journal_path(output_json), output_json), ExitStack() as held:
        others = [Journal(path) for path in _rank_journals(output_json)]
        for journal in others:
            held.enter_context(_exclusive(journal.path, output_json))
        store = _open(output_json, settings, others, fresh=fresh, about=about)
        try:
            yield store
        finally:
            store.close()


def _open(
    output_json: Path,
    settings: AnswerSettings,
    others: list[Journal],
    *,
    fresh: bool,
    about: Mapping[str, Any] | None,
) -> Store:
    main = Journal(journal_path(output_json))
    header: dict[str, Any] | None = None
    entries: list[Any] = []
    rest: list[Any] = []
    if fresh:  # removed first, so that a kill in between leaves no old journal that looks valid
        for journal in others:
            journal.path.unlink(missing_ok=True)
    else:
        header, entries = _read_journal(main, output_json, settings, ignore_empty=True)
        for journal in others:
            rest += _read_journal(journal, output_json, settings, ignore_empty=True)[1]
    begun = header is not None
    if header is None:
        header = {
            "settings": dict(settings.values),
            "continues": not fresh and output_json.exists(),
            "replaces": run_identity(output_json) if fresh and output_json.exists() else None,
            **({} if about is None else {"about": dict(about)}),
        }
    replies = _replies_of(entries) | _replies_of(rest)
    if _counts(header, output_json):
        replies = finished_replies(output_json, settings) | replies
    main.open(fresh=not begun)
    if not begun:
        main.append(header)
    for line in rest:
        main.append(line)
    main.sync()
    for journal in others:
        journal.path.unlink(missing_ok=True)
    return Store(main, replies, output_json)


@contextmanager
def open_share(output_json: Path, world: World, settings: AnswerSettings) -> Iterator[Store]:
    """The existing replies of rank 0's store, with a separate journal for this rank.

    Raises:
        UserError: another process writes that journal, rank 0 has other settings, or its journal is not here.
    """
    path = journal_path(output_json, world)
    with _exclusive(path, output_json):
        main = Journal(journal_path(output_json))
        for _ in _tries():
            header, entries = _read_journal(main, output_json, settings)
            if header is not None:
                break
        else:
            raise _not_shared(output_json, f"{main.path.name}, which rank 0 writes, is not there")
        replies = _replies_of(entries)
        if _counts(header, output_json):
            replies = finished_replies(output_json, settings) | replies
        journal = Journal(path).open(fresh=True)
        journal.append(header)
        store = Store(journal, replies, output_json)
        try:
            yield store
        finally:
            store.close()


_VISIBLE = 60.0
"""Seconds until network file systems show another machine's files, at their usual settings."""


def _tries() -> Iterator[None]:
    """Attempts to read another machine's file, until it must be visible."""
    until = time.monotonic() + _VISIBLE
    yield
    while time.monotonic() < until:
        time.sleep(0.25)
        yield


def _not_shared(output_json: Path, found: str) -> UserError:
    return UserError(
        f"--out {output_json}: {found} on {socket.gethostname()}; all processes must write into one shared"
        " folder"
    )


def _counts(header: Mapping[str, Any], output_json: Path) -> bool:
    """Whether the answers in an existing output are valid; not if they were to be discarded."""
    if not output_json.exists():
        return False
    if header["continues"] or "replaces" not in header:
        return bool(header["continues"])
    # Valid if the run was killed after writing a new output and before removing the journals.
    return bool(header["replaces"] != run_identity(output_json))


def _read_journal(
    journal: Journal, output_json: Path, settings: AnswerSettings, *, ignore_empty: bool = False
) -> tuple[dict[str, Any] | None, list[Any]]:
    """(header, lines) of a journal with these settings; (None, []) without one.

    With ``ignore_empty`` a journal with other settings but without answers is ignored: a run that failed at
    its first question, for example because of a wrong key, must not block the corrected command.

    Raises:
        UserError: the file is not a journal, or has other settings.
    """
    values = [value for _, value in journal.entries()]
    if not values:
        return None, []
    header = values[0]
    if not isinstance(header, dict) or not {"settings", "continues"} <= header.keys():
        raise UserError(f"{journal.path}: not a journal of x3 eval; remove it or use --fresh")
    if ignore_empty and len(values) == 1 and settings.changes(header["settings"]):
        return None, []
    settings.check(output_json, header["settings"], "an unfinished run")
    return header, values[1:]


def _lines(journal: Journal) -> list[Any]:
    return [value for _, value in journal.entries()][1:]


def _replies_of(lines: Iterable[Any]) -> dict[str, Reply]:
    return {id: Reply.from_json(reply) for line in lines for id, reply in line.items()}


@contextmanager
def _exclusive(path: Path, output_json: Path) -> Iterator[None]:
    """Lock the journal ``path``; if the run fails, no new empty journal remains.

    Raises:
        UserError: another run holds the lock.
    """
    existed = path.exists()
    with lock_file(path, f"--out {output_json}: another run is writing it; wait for it or stop it"):
        try:
            yield
        except UserError:
            if not existed and path.exists() and path.stat().st_size == 0:
                path.unlink()
            raise


def finished_replies(output_json: Path, settings: AnswerSettings) -> dict[str, Reply]:
    """The replies in an output that was written with these settings.

    Raises:
        UserError: the output is damaged, or was written with other settings.
    """
    try:
        head, entries = open_results(output_json)
        replies = stored_replies(entries)
    except UserError as error:
        raise UserError(f"{error}; choose another --out, or use --fresh to replace it") from None
    settings.check(output_json, encode(head.settings), "a run")
    return replies
