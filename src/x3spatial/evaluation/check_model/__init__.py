"""Does a model's adapter ask and read it right? Questions with known answers, and what the errors look like.

``questions`` draws dots and asks for them, ``hypotheses`` knows the faults that an adapter can have,
``verdicts`` judges the answers, ``run`` does it through ``evaluate.run``, as any evaluation does.
"""
