// SPDX-License-Identifier: Apache-2.0
/*
 * front_file.c - files of the credential tree that fronts make: which front is asked, and what is believed of its answer.
 * The content passes unread; that nobody can change it any more is looked at. svid-core.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/core/front_table.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK)

static void send_ask(struct front *fr, struct front_ask *a)
{
	a->order = ++fr->last_file ? fr->last_file : ++fr->last_file;
	if (chan_put(fr->chan, F_FILE, 0, .order = a->order, .identity = a->identity, .what = a->what))
		front_kill(fr);
	else
		front_watch(fr);
}

void front_files(struct front *fr)
{
	struct front_ask *a;

	list_for_each(a, &fr->set->asks, in_set)
		if (!a->order)
			send_ask(fr, a);
}

void front_files_lost(struct idset *set)
{
	struct front_ask *a;

	list_for_each(a, &set->asks, in_set)
		a->order = 0;
}

int fronts_file(struct fronts *f, const struct identity *const *docs, size_t n, struct front_ask *a)
{
	struct idset *set;
	int err = fronts_set(f, docs, n, &set);

	if (err)
		return err;
	loop_timer_stop(&set->idle);
	a->set = set;
	a->order = 0;
	list_init(&a->in_set);
	list_add_tail(&set->asks, &a->in_set);
	idset_need_front(set);
	if (set->front && set->front->serves)
		send_ask(set->front, a);
	return 0;
}

void fronts_file_cancel(struct front_ask *a)
{
	struct idset *set = a->set;

	if (!set)
		return;
	a->set = NULL;
	list_del(&a->in_set);
	idset_rest(set);
}

static void over(struct front_ask *a, int err, int fd, uint32_t len)
{
	fronts_file_cancel(a);
	a->done(a, err, fd, len);
}

/* *ret_ask NULL: it was given up, and comes too late. */
static int find_ask(const struct front *fr, uint32_t order, struct front_ask **ret_ask)
{
	struct front_ask *a;

	*ret_ask = NULL;
	list_for_each(a, &fr->set->asks, in_set)
		if (a->order == order && order) {
			*ret_ask = a;
			return 0;
		}
	return order && order <= fr->last_file ? 0 : -ERR_PERMIT;
}

/* A memfd that nobody can change or shrink: what is read from it is what was given, and cannot block. */
static bool is_sealed(int fd, uint32_t len)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= len;
}

int front_file(struct chan *c, struct chan_msg *m)
{
	struct front *fr = chan_owner(c);
	struct msg_FR_FILE file;
	struct front_ask *a;
	int err = msg_get_FR_FILE(m->body, &file);

	if (!err)
		err = find_ask(fr, file.order, &a);
	if (!err && (file.len > LIM_TREE_FILE || !is_sealed(m->fds[0], file.len)))
		err = -ERR_FORMAT;
	if (!err && a)
		over(a, 0, m->fds[0], file.len);
	return err;
}

int front_nofile(struct chan *c, struct chan_msg *m)
{
	struct front *fr = chan_owner(c);
	struct msg_FR_NOFILE no;
	struct front_ask *a;
	int err = msg_get_FR_NOFILE(m->body, &no);

	if (!err)
		err = find_ask(fr, no.order, &a);
	if (!err && !no.err)
		err = -ERR_FORMAT;
	if (!err && a)
		over(a, no.err, -1, 0);
	return err;
}
