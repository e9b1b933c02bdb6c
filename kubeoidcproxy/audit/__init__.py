"""What is written down about each request.

========================== =========================================================================================
:mod:`.masking`            what looks like a JWT never reaches a log
:mod:`.accesslog`          the line of a request: ``AuSuccess``/``AuFail`` text, or one JSON object (pure)
:mod:`.admission`          ``audit.admit``, the seam where a request can be held back until its record is safe
:mod:`.log`                the sink of the access log, over :mod:`kubeoidcproxy.lines` (edge)
========================== =========================================================================================
"""
