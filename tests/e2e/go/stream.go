// SPDX-License-Identifier: Apache-2.0

// stream: raw gRPC on the connection, with no retry, so that a test sees how each stream ends. The
// high-level API of go-spiffe would hide that by reconnecting.
package main

import (
	"context"
	"crypto/x509"
	"sync"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func streamSVID(s *workload.X509SVID) map[string]any {
	fields := map[string]any{"id": s.SpiffeId, "hint": s.Hint, "key_bytes": len(s.X509SvidKey)}
	chain, err := x509.ParseCertificates(s.X509Svid)
	if err != nil || len(chain) == 0 {
		fields["broken"] = true
		return fields
	}
	fields["serial"] = chain[0].SerialNumber.Text(16)
	fields["not_after"] = chain[0].NotAfter.Unix()
	return fields
}

// follow reads the FetchX509SVID stream of one connection to its end and says how it ended; then it opens
// the next one, -again times, with no pause: a server that refuses is seen.
func follow(ctx context.Context, number int) {
	tag := func(fields map[string]any) map[string]any {
		fields["conn"] = number
		return fields
	}
	conn, err := grpc.NewClient(*socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		emit("ended", tag(errorFields(err)))
		return
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "workload.spiffe.io", "true")
	for try := 0; try <= *again && ctx.Err() == nil; try++ {
		err = readStream(ctx, conn, tag)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			emit("ended", tag(errorFields(err)))
		}
	}
}

// readStream emits each message; nil when -count of them came.
func readStream(ctx context.Context, conn *grpc.ClientConn, tag func(map[string]any) map[string]any) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	svids, err := workload.NewSpiffeWorkloadAPIClient(conn).FetchX509SVID(ctx, &workload.X509SVIDRequest{})
	if err != nil {
		return err
	}
	for n := 1; *count == 0 || n <= *count; n++ {
		got, err := svids.Recv()
		if err != nil {
			return err
		}
		all := []any{}
		for _, s := range got.Svids {
			all = append(all, streamSVID(s))
		}
		emit("message", tag(map[string]any{"n": n, "svids": all}))
	}
	return nil
}

func stream(ctx context.Context) error {
	var all sync.WaitGroup
	for i := range *conns {
		all.Add(1)
		go func() {
			defer all.Done()
			follow(ctx, i)
		}()
	}
	all.Wait()
	return nil
}
