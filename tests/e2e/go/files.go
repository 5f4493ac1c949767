// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// bundleMap reads a SPIFFE bundle map as gRPC does (gRFC A87): each trust domain's set by spiffebundle.
func bundleMap(path string) (*spiffebundle.Set, error) {
	var doc struct {
		TrustDomains map[string]json.RawMessage `json:"trust_domains"`
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	set := spiffebundle.NewSet()
	for name, jwks := range doc.TrustDomains {
		td, err := spiffeid.TrustDomainFromString(name)
		if err != nil {
			return nil, err
		}
		bundle, err := spiffebundle.Parse(td, jwks)
		if err != nil {
			return nil, err
		}
		set.Add(bundle)
	}
	return set, nil
}

// files reads the svid/ directory of the credential tree (-dir), as programs without a Workload API client do.
func files(context.Context) error {
	at := func(name string) string { return filepath.Join(*dir, name) }
	svid, err := x509svid.Load(at("cert.pem"), at("key.pem"))
	if err != nil {
		return err
	}
	own, err := x509bundle.Load(svid.ID.TrustDomain(), at("bundle.pem"))
	if err != nil {
		return err
	}
	set, err := bundleMap(at("bundle-map.json"))
	if err != nil {
		return err
	}
	if _, _, err := x509svid.Verify(svid.Certificates, own); err != nil {
		return err
	}
	if _, _, err := x509svid.Verify(svid.Certificates, set); err != nil {
		return err
	}
	both := at("credential-bundle.private-key.pem")
	if _, err := tls.LoadX509KeyPair(both, both); err != nil {
		return err
	}
	names := []string{}
	for _, bundle := range set.Bundles() {
		names = append(names, bundle.TrustDomain().Name())
	}
	emit("files", map[string]any{"id": svid.ID.String(), "trust_domains": names, "authorities": len(own.X509Authorities())})
	return nil
}
