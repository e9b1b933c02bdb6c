"""A small Kubernetes API server, so that the proxy runs for real with nothing else installed.

kubectl 1.27 to 1.33 is content with it. It answers what the real API server answers, word for word where clients or
people look at the words. It is built on h11 and wsproto, not on the proxy's own HTTP code, so that a mistake in one
does not hide the same mistake in the other. Everything is in memory; it listens on loopback only.

``server.ApiServer`` puts the parts together. The way of a request::

    factory, protocol, exchange          bytes to Request; Response, stream or tunnel to bytes
    audit                                an event for each request, as kube-apiserver logs it
    authentication, impersonation, rbac  who asks, as whom, and may they
    router                               who answers:
      discovery, openapi                   what there is
      bodies, objects, table, printers     objects, and how they are shown
      watch                                changes
      reviews, token_requests              questions
      connect                              pods: logs, exec (attach too), portforward with forwarded

What they stand on::

    request, call, users, status         values: requests and what they mean, callers, errors
    kinds, resources, store              the table of kinds, and all objects
    admission, defaults, validation      an object on its way into the store
    patch, json_patch, selectors         changes of objects, choices of them
    bootstrap, namespaces, lifecycle     what a new cluster holds, and what its controllers do
    pods                                 what a kubelet would do
    protobuf, protobuf_messages          bodies of kubectl 1.32 and later
    websocket, spdy, spdy_dictionary     the protocols of exec and port-forward
    transport                            Twisted's transports, as they are used here
"""
