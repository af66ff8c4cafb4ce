"""Ground floor: what a corpus is. Imports no engine, no model, no network."""
