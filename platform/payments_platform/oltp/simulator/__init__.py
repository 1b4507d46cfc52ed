"""A payment company made up from a seed: who pays whom, when, and what happens to each payment afterwards."""
