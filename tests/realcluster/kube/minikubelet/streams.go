package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/remotecommand"
)

// podStreams is what the kubelet's streaming library asks of a container runtime, for one pod.
// The contexts it passes are those of hijacked requests, which nobody cancels: the pod's life is used instead.
type podStreams struct{ pod *runningPod }

// ExecInContainer runs a command on the host, in the pod's folder.
func (s podStreams) ExecInContainer(_ context.Context, _ string, _ types.UID, _ string, command []string,
	in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	process := newProcess(s.pod, command)
	if tty {
		return exitStatus(runOnTerminal(process, in, out, resize))
	}
	return exitStatus(runOnPipes(process, in, out, errOut))
}

// AttachContainer shows the container's log from its beginning; with stdin it echoes instead, as `cat` would.
func (s podStreams) AttachContainer(_ context.Context, _ string, _ types.UID, container string,
	in io.Reader, out, _ io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize) error {
	if out == nil {
		return fmt.Errorf("attach without stdout is not supported")
	}
	if in == nil {
		return follow(s.pod.life, s.pod.logFile(container), 0, out)
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(out, in)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-s.pod.life.Done():
		return nil
	}
}

// PortForward connects to the same port of the host's loopback.
func (s podStreams) PortForward(_ context.Context, _ string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer connection.Close()
	defer context.AfterFunc(s.pod.life, func() { connection.Close() })()
	go func() {
		io.Copy(connection, stream)
		connection.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, connection)
	return err
}
