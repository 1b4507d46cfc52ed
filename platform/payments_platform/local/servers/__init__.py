"""One file per kind of server of the local stack."""
