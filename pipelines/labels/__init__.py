"""Classification sets as one dataset: equal labels merged, related labels known, both spread over the batches."""
