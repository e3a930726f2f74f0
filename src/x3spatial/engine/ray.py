"""The engine of a Ray cluster: units are tasks of one CPU.

Ray decides where a task runs, starts it again if its worker or node died, and ends what runs when the driver
does. Here is only what Ray leaves open: how many tasks are handed in at a time, and what became of each.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import x3spatial
from x3spatial.engine.base import Engine, Failed, Outcome, Plan, Task
from x3spatial.engine.cores import usable_cores
from x3spatial.errors import UserError, packages_of
from x3spatial.program.reporting import one_line, reason

T = TypeVar("T")
R = TypeVar("R")

_LOG = logging.getLogger("x3spatial")
_ADDRESS = "RAY_ADDRESS"
"""Ray's environment variable of the cluster to join."""
_REACH_SECONDS = 10.0
"""Seconds to reach the head node."""
_OBJECT_STORE = 128 * 2**20
"""Bytes of the object store of a Ray that is started here: units exchange paths and records, not images."""
_AHEAD = 2
"""Tasks per CPU that are handed in, so that a CPU that becomes free has one waiting on its node."""
_LOOK_SECONDS = 1.0
"""Seconds between two looks at how many CPUs the cluster has."""
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it announces a change of a later version
}
"""Environment of a Ray that is started here; what the user has set counts."""


@contextmanager
def open_ray(address: str | None) -> Iterator[Engine]:
    """The engine of a cluster, or of a Ray that is started on this machine for the block."""
    with connect(address):
        yield RayEngine()


@contextmanager
def connect(address: str | None = None) -> Iterator[None]:
    """Be connected to Ray in the block.

    A program that has called ``ray.init`` itself, with a runtime environment of its own perhaps, keeps that
    connection. What is started here ends with the block, and with this process if it is killed.

    Args:
        address: ``auto`` (the cluster of this machine) or ``HOST:PORT`` of a cluster's head, which this
            machine is a node of; None for the environment variable ``RAY_ADDRESS``, and without it for a Ray
            of its own on this machine.

    Raises:
        UserError: Ray is not installed or cannot be started, or the cluster cannot be joined.
    """
    with packages_of("ray", "--engine ray"):
        import ray

    joined = address or os.environ.get(_ADDRESS) or None
    if ray.is_initialized():
        _check_same(ray, address)
        yield
        return
    if joined is None:
        settings: dict[str, Any] = {
            "address": "local",
            "num_cpus": usable_cores(),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
        }
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    else:
        _check_address(joined)
        # All nodes run the code of this process, whatever is installed there.
        package = Path(x3spatial.__file__).parent
        settings = {"address": joined, "runtime_env": {"py_modules": [str(package)]}}
    with _silenced():
        try:
            with _signals_kept():
                ray.init(log_to_driver=False, logging_level="ERROR", **settings)
        except Exception as error:
            raise _refused(joined, error) from None
        try:
            yield
        finally:
            with _signals_kept():
                ray.shutdown()


def _check_same(ray: Any, address: str | None) -> None:
    """Check that the connection of the program is to the cluster that was asked for."""
    own = ray.get_runtime_context().gcs_address
    if address is not None and address not in ("auto", own):
        raise UserError(f"--ray-address {address}: this program is connected to {own} already")


def _check_address(address: str) -> None:
    """Check that there is something at an address, because Ray tries it for minutes.

    Raises:
        UserError: it is malformed, or nothing answers.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(
            f"--ray-address {address}: expected auto, or HOST:PORT of the head node as `ray start` prints it"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"--ray-address {address}: nothing answers there ({error.strerror or error}); check it with"
            f" ray status --address {address}"
        ) from None
    if not _speaks_grpc(address):
        raise UserError(
            f"--ray-address {address}: something else than Ray answers there; give the port that `ray start`"
            " prints (6379 unless chosen)"
        )


def _speaks_grpc(address: str) -> bool:
    """Whether a server of Ray's protocol answers; true where that cannot be asked without a certificate."""
    import grpc

    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return True
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_REACH_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True


def _refused(address: str | None, error: Exception) -> UserError:
    """What a user can do about an error of ``ray.init``."""
    text = one_line(str(error))
    if address is None:
        return UserError(f"--engine ray: Ray could not be started here: {text}")
    given = f"--ray-address {address}"
    if isinstance(error, ConnectionError) and address == "auto":
        return UserError(
            f"{given}: no Ray runs on this machine; join it to a cluster with ray start --address HOST:PORT,"
            " or leave the option out to start one"
        )
    if "ersion mismatch" in text:
        return UserError(f"{given}: {text}; all nodes need the same Ray and Python")
    return UserError(
        f"{given}: cannot be joined: {text}; this machine must be a node of the cluster (ray start --address"
        " HOST:PORT)"
    )


@contextmanager
def _silenced() -> Iterator[None]:
    """Ray prints nothing on stdout, which belongs to the command's result.

    It prints there that a worker died, also without ``log_to_driver``; no public setting turns that off.
    """
    from ray._private import worker

    before = getattr(worker, "_worker_logs_enabled", True)
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep this program's handlers of signals, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            if handler is not None:
                signal.signal(number, handler)


class RayEngine(Engine):
    """Tasks of one CPU on the Ray that this process is connected to."""

    name: ClassVar[str] = "ray"
    distributed: ClassVar[bool] = True

    def default_workers(self) -> int:
        """The CPUs that the cluster has now; at least 1, while nodes may still join."""
        import ray

        return max(1, int(ray.cluster_resources().get("CPU", 0)))

    def _in_flight(self, workers: int | None) -> int:
        """How many tasks are handed in: some ahead, unless that were more than ``workers`` at a time."""
        cpus = self.default_workers()
        return _AHEAD * cpus if workers is None or workers >= cpus else workers

    def run(
        self, task: Task[T, R], units: Iterator[tuple[int, T]], plan: Plan
    ) -> Generator[tuple[int, Outcome[R]], None, None]:
        """As ``Engine.run``. CPUs of nodes that join are used as well, up to the number of workers."""
        import ray

        call = ray.remote(num_cpus=1, max_retries=plan.retries)(_call)
        shared = ray.put(task)
        running: dict[Any, int] = {}
        limit, looked = 0, float("-inf")
        try:
            while True:
                if time.monotonic() - looked > _LOOK_SECONDS:
                    limit, looked = self._in_flight(plan.workers), time.monotonic()
                while len(running) < limit and (item := next(units, None)) is not None:
                    number, unit = item
                    reference = call.remote(shared, unit, x3spatial.__version__)
                    running[reference] = number
                if not running:
                    return
                ready, _ = ray.wait(list(running), num_returns=1, timeout=_LOOK_SECONDS)
                for reference in ready:
                    yield running.pop(reference), _outcome(ray, reference)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _call(task: Task[T, R], unit: T, version: str) -> Outcome[R]:
    """A task of Ray: the outcome of one unit."""
    if version != x3spatial.__version__:
        text = f"a node has x3spatial {x3spatial.__version__}, this is {version}; install the same"
        return Failed(text, stop=UserError(text))
    return task(unit)


def _outcome(ray: Any, reference: Any) -> Outcome[Any]:
    """What became of a task that has ended."""
    errors = ray.exceptions
    try:
        outcome: Outcome[Any] = ray.get(reference)
    except errors.RuntimeEnvSetupError as error:
        text = f"--engine ray: x3spatial could not be sent to a node: {one_line(str(error))}"
        return Failed(text, stop=UserError(text))
    except errors.RayTaskError as error:  # a task raises nothing, so it could not begin
        text = f"--engine ray: a node cannot run it: {reason(error.cause)}"
        return Failed(text, stop=UserError(text))
    except errors.OutOfMemoryError:
        return Failed("its worker ran out of memory each time", by_user=True)
    except errors.RayError as error:
        return Failed(
            f"its worker or node died each time ({type(error).__name__}): out of memory, or killed",
            by_user=True,
        )
    return outcome
