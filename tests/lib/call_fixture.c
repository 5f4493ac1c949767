// SPDX-License-Identifier: Apache-2.0
/* call_fixture.c - one client session against the front's engine with two identities. Tests of workloadapi only. */
#include "tests/lib/call_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"

int fixture_set_up(void **state)
{
	struct fixture *f = mem_new(struct fixture);

	assert_non_null(f);
	assert_int_equal(api_init(&f->api), 0);
	f->api.now = 1000 * NS_PER_S;
	test_api_serve(&f->api, 1, 2, 200);
	f->p = peer_new(&f->api, false);
	*state = f;
	return 0;
}

int fixture_tear_down(void **state)
{
	struct fixture *f = *state;

	peer_free(f->p);
	api_done(&f->api);
	mem_free(f);
	return 0;
}

size_t messages(const struct answer *a, struct slice *ret_last)
{
	struct slice s = buf_slice(&a->body);
	size_t n = 0;

	while (s.len) {
		assert_int_equal(slice_get_u8(&s), 0);
		*ret_last = slice_get_bytes(&s, slice_get_be32(&s));
		assert_true(slice_ok(&s));
		n++;
	}
	return n;
}

X509SVIDResponse *last_svids(const struct answer *a, size_t want)
{
	struct slice last = slice_of(NULL, 0);
	X509SVIDResponse *r;

	assert_int_equal(messages(a, &last), want);
	r = x509_svidresponse__unpack(NULL, last.len, last.p);
	assert_non_null(r);
	return r;
}
