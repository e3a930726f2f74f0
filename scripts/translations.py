#!/usr/bin/env python3
"""Which Chinese pages are behind their English ones, and the mark of those that were brought up to date.

usage: translations.py                 list the pages that are behind, missing, or unlike in structure
       translations.py --done PAGE...  record that these Chinese pages translate today's English ones
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from translation.pages import REPOSITORY, marked_as_done, pairs
from translation.structure import differences


def main() -> int:
    """Run the command line; 1 if a page is behind, 2 for a fault of the user."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--done", nargs="+", metavar="PAGE", help="Chinese pages to mark")
    given = parser.parse_args()
    known = {pair.chinese: pair for pair in pairs()}
    if given.done:
        for name in given.done:
            path = Path(name).resolve()
            page = (
                path.relative_to(REPOSITORY).as_posix() if path.is_relative_to(REPOSITORY) else name
            )
            if page not in known:
                print(f"translations.py: {name}: no such Chinese page", file=sys.stderr)
                return 2
            marked_as_done(known[page])
        return 0
    found = [line for pair in known.values() for line in differences(pair)]
    print("\n".join(found) or "All Chinese pages follow their English ones.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
