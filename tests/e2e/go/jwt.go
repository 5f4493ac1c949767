// SPDX-License-Identifier: Apache-2.0

// jwt, jwt-bundles, jwt-watch, validate, bundle-source: JWT-SVIDs and trust bundles, through the sources
// and the client of go-spiffe. A token that was fetched is checked with the library's own validator too.
package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func kids(b *jwtbundle.Bundle) []string {
	all := []string{}
	for kid := range b.JWTAuthorities() {
		all = append(all, kid)
	}
	sort.Strings(all)
	return all
}

func jwtBundleFields(set *jwtbundle.Set) map[string]any {
	all := map[string]any{}
	for _, b := range set.Bundles() {
		all[b.TrustDomain().Name()] = kids(b)
	}
	return all
}

func jwtFields(s *jwtsvid.SVID) map[string]any {
	return map[string]any{
		"id": s.ID.String(), "hint": s.Hint, "aud": s.Audience, "expires": s.Expiry.Unix(),
		"claims": s.Claims, "token": s.Marshal(),
	}
}

func jwtParams() (jwtsvid.Params, error) {
	audiences := strings.Split(*audience, ",")
	params := jwtsvid.Params{Audience: audiences[0], ExtraAudiences: audiences[1:]}
	if *subject == "" {
		return params, nil
	}
	id, err := spiffeid.FromString(*subject)
	params.Subject = id
	return params, err
}

// jwt fetches through a JWTSource and validates offline with the bundles that the source holds.
func jwt(ctx context.Context) error {
	params, err := jwtParams()
	if err != nil {
		return err
	}
	src, err := workloadapi.NewJWTSource(ctx, workloadapi.WithClientOptions(clientOptions()...))
	if err != nil {
		return err
	}
	defer src.Close()
	svids, err := src.FetchJWTSVIDs(ctx, params)
	if err != nil {
		return err
	}
	all := []any{}
	for _, s := range svids {
		_, err = jwtsvid.ParseAndValidate(s.Marshal(), src, []string{params.Audience})
		if err != nil {
			return fmt.Errorf("the token fetched is not valid: %w", err)
		}
		all = append(all, jwtFields(s))
	}
	emit("jwt", map[string]any{"svids": all})
	return nil
}

func jwtBundles(ctx context.Context) error {
	set, err := workloadapi.FetchJWTBundles(ctx, clientOptions()...)
	if err != nil {
		return err
	}
	emit("jwt-bundles", map[string]any{"bundles": jwtBundleFields(set)})
	return nil
}

type jwtWatcher struct {
	ctx  context.Context
	stop context.CancelFunc
	seen int
}

func (w *jwtWatcher) OnJWTBundlesUpdate(set *jwtbundle.Set) {
	w.seen++
	emit("update", map[string]any{"n": w.seen, "bundles": jwtBundleFields(set)})
	if *count > 0 && w.seen >= *count {
		w.stop()
	}
}

func (w *jwtWatcher) OnJWTBundlesWatchError(err error) {
	if w.ctx.Err() == nil {
		emit("watch-error", errorFields(err))
	}
}

func jwtWatch(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := &jwtWatcher{ctx: ctx, stop: stop}
	err := workloadapi.WatchJWTBundles(ctx, w, clientOptions()...)
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// validate has the agent check the token, which is what a workload without bundles does.
func validate(ctx context.Context) error {
	client, err := workloadapi.New(ctx, clientOptions()...)
	if err != nil {
		return err
	}
	defer client.Close()
	s, err := client.ValidateJWTSVID(ctx, *token, *audience)
	if err != nil {
		return err
	}
	emit("valid", jwtFields(s))
	return nil
}

// bundleSource shows what a BundleSource knows of the trust domain -target: X.509 and JWT authorities.
func bundleSource(ctx context.Context) error {
	if *target == "" {
		return errors.New("which trust domain? -target")
	}
	domain, err := spiffeid.TrustDomainFromString(*target)
	if err != nil {
		return err
	}
	src, err := workloadapi.NewBundleSource(ctx, workloadapi.WithClientOptions(clientOptions()...))
	if err != nil {
		return err
	}
	defer src.Close()
	bundle, err := src.GetBundleForTrustDomain(domain)
	if err != nil {
		return err
	}
	emit("bundle", map[string]any{"x509": len(bundle.X509Authorities()), "kids": kids(bundle.JWTBundle())})
	return nil
}
