"""The topics of the stream and what writes them, as external assets."""
