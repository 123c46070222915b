"""``python -m otel_agentlog``: the command ``agentlog``."""

import sys

from otel_agentlog.view.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
