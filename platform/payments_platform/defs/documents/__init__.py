"""What the document store keeps, as external assets."""
