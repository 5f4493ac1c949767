# SPDX-License-Identifier: Apache-2.0
"""What is asked of the SDKs in every language: works, outlives an expiry, is of no use to another program, ends with its document."""
import os
import time

from languages import CLOUDS, EXPIRY, World

SECRET = {"aws": "of s3", "process": "of s3", "gcp": "of storage", "gcp-auth": "of storage", "azure": "of the vault"}
# These SDKs start credential_process by a shell, and Debian's forks once more. A helper is named by its file, not by a link to it.
HELPERS = [os.path.realpath("/bin/sh"), "/bin/cat"]


def worked(said, mode):
    assert said["event"] == "done" and SECRET[mode] in said["body"], said
    return said


def denied(w, said, mode):
    """The file may not be read, in that SDK's words; what became of another program, none of them tells."""
    text = said.get("message", "").lower()
    assert said["event"] == "refused" and SECRET[mode] not in str(said), said
    if mode == "process":
        assert w.refusals("aws/credentials.json"), said
    else:
        assert "permission denied" in text or "eacces" in text or "accessdenied" in text, said


def works_and_another_program_is_refused(client):
    """By web-identity, subject-token and federated-token file, which the SDK exchanges by itself, and by credential_process."""
    with World(client, "works", HELPERS) as w:
        w.start()
        for mode in client.modes:
            said = worked(w.asked_once(w.app, mode), mode)
            assert said["expires"] > time.time() + 2400, said
            if SECRET[mode] == "of s3":
                assert said["arn"].startswith("arn:aws:sts::123456789012:assumed-role/reader/"), said
                assert said["token"] in w.aws.sessions, said
            assert mode != "process" or w.refusals("aws/credentials.json") == 0, "cat was sent away"
            denied(w, w.asked_once(w.other, mode), mode)


def expire(*said):
    """Wait until what these answers were got with is over."""
    assert all(s["expires"] < time.time() + EXPIRY + 2 for s in said), said
    time.sleep(max(0.0, *(s["expires"] - time.time() for s in said)) + 0.5)


def worked_in_time(w, player, said, mode):
    """Keys that credential_process found in the tree may be over before they are used, when they live for seconds."""
    if mode == "process" and said["event"] == "refused" and "expired" in said["message"].lower():
        time.sleep(1)
        said = w.again(player)
    return worked(said, mode)


def outlives_an_expiry_and_ends_with_its_document(client):
    """The same process and the same client objects, before and after what they had is over; then the documents go."""
    with World(client, "expiry", HELPERS, life=EXPIRY) as w:
        w.start()
        players = {mode: w.client(w.app, mode) for mode in client.modes}
        first = {mode: worked_in_time(w, player, said, mode) for mode, (player, said) in players.items()}
        expire(*first.values())
        second = {mode: worked_in_time(w, player, w.again(player), mode) for mode, (player, _) in players.items()}
        for mode, said in second.items():
            assert said["expires"] > first[mode]["expires"] and said["token"] != first[mode]["token"], (first[mode], said)
        for cloud in CLOUDS:
            w.agent.remove(f"app-{cloud}")
        expire(*second.values())
        for mode, (player, _) in players.items():
            # SDKs of Azure keep what was in the file for 5 or 10 minutes: only a new process has nothing.
            said = w.asked_once(w.app, mode) if mode == "azure" else w.again(player)
            assert said["event"] == "refused" and SECRET[mode] not in str(said), said


def register(client, into):
    """The tests test_NAME for that client."""
    def test(function):
        def run():
            function(client)
        into[f"test_{function.__name__}"] = run
    for function in (works_and_another_program_is_refused, outlives_an_expiry_and_ends_with_its_document):
        test(function)
