"""What connects to a pod: log, exec, attach, port-forward. Which of them, into which container, and whether it may."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from twisted.internet.interfaces import IReactorProcess, IReactorTCP, IReactorTime

from kubeoidcproxy.sandbox.apiserver import status
from kubeoidcproxy.sandbox.apiserver.call import Call
from kubeoidcproxy.sandbox.apiserver.exec import Command, run_command
from kubeoidcproxy.sandbox.apiserver.logs import LogStream
from kubeoidcproxy.sandbox.apiserver.pods import RunningPods
from kubeoidcproxy.sandbox.apiserver.portforward import forward_ports
from kubeoidcproxy.sandbox.apiserver.rbac import Rbac
from kubeoidcproxy.sandbox.apiserver.store import Object


class PodConnections:
    """Answers the streaming sub-resources of pods."""

    def __init__(
        self,
        *,
        clock: IReactorTime,
        processes: IReactorProcess,
        network: IReactorTCP,
        pods: RunningPods,
        rbac: Rbac,
    ) -> None:
        self._clock = clock
        self._processes = processes
        self._network = network
        self._pods = pods
        self._rbac = rbac

    async def connect(self, call: Call, pod: Object) -> None:
        if call.info.subresource == "log":
            await self._log(call, pod)
            return
        self._check_create(call)
        if call.info.subresource == "portforward":
            await forward_ports(call, self._network, self._pods.life(pod))
            return
        executes = call.info.subresource == "exec"
        command = self._exec_command(call, pod) if executes else self._attach_command(call, pod)
        await run_command(call, self._processes, command, self._pods.life(pod))

    def _check_create(self, call: Call) -> None:
        """A WebSocket is opened by GET, but what it does is ``create``: kube asks for both since 1.35
        (AuthorizePodWebsocketUpgradeCreatePermission), and refuses with an empty reason."""
        is_websocket = call.request.header("upgrade").lower() == "websocket"
        if is_websocket and not self._rbac.authorize(call.user, replace(call.info, verb="create")).allowed:
            raise status.forbidden("pods", "", call.info.name, "")

    async def _log(self, call: Call, pod: Object) -> None:
        container = _container(call, pod)
        if call.request.parameter_is_true("previous"):
            name = pod["metadata"]["name"]
            message = f'previous terminated container "{container["name"]}" in pod "{name}" not found'
            raise status.bad_request(message)
        follow = call.request.parameter_is_true("follow")
        path = self._pods.log_file(pod, container["name"])
        stream = LogStream(call.exchange, self._clock, path, follow=follow, limit=_number(call, "limitBytes"))
        await stream.run(_number(call, "tailLines"))

    def _exec_command(self, call: Call, pod: Object) -> Command:
        _container(call, pod)
        arguments = call.request.query.get("command", [])
        if not arguments:
            raise status.bad_request("you must specify at least one command for the container")
        return self._command(call, pod, arguments)

    def _attach_command(self, call: Call, pod: Object) -> Command:
        """Nothing runs in a container here; what is attached to echoes, or shows the log."""
        log_file = self._pods.log_file(pod, _container(call, pod)["name"])
        shows_log = ["tail", "-n", "+1", "-f", str(log_file)]
        return self._command(call, pod, ["cat"] if call.request.parameter_is_true("stdin") else shows_log)

    def _command(self, call: Call, pod: Object, arguments: list[str]) -> Command:
        container = _container(call, pod)
        folder = self._pods.folder(pod)
        path = os.environ.get("PATH", os.defpath)
        environment = {"PATH": path, "HOME": str(folder), "HOSTNAME": pod["metadata"]["name"]}
        environment |= {entry["name"]: entry["value"] for entry in container.get("env") or () if "value" in entry}
        stdin, terminal = call.request.parameter_is_true("stdin"), call.request.parameter_is_true("tty")
        return Command(arguments, folder, stdin, terminal, environment)


def _container(call: Call, pod: Object) -> dict[str, Any]:
    """``validateContainer`` of the pod registry."""
    containers: list[dict[str, Any]] = pod["spec"]["containers"]
    wanted, name = call.request.parameter("container"), pod["metadata"]["name"]
    if not wanted and len(containers) == 1:
        return containers[0]
    if not wanted:
        names = " ".join(container["name"] for container in containers)
        raise status.bad_request(f"a container name must be specified for pod {name}, choose one of: [{names}]")
    for container in containers:
        if container["name"] == wanted:
            return container
    raise status.bad_request(f"container {wanted} is not valid for pod {name}")


def _number(call: Call, parameter: str) -> int | None:
    text = call.request.parameter(parameter)
    return int(text) if text.isdecimal() else None
