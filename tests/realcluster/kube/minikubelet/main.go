// Command minikubelet stands in for a node's kubelet where there are no containers: it registers a Node, makes every
// pod Running without a scheduler, and serves exec, attach, port-forward and logs to the API server.
//
//	pods.go       the Node, and the pods the API server tells of
//	podtable.go   what runs here: a folder for each pod, a log file for each container
//	routes.go     the part of the kubelet's HTTP interface that kube-apiserver calls
//	logs.go streams.go processes.go terminal.go   what is behind the routes
//
// A "container" is a folder: exec runs its command on the host, as the user who started minikubelet, with that folder
// as working directory. The command in a pod's spec is not run.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"log"
	"net"
	"net/http"
	"os"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server, as a user who may bind pods and write their status")
	node := flag.String("node-name", "minikubelet", "name of the Node to register")
	podsDirectory := flag.String("pods-directory", "", "folder for the pods' folders, NAMESPACE/POD")
	certificate := flag.String("tls-cert-file", "", "serving certificate, for 127.0.0.1")
	key := flag.String("tls-private-key-file", "", "key of the serving certificate")
	clientCA := flag.String("client-ca-file", "", "who signs the API server's kubelet client certificate; others are refused")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	fatal(err)
	client, err := kubernetes.NewForConfig(config)
	fatal(err)
	// Port 0: the Node says which port it became, so nobody has to guess a free one.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(err)

	pods := newPodTable(*podsDirectory)
	server := &http.Server{
		Handler: routes(pods),
		// Exec by SPDY takes the connection over, which HTTP/2 does not allow.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		TLSConfig:    &tls.Config{ClientCAs: certPool(*clientCA), ClientAuth: tls.RequireAndVerifyClientCert},
	}
	go func() { fatal(server.ServeTLS(listener, *certificate, *key)) }()
	fatal(run(client, *node, listener.Addr().(*net.TCPAddr).Port, pods))
}

func certPool(path string) *x509.CertPool {
	pem, err := os.ReadFile(path)
	fatal(err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		log.Fatalf("no certificate in %s", path)
	}
	return pool
}

func fatal(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
