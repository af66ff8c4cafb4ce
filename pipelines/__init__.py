"""Top floor: sources, engines, the plan, publishing and the command line."""
