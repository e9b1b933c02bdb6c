module kubeoidcproxy.test/httpreader

go 1.24
