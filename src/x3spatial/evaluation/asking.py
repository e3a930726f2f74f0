"""Open a model for questions: in this process, or on a Ray cluster."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields

from x3spatial.engine.base import Engine
from x3spatial.engine.world import World
from x3spatial.errors import UserError, flag
from x3spatial.evaluation.asker import Asker, LocalAsker
from x3spatial.evaluation.options import EvalOptions, PoolOptions, for_model
from x3spatial.models import registry
from x3spatial.models.base import Model

_LOG = logging.getLogger("x3spatial")

RAY = "ray"


def check_engine(engine: Engine, pool: PoolOptions | None, world: World | None) -> None:
    """Check that the options of a pool have one, and that there are not several of this process.

    Raises:
        UserError: they do not fit together.
    """
    if engine.name != RAY:
        for field in fields(PoolOptions):
            if pool is not None and getattr(pool, field.name) is not None:
                raise UserError(f"{flag(field.name)}: only with --engine ray")
    elif world is not None:
        raise UserError(
            "--engine ray: one process hands out the questions; start it without torchrun (or unset RANK"
            " and WORLD_SIZE)"
        )


def create(spec: str, options: EvalOptions, engine: str | Engine) -> Model:
    """The model of ``KIND[:ARG]`` in this process.

    With Ray it only has a name and declarations here: this machine need not have the GPUs of the cluster.

    Raises:
        UserError: there is no such model, or an option is invalid.
    """
    given = for_model(options)
    name = engine if isinstance(engine, str) else engine.name
    if name == RAY and "device" in registry.own_options(spec):
        given["device"] = "cpu"
    return registry.create(spec, given)


@contextmanager
def asking(
    model: str | Model,
    options: EvalOptions,
    engine: Engine,
    pool: PoolOptions | None = None,
    *,
    made: Model | None = None,
) -> Iterator[Asker]:
    """Open a model for questions, and close it at the end of the block.

    Args:
        model: ``KIND[:ARG]`` of ``models.registry``, or a model object, which is not closed.
        options: the options of the model.
        engine: where the model answers.
        pool: its copies on Ray.
        made: the model of ``KIND[:ARG]``, if it was created before; it is not closed.

    Raises:
        UserError: there is no such model, an option is invalid, or no copy of it can be started.
    """
    with ExitStack() as stack:
        if isinstance(model, Model):
            made = model
        elif made is None:
            made = stack.enter_context(closing(create(model, options, engine)))
        if engine.name != RAY:
            yield LocalAsker(made)
        elif made.in_flight is not None:
            if pool not in (None, PoolOptions()):
                _LOG.warning(
                    "%s is asked by this process: copies of a served model would only share its"
                    " server; --concurrency is the number of questions at a time",
                    made.name,
                )
            yield ServerAsker(made)
        else:
            from x3spatial.evaluation.ray_hosts import Recipe
            from x3spatial.evaluation.ray_pool import RayAsker

            recipe = Recipe(model, for_model(options))
            yield stack.enter_context(closing(RayAsker(made, recipe, pool or PoolOptions())))


class ServerAsker(LocalAsker):
    """Asks a served model from this process also with Ray: its keys and limits are here."""

    engine = RAY
