/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/foreign.c agent/cli/foreign_cert.c agent/cli/jwk.c workloadapi/jwks.c workloadapi/jsondoc.c workloadapi/set.c workloadapi/der.c */
/*
 * foreign_fuzz.c - any bytes as the bundle of another trust domain. What `svid bundle set` sends on must be what a front
 * would give to its clients: else the operator is told yes and the clients get nothing.
 */
#include <stdlib.h>

#include "agent/base/mem.h"
#include "agent/cli/foreign.h"
#include "workloadapi/der.h"
#include "workloadapi/jwks.h"
#include "workloadapi/set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(foreign) struct foreign f = FOREIGN_INIT;
	AUTO(jwks) struct jwks *keys = NULL;
	int err = foreign_read(slice_str("other.test"), slice_of(data, size), 1800000000, &f);

	must(err == 0 || err == -ERR_FORMAT || err == -ERR_SIZE);
	must(err != -ERR_FORMAT || f.why.len > 0);
	if (err)
		return 0;
	must(der_count(buf_slice(&f.der)) == f.n_x509);
	if (f.jwks.len)
		must(jwks_check(buf_slice(&f.jwks)) == 0 && jwks_parse(buf_slice(&f.jwks), &keys) == 0);
	must((keys ? keys->n_keys : 0) == f.n_jwt);
	return 0;
}
