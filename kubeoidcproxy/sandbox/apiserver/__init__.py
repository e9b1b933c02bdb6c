"""A small Kubernetes API server, so that the proxy runs for real with nothing else installed.

kubectl 1.27 to 1.33 is content with it. It answers what the real API server answers, word for word where clients or
people look at the words. It is built on h11 and wsproto, not on the proxy's own HTTP code, so that a mistake in one
does not hide the same mistake in the other. Everything is in memory; it listens on loopback only.

``server.ApiServer`` puts the parts together. The way of a request::

    protocol, exchange, transport        bytes to Request; Response, stream or tunnel to bytes
    audit                                an event for each request, as kube-apiserver logs it
    authentication, impersonation, rbac  who asks, as whom, and may they
    router                               who answers:
      discovery, openapi                   what there is
      bodies, objects, table, printers     objects, and how they are shown
      watch                                changes
      reviews, token_requests              questions
      connect                              pods: logs, exec (also attach), portforward over websocket, spdy, forwarded

What they know: ``resources`` (the table of kinds), ``store`` (all objects), ``bootstrap`` (what a new cluster holds),
``namespaces`` and ``pods`` (what controllers and kubelets would do), ``defaults`` and ``validation`` under
``admission``, ``patch`` and ``json_patch``, ``selectors``, ``protobuf`` with its ``protobuf_messages``, ``users``,
``request``, ``call``, ``status`` (errors), ``spdy_dictionary``.

Twisted is imported by protocol, exchange, transport, call, server, router, watch, namespaces, connect, logs, exec,
websocket, portforward and forwarded alone.
"""
