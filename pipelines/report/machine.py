"""Plans and the status of a workspace as JSON-compatible data, for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from corpus.workspace import owner_name
from pipelines.plan import Plan
from pipelines.status import WorkspaceStatus


def plan_data(plan: Plan, notices: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the shards of each stage and source by their state, and why those that are not done are not."""
    steps = []
    for step, planned in plan.steps:
        for node in step.nodes:
            tables = [table for table in planned if table.node is node]
            shards: dict[str, list[str]] = {}
            for table in tables:
                shards.setdefault(table.state, []).append(table.task.shard)
            why = Counter(table.why for table in tables if table.why)
            steps.append(
                {
                    "stage": step.name,
                    "source": owner_name(node.table_key.owner),
                    "done": len(shards.pop("done", ())),
                    "todo": shards,
                    "why": dict(why.most_common()),
                }
            )
    return {"stages": steps, "unread": list(plan.unread), "notices": [*notices, *plan.notices]}


def status_data(status: WorkspaceStatus) -> dict[str, Any]:
    """Returns the number of shards of each stage and source by their state, failures, and the funnels."""
    stages = []
    for step, planned in status.plan.steps:
        for node in step.nodes:
            states = Counter(table.state for table in planned if table.node is node)
            counts: dict[str, Any] = {str(state): number for state, number in states.items()}
            stages.append({"stage": step.name, "source": owner_name(node.table_key.owner), **counts})
    failed = [
        {"stage": stage, "source": owner_name(owner), "shard": shard, "error": error}
        for (stage, owner, shard), error in sorted(status.failed.items())
    ]
    return {
        "stages": stages,
        "failed": failed,
        "unread": list(status.plan.unread),
        "funnels": {source: dict(funnel) for source, funnel in status.funnels.items()},
        "notices": list(status.notices),
    }
