"""The API servers behind the proxy: where each one is, how it proves itself, and with what we come to it.

=========================== ==========================================================================================
:mod:`.kubeconfig`          a kubeconfig file and a context of it → :class:`~.kubeconfig.Upstream`, or why not
:mod:`.kubeconfig_file`     the file itself: who may write it, YAML without surprises, typed look-ups, what was read
:mod:`.kubeconfig_user`     the user of a context → exactly one credential
:mod:`.server_url`          its ``server``: host, port and base path
:mod:`.tokens`              bearer tokens as text and in files
:mod:`.credentials`         a credential in use: the ``Authorization`` value of now; token files are read again
:mod:`.pool`                upstream connections, kept warm, of one cluster, snapshot and credential identity
:mod:`.cluster`             one cluster as requests meet it: immutable, replaced as a whole at a reload
=========================== ==========================================================================================

A kubeconfig is a key to a cluster: whoever can write it sends every user's requests where he likes. So it is read as
sshd reads its files: not at all if others may write it or its folder.
"""
