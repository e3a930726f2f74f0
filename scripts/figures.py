#!/usr/bin/env python3
"""Make the measured figures of the documentation, and check that its pages agree with them.

usage: figures.py NAME...            run what makes docs/figures/NAME.json, then write the pages anew
       figures.py --check [PAGE...]  list the numbers of the pages without a source, or unlike it
       figures.py --write            write the marked numbers and tables of all pages from docs/figures
       figures.py --list             what can be made
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from figure_tools.files import FigureError
from figure_tools.makers import MAKERS
from figure_tools.measured import unmarked
from figure_tools.pages import REPOSITORY, checked_pages, marker_errors, with_figures


def main() -> int:
    """Run the command line; 1 if a page disagrees, 2 for a fault of the user."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="figure files, or pages of --check"
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="compare pages with docs/figures")
    action.add_argument("--write", action="store_true", help="write pages from docs/figures")
    action.add_argument("--list", action="store_true", help="print the names of the makers")
    given = parser.parse_args()
    if given.list:
        for name, maker in MAKERS.items():
            print(f"{name}: {(maker.__doc__ or '').splitlines()[0]}")
        return 0
    try:
        if given.check:
            return check([Path(name).as_posix() for name in given.names])
        unknown = [name for name in given.names if name not in MAKERS]
        if unknown or not (given.names or given.write):
            parser.error(f"{' '.join(unknown) or 'NAME'}: known are {', '.join(MAKERS)}")
        for name in given.names:
            print(f"wrote {MAKERS[name]().relative_to(REPOSITORY)}")
        return write()
    except FigureError as error:
        print(f"figures.py: {error}", file=sys.stderr)
        return 2


def check(pages: list[str]) -> int:
    """Print what is wrong in the pages (all without arguments); 1 if anything is."""
    problems = []
    for page in pages or checked_pages():
        path = REPOSITORY / page
        if not path.is_file():
            raise FigureError(f"{page}: no such page; paths are relative to the repository")
        text = path.read_text(encoding="utf-8")
        problems += marker_errors(page, text) + unmarked(page, text)
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


def write() -> int:
    """Write the marked numbers and tables of all pages anew; 2 if a page names what there is not."""
    code = 0
    for page in checked_pages():
        path = REPOSITORY / page
        text = path.read_text(encoding="utf-8")
        try:
            new = with_figures(page, text)
        except FigureError as error:
            print(f"figures.py: {page}: {error}", file=sys.stderr)
            code = 2
            continue
        if new != text:
            path.write_text(new, encoding="utf-8")
            print(f"changed {page}")
    return code


if __name__ == "__main__":
    sys.exit(main())
