"""Zones, partition manifests and atomic commits over one small storage interface."""
