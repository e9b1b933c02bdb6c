"""What the operator wrote, judged in full before anything starts.  Pure: no socket, no reactor.

``load.load(path)`` is the way in: text -> plain values with line numbers -> sections -> rules -> ``Loaded``, or a
``ConfigError`` that holds every problem at once.

=================================  ====================================================================================
``load``                           the way in
``problems``                       one thing that is wrong or risky, and where; the error that holds them all
``source``                         a file that was read, and problems in it
``document`` ``compose``           YAML text to plain values as Kubernetes reads it, with the line of each
``scalars`` ``nodes``              ... what an unquoted word means to it; ... what comes out
``section`` ``wording``            base of the models: unknown keys refused, everything that is wrong told
``quantities`` ``values``          durations and sizes; texts, counts, paths, URLs and names with their checks
``model``                          ``Config``, the whole file, and the rules that join its sections
``listen`` ``tls`` ``admin``       its sections: where the daemon listens, who it says it is, how it is watched
``issuers`` ``clusters``           ... who signs tokens; the API servers
``roles`` ``audit`` ``limits``     ... roles evaluated here; logs and webhook; sizes and times
``named_files`` ``key_files``      the files that the file names: there, and holding what they should
``pem``                            ... PEM text
``unsupported``                    the keys that this version checks but cannot serve yet
``warnings`` ``shared_issuers``    settings that are allowed and risky
``identity_sources``               the ``AuthenticationConfiguration`` that is named or inline, and the static issuers
``authentication``                 both as frozen values: what the rest of the house works with
``authentication_file``            an ``AuthenticationConfiguration`` read, decoded, judged
``static_issuers``                 an issuer with fixed keys, likewise
``kube_shapes`` ``kube_decode``    its fields and types; plain values to frozen ones, as strictly as kube-apiserver
``kube_validate`` ``jwt_rules``    kube's rules, in kube's order and words
``kube_url`` ``extra_keys``        ... which URLs Go takes; which keys of ``extra``
``kube_errors``                    ... the texts of Kubernetes' field errors
``expressions``                    the seam through which CEL is checked by those who have CEL
``schema`` ``kube_schema``         JSON Schema of the file, for editors
=================================  ====================================================================================
"""
