// SPDX-License-Identifier: Apache-2.0
/* call_fixture.c - one client session against the front's engine with two identities. Tests of workloadapi only. */
#include "tests/lib/call_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/ipc/lists.h"

static void count_push(struct api *a, struct grpc_conn *g)
{
	(void)g;
	container_of(a, struct fixture, api)->pushed++;
}

static int keep_order(struct api *a, const struct grpc_conn *g, struct msg_FR_JWT *m)
{
	struct fixture *f = container_of(a, struct fixture, api);
	struct fixture_order *o = &f->orders[f->n_orders];
	struct slice list = m->audiences;
	AUTO(buf) struct buf text = BUF_INIT(sizeof(o->audiences));

	assert_ptr_equal(g->api, a);
	if (f->refuse)
		return f->refuse;
	assert_true(f->n_orders < FIXTURE_ORDERS);
	o->order = m->order;
	o->identity = m->identity;
	for (const char *between = ""; list.len; between = ",") {
		buf_put_str(&text, between);
		buf_put_slice(&text, list_get_str(&list, LIM_AUDIENCE));
	}
	if (!buf_ok(&text)) /* else nobody looks at it */
		memcpy(o->audiences, buf_cstr(&text), text.len + 1);
	f->n_orders++;
	return 0;
}

static int no_verify(struct api *a, const struct msg_FK_VERIFY *m)
{
	(void)a;
	(void)m;
	return -ERR_NOT_READY;
}

static const struct api_ops ops = { count_push, keep_order, no_verify };

void fixture_sign(struct fixture *f, const struct fixture_order *o, int64_t life)
{
	AUTO(buf) struct buf token = BUF_INIT(256);
	int64_t now = clock_wall_s();
	struct msg_FK_JWT m = { .order = o->order, .issued_at = now, .not_after = now + life };

	buf_printf(&token, "o%u.%u.s", o->order, o->identity);
	m.token = buf_slice(&token);
	assert_int_equal(tokens_answer(&f->api, &m), 0);
}

void assert_failed(const struct answer *a, int status, const char *text)
{
	assert_int_equal(a->http, 200);
	assert_string_equal(a->type, "application/grpc");
	assert_int_equal(a->grpc, status);
	assert_string_equal(a->message, text);
	assert_true(a->closed);
	assert_int_equal(a->reset, 0);
}

int fixture_set_up(void **state)
{
	struct fixture *f = mem_new(struct fixture);

	assert_non_null(f);
	assert_int_equal(api_init(&f->api), 0);
	f->api.ops = &ops;
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
