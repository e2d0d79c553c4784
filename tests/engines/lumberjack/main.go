// Elastic's own Lumberjack server (go-lumber, server/v2) as a program for tests: prints what it has received, one JSON
// object a line, and acknowledges it.
//
// It prints "listening HOST:PORT" first. With -refuse N the connections of the first N batches are closed in the place of
// the acknowledgement; with -share S and -seed such a share of all batches; -wait holds every acknowledgement back.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"net"
	"os"
	"sync"
	"time"

	"github.com/elastic/go-lumber/server/v2"
)

// remembering is a listener that knows its connections, since the server's batches do not say where they come from.
type remembering struct {
	net.Listener
	mutex sync.Mutex
	open  []net.Conn
}

func (r *remembering) Accept() (net.Conn, error) {
	connection, err := r.Listener.Accept()
	if err == nil {
		r.mutex.Lock()
		r.open = append(r.open, connection)
		r.mutex.Unlock()
	}
	return connection, err
}

// cut ends every connection there is.
func (r *remembering) cut() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, each := range r.open {
		if plain, ok := each.(*net.TCPConn); ok {
			plain.SetLinger(0)
		}
		each.Close()
	}
	r.open = nil
}

func secured(inner net.Listener, certificate, key, authority string) net.Listener {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if authority != "" {
		pem, err := os.ReadFile(authority)
		if err != nil {
			log.Fatal(err)
		}
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(pem)
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return tls.NewListener(inner, config)
}

func main() {
	refuse := flag.Int("refuse", 0, "batches whose connection is closed in the place of the acknowledgement")
	share := flag.Float64("share", 0, "the same for such a share of all batches")
	seed := flag.Int64("seed", 0, "of the share")
	wait := flag.Duration("wait", 0, "how long every acknowledgement is held back")
	keepalive := flag.Duration("keepalive", 3*time.Second, "between signs of life")
	certificate := flag.String("cert", "", "PEM; with it TLS is spoken")
	key := flag.String("key", "", "PEM")
	authority := flag.String("ca", "", "PEM; with it clients need a certificate of this authority")
	flag.Parse()

	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	known := &remembering{Listener: inner}
	var listener net.Listener = known
	if *certificate != "" {
		listener = secured(known, *certificate, *key, *authority)
	}
	server, err := v2.NewWithListener(listener, v2.Keepalive(*keepalive), v2.Timeout(30*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	fmt.Fprintf(out, "listening %s\n", inner.Addr())
	out.Flush()
	go func() { // whoever began this is gone
		bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}()

	chance := rand.New(rand.NewSource(*seed))
	encoder := json.NewEncoder(out)
	for batch := range server.ReceiveChan() {
		for _, event := range batch.Events {
			encoder.Encode(event)
		}
		out.Flush()
		time.Sleep(*wait)
		if *refuse > 0 || chance.Float64() < *share {
			*refuse--
			known.cut()
		}
		batch.ACK()
	}
}
