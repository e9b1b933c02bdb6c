// tlsecho is Go's end of a connection, as kubectl and kube-apiserver have it.
//
//	tlsecho client ADDRESS CA VERSION   sends pieces of odd sizes and compares the echo
//	tlsecho server CERT KEY VERSION     echoes one connection; prints its port, and at the end how much it was sent
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"os"
)

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func main() {
	log.SetFlags(0)
	if os.Args[1] == "client" {
		client(os.Args[2], os.Args[3], versions[os.Args[4]])
	} else {
		server(os.Args[2], os.Args[3], versions[os.Args[4]])
	}
}

func client(address, caFile string, version uint16) {
	pem, err := os.ReadFile(caFile)
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	connection, err := tls.Dial("tcp", address, &tls.Config{
		RootCAs: roots, ServerName: "prod.example.com", MinVersion: version, MaxVersion: version,
		NextProtos: []string{"h2", "http/1.1"},
	})
	check(err)
	if protocol := connection.ConnectionState().NegotiatedProtocol; protocol != "http/1.1" {
		log.Fatalf("ALPN came to %q", protocol)
	}
	sent := bytes.Repeat([]byte("0123456789abcdefg"), 123457)
	go func() {
		rest := sent
		for size := 1; len(rest) > 0; size = size*3 + 1 { // one byte first, then more than any record holds
			size = min(size, len(rest))
			_, err := connection.Write(rest[:size])
			check(err)
			rest = rest[size:]
		}
		check(connection.CloseWrite())
	}()
	echo := make([]byte, len(sent))
	_, err = io.ReadFull(connection, echo)
	check(err)
	if !bytes.Equal(echo, sent) {
		log.Fatal("the echo differs")
	}
	if n, err := connection.Read(echo); err != io.EOF { // anything else is an end without close_notify
		log.Fatalf("behind the echo: %d bytes, %v", n, err)
	}
	fmt.Println(len(sent))
}

func server(certFile, keyFile string, version uint16) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	check(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	plain, err := listener.Accept()
	check(err)
	connection := tls.Server(plain, &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: version, MaxVersion: version,
	})
	echoed, err := io.Copy(connection, connection)
	connection.Close()
	fmt.Println(echoed, err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
