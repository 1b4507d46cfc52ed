"""What the platform records about itself."""
