"""What a run has answered so far: its journal, the finished output, and the settings both must share.

The journal lies beside the output, ``.{name}.journal``. Its first line says with which settings its
answers were made and whether the output's answers count as well; each further line holds one batch. It is
removed when the output is complete.

Where several processes ask, rank 0 writes that journal and each other rank one of its own,
``.{name}.rank{r}of{W}.journal``. Whoever opens the store next, with any number of processes, first takes what
those hold over into the journal and removes them: so all of them are of one launch, and newer than it.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from x3spatial.engine.world import World
from x3spatial.errors import UserError
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.stored import stored_replies
from x3spatial.formats.results_file import read_results, run_identity
from x3spatial.formats.typed_json import encode
from x3spatial.io.journal import Journal
from x3spatial.io.locks import lock_file

_OPTIONS = {
    "model": "--model",
    "describe": "--model (its files or options)",
    "convention": "--convention (or the model's own)",
    "data_sha256": "the content of TASKS",
    "max_new_tokens": "--max-new-tokens",
    "seed": "--seed",
    "image_folder": "--image-folder",
}
"""Setting → how a message names it. These decide answers; all else may change between runs."""


def journal_path(output_json: Path, world: World | None = None) -> Path:
    """Where the journal of a run that writes ``output_json`` lies, or that of one of its ranks."""
    rank = "" if world is None or world.leads else f".rank{world.rank}of{world.size}"
    return output_json.with_name(f".{output_json.name}{rank}.journal")


def _rank_journals(output_json: Path) -> list[Path]:
    pattern = f".{glob.escape(output_json.name)}.rank*of*.journal"
    return sorted(output_json.parent.glob(pattern))


class Store:
    """The replies known for one output file; use within ``open_store`` or ``open_share``."""

    def __init__(self, journal: Journal, replies: dict[str, Reply], output_json: Path) -> None:
        self._journal = journal
        self._output_json = output_json
        self.replies = replies
        """Sample id → what is known; a reply that is an error is asked again."""

    def add(self, replies: Mapping[str, Reply]) -> None:
        """Keep a batch of replies; they survive a kill from here on."""
        self.replies |= replies
        self._journal.append({id: reply.to_json() for id, reply in replies.items()})

    def take_in_ranks(self) -> None:
        """Learn what the other ranks, which are done, have asked."""
        for path in _rank_journals(self._output_json):
            self.replies |= _replies_of(_lines(Journal(path)))

    def close(self) -> None:
        """Stop writing; the journal stays for the run that continues."""
        self._journal.close()

    def remove_journal(self) -> None:
        """The output is complete: the journals have done their work."""
        self._journal.close()
        for path in _rank_journals(self._output_json):
            path.unlink(missing_ok=True)
        self._journal.path.unlink(missing_ok=True)


@contextmanager
def open_store(output_json: Path, settings: Mapping[str, Any], *, fresh: bool) -> Iterator[Store]:
    """Hold the output for this process and give what is known about it.

    Raises:
        UserError: another process writes it, or it was made with other settings or not by x3 eval.
    """
    with _exclusive(journal_path(output_json), output_json), ExitStack() as held:
        others = [Journal(path) for path in _rank_journals(output_json)]
        for journal in others:
            held.enter_context(_exclusive(journal.path, output_json))
        store = _open(output_json, dict(settings), others, fresh=fresh)
        try:
            yield store
        finally:
            store.close()


def _open(
    output_json: Path, settings: dict[str, Any], others: list[Journal], *, fresh: bool
) -> Store:
    main = Journal(journal_path(output_json))
    header: dict[str, Any] | None = None
    entries: list[Any] = []
    rest: list[Any] = []
    if fresh:  # these first: killed in between, nothing old must be left that looks new
        for journal in others:
            journal.path.unlink(missing_ok=True)
    else:
        header, entries = _read_journal(main, output_json, settings, ignore_empty=True)
        for journal in others:
            rest += _read_journal(journal, output_json, settings, ignore_empty=True)[1]
    begun = header is not None
    if header is None:
        header = {
            "settings": settings,
            "continues": not fresh and output_json.exists(),
            "replaces": run_identity(output_json) if fresh and output_json.exists() else None,
        }
    replies = _replies_of(entries) | _replies_of(rest)
    if _counts(header, output_json):
        replies = _finished(output_json, settings) | replies
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
def open_share(output_json: Path, world: World, settings: Mapping[str, Any]) -> Iterator[Store]:
    """What rank 0's open store knows, with a journal of this rank's own.

    Raises:
        UserError: another process writes that journal, or rank 0 has other settings.
    """
    path = journal_path(output_json, world)
    with _exclusive(path, output_json):
        main = Journal(journal_path(output_json))
        header, entries = _read_journal(main, output_json, settings)
        replies = _replies_of(entries)
        if header is not None and _counts(header, output_json):
            replies = _finished(output_json, settings) | replies
        journal = Journal(path).open(fresh=True)
        journal.append(header)
        store = Store(journal, replies, output_json)
        try:
            yield store
        finally:
            store.close()


def _counts(header: Mapping[str, Any], output_json: Path) -> bool:
    """Whether the answers of an output that is there count: not where they were to be discarded."""
    if not output_json.exists():
        return False
    if header["continues"] or "replaces" not in header:
        return bool(header["continues"])
    # Killed after the new output was written, before the journals were removed: that one counts.
    return bool(header["replaces"] != run_identity(output_json))


def _read_journal(
    journal: Journal, output_json: Path, settings: Mapping[str, Any], *, ignore_empty: bool = False
) -> tuple[dict[str, Any] | None, list[Any]]:
    """(header, lines) of a journal of these settings; (None, []) if nothing is there.

    With ``ignore_empty`` one of other settings without an answer is nothing too: a run that ended at its
    first question, for a wrong name or key, must not stand in the way of the corrected command.

    Raises:
        UserError: it is of other settings, or no journal.
    """
    values = [value for _, value in journal.entries()]
    if not values:
        return None, []
    header = values[0]
    if not isinstance(header, dict) or not {"settings", "continues"} <= header.keys():
        raise UserError(f"{journal.path}: not a journal of x3 eval; remove it or use --fresh")
    if ignore_empty and len(values) == 1 and _differing(header["settings"], settings):
        return None, []
    check_settings(output_json, header["settings"], settings, "an unfinished run")
    return header, values[1:]


def _lines(journal: Journal) -> list[Any]:
    return [value for _, value in journal.entries()][1:]


def _replies_of(lines: Iterable[Any]) -> dict[str, Reply]:
    return {id: Reply.from_json(reply) for line in lines for id, reply in line.items()}


@contextmanager
def _exclusive(path: Path, output_json: Path) -> Iterator[None]:
    """Hold the journal ``path``; a refused run leaves no new one behind.

    Raises:
        UserError: another run holds it.
    """
    existed = path.exists()
    with lock_file(path, f"--out {output_json}: another run is writing it; wait for it or stop it"):
        try:
            yield
        except UserError:
            if not existed and path.exists() and path.stat().st_size == 0:
                path.unlink()
            raise


def check_settings(
    output_json: Path, stored: Mapping[str, Any], settings: Mapping[str, Any], what: str
) -> None:
    """Refuse to mix answers of different runs.

    Raises:
        UserError: that names what differs.
    """
    names = _differing(stored, settings)
    if "model" in names and "describe" in names:
        names.remove(
            "describe"
        )  # another model is described in other words: that says nothing more
    if names:
        differ = "; ".join(
            f"{_OPTIONS[name]} {_change(stored.get(name), settings.get(name))}" for name in names
        )
        raise UserError(
            f"--out {output_json}: holds {what} with other settings: {differ};"
            " write elsewhere, or use --fresh to discard it"
        )


def _differing(stored: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    return [name for name in _OPTIONS if stored.get(name) != settings.get(name)]


def _change(was: Any, now: Any) -> str:
    """What differs: of nested settings only the parts that do, which may lie far behind their beginning."""
    if not (isinstance(was, dict) and isinstance(now, dict)):
        return f"was {_short(was)}, is {_short(now)}"
    names = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
    return ", ".join(f"{name} {_change(was.get(name), now.get(name))}" for name in names)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _finished(output_json: Path, settings: Mapping[str, Any]) -> dict[str, Reply]:
    """The replies of an output that a run of these settings wrote.

    Raises:
        UserError: it is damaged, or of other settings.
    """
    try:
        results = read_results(output_json)
    except UserError as error:
        raise UserError(f"{error}; choose another --out, or use --fresh to replace it") from None
    check_settings(output_json, encode(results.settings), settings, "a run")
    return stored_replies(results)
