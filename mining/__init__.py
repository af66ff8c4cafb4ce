"""Hard negatives: vectors of items and sides, the search for the nearest ones, and which of them are negatives."""
