package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

const logPoll = 50 * time.Millisecond

// logs knows the options `follow` and `tailLines`; there are no times in the files, so the others are ignored.
func logs(pod *runningPod, w http.ResponseWriter, r *http.Request) {
	path := pod.logFile(r.PathValue("container"))
	content, err := os.ReadFile(path)
	if err != nil {
		http.Error(w, "container not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	out := flushed{w}
	start := tailStart(content, r.URL.Query().Get("tailLines"))
	out.Write(content[start:])
	if r.URL.Query().Get("follow") == "true" {
		life, end := context.WithCancel(r.Context())
		defer end()
		defer context.AfterFunc(pod.life, end)()
		follow(life, path, int64(len(content)), out)
	}
}

// tailStart finds where the last lines begin; no number of lines means all.
func tailStart(content []byte, lines string) int {
	wanted, err := strconv.Atoi(lines)
	if err != nil {
		return 0
	}
	start := len(content)
	for ; wanted > 0 && start > 0; wanted-- {
		start = bytes.LastIndexByte(content[:start-1], '\n') + 1
	}
	return start
}

// follow copies what is and what comes, from an offset on, until life ends or the reader is gone.
func follow(life context.Context, path string, offset int64, out io.Writer) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	for {
		if _, err := io.Copy(out, file); err != nil {
			return err
		}
		select {
		case <-life.Done():
			return nil
		case <-time.After(logPoll):
		}
	}
}

// flushed sends each piece at once, as a reader who follows expects.
type flushed struct{ http.ResponseWriter }

func (f flushed) Write(piece []byte) (int, error) {
	n, err := f.ResponseWriter.Write(piece)
	f.ResponseWriter.(http.Flusher).Flush()
	return n, err
}
