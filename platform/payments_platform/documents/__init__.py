"""Documents: collections of the document store, their indexes and merges."""
