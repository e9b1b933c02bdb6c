"""Bearer token in, :class:`~kubeoidcproxy.identity.Caller` out.

Pure, from the bytes inwards:

=================== ================================================================================================
:mod:`.bearer`       the one ``Authorization: Bearer`` of a request head
:mod:`.jws`          the compact token, strictly; the only module that touches python-jose
:mod:`.claims` :mod:`.validity`       ``iss aud``, ``exp nbf iat`` as kube-apiserver judges them, with its texts
:mod:`.mapping` :mod:`.names`         claims to :class:`~kubeoidcproxy.identity.UserInfo`; which names may go upstream
:mod:`.trust`        what is believed of one issuer: audiences, algorithms, mapping; made from the configuration
:mod:`.verification` all of it, cheap checks first: a caller, a rejection, or "needs keys"
:mod:`.cache`        callers of tokens seen a moment ago
:mod:`.keyset`       keys that may verify, and for which ``kid`` and algorithm
:mod:`.jwks` :mod:`.static_keys`      key sets out of a JWKS document, out of PEM
:mod:`.discovery` :mod:`.freshness`   what a discovery document must say; how long an answer is good for
:mod:`.strictjson` :mod:`.base64url` :mod:`.refusals`     the ground all of these stand on
=================== ================================================================================================

Edges: :mod:`.https` and :mod:`.fetching` (one answer, bounded), :mod:`.issuer_keys` (discovery, then keys),
:mod:`.keys` and :mod:`.waiting` (the keys of one issuer, kept fresh), :mod:`.static_source` (the same from a file),
:mod:`.sources` (the seam to both), :mod:`.authenticator` (the room's front door).

Two rules hold everywhere: nothing is fetched because of a token whose issuer, audience and times are not ours, and no
byte of a token reaches a log, an error or an attribute that outlives the verification.
"""
