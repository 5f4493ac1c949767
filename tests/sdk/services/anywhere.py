# SPDX-License-Identifier: Apache-2.0
"""IAM Roles Anywhere: CreateSession, signed with the key of a certificate that leads to a trust anchor."""
import base64
import json
import urllib.parse

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from . import aws_trust, sigv4
from .pki import now
from .web import Answer, new_id

REGION = "eu-central-1"


def error(kind, message, status=403, headers=()):
    return Answer(status, {"message": message, "__type": kind}, "application/json",
                  {"x-amzn-errortype": kind, "x-amzn-RequestId": new_id(), **dict(headers)})


class Profile:
    def __init__(self, roles, takes_name, longest):
        self.roles, self.takes_name, self.longest = roles, takes_name, longest


def set_up(aws, account, anchor_pem, roles, takes_name=False, longest=3600):
    """A trust anchor and a profile: their ARNs. roles: names to functions from the anchor's ARN to a trust policy."""
    anchor = f"arn:aws:rolesanywhere:{REGION}:{account}:trust-anchor/{new_id()}"
    profile = f"arn:aws:rolesanywhere:{REGION}:{account}:profile/{new_id()}"
    arns = [aws.role(name, trust(anchor)) for name, trust in roles.items()]
    aws.anchors[anchor] = x509.load_pem_x509_certificates(anchor_pem.encode())
    aws.profiles[profile] = Profile(arns, takes_name, longest)
    return anchor, profile, arns


def _certificates(request):
    """Leaf first, as the headers have them."""
    texts = [request.headers.get("x-amz-x509", "")]
    texts += [t for t in request.headers.get("x-amz-x509-chain", "").split(",") if t]
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(t, validate=True)) for t in texts]
    except ValueError:
        raise error("ValidationException", "X-Amz-X509 is no certificate", 400) from None


def _is_valid(certificate):
    return certificate.not_valid_before_utc <= now() <= certificate.not_valid_after_utc


def _extension(certificate, kind):
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _is_ca(certificate):
    basic = _extension(certificate, x509.BasicConstraints)
    return bool(basic and basic.ca)


def _leads(certificate, others, anchors):
    """Whether it leads to an anchor through the others."""
    for anchor in anchors:
        if certificate == anchor or _is_from(certificate, anchor):
            return True
    for i, other in enumerate(others):
        if _is_ca(other) and _is_valid(other) and _is_from(certificate, other) and \
                _leads(other, others[:i] + others[i + 1:], anchors):
            return True
    return False


def _is_from(certificate, issuer):
    try:
        certificate.verify_directly_issued_by(issuer)
        return True
    except (ValueError, TypeError, InvalidSignature):
        return False


def _trusted(certificates, anchors):
    """The leaf, when it may be used; an error else."""
    leaf = certificates[0]
    usage = _extension(leaf, x509.KeyUsage)
    if leaf.version != x509.Version.v3 or _is_ca(leaf) or not usage or not usage.digital_signature:
        raise error("AccessDeniedException", "Untrusted certificate. It is no end entity's for signatures")
    if not _is_valid(leaf):
        raise error("AccessDeniedException", "Untrusted certificate. It is not valid now")
    if not isinstance(leaf.signature_hash_algorithm, (hashes.SHA256, hashes.SHA384, hashes.SHA512)):
        raise error("AccessDeniedException", "Untrusted certificate. Its signature is weak")
    if not _leads(leaf, certificates[1:], anchors):
        raise error("AccessDeniedException", "Untrusted certificate. It does not lead to the trust anchor")
    return leaf


def _check(signed, leaf):
    key, signature, text = leaf.public_key(), bytes.fromhex(signed.signature), signed.to_sign().encode()
    kind = {"AWS4-X509-RSA-SHA256": rsa.RSAPublicKey, "AWS4-X509-ECDSA-SHA256": ec.EllipticCurvePublicKey}.get(signed.algorithm)
    if not kind or not isinstance(key, kind):
        raise error("AccessDeniedException", "Algorithm does not suit the certificate's key")
    try:
        if kind is rsa.RSAPublicKey:
            key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise error("AccessDeniedException", "Invalid signature") from None


def _signed(request):
    try:
        signed = sigv4.Signed(request, 1)
        if {"content-type", "x-amz-date", "x-amz-x509"} - set(signed.names):
            raise sigv4.Bad("IncompleteSignature", "content-type, x-amz-date and x-amz-x509 must be signed")
        return signed
    except sigv4.Bad as e:
        raise error("AccessDeniedException", e.text) from None


def _settings(request, profile):
    """(seconds, session name or None) of the body."""
    body = request.json()
    duration, name = body.get("durationSeconds", 3600), body.get("roleSessionName")
    if set(body) - {"durationSeconds", "roleSessionName", "instanceProperties"} or not isinstance(duration, int):
        raise error("ValidationException", "a member is not known", 400)
    if not 900 <= duration <= 43200:
        raise error("ValidationException", "durationSeconds must be 900 to 43200", 400)
    if name is not None and not profile.takes_name:
        raise error("AccessDeniedException", "the profile does not accept a role session name")
    return min(duration, profile.longest), name


def create_session(aws, request):
    """What CreateSession answers."""
    query = dict(urllib.parse.parse_qsl(request.query))
    anchors, profile = aws.anchors.get(query.get("trustAnchorArn")), aws.profiles.get(query.get("profileArn"))
    role = aws.roles.get(query.get("roleArn"))
    if request.method != "POST" or not anchors or not profile:
        return error("ResourceNotFoundException", "no such trust anchor or profile", 404)
    signed, certificates = _signed(request), _certificates(request)
    if signed.service != "rolesanywhere" or signed.region != query["trustAnchorArn"].split(":")[3]:
        return error("AccessDeniedException", "Credential is of another region or service")
    leaf = _trusted(certificates, anchors)
    if signed.id != str(leaf.serial_number):
        return error("AccessDeniedException", "Credential is not the certificate's serial number in decimal")
    _check(signed, leaf)
    duration, name = _settings(request, profile)
    san = _extension(leaf, x509.SubjectAlternativeName)
    uris = san.get_values_for_type(x509.UniformResourceIdentifier) if san else []
    facts = {"aws:principaltag/x509san/uri": uris, "aws:sourcearn": query["trustAnchorArn"]}
    if not role or role.arn not in profile.roles or \
            not aws_trust.allows(role.trust, "sts:AssumeRole", ("Service", "rolesanywhere.amazonaws.com"), facts):
        return error("AccessDeniedException", "Unable to assume role")
    session = aws.grant(role, name or format(leaf.serial_number, "x"), duration, (uris or [""])[0])
    session.duration, session.algorithm = duration, signed.algorithm
    return Answer(201, json.dumps({"credentialSet": [
        {"assumedRoleUser": {"arn": session.arn, "assumedRoleId": f"{role.id}:{session.name}"}, "credentials": session.json(),
         "packedPolicySize": 0, "roleArn": role.arn}], "subjectArn": f"arn:aws:rolesanywhere:{REGION}::subject/{new_id()}"}),
                  headers={"x-amzn-RequestId": new_id()})
