# SPDX-License-Identifier: Apache-2.0
"""A workload of tests/sdk: one SDK as anybody would use it. Prints a JSON line for each thing it did; does it again for each
line on stdin. Usage: client.py aws|aws-object|gcp|gcp-object|azure [WORD...]
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request


def say(event, **what):
    print(json.dumps({"event": event, **what}), flush=True)


def aws(_):
    import boto3  # pylint: disable=import-outside-toplevel
    session = boto3.Session()
    client = session.client("sts")

    def ask():
        arn = client.get_caller_identity()["Arn"]
        keys = session.get_credentials()
        return {"who": arn, "key": keys.get_frozen_credentials().access_key, "method": keys.method}
    return ask


def aws_object(words):
    import boto3  # pylint: disable=import-outside-toplevel
    session = boto3.Session()
    client = session.client("s3")

    def ask():
        text = client.get_object(Bucket=words[0], Key=words[1])["Body"].read().decode()
        return {"text": text, "key": session.get_credentials().get_frozen_credentials().access_key}
    return ask


def _google():
    import google.auth  # pylint: disable=import-outside-toplevel
    import google.auth.transport.requests as transport  # pylint: disable=import-outside-toplevel
    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return credentials, transport.AuthorizedSession(credentials)


def gcp(words):
    credentials, session = _google()

    def ask():
        reply = session.get(f"{os.environ['GCP_URL']}/compute/v1/projects/{words[0]}/zones/europe-west3-a/instances")
        reply.raise_for_status()
        return {"instances": [i["name"] for i in reply.json()["items"]], "token": credentials.token[-12:]}
    return ask


def gcp_object(words):
    credentials, session = _google()

    def ask():
        reply = session.get(f"{os.environ['GCP_URL']}/storage/v1/b/{words[0]}/o/{words[1]}?alt=media")
        reply.raise_for_status()
        return {"text": reply.text, "token": credentials.token[-12:]}
    return ask


def azure(words):
    from azure.identity import DefaultAzureCredential  # pylint: disable=import-outside-toplevel
    # The authority is none that the SDK knows: it would ask a public site about it. With Entra itself that word is not needed.
    credential = DefaultAzureCredential(disable_instance_discovery=True)

    def ask():
        token = credential.get_token("https://vault.azure.net/.default").token
        request = urllib.request.Request(f"{os.environ['VAULT_URL']}/secrets/{words[0]}?api-version=7.4",
                                         headers={"Authorization": "Bearer " + token})
        with urllib.request.urlopen(request) as reply:
            return {"text": json.load(reply)["value"], "token": token[-12:]}
    return ask


def raw(words):
    """What a program without any SDK does: read a file, use it. words: the file, a URL that takes a bearer."""
    def ask():
        with open(words[0], encoding="ascii") as f:
            token = f.read()
        request = urllib.request.Request(words[1], headers={"Authorization": "Bearer " + token})
        with urllib.request.urlopen(request) as reply:
            return {"reply": json.load(reply), "token": token[-12:]}
    return ask


KINDS = {"aws": aws, "aws-object": aws_object, "gcp": gcp, "gcp-object": gcp_object, "azure": azure, "raw": raw}


def main():
    ask = None
    while True:
        start = time.monotonic()
        try:
            ask = ask or KINDS[sys.argv[1]](sys.argv[2:])
            said = ask()
            say("done", took=time.monotonic() - start, **said)
        except Exception as e:  # pylint: disable=broad-except
            say("refused", why=f"{type(e).__name__}: {e}"[:2000])
        if not sys.stdin.readline():
            return


if __name__ == "__main__":
    main()
