package main

import (
	"net/http"
	"time"

	"k8s.io/kubelet/pkg/cri/streaming/portforward"
	"k8s.io/kubelet/pkg/cri/streaming/remotecommand"
)

const (
	idle     = 4 * time.Hour // the kubelet's own streamingConnectionIdleTimeout
	creation = 30 * time.Second
)

// Only v4: kube-apiserver offers v4 and v5 to the kubelet by SPDY, and v5 means nothing there.
var streamProtocols = []string{"v4.channel.k8s.io"}

func routes(pods *podTable) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", in(pods, exec))
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", in(pods, attach))
	mux.HandleFunc("/portForward/{namespace}/{pod}", in(pods, forward))
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", in(pods, logs))
	return mux
}

type podRoute func(pod *runningPod, w http.ResponseWriter, r *http.Request)

func in(pods *podTable, serve podRoute) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		pod, found := pods.find(r.PathValue("namespace"), r.PathValue("pod"))
		if !found {
			http.Error(w, "pod does not exist", http.StatusNotFound)
			return
		}
		serve(pod, w, r)
	}
}

func exec(pod *runningPod, w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, podStreams{pod}, pod.name, pod.uid, r.PathValue("container"), r.URL.Query()["command"],
		options, idle, creation, streamProtocols)
}

func attach(pod *runningPod, w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(w, r, podStreams{pod}, pod.name, pod.uid, r.PathValue("container"),
		options, idle, creation, streamProtocols)
}

func forward(pod *runningPod, w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, podStreams{pod}, pod.name, pod.uid, options, idle, creation, portforward.SupportedProtocols)
}
