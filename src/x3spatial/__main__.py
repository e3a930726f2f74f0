"""``python -m x3spatial`` is ``x3``."""

from x3spatial.cli import main

if __name__ == "__main__":
    main()
