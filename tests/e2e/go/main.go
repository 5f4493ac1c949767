// SPDX-License-Identifier: Apache-2.0

// go-workload: one workload that speaks to a Workload API through go-spiffe, as its users do. Each
// thing it sees is one JSON line on stdout, so that tests written in Python read facts, not text.
// Modes: fetch, bundles, watch, source, stream (raw gRPC, no retry), serve and dial (mTLS), those of
// jwt.go and wit.go, files (the credential tree).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/status"
)

var (
	socket = flag.String("socket", os.Getenv("SPIFFE_ENDPOINT_SOCKET"), "Workload API, unix:///...")
	limit  = flag.Duration("for", 10*time.Second, "stop after this long")
	count  = flag.Int("count", 0, "watch, source, stream: stop after this many updates (0: never)")
	listen = flag.String("listen", "127.0.0.1:0", "serve: address")
	peer   = flag.String("peer", "", "serve, dial: the SPIFFE ID that the other side must have")
	target = flag.String("target", "", "dial: address; bundle-source: trust domain")
	conns  = flag.Int("conns", 1, "stream: connections opened side by side")

	audience = flag.String("audience", "", "jwt, validate: audience, more of them after commas")
	subject  = flag.String("subject", "", "jwt, wit: only this SPIFFE ID")
	token    = flag.String("token", "", "validate: JWT-SVID")
	dir      = flag.String("dir", "", "files: svid/ of the credential tree")
	again    = flag.Int("again", 0, "stream: open a stream anew when it ends, this many times")
)

var outMu sync.Mutex

// emit prints one event as one line.
func emit(event string, fields map[string]any) {
	if fields == nil {
		fields = map[string]any{}
	}
	fields["event"] = event
	fields["at"] = float64(time.Now().UnixMilli()) / 1000
	line, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	outMu.Lock()
	defer outMu.Unlock()
	fmt.Println(string(line))
}

func errorFields(err error) map[string]any {
	var grpcErr interface{ GRPCStatus() *status.Status }
	code, text := "-", err.Error()
	if errors.As(err, &grpcErr) {
		code, text = grpcErr.GRPCStatus().Code().String(), grpcErr.GRPCStatus().Message()
	}
	return map[string]any{"code": code, "text": text}
}

func svidFields(s *x509svid.SVID) map[string]any {
	leaf := s.Certificates[0]
	return map[string]any{
		"id": s.ID.String(), "hint": s.Hint, "serial": leaf.SerialNumber.Text(16),
		"not_before": leaf.NotBefore.Unix(), "not_after": leaf.NotAfter.Unix(),
		"chain": len(s.Certificates), "dns": leaf.DNSNames,
	}
}

func bundleFields(set *x509bundle.Set) map[string]any {
	all := map[string]any{}
	for _, b := range set.Bundles() {
		serials := []string{}
		for _, ca := range b.X509Authorities() {
			serials = append(serials, ca.SerialNumber.Text(16))
		}
		all[b.TrustDomain().Name()] = serials
	}
	return all
}

func contextFields(x *workloadapi.X509Context, n int) map[string]any {
	svids := []any{}
	for _, s := range x.SVIDs {
		svids = append(svids, svidFields(s))
	}
	return map[string]any{"n": n, "svids": svids, "bundles": bundleFields(x.Bundles)}
}

func clientOptions() []workloadapi.ClientOption {
	return []workloadapi.ClientOption{workloadapi.WithAddr(*socket)}
}

func fetch(ctx context.Context) error {
	x, err := workloadapi.FetchX509Context(ctx, clientOptions()...)
	if err != nil {
		return err
	}
	emit("fetched", contextFields(x, 1))
	return nil
}

func bundles(ctx context.Context) error {
	set, err := workloadapi.FetchX509Bundles(ctx, clientOptions()...)
	if err != nil {
		return err
	}
	emit("fetched", map[string]any{"bundles": bundleFields(set)})
	return nil
}

// watcher counts what go-spiffe's own watch loop delivers; that loop reconnects by itself.
type watcher struct {
	ctx  context.Context
	stop context.CancelFunc
	seen int
}

func (w *watcher) OnX509ContextUpdate(x *workloadapi.X509Context) {
	w.seen++
	emit("update", contextFields(x, w.seen))
	if *count > 0 && w.seen >= *count {
		w.stop()
	}
}

func (w *watcher) OnX509ContextWatchError(err error) {
	if w.ctx.Err() == nil {
		emit("watch-error", errorFields(err))
	}
}

func watch(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := &watcher{ctx: ctx, stop: stop}
	err := workloadapi.WatchX509Context(ctx, w, clientOptions()...)
	if ctx.Err() == nil {
		emit("watch-ended", errorFields(err))
	}
	if *count > 0 && w.seen < *count {
		return fmt.Errorf("saw %d updates, wanted %d", w.seen, *count)
	}
	return nil
}

func source(ctx context.Context) error {
	src, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(clientOptions()...))
	if err != nil {
		return err
	}
	defer src.Close()
	for n := 1; ; n++ {
		s, err := src.GetX509SVID()
		if err != nil {
			return err
		}
		_, err = src.GetX509BundleForTrustDomain(s.ID.TrustDomain())
		if err != nil {
			return err
		}
		emit("update", map[string]any{"n": n, "svids": []any{svidFields(s)}})
		if *count > 0 && n >= *count {
			return nil
		}
		if src.WaitUntilUpdated(ctx) != nil {
			return fmt.Errorf("saw %d updates, wanted %d", n, *count)
		}
	}
}

func main() {
	modes := map[string]func(context.Context) error{
		"fetch": fetch, "bundles": bundles, "watch": watch, "source": source,
		"stream": stream, "serve": serve, "dial": dial, "jwt": jwt, "jwt-bundles": jwtBundles,
		"jwt-watch": jwtWatch, "validate": validate, "bundle-source": bundleSource, "wit": wit, "files": files,
	}
	if len(os.Args) < 2 || modes[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go-workload MODE [flags], modes in main.go")
		os.Exit(2)
	}
	err := flag.CommandLine.Parse(os.Args[2:])
	if err != nil {
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	err = modes[os.Args[1]](ctx)
	if err != nil {
		emit("error", errorFields(err))
		os.Exit(1)
	}
}
