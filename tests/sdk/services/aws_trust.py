# SPDX-License-Identifier: Apache-2.0
"""Trust policies of roles, as documents that an operator would write: who may do what under which conditions."""
import fnmatch


def _list(value):
    return value if isinstance(value, list) else [value]


def _like(have, want):
    return fnmatch.fnmatchcase(have, want.replace("[", "[[]"))


OPERATORS = {
    "StringEquals": lambda have, want: have == want,
    "StringNotEquals": lambda have, want: have != want,
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
}


def _condition(name, rows, facts):
    every, _, operator = name.rpartition(":")
    if operator not in OPERATORS or every not in ("", "ForAnyValue", "ForAllValues"):
        raise ValueError(f"condition {name} is not known")
    for key, wants in rows.items():
        have = _list(facts.get(key.lower(), []))
        matches = [any(OPERATORS[operator](h, w) for w in _list(wants)) for h in have]
        # A key that is not there matches nothing, but for ForAllValues.
        if every == "ForAllValues" and not all(matches) or every != "ForAllValues" and not any(matches):
            return False
    return True


def _principal(statement, kind, name):
    return name in _list(statement.get("Principal", {}).get(kind, []))


def allows(policy, action, principal, facts):
    """Whether the document allows it. principal: (kind, name); facts: condition keys in lower case."""
    allowed = False
    for statement in _list(policy["Statement"]):
        if not any(_like(action, a) for a in _list(statement["Action"])) or not _principal(statement, *principal):
            continue
        if all(_condition(name, rows, facts) for name, rows in statement.get("Condition", {}).items()):
            if statement["Effect"] == "Deny":
                return False
            allowed = True
    return allowed


def web_identity(account, issuer, subject, audience="sts.amazonaws.com", actions=()):
    """The policy of a role that takes one subject and audience of one issuer, as AWS.md says to write it."""
    host = issuer.removeprefix("https://")
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{host}"},
         "Action": ["sts:AssumeRoleWithWebIdentity", *actions],
         "Condition": {"StringEquals": {f"{host}:sub": subject, f"{host}:aud": audience}}}]}


def roles_anywhere(anchor, spiffe_id):
    """The policy of a role that takes one SPIFFE ID of one trust anchor."""
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "rolesanywhere.amazonaws.com"},
         "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
         "Condition": {"StringEquals": {"aws:PrincipalTag/x509SAN/URI": spiffe_id}, "ArnEquals": {"aws:SourceArn": anchor}}}]}
