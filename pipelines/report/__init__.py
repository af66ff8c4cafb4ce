"""Reports: what a person sees of a run, a workspace and a mixture, on a terminal and in the run's log."""
