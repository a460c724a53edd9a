"""The engines side by side on one job: ``nst-graph compare``.

``request`` checks what is asked for without TensorFlow; ``comparison`` measures; ``table``,
``page`` and ``output`` show and write it. In the JSON, whose form is ``schema.json``, every series
has one value for each step.
"""
