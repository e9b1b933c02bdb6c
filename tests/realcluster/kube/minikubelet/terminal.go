package main

import (
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/tools/remotecommand"
)

const endOfTransmission = 0x04 // what Ctrl-D sends

// firstSize is how long the process waits for the client's window size, which comes just after the request: without
// it a command like `stty size` may look too early.
const firstSize = 200 * time.Millisecond

func runOnTerminal(process *osexec.Cmd, in io.Reader, out io.Writer, resize <-chan remotecommand.TerminalSize) error {
	if out == nil {
		out = io.Discard
	}
	master, slave, err := openTerminal()
	if err != nil {
		return err
	}
	defer master.Close()
	process.Stdin, process.Stdout, process.Stderr = slave, slave, slave
	process.Env = append(process.Env, "TERM=xterm")
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	select {
	case size, open := <-resize:
		if open {
			setSize(master, size)
		}
	case <-time.After(firstSize):
	}
	err = process.Start()
	slave.Close()
	if err != nil {
		return err
	}
	go func() {
		if in != nil {
			io.Copy(master, in)
			master.Write([]byte{endOfTransmission})
		}
	}()
	go keepSize(master, resize)
	// Ends when nobody holds the slave any more, and only then is all output out; or when the client is gone.
	io.Copy(out, master)
	master.Close()
	return process.Wait()
}

// keepSize hangs the terminal up when the channel is closed, which happens only when the client's connection is gone.
func keepSize(master *os.File, resize <-chan remotecommand.TerminalSize) {
	for size := range resize {
		setSize(master, size)
	}
	master.Close()
}

func openTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	var number uint32
	err = control(master, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		number, err = unix.IoctlGetUint32(fd, unix.TIOCGPTN)
		return err
	})
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
	}
	return master, slave, err
}

func setSize(master *os.File, size remotecommand.TerminalSize) {
	control(master, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
	})
}

// control leaves the file non-blocking, so that closing it ends a read of it; File.Fd would not.
func control(file *os.File, operation func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = operation(int(fd)) }); err != nil {
		return err
	}
	return failed
}
