"""The companion command ``kubeoidcproxy``. One module per sub-command, with ``add_arguments`` and ``run``.

====================== =============================================================================================
:mod:`.main`           the entry point: which sub-command, what exit code; loads no other
:mod:`.check_config`   ``check-config FILE``: everything that is wrong with a configuration
:mod:`.schema`         ``schema``: JSON Schema of the configuration file, for editors
:mod:`.sandbox`        ``sandbox``: all of it on loopback
====================== =============================================================================================

Exit code 0: done; 1: a finding or a failure; 2: wrong usage. Results go to standard output, all else to standard error.
"""
