package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// runningPod is a folder in place of a file system, and a life: when it is over, the pod's streams and processes end.
type runningPod struct {
	uid       types.UID
	name      string
	directory string
	life      context.Context
	end       context.CancelFunc
}

// logFile is what `kubectl logs` shows of a container; exec in the pod can append to it by its relative name.
func (p *runningPod) logFile(container string) string {
	return filepath.Join(p.directory, container+".log")
}

type podTable struct {
	root    string
	mutex   sync.Mutex
	running map[string]*runningPod // by NAMESPACE/POD
}

func newPodTable(root string) *podTable {
	return &podTable{root: root, running: map[string]*runningPod{}}
}

func (t *podTable) find(namespace, name string) (*runningPod, bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	pod, found := t.running[namespace+"/"+name]
	return pod, found
}

// start gives a pod its folder and its containers their logs; a pod that has them already is left alone.
func (t *podTable) start(pod *corev1.Pod) error {
	if known, found := t.find(pod.Namespace, pod.Name); found {
		if known.uid == pod.UID {
			return nil
		}
		t.remove(pod.Namespace, pod.Name) // the event of its deletion was merged with that of its successor's creation
	}
	life, end := context.WithCancel(context.Background())
	started := &runningPod{pod.UID, pod.Name, filepath.Join(t.root, pod.Namespace, pod.Name), life, end}
	if err := os.MkdirAll(started.directory, 0o700); err != nil {
		return err
	}
	for _, container := range pod.Spec.Containers {
		line := fmt.Sprintf("container %s of pod %s/%s started\n", container.Name, pod.Namespace, pod.Name)
		if err := os.WriteFile(started.logFile(container.Name), []byte(line), 0o600); err != nil {
			return err
		}
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.running[pod.Namespace+"/"+pod.Name] = started
	return nil
}

// stop ends exactly this pod, not a later one of the same name.
func (t *podTable) stop(pod *corev1.Pod) {
	if known, found := t.find(pod.Namespace, pod.Name); found && known.uid == pod.UID {
		t.remove(pod.Namespace, pod.Name)
	}
}

func (t *podTable) remove(namespace, name string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	key := namespace + "/" + name
	t.running[key].end()
	os.RemoveAll(t.running[key].directory)
	delete(t.running, key)
}
