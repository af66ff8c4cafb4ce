"""A model for `mine_hard_negatives` of sentence-transformers that looks its vectors up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np


class LookupModel:
    """Has what `mine_hard_negatives` uses of a SentenceTransformer; similarities are dot products."""

    model_card_data = SimpleNamespace(base_model="lookup")

    def __init__(self, queries: dict[str, np.ndarray], documents: dict[str, np.ndarray]) -> None:
        import torch

        self.device = torch.device("cpu")
        self._queries, self._documents = queries, documents

    def encode_query(self, texts: list[str], **_: Any) -> np.ndarray:
        return np.stack([self._queries[text] for text in texts]).astype(np.float32)

    def encode_document(self, texts: list[str], **_: Any) -> np.ndarray:
        return np.stack([self._documents[text] for text in texts]).astype(np.float32)

    def get_embedding_dimension(self) -> int:
        return len(next(iter(self._documents.values())))

    def similarity(self, left: Any, right: Any) -> Any:
        import torch

        return torch.as_tensor(left) @ torch.as_tensor(right).T

    def similarity_pairwise(self, left: Any, right: Any) -> Any:
        import torch

        return (torch.as_tensor(left) * torch.as_tensor(right)).sum(dim=1)
