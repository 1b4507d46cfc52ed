"""What the search engine keeps, as external assets."""
