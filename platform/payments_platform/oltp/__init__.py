"""The source system: migrations, roles, publication, the simulator, and loading of external files."""
