package main

import (
	"errors"
	"io"
	"os"
	osexec "os/exec"
	"syscall"

	utilexec "k8s.io/utils/exec"
)

// newProcess prepares a command that cannot outlive its pod, nor minikubelet.
func newProcess(pod *runningPod, command []string) *osexec.Cmd {
	process := osexec.CommandContext(pod.life, command[0], command[1:]...)
	process.Dir = pod.directory
	process.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + pod.directory, "HOSTNAME=" + pod.name}
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	process.Cancel = func() error { return syscall.Kill(-process.Process.Pid, syscall.SIGKILL) }
	return process
}

// runOnPipes returns when the process has ended and all of its output has been taken, however slow the reader is.
func runOnPipes(process *osexec.Cmd, in io.Reader, out, errOut io.Writer) error {
	if out != nil {
		process.Stdout = out
	}
	if errOut != nil {
		process.Stderr = errOut
	}
	if in == nil {
		return process.Run()
	}
	// Not process.Stdin: Wait would wait for the end of the client's input, though the process is gone.
	stdin, err := process.StdinPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	go func() {
		io.Copy(stdin, in)
		stdin.Close()
	}()
	return process.Wait()
}

// exitStatus turns what os/exec reports into the one error type whose code the streaming library passes on.
func exitStatus(err error) error {
	if err == nil {
		return nil
	}
	var exit *osexec.ExitError
	if !errors.As(err, &exit) {
		return utilexec.CodeExitError{Err: err, Code: 126} // what a shell says of a command it cannot run
	}
	code := exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return utilexec.CodeExitError{Err: err, Code: code}
}
