"""Where the repository and the data of the tests are."""

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
REPOSITORY = TESTS.parent
SRC = REPOSITORY / "src"
FIXTURES = TESTS / "fixtures"
