#!/usr/bin/env python3
"""`x3 eval` under the name and with the options of the source document."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from x3spatial.__main__ import main

if __name__ == "__main__":
    main(["eval", *sys.argv[1:]])
