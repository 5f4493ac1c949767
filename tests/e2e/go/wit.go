// SPDX-License-Identifier: Apache-2.0

// wit: WIT-SVIDs and their bundles through go-spiffe's WITSource, where the profile is switched on.
package main

import (
	"context"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func wit(ctx context.Context) error {
	svids, err := workloadapi.FetchWITSVIDs(ctx, *subject, clientOptions()...)
	if err != nil {
		return err
	}
	src, err := workloadapi.NewWITSource(ctx, workloadapi.WithClientOptions(clientOptions()...))
	if err != nil {
		return err
	}
	defer src.Close()
	all := []any{}
	for _, s := range svids {
		_, err = src.GetWITSVIDForID(s.ID)
		if err != nil {
			return err
		}
		_, err = src.GetWITBundleForTrustDomain(s.ID.TrustDomain())
		if err != nil {
			return err
		}
		all = append(all, map[string]any{"id": s.ID.String(), "hint": s.Hint, "token": s.Marshal()})
	}
	emit("wit", map[string]any{"svids": all})
	return nil
}
