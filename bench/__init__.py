"""Measures ServHA against its peer: same lab, same client, same run, by turns.

`python -m bench` measures everything and writes RESULTS.md; `python -m bench failover` one case and only prints.
contestants.py says who takes part, session.py what is done to them, measures.py what each figure means,
targets.py what they should be. Nothing of the product imports this.
"""
