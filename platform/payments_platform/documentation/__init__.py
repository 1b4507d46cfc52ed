"""The pages of docs/ that are derived from code, tests and data, and the pictures and notebooks beside them.

Belongs here: how facts of the repository read to a person. Does not: the facts themselves (contracts/, defs/, tests).
"""
