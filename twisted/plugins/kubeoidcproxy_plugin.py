from twisted.application.service import ServiceMaker

kubeoidcproxy = ServiceMaker(
    "kubeoidcproxy", "kubeoidcproxy.tap", "OIDC login in front of Kubernetes API servers", "kubeoidcproxy"
)
