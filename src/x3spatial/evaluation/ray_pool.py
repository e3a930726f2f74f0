"""Evaluation on Ray: copies of a model in actors, to which this process hands batches as they come free.

Ray places the actors, one per GPU or per some CPUs, and reports those that die with their process or node.
Then another one is asked for, and its batches go to whoever is free. Replies come back to this process,
which writes them into its journal, so the cluster keeps nothing.
"""

from __future__ import annotations

import logging
import pickle
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import x3spatial
from x3spatial.errors import Unfinished, UserError, flag
from x3spatial.evaluation.asker import Asker
from x3spatial.evaluation.inference import BATCHES_AHEAD, Reply, in_batches, with_images
from x3spatial.evaluation.options import PoolOptions
from x3spatial.evaluation.ray_hosts import HostInfo, ModelHost, Recipe
from x3spatial.models import registry
from x3spatial.models.base import Model
from x3spatial.program.reporting import one_line, reason
from x3spatial.tasks.question import Question
from x3spatial.texts import counted

_LOG = logging.getLogger("x3spatial")

_IN_HAND = BATCHES_AHEAD
"""Batches of an actor at a time: one is answered, the next one prepared."""
_BARREN = 3
"""Actors in a row that may die at one place of the pool without any answer."""
_TRIES = 3
"""Actors that may die with a batch: the second time it is divided into its questions."""
_LOOK = 1.0
_REMIND = 60.0


@dataclass(slots=True)
class _Batch:
    questions: tuple[Question, ...]
    deaths: int = 0
    """Number of actors that died with it."""


@dataclass(slots=True)
class _Place:
    """A place of the pool, with one actor after another."""

    actor: Any
    starting: Any
    """The reference of ``start`` until it has returned."""
    batches: dict[Any, _Batch] = field(default_factory=dict)
    """Reference → batch in hand."""
    barren: int = 0
    """Number of its actors in a row that died without an answer."""

    @property
    def free(self) -> bool:
        """Whether it takes another batch. One that an actor died with is given alone."""
        suspicious = any(batch.deaths for batch in self.batches.values())
        return self.starting is None and len(self.batches) < _IN_HAND and not suspicious


class RayAsker(Asker):
    """Asks copies of a model on the Ray cluster that this process is connected to.

    Args:
        model: the model in this process, for its name and declarations.
        recipe: how a copy is made.
        pool: number and resources of the copies.

    Raises:
        UserError: no machine of the cluster has room for a copy, or the model object cannot be sent.
    """

    engine = "ray"

    def __init__(self, model: Model, recipe: Recipe, pool: PoolOptions) -> None:
        super().__init__(model)
        _check_picklable(recipe)
        self._recipe = recipe
        self._needs, room = resources(model, recipe, pool)
        self._size = pool.actors or room
        self._places: list[_Place] = []
        self._info: HostInfo | None = None
        self._runtime: dict[str, Any] = {}
        self._most = 0

    @property
    def actors(self) -> int | None:
        """The most copies that were there at a time."""
        return self._most

    def describe(self) -> dict[str, Any]:
        """What the first copy says: it may run on another device than a model in this process."""
        return self._first().describe

    def runtime(self) -> dict[str, Any]:
        """What the copy says that answered last."""
        return self._runtime or self._first().runtime

    def versions(self) -> dict[str, str]:
        """Versions of the packages that the first copy uses."""
        return self._first().versions

    def close(self) -> None:
        """End all copies."""
        import ray

        for place in self._places:
            ray.kill(place.actor)
        self._places = []

    def ask(
        self, questions: Sequence[Question], *, batch_size: int, workers: int
    ) -> Generator[dict[str, Reply], None, None]:
        """Yield the replies of each batch, in the order of completion; ``workers`` has no meaning here.

        Raises:
            UserError: the model raised it, because a retry cannot succeed, or copies differ.
            Unfinished: every copy died several times before it answered anything.
        """
        askable, unaskable = with_images(questions)
        if unaskable:
            yield unaskable
        waiting = deque(_Batch(batch) for batch in in_batches(askable, batch_size))
        while len(self._places) < min(self._size, len(waiting)):
            self._places.append(self._new_place())
        try:
            while waiting or any(place.batches for place in self._places):
                self._hand_out(waiting)
                yield from self._collect(waiting)
        finally:
            self._drop()

    def _hand_out(self, waiting: deque[_Batch]) -> None:
        """Give each free actor its next batch, those with fewest first."""
        for number in range(_IN_HAND):
            for place in self._places:
                if waiting and len(place.batches) == number and place.free:
                    if place.batches and waiting[0].deaths:
                        continue
                    batch = waiting.popleft()
                    place.batches[place.actor.answer.remote(batch.questions)] = batch

    def _collect(self, waiting: deque[_Batch]) -> list[dict[str, Reply]]:
        """Wait until something has ended, and return the replies of the batches that have."""
        import ray

        reminded = time.monotonic()
        while True:
            pending = [r for place in self._places for r in (place.starting, *place.batches) if r]
            ready, _ = ray.wait(pending, num_returns=1, timeout=_LOOK)
            if ready:
                break
            if all(place.starting for place in self._places) and (
                time.monotonic() - reminded > _REMIND
            ):
                self._remind()
                reminded = time.monotonic()
        place = next(p for p in self._places if ready[0] == p.starting or ready[0] in p.batches)
        try:
            value = _value(ready[0])
        except _Died as death:
            return self._bury(place, str(death), waiting)
        if ready[0] == place.starting:
            place.starting = None
            self._check_same(value)
            self._most = max(self._most, sum(p.starting is None for p in self._places))
            return []
        del place.batches[ready[0]]
        place.barren = 0
        replies, self._runtime = value
        return [replies]

    def _bury(self, place: _Place, why: str, waiting: deque[_Batch]) -> list[dict[str, Reply]]:
        """Replace a dead actor, and put its batches back; replies to questions that actors die with."""
        given_up = []
        for batch in place.batches.values():
            batch.deaths += 1
            if batch.deaths >= _TRIES:
                error = f"the process of the model died {batch.deaths} times with it: {why}"
                given_up.append({question.id: Reply(None, error) for question in batch.questions})
            elif batch.deaths == _TRIES - 1:
                # At the end: an innocent batch need not wait for what kills actors.
                waiting.extend(_Batch((question,), batch.deaths) for question in batch.questions)
            else:
                waiting.append(batch)
        _LOG.warning(
            "a copy of %s died: %s; %s asked again", self.model.name, why,
            counted(len(place.batches), "batch", "batches"),
        )  # fmt: skip
        place.batches = {}
        place.barren += 1
        self._end(place)
        if place.barren < _BARREN:
            place.actor, place.starting = self._new_actor()
            return given_up
        self._places.remove(place)
        if not self._places:
            raise Unfinished(
                f"{self.model.name}: its process died {place.barren} times on Ray without an answer: {why}"
                " (out of memory? give it more with --cpus-per-model or --gpus-per-model, or use a smaller"
                " --batch-size); answers so far are kept: the same command asks the rest"
            )
        return given_up

    def _drop(self) -> None:
        """Take back what is in hand, when the run ends early; actors finish what they have begun."""
        import ray

        for place in self._places:
            for reference in place.batches:
                ray.cancel(reference)
            place.batches = {}

    def _new_actor(self) -> tuple[Any, Any]:
        import ray

        kind = ray.remote(**self._needs, max_concurrency=_IN_HAND)(ModelHost)
        actor = kind.remote(self._recipe, str(Path.cwd()))
        return actor, actor.start.remote(str(Path(x3spatial.__file__).parent))

    def _new_place(self) -> _Place:
        return _Place(*self._new_actor())

    def _end(self, place: _Place) -> None:
        import ray

        ray.kill(place.actor)  # it may only be out of reach

    def _first(self) -> HostInfo:
        """What the first copy says; waits until there is one."""
        if not self._places:
            self._places.append(self._new_place())
        while self._info is None:
            self._collect(deque())
        return self._info

    def _check_same(self, info: HostInfo) -> None:
        """Check that a copy is like the others: answers must not depend on who gives them.

        Raises:
            UserError: it differs in what affects answers.
        """
        if self._info is None:
            self._info = info
            return
        first = self._info
        for what, mine, its in (
            ("", first.describe, info.describe),
            ("version of ", first.versions, info.versions),
        ):
            for key in sorted({*mine, *its}):
                if mine.get(key) != its.get(key):
                    raise UserError(
                        f"{self.model.name}: its copies would answer differently: {what}{key} is"
                        f" {mine.get(key)!r} on {first.node} and {its.get(key)!r} on {info.node}; make the"
                        " nodes alike, or fix it by an option (--dtype, --device)"
                    )

    def _remind(self) -> None:
        needs = f"{self._needs['num_cpus']} CPUs, {self._needs['num_gpus']} GPUs"
        _LOG.warning("waiting for Ray to start a copy of %s (%s)", self.model.name, needs)


class _Died(Exception):
    """The process or the node of an actor ended."""


def _value(reference: Any) -> Any:
    """The result of a call.

    Raises:
        UserError: the call raised it, or the actor could not begin.
        _Died: its process or node ended.
    """
    import ray
    from ray import exceptions

    try:
        return ray.get(reference)
    except exceptions.RuntimeEnvSetupError as error:
        raise UserError(
            f"--engine ray: a node cannot be prepared: {one_line(str(error))}"
        ) from None
    except exceptions.RayTaskError as error:
        _raise_cause(error)
    except exceptions.RayError as error:
        text = " ".join(str(error).split())
        if "creation task" in text or "ModuleNotFoundError" in text:  # the same on the next one
            raise UserError(
                f"--engine ray: a copy of the model cannot start: {text[-500:]}"
            ) from None
        raise _Died(_why_died(text)) from None


def _raise_cause(error: Any) -> NoReturn:
    """Raise what the model raised, without Ray's traceback."""
    cause = error.cause
    if isinstance(cause, UserError):
        raise UserError(str(cause)) from None
    raise UserError(f"--engine ray: the model failed: {reason(cause)}") from None


def _why_died(text: str) -> str:
    """Ray's report of a death in some words."""
    lower = text.lower()
    if "its node has died" in lower or "node was terminated" in lower:
        return "its node died"
    if "memory" in lower and "exit detail" not in lower:
        return "it ran out of memory"
    detail = text.partition("Worker exit detail: ")[2].partition(". ")[0]
    return f"its process died ({detail})" if detail else "its process died"


def _check_picklable(recipe: Recipe) -> None:
    """Check that a model object can be sent.

    Raises:
        UserError: it cannot be pickled.
    """
    if isinstance(recipe.model, str):
        return
    from ray import cloudpickle

    try:
        cloudpickle.dumps(recipe)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"--engine ray: the model {recipe.model.name} cannot be sent to other processes"
            f" ({one_line(str(error))[:200]}); name its class, package.module:Class"
        ) from None


def resources(model: Model, recipe: Recipe, pool: PoolOptions) -> tuple[dict[str, int], int]:
    """The resources of a copy, and how many copies the cluster has room for.

    Raises:
        UserError: no machine has room for one.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    loads = "device" in _own_options(model)
    device = str(recipe.options.get("device") or "auto")
    gpus = pool.gpus_per_model
    most = max((int(node.get("GPU", 0)) for node in nodes), default=0)
    if gpus is None:
        gpus = 0
        if loads and device != "cpu":
            gpus = most if device == "spread" else min(most, 1)
    if device.startswith("cuda"):
        if ":" in device:
            raise UserError(
                f"--device {device}: with --engine ray, Ray chooses the GPU of each copy; use auto"
            )
        gpus = max(gpus, 1)
    cpus = pool.cpus_per_model
    if cpus is None:
        whole = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
        # A copy of the weights per core would fill the memory of most machines.
        cpus = min(whole, default=1) if loads and not gpus else 1
    room = sum(_fits(node, cpus, gpus) for node in nodes)
    if room == 0 and pool.actors is None:
        have = ", ".join(
            sorted(
                {f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes}
            )
        )
        raise UserError(
            f"{flag('cpus_per_model')} {cpus}, {flag('gpus_per_model')} {gpus}: no machine of the cluster has"
            f" as much (there: {have}); give less, or --actors N to wait for such machines"
        )
    return {"num_cpus": cpus, "num_gpus": gpus}, max(1, room)


def _fits(node: dict[str, float], cpus: int, gpus: int) -> int:
    """Number of copies that fit on a node."""
    room = int(node.get("CPU", 0)) // cpus
    return min(room, int(node.get("GPU", 0)) // gpus) if gpus else room


def _own_options(model: Model) -> frozenset[str]:
    argument = registry.split_spec(model.spec)[1] if model.spec is not None else None
    return type(model).options_for(argument)
