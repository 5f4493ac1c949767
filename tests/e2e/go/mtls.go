// SPDX-License-Identifier: Apache-2.0

// serve and dial: mutual TLS between two workloads, each holding only what the Workload API gave it.
// The server greets each accepted peer by the SPIFFE ID in its certificate.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func newSource(ctx context.Context) (*workloadapi.X509Source, error) {
	return workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(clientOptions()...))
}

func greet(conn *tls.Conn) {
	defer conn.Close()
	err := conn.Handshake()
	if err != nil {
		emit("refused", map[string]any{"text": err.Error()})
		return
	}
	id, err := spiffetls.PeerIDFromConnectionState(conn.ConnectionState())
	if err != nil {
		emit("refused", map[string]any{"text": err.Error()})
		return
	}
	emit("accepted", map[string]any{"peer": id.String()})
	fmt.Fprintf(conn, "hello %s\n", id)
}

func serve(ctx context.Context) error {
	src, err := newSource(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	want, err := spiffeid.FromString(*peer)
	if err != nil {
		return err
	}
	config := tlsconfig.MTLSServerConfig(src, src, tlsconfig.AuthorizeID(want))
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	emit("listening", map[string]any{"address": listener.Addr().String()})
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil
		}
		go greet(tls.Server(conn, config))
	}
}

func dial(ctx context.Context) error {
	src, err := newSource(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	want, err := spiffeid.FromString(*peer)
	if err != nil {
		return err
	}
	config := tlsconfig.MTLSClientConfig(src, src, tlsconfig.AuthorizeID(want))
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", *target)
	if err != nil {
		return err
	}
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	emit("greeted", map[string]any{"text": line[:len(line)-1]})
	return nil
}
