"""Frozen pools: named snapshots of the tables that a search goes over.

A pool normally holds all tables of a dataset, so whatever the dataset gains makes every search over it stale. A frozen
pool holds those that it had when its name was first used: new shards are searched for in it, and old searches stay
done. Its list of tables lies in the workspace, `pools/<dataset>/<name>.json`, is written once and never changed. The
tables themselves stay where they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from corpus.pool import Pool
from corpus.settings import SettingsError
from corpus.stage import Stage
from corpus.storage import MissingError
from corpus.workspace import Workspace

_FORMAT = 1


@dataclass(frozen=True)
class FrozenPool:
    """A snapshot of the tables of one stage over a dataset."""

    dataset: str
    name: str
    stage: str  # that wrote the tables
    version: int
    settings: Mapping[str, Any]
    paths: tuple[str, ...]  # ascending; each has the fingerprint of its table in its name

    @staticmethod
    def of(dataset: str, name: str, stage: Stage, pool: Pool) -> FrozenPool:
        """Returns the snapshot of a pool."""
        settings = json.loads(json.dumps(stage.fingerprint_inputs()))
        return FrozenPool(dataset, name, stage.name, stage.version, settings, tuple(sorted(pool.paths)))

    @property
    def path(self) -> str:
        """Where its list lies in the workspace."""
        return pool_path(self.dataset, self.name)

    def write(self, workspace: Workspace) -> None:
        """Writes its list, unless it is there already."""
        if not workspace.store.exists(self.path):
            parts = {"stage": self.stage, "version": self.version, "settings": dict(self.settings)}
            data = {"format": _FORMAT, **parts, "tables": list(self.paths), "digest": _digest(self.paths)}
            workspace.store.publish(self.path, json.dumps(data, indent=1, sort_keys=True).encode())

    def notice(self, current: Pool) -> str:
        """Returns the line of a plan about it."""
        newer = len(set(current.paths) - set(self.paths))
        return f"{self.dataset}: frozen pool {self.name} of {len(self.paths):,} tables ({newer:,} newer are not in it)"

    def check(self, workspace: Workspace, stage: Stage) -> None:
        """Raises SettingsError where its tables are gone, or were made with other settings than those of `stage`."""
        listed = {folder: set(workspace.store.names(folder)) for folder in {_folder(path) for path in self.paths}}
        removed = [path for path in self.paths if path.rpartition("/")[2] not in listed[_folder(path)]]
        if removed:
            raise SettingsError(
                f"{self._key}: {len(removed):,} of the {len(self.paths):,} tables of frozen pool {self.name} are gone, "
                f"{workspace.store.full(removed[0])} among them: restore them, or choose another name for a new pool"
            )
        current = FrozenPool.of(self.dataset, self.name, stage, Pool(workspace.store.url, self.paths))
        if (self.version, self.settings) != (current.version, current.settings):
            changed = sorted(
                key
                for key in {*self.settings, *current.settings}
                if self.settings.get(key) != current.settings.get(key)
            )
            raise SettingsError(
                f"{self._key}: frozen pool {self.name} was made by other settings of `{self.stage}` "
                f"({', '.join(changed) or 'another version of it'}), so nothing can be compared with its vectors: "
                "choose another name for a new pool"
            )

    @property
    def _key(self) -> str:
        return f"stages.neighbours.datasets.{self.dataset}.pool"


def pool_path(dataset: str, name: str) -> str:
    """Returns where the list of a frozen pool lies in a workspace."""
    return f"pools/{dataset}/{name}.json"


def read_frozen_pool(workspace: Workspace, dataset: str, name: str) -> FrozenPool | None:
    """Reads the snapshot of this name; None if there is none yet. Raises SettingsError for a list that is broken."""
    path = pool_path(dataset, name)
    try:
        content = workspace.store.read(path)
    except MissingError:
        return None
    try:
        data = json.loads(content)
        paths = tuple(data["tables"])
        found = FrozenPool(dataset, name, data["stage"], data["version"], data["settings"], paths)
        if data["digest"] != _digest(paths) or data["format"] != _FORMAT:
            raise ValueError("its digest is another")
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{workspace.store.full(path)}: no list of a frozen pool: {error}") from error
    return found


def _digest(paths: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(paths).encode()).hexdigest()


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
