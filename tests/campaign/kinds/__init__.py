"""The table of kinds of circumstances. A new kind is a module here and an entry in ``KINDS``."""

from __future__ import annotations

from campaign.kinds import (
    disks,
    inputs,
    kills,
    links,
    locks,
    names,
    options,
    pipes,
    rights,
    servers,
    streams,
)
from campaign.kinds.base import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        kills.KILLS, disks.DISKS, locks.LOCKS, rights.RIGHTS, inputs.INPUTS, servers.SERVERS, links.LINKS,
        pipes.PIPES, streams.STREAMS, names.NAMES, options.OPTIONS,
    )
}  # fmt: skip
