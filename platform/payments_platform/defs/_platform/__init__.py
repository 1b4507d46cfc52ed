"""How this platform makes assets: decorators, types, IO, resources, checks. Nothing here knows a dataset."""
