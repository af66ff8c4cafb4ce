"""The program of the processes that Beam's own runner starts on this machine: Beam's worker, with less to print."""

from __future__ import annotations

import logging
import sys

from pipelines.engines.beam_warnings import without_package_warnings


def main() -> None:
    """Runs Beam's worker, as the environment variables that the runner has set tell it."""
    with without_package_warnings():
        from apache_beam.runners.worker import sdk_worker_main
    # It would print how it starts, and warn that there is no folder of staged files: none are needed here.
    logging.getLogger(sdk_worker_main.__name__).setLevel(logging.ERROR)
    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
