"""The command line: a campaign over all targets or some, or one input again."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from .coordinator import Report, run, share_out
from .target import Target, make_input
from .targets import TARGETS

_ROUND_INPUTS = 50_000  # that a campaign with a limit of time takes at once


def main() -> int:
    """Run what the arguments say. The exit code is 1 where something was found."""
    options = _options()
    targets = {name: TARGETS[name] for name in options.target or TARGETS}
    if options.input is not None or options.file is not None:
        return _again(next(iter(targets.values())), options)
    report, started = Report(), time.monotonic()
    end_s = started + (options.seconds or 10**9)
    first, inputs = options.first, _ROUND_INPUTS if options.seconds else options.inputs
    while not report.inputs or (options.seconds and time.monotonic() < end_s):
        found = run(share_out(targets, inputs, first), targets, _show, options.processes, end_s)
        for name, count in found.counts.items():
            report.add(name, *vars(count).values())
        report.findings += found.findings
        first += inputs
    print(table(report, time.monotonic() - started))
    return 1 if report.findings else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz every reader of foreign bytes.")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this; may be given again")
    parser.add_argument("--inputs", type=int, default=100_000, help="in all, shared out among the targets")
    parser.add_argument("--seconds", type=float, default=0, help="as many inputs as there is time for, instead")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each target")
    parser.add_argument("--processes", type=int, default=1, help="workers at a time")
    parser.add_argument("--input", type=int, help="read this input only, here, and show what it raises")
    parser.add_argument("--file", type=Path, help="read the bytes of this file only, here, and show what they raise")
    parser.add_argument("--save", type=Path, help="with --input: write its bytes to this file, and read nothing")
    return parser.parse_args()


def _again(target: Target, options: argparse.Namespace) -> int:
    """One input in this process: a traceback, a crash or a debugger then says the rest."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        reader = target.open(Path(folder))
        data = make_input(target.name, reader, options.input) if options.file is None else options.file.read_bytes()
        if options.save is not None:
            options.save.write_bytes(data)
            return 0
        print(f"{target.name}: {len(data)} bytes: {data[:200]!r}")
        started = time.monotonic()
        try:
            print(f"gave {reader.read(data)!r:.500}")
        except reader.refusals as error:
            print(f"refused: {type(error).__name__}: {error}")
        print(f"{time.monotonic() - started:.3f} s")
    return 0


_shown: set[tuple[str, str, str]] = set()


def _show(finding: dict[str, Any]) -> None:
    """Print the first finding of each kind at each place of each target."""
    signature = (finding["target"], finding["kind"], finding["where"])
    if signature in _shown:
        return
    _shown.add(signature)
    print(f"{finding['target']} --input {finding['input']}: {finding['kind']}: {finding['what']} at {finding['where']}")
    print("\n".join(f"    {line}" for line in finding["trace"].splitlines()[-12:]), flush=True)


def table(report: Report, seconds: float) -> str:
    """Counts by target, for people, in Markdown."""
    lines = ["| target | inputs | refused | findings | ms each |", "|---|---|---|---|---|"]
    for name, count in sorted(report.counts.items()):
        each = f"{1000 * count.seconds / max(1, count.inputs):.2f}"
        lines.append(f"| {name} | {count.inputs:,} | {count.refused:,} | {count.found:,} | {each} |")
    found = sum(count.found for count in report.counts.values())
    return "\n".join([*lines, "", f"{report.inputs:,} inputs in {seconds:.0f} s, {found} findings"])


if __name__ == "__main__":
    sys.exit(main())
