# SPDX-License-Identifier: Apache-2.0
"""A private CA of one test run, and the keys that its servers and issuers have."""
import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def rsa_key(bits=2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def ec_key(curve=None):
    return ec.generate_private_key(curve or ec.SECP256R1())


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A CA, and what it certifies."""

    def __init__(self, name="private CA of a test", key=None):
        self.key, self.name = key or ec_key(), _name(name)
        usage = x509.KeyUsage(key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
                              key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                              decipher_only=False)
        self.certificate = (self._builder(self.name, self.key, 30 * DAY)
                            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                            .add_extension(usage, critical=True)
                            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
                            .sign(self.key, hashes.SHA256()))

    def _builder(self, subject, key, life, begin=None):
        begin = begin or now() - datetime.timedelta(minutes=5)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(begin + life))

    def leaf(self, key, uri=None, addresses=(), names=(), life=DAY, begin=None, ca=False, signs=True, subject="leaf"):
        """A certificate of ours for a key: of a server by its addresses and names, of a workload by its URI."""
        san = [*(x509.IPAddress(ipaddress.ip_address(a)) for a in addresses), *(x509.DNSName(n) for n in names),
               *([x509.UniformResourceIdentifier(uri)] if uri else [])]
        usage = x509.KeyUsage(key_cert_sign=ca, crl_sign=False, digital_signature=signs, content_commitment=False,
                              key_encipherment=not signs, data_encipherment=False, key_agreement=False, encipher_only=False,
                              decipher_only=False)
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        return (self._builder(_name(subject), key, life, begin)
                .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
                .add_extension(usage, critical=True).add_extension(both, critical=False)
                .add_extension(x509.SubjectAlternativeName(san), critical=False)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
                .sign(self.key, hashes.SHA256()))

    def pem(self):
        return pem(self.certificate).decode()

    def server(self, folder, address, names=()):
        """A TLS context for a server at that address."""
        key = ec_key()
        path = os.path.join(folder, f"server-{address}.pem")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(private_pem(key) + pem(self.leaf(key, addresses=[address], names=names, subject=address)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path)
        return context
