// SPDX-License-Identifier: Apache-2.0
/* foreign_cert.c - checks of a CA certificate from somebody else, and the list of those that passed. svid. */
#include "agent/cli/foreign_cert.h"

#include <errno.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/spiffe_id.h"
#include "agent/cli/jwk.h"

/* NULL: there is no URI name, or one of this trust domain. */
static const char *names_why(X509 *cert, struct slice trust_domain)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const char *why = NULL;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !why; i++) {
		int kind;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
		struct spiffe_id id;

		if (kind != GEN_URI)
			continue;
		if (spiffe_id_parse(slice_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)), &id))
			why = "its URI name is no SPIFFE ID";
		else if (!slice_eq(id.trust_domain, trust_domain))
			why = "it names another trust domain (X509-SVID 3.2)";
		else if (id.path.len)
			why = "its SPIFFE ID has a path, which a signing certificate's must not (X509-SVID 3.2)";
	}
	GENERAL_NAMES_free(names);
	return why;
}

static const char *cert_why(X509 *cert, struct slice trust_domain)
{
	uint32_t flags = X509_get_extension_flags(cert), usage = X509_get_key_usage(cert);
	const char *why = jwk_key_why(X509_get0_pubkey(cert));

	if (why)
		return why;
	if (flags & EXFLAG_INVALID)
		return "an extension of it is malformed";
	if (flags & EXFLAG_CRITICAL)
		return "it has a critical extension that nobody knows";
	if (!(flags & EXFLAG_CA))
		return "it is not a CA certificate: basicConstraints lacks CA (X509-SVID 4.1)";
	if (usage == UINT32_MAX || !(usage & KU_KEY_CERT_SIGN))
		return "its keyUsage lacks keyCertSign (X509-SVID 4.3)";
	return names_why(cert, trust_domain);
}

int foreign_cert_read(struct slice der, struct slice trust_domain, X509 **ret_cert, const char **ret_why)
{
	const unsigned char *at = der.p;
	AUTO(cert) X509 *cert = d2i_X509(NULL, &at, (long)der.len);

	*ret_why = !cert || at != der.p + der.len ? "it is not one DER certificate" : cert_why(cert, trust_domain);
	ERR_clear_error();
	if (!*ret_why)
		*ret_cert = take(&cert);
	return 0;
}

static bool is_there(const struct foreign *f, struct slice der)
{
	return f->der.len && memmem(f->der.data, f->der.len, der.p, der.len);
}

static void warn_times(struct foreign *f, const X509 *cert, int64_t now)
{
	time_t at = (time_t)now;
	struct tm tm;
	char when[32];

	if (X509_cmp_time(X509_get0_notAfter(cert), &at) < 0 && ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1) {
		clock_rfc3339((int64_t)timegm(&tm), when);
		buf_printf(&f->warnings, "certificate number %zu expired at %s\n", f->n_x509, when);
	} else if (X509_cmp_time(X509_get0_notBefore(cert), &at) > 0) {
		buf_printf(&f->warnings, "certificate number %zu is not yet valid\n", f->n_x509);
	}
}

int foreign_cert_add(struct foreign *f, X509 *cert, int64_t now)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);

	if (len <= 0)
		return -ENOMEM;
	if (is_there(f, slice_of(der, (size_t)len))) {
		buf_printf(&f->warnings, "certificate number %zu is there twice\n", f->n_x509 + 1);
	} else {
		buf_put(&f->der, der, (size_t)len);
		f->n_x509++;
		warn_times(f, cert, now);
	}
	OPENSSL_free(der);
	return buf_ok(&f->der);
}
