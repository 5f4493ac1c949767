// SPDX-License-Identifier: Apache-2.0

// sdk-go: a workload that uses the SDKs of the three clouds as their manuals say, with nothing of ours: where its
// credentials are stands in the environment. Prints what it sees as JSON lines; each line `again` on stdin has it do the
// same once more in the same process, with the same client objects.
// Usage: sdk-go aws BUCKET KEY | gcp URL | gcp-auth URL | azure SCOPE URL
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"cloud.google.com/go/auth/credentials"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

const cloudPlatform = "https://www.googleapis.com/auth/cloud-platform"

type fields = map[string]any

// What is done once, and again.
type act func(context.Context) (fields, error)

func emit(event string, f fields) {
	f["event"] = event
	f["at"] = float64(time.Now().UnixMilli()) / 1000
	line, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func seconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return float64(t.UnixMilli()) / 1000
}

// end tells one token from another, and is none.
func end(token string) string {
	return token[max(0, len(token)-12):]
}

// aws asks the token service who this is, and reads an object.
func aws(ctx context.Context, bucket, key string) (act, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	who := sts.NewFromConfig(c)
	objects := s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	return func(ctx context.Context) (fields, error) {
		me, err := who.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return nil, err
		}
		object, err := objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			return nil, err
		}
		defer object.Body.Close()
		body, err := io.ReadAll(object.Body)
		if err != nil {
			return nil, err
		}
		now, err := c.Credentials.Retrieve(ctx)
		if err != nil {
			return nil, err
		}
		f := fields{"arn": *me.Arn, "body": string(body), "token": now.AccessKeyID, "expires": nil}
		if now.CanExpire {
			f["expires"] = seconds(now.Expires)
		}
		return f, nil
	}, nil
}

func get(ctx context.Context, client *http.Client, url, bearer string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s", answer.Status, body)
	}
	return string(body), err
}

// gcp is what most programs have: golang.org/x/oauth2.
func gcp(ctx context.Context, url string) (act, error) {
	found, err := google.FindDefaultCredentials(ctx, cloudPlatform)
	if err != nil {
		return nil, err
	}
	client := oauth2.NewClient(ctx, found.TokenSource)
	return func(ctx context.Context) (fields, error) {
		body, err := get(ctx, client, url, "")
		if err != nil {
			return nil, err
		}
		token, err := found.TokenSource.Token()
		if err != nil {
			return nil, err
		}
		return fields{"body": body, "token": end(token.AccessToken), "expires": seconds(token.Expiry)}, nil
	}, nil
}

// gcpAuth is its successor, under Google's newer libraries.
func gcpAuth(_ context.Context, url string) (act, error) {
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{cloudPlatform}})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (fields, error) {
		token, err := found.Token(ctx)
		if err != nil {
			return nil, err
		}
		body, err := get(ctx, http.DefaultClient, url, token.Value)
		if err != nil {
			return nil, err
		}
		return fields{"body": body, "token": end(token.Value), "expires": seconds(token.Expiry)}, nil
	}, nil
}

func azure(_ context.Context, scope, url string) (act, error) {
	// The authority is none that the SDK knows: it would ask a public site about it. With Entra itself that is not needed.
	found, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{DisableInstanceDiscovery: true})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (fields, error) {
		token, err := found.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		if err != nil {
			return nil, err
		}
		body, err := get(ctx, http.DefaultClient, url, token.Token)
		if err != nil {
			return nil, err
		}
		return fields{"body": body, "token": end(token.Token), "expires": seconds(token.ExpiresOn)}, nil
	}, nil
}

func choose(ctx context.Context, words []string) (act, error) {
	switch {
	case len(words) == 3 && words[0] == "aws":
		return aws(ctx, words[1], words[2])
	case len(words) == 2 && words[0] == "gcp":
		return gcp(ctx, words[1])
	case len(words) == 2 && words[0] == "gcp-auth":
		return gcpAuth(ctx, words[1])
	case len(words) == 3 && words[0] == "azure":
		return azure(ctx, words[1], words[2])
	}
	return nil, errors.New("usage: sdk-go aws BUCKET KEY | gcp URL | gcp-auth URL | azure SCOPE URL")
}

func once(ctx context.Context, do act) int {
	f, err := do(ctx)
	if err != nil {
		emit("refused", fields{"message": err.Error()})
		return 1
	}
	emit("done", f)
	return 0
}

func main() {
	ctx := context.Background()
	do, err := choose(ctx, os.Args[1:])
	if err != nil {
		do = func(context.Context) (fields, error) { return nil, err }
	}
	code := once(ctx, do)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "again" {
			code = once(ctx, do)
		}
	}
	os.Exit(code)
}
