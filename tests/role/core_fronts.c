/* SPDX-License-Identifier: Apache-2.0 */
/* core_fronts.c - the fronts of core_world.c: good ones, unless struct world_ways says otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/ipc/lists.h"
#include "tests/role/core_world.h"

/* svid-core may have condemned this front meanwhile: then nobody hears it. */
static void front_answers(int err)
{
	assert_true(err == 0 || err == -ERR_CLOSED);
}

static void on_conn(struct world *w, struct world_front *f, struct chan_msg *m)
{
	struct world_conn *c = &w->conns[w->n_conns++];
	struct msg_F_CONN conn;

	assert_true(w->n_conns <= WORLD_CONNS);
	assert_int_equal(msg_get_F_CONN(m->body, &conn), 0);
	*c = (struct world_conn){ .number = conn.conn, .front = f->number, .fd = m->fds[0] };
	m->fds[0] = -1;
	f->conns++;
	front_answers(ipc_put(f->fd, FR_WHOAMI, 0, .conn = conn.conn));
}

static void on_whoami(struct world *w, const struct world_front *f, struct chan_msg *m)
{
	struct msg_F_WHOAMI answer;

	assert_int_equal(msg_get_F_WHOAMI(m->body, &answer), 0);
	for (size_t i = 0; i < w->n_conns; i++)
		if (w->conns[i].number == answer.conn && w->conns[i].front == f->number)
			memcpy(w->conns[i].whoami, answer.json.p, answer.json.len);
}

static void on_end(struct world *w, struct world_front *f, struct chan_msg *m)
{
	struct msg_F_END end;

	assert_int_equal(msg_get_F_END(m->body, &end), 0);
	for (size_t i = 0; i < w->n_conns; i++) {
		struct world_conn *c = &w->conns[i];

		if (c->number != end.conn || c->front != f->number)
			continue;
		c->ended = true;
		c->end_err = end.err;
		if (w->ways.front_ignores_end)
			continue;
		world_close_fd(&c->fd);
		front_answers(ipc_put(f->fd, FR_CLOSED, 0, .conn = c->number, .err = end.err));
	}
}

static void read_sds(struct world_front *f, const struct msg_F_SET *set)
{
	struct slice entries = set->entries, peers;

	f->nobody_ca = set->nobody_ca.len;
	snprintf(f->sds, sizeof(f->sds), "%.*s %.*s %.*s %u", (int)set->sds_svid.len, (const char *)set->sds_svid.p,
		 (int)set->sds_bundle.len, (const char *)set->sds_bundle.p, (int)set->sds_all.len,
		 (const char *)set->sds_all.p, set->sds_flags);
	peers = entries.len ? list_get_entry(&entries).peers : entries;
	f->peers[0] = 0;
	while (peers.len && slice_ok(&peers)) {
		struct slice one = list_get_str(&peers, LIM_SPIFFE_ID + 16);

		snprintf(f->peers + strlen(f->peers), sizeof(f->peers) - strlen(f->peers), "%.*s,", (int)one.len,
			 (const char *)one.p);
	}
	assert_true(slice_ok(&peers));
}

static void on_set(struct world_front *f, struct chan_msg *m, int set_err)
{
	struct msg_F_SET set;

	assert_int_equal(msg_get_F_SET(m->body, &set), 0);
	f->version = set.version;
	f->bundle = set.bundle.len;
	f->jwks = set.jwks.len;
	f->wit = set.wit;
	read_sds(f, &set);
	for (f->entries = f->wits = 0; set.entries.len; f->entries++) {
		struct set_entry e = list_get_entry(&set.entries);

		f->identities[f->entries % ARRAY_SIZE(f->identities)] = e.identity;
		f->wits += e.wit.len > 0 && e.wit_generation > 0;
	}
	assert_true(slice_ok(&set.entries));
	f->federated[0] = 0;
	while (set.federated.len && slice_ok(&set.federated)) {
		struct fed_bundle fed = list_get_fed(&set.federated);

		snprintf(f->federated + strlen(f->federated), sizeof(f->federated) - strlen(f->federated), "%.*s=%zu+%zu ",
			 (int)fed.trust_domain_id.len, (const char *)fed.trust_domain_id.p, fed.bundle.len, fed.jwks.len);
	}
	assert_true(slice_ok(&set.federated));
	front_answers(ipc_put(f->fd, FR_SET, 0, .version = set.version, .err = set_err));
}

static void on_nojwt(struct world_front *f, struct chan_msg *m)
{
	struct msg_F_NOJWT no;

	assert_int_equal(msg_get_F_NOJWT(m->body, &no), 0);
	f->nojwts++;
	f->nojwt_order = no.order;
	f->nojwt_err = no.err;
}

static int make_file(const struct world_front *f, const struct msg_F_FILE *ask, bool seal)
{
	int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char text[64];
	int n = snprintf(text, sizeof(text), "front %u identity %u what %u", f->number, ask->identity, ask->what);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, (size_t)n), n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | (seal ? F_SEAL_WRITE | F_SEAL_SEAL : 0)), 0);
	return fd;
}

void world_give_file(struct world_front *f, const struct msg_F_FILE *ask, enum world_file way)
{
	int fd = make_file(f, ask, way != FILE_NOT_SEALED);
	uint32_t len = (uint32_t)lseek(fd, 0, SEEK_END) + (way == FILE_SHORT);

	if (way == FILE_REFUSED)
		front_answers(ipc_put(f->fd, FR_NOFILE, 0, .order = ask->order, .err = -ERR_NOT_FOUND));
	else if (way != FILE_SILENT)
		front_answers(ipc_put_fds(f->fd, FR_FILE, 0, &fd, 1, .order = ask->order + (way == FILE_OF_ANOTHER),
					  .len = len));
	close(fd);
}

static void on_file(struct world *w, struct world_front *f, struct chan_msg *m)
{
	assert_int_equal(msg_get_F_FILE(m->body, &f->last_file), 0);
	f->files++;
	world_give_file(f, &f->last_file, w->ways.front_file);
}

void world_on_front(struct world *w, struct world_front *f, struct chan_msg *m)
{
	struct msg_F_STATE state;

	switch (m->type) {
	case MSG_F_SET:
		on_set(f, m, w->ways.front_set_err);
		break;
	case MSG_F_CONN:
		on_conn(w, f, m);
		break;
	case MSG_F_WHOAMI:
		on_whoami(w, f, m);
		break;
	case MSG_F_NOJWT:
		on_nojwt(f, m);
		break;
	case MSG_F_FILE:
		on_file(w, f, m);
		break;
	case MSG_F_END:
		on_end(w, f, m);
		break;
	case MSG_F_STATE:
		assert_int_equal(msg_get_F_STATE(m->body, &state), 0);
		f->state = state.err;
		break;
	default:
		fail_msg("svid-core says %s to a front", msg_name(m->type));
	}
}
