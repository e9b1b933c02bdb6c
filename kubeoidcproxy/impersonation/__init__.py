"""Acting as somebody at the API server: the headers that say so.

========= ===========================================================================================================
headers   the outgoing ``Impersonate-*`` block for a user
inbound   a client's own ``Impersonate-*``
========= ===========================================================================================================
"""
