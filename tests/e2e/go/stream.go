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

// follow reads one FetchX509SVID stream to its end and says how it ended.
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
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	svids, err := workload.NewSpiffeWorkloadAPIClient(conn).FetchX509SVID(ctx, &workload.X509SVIDRequest{})
	for n := 1; err == nil; n++ {
		var got *workload.X509SVIDResponse
		got, err = svids.Recv()
		if err != nil {
			break
		}
		all := []any{}
		for _, s := range got.Svids {
			all = append(all, streamSVID(s))
		}
		emit("message", tag(map[string]any{"n": n, "svids": all}))
		if *count > 0 && n >= *count {
			return
		}
	}
	if ctx.Err() == nil {
		emit("ended", tag(errorFields(err)))
	}
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
