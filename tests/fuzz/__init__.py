"""A fuzz harness over every reader of foreign bytes.

    python -m tests.fuzz                          a hundred thousand inputs over all targets
    python -m tests.fuzz --inputs 1000000         that many, each target by its share
    python -m tests.fuzz --seconds 3600           as many as an hour has room for (`make fuzz`)
    python -m tests.fuzz --target NAME --input N  one input again, with what it raises
    python -m tests.fuzz --target NAME --file F   the same for the bytes of a file

A target (`targets/`) is a reader, valid files to begin with, and the errors that its reader promises. An input is a
valid file that `mutate` has damaged; (target, number) determines it, so a number is all that a finding needs. Workers
(`worker`) read inputs under a limit of address space and of processor time; the coordinator hands out the numbers,
watches the workers, and starts a new one where one dies. What counts as a finding: an exception that the reader does
not promise, a crash, more processor time or memory than `target.Limits` say.
"""
