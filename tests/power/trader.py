"""The service of the soak tests on a journal with a planted fault: it answers before its flush."""

from __future__ import annotations

import argparse
import sys

from tests.power.ledger import weaken
from tests.soak import trader

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--synchronous", required=True)
    asked, sys.argv[1:] = parser.parse_known_args()
    weaken(asked.synchronous)
    trader.main()
