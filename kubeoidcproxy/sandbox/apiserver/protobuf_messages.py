"""The messages that the protobuf reader knows. Field numbers are those of the ``generated.proto`` files of k8s.io/api
and k8s.io/apimachinery.
"""

from __future__ import annotations

# message → field number → (JSON name, type). "[]T" is repeated, "{}T" a map from string; "count" is an int that is
# left out at zero, "skip" is read and dropped (set by the server, or empty in what clients create).
_META = {1: ("metadata", "ObjectMeta")}
MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "Unknown": {1: ("type", "TypeMeta"), 2: ("raw", "raw"), 3: ("", "skip"), 4: ("", "skip")},
    "TypeMeta": {1: ("apiVersion", "string"), 2: ("kind", "string")},
    "ObjectMeta": {
        1: ("name", "string"),
        2: ("generateName", "string"),
        3: ("namespace", "string"),
        5: ("uid", "string"),
        6: ("resourceVersion", "string"),
        11: ("labels", "{}string"),
        12: ("annotations", "{}string"),
        14: ("finalizers", "[]string"),
    }
    | dict.fromkeys((4, 7, 8, 9, 10, 13, 15, 17), ("", "skip")),
    "SelfSubjectReview": _META | {2: ("", "skip")},
    "SelfSubjectAccessReview": _META | {2: ("spec", "AccessSpec"), 3: ("", "skip")},
    "SelfSubjectRulesReview": _META | {2: ("spec", "RulesSpec"), 3: ("", "skip")},
    "SubjectAccessReview": _META | {2: ("spec", "AccessSpec"), 3: ("", "skip")},
    "LocalSubjectAccessReview": _META | {2: ("spec", "AccessSpec"), 3: ("", "skip")},
    "AccessSpec": {
        1: ("resourceAttributes", "ResourceAttributes"),
        2: ("nonResourceAttributes", "NonResourceAttributes"),
        3: ("user", "string"),
        4: ("groups", "[]string"),
        5: ("extra", "{}ExtraValue"),
        6: ("uid", "string"),
    },
    "ResourceAttributes": {
        number: (name, "string")
        for number, name in enumerate(("namespace", "verb", "group", "version", "resource", "subresource", "name"), 1)
    }
    | {8: ("", "skip"), 9: ("", "skip")},
    "NonResourceAttributes": {1: ("path", "string"), 2: ("verb", "string")},
    "ExtraValue": {1: ("items", "[]string")},
    "RulesSpec": {1: ("namespace", "string")},
    "TokenReview": _META | {2: ("spec", "TokenReviewSpec"), 3: ("", "skip")},
    "TokenReviewSpec": {1: ("token", "string"), 2: ("audiences", "[]string")},
    "TokenRequest": _META | {2: ("spec", "TokenRequestSpec"), 3: ("", "skip")},
    "TokenRequestSpec": {
        1: ("audiences", "[]string"),
        3: ("boundObjectRef", "BoundObjectReference"),
        4: ("expirationSeconds", "int"),
    },
    "BoundObjectReference": {
        1: ("kind", "string"),
        2: ("apiVersion", "string"),
        3: ("name", "string"),
        4: ("uid", "string"),
    },
    "Namespace": _META | {2: ("", "skip"), 3: ("", "skip")},
    "ConfigMap": _META | {2: ("data", "{}string"), 3: ("binaryData", "{}bytes"), 4: ("immutable", "bool")},
    "Secret": _META
    | {2: ("data", "{}bytes"), 3: ("type", "string"), 4: ("stringData", "{}string"), 5: ("immutable", "bool")},
    "ServiceAccount": _META | {4: ("automountServiceAccountToken", "bool")},
    "Role": _META | {2: ("rules", "[]PolicyRule")},
    "ClusterRole": _META | {2: ("rules", "[]PolicyRule")},
    "PolicyRule": {
        number: (name, "[]string")
        for number, name in enumerate(("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"), 1)
    },
    "RoleBinding": _META | {2: ("subjects", "[]Subject"), 3: ("roleRef", "RoleRef")},
    "ClusterRoleBinding": _META | {2: ("subjects", "[]Subject"), 3: ("roleRef", "RoleRef")},
    "Subject": {1: ("kind", "string"), 2: ("apiGroup", "string"), 3: ("name", "string"), 4: ("namespace", "string")},
    "RoleRef": {1: ("apiGroup", "string"), 2: ("kind", "string"), 3: ("name", "string")},
    "Deployment": _META | {2: ("spec", "DeploymentSpec"), 3: ("", "skip")},
    "DeploymentSpec": {
        1: ("replicas", "int"),
        2: ("selector", "LabelSelector"),
        3: ("template", "PodTemplateSpec"),
        4: ("", "skip"),
        5: ("minReadySeconds", "count"),
        7: ("paused", "flag"),
    },
    "LabelSelector": {1: ("matchLabels", "{}string")},
    "PodTemplateSpec": _META | {2: ("spec", "PodSpec")},
    "PodSpec": {2: ("containers", "[]Container"), 3: ("restartPolicy", "string"), 8: ("serviceAccountName", "string")},
    "Container": {
        1: ("name", "string"),
        2: ("image", "string"),
        3: ("command", "[]string"),
        4: ("args", "[]string"),
        5: ("workingDir", "string"),
        6: ("ports", "[]ContainerPort"),
        7: ("env", "[]EnvVar"),
    },
    "ContainerPort": {
        1: ("name", "string"),
        2: ("hostPort", "count"),
        3: ("containerPort", "count"),
        4: ("protocol", "string"),
        5: ("hostIP", "string"),
    },
    "EnvVar": {1: ("name", "string"), 2: ("value", "string")},
}
