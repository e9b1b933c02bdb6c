"""A real Kubernetes control plane on loopback, without containers: for the sandbox and for the tests.

It is started when the environment variable ``KUBEBUILDER_ASSETS`` (the name that Kubernetes' own test tools use) names
a folder with ``kube-apiserver`` and ``etcd``; ``kube-controller-manager`` and ``minikubelet``, the kubelet stand-in of
``tests/realcluster``, are used where they lie beside them.

    with ControlPlane.start(assets=assets, directory=directory, clusters=["dev", "prod"]) as plane:
        plane.clusters["dev"].apply(manifests)

========================= =========================================================================================
:mod:`.control_plane`     starts and stops all of it; :func:`assets_from_environment`
:mod:`.cluster`           one running cluster: where it listens, and what a test or the sandbox does to it
:mod:`.commands`          the command lines, as pure functions
:mod:`.certificates`      the authorities and certificates of a cluster; :mod:`.kubeconfig` says how to use them
:mod:`.rest`              the few API calls that need no library
:mod:`.processes`         child processes that die with us
========================= =========================================================================================

All of it blocks: call it from a thread. Everything lies below one folder that only its owner can enter, etcd listens
on a socket in there, and the API servers want a certificate or a token: other users of the host get nowhere. But
``kubectl exec`` into a pod runs the command **on the host**, as the user who started the control plane.
"""
