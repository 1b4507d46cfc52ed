"""Search: index templates and documents of the search engine."""
