"""The embedded stack: real servers from package registries, started and stopped."""
