"""How fast, beside the peer or the limit, in one run: figures to read, never tests that fail.

`make benchmarks` runs them on a PostgreSQL that keeps fsync. What matters are the ratios: machines
are shared, and both sides of a ratio have the same noise.
"""
