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
from typing import Any, get_args

from x3spatial.engine.world import World
from x3spatial.errors import UserError
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.scoring.scores import Status, from_json
from x3spatial.io.files import read_json, sha256_file, sha256_json
from x3spatial.io.journal import Journal
from x3spatial.io.locks import lock_file

_OPTIONS = {
    "model": "--model",
    "describe": "--model (its files or options)",
    "convention": "--convention (or the model's own)",
    "data_sha256": "the content of --data-json",
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
            "replaces": _identity(output_json) if fresh and output_json.exists() else None,
        }
    replies = _replies_of(entries) | _replies_of(rest)
    if _counts(header, output_json):
        replies = stored_replies(_finished(output_json, settings)) | replies
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
            replies = stored_replies(_finished(output_json, settings)) | replies
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
    return bool(header["replaces"] != _identity(output_json))


def _identity(output_json: Path) -> str:
    """Which run wrote an output; scoring its answers again does not change it."""
    try:
        return sha256_json(read_json(output_json)["run"])
    except (UserError, TypeError, KeyError):
        return sha256_file(output_json)  # damaged, but its bytes tell it from another


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
    with lock_file(
        path, f"--output-json {output_json}: another run is writing it; wait for it or stop it"
    ):
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
            f"--output-json {output_json}: holds {what} with other settings: {differ};"
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


_PARTS: dict[str, tuple[str, ...]] = {
    "metrics": (),
    "settings": (),
    "model": ("name", "convention"),
    "data": ("path", "sha256"),
    "scoring": ("rule", "mask"),
}
"""The objects of a results file, with the texts that whoever reads it relies on."""


def read_results(path: Path) -> dict[str, Any]:
    """A results file.

    Raises:
        UserError: it is missing, was not written by x3 eval, or is damaged; the message names the first
            part or result that is.
    """
    value = _read_outline(path)
    for part, texts in _PARTS.items():
        if not isinstance(value[part], dict):
            raise UserError(f"{path}: damaged results file: {part!r} is not an object")
        for name in texts:
            if not isinstance(value[part].get(name), str):
                raise UserError(f"{path}: damaged results file: {part!r} has no text {name!r}")
    if not isinstance(value["settings"].get("image_folder"), str | None):
        raise UserError(f"{path}: damaged results file: its image_folder is not a path")
    if not isinstance(value["results"], list):
        raise UserError(f"{path}: damaged results file: 'results' is not a list")
    for number, entry in enumerate(value["results"], start=1):
        fault = _fault(entry)
        if fault is not None:
            raise UserError(f"{path}: damaged results file: result {number} {fault}")
    return value


def _read_outline(path: Path) -> dict[str, Any]:
    """What looks like a results file from outside.

    Raises:
        UserError: it is refused; the message names the file or option.
    """
    value = read_json(path, what="results file")
    if not isinstance(value, dict) or not {"results", *_PARTS} <= value.keys():
        raise UserError(f"{path}: not a results file of x3 eval")
    return value


def _fault(entry: Any) -> str | None:
    """What is wrong with an entry of ``results``."""
    if not isinstance(entry, dict):
        return "is not an object"
    try:
        score = from_json(entry)
    except KeyError as error:
        return f"has no {error}"
    except (TypeError, ValueError, IndexError, AttributeError):
        return "has a value of the wrong kind"
    if not isinstance(score.id, str) or not isinstance(score.gt_text, str):
        return "has an 'id' or right answer that is not a text"
    if score.status not in get_args(Status):
        return f"has an unknown 'status' {_short(score.status)}"
    optional = {"pred_text": score.pred_text, "error": score.error}
    optional |= {"scene": score.scene, "uid": score.uid}
    wrong = next(
        (name for name, text in optional.items() if not isinstance(text, str | None)), None
    )
    return None if wrong is None else f"has a {wrong!r} that is not a text"


def check_replaceable(output_json: Path) -> None:
    """Refuse to replace a file that is no results file, whatever it is.

    Raises:
        UserError: it is refused; the message names the file or option.
    """
    if not output_json.exists():
        return
    try:
        _read_outline(output_json)
    except UserError as error:
        raise UserError(f"--output-json {error}; remove it, or write elsewhere") from None


def stored_replies(output: Mapping[str, Any]) -> dict[str, Reply]:
    """Sample id → reply, of a results file."""
    return {
        entry["id"]: Reply.from_json(
            {
                "text": entry["pred_text"],
                "error": entry.get("error"),
                "seen": entry.get("images_seen"),
                "sizes": entry.get("pixel_sizes", ()),
                "details": entry.get("details", {}),
            }
        )
        for entry in output["results"]
    }


def _finished(output_json: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        output = read_results(output_json)
    except UserError as error:
        raise UserError(
            f"{error}; write --output-json elsewhere, or use --fresh to replace it"
        ) from None
    check_settings(output_json, output["settings"], settings, "a run")
    return output
