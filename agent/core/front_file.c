// SPDX-License-Identifier: Apache-2.0
/*
 * front_file.c - files of the credential tree that fronts make: which front is asked, and what is believed of its answer.
 * The content passes unread; that nobody can change it any more is looked at. svid-core.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
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

/* What was made a moment ago */

static void forget(struct front_kept *k)
{
	if (k->front)
		close(k->fd);
	*k = (struct front_kept){ .fd = -1 };
}

static void on_old(struct loop_timer *t)
{
	struct fronts *f = container_of(t, struct fronts, kept_old);
	uint64_t now = clock_boot_ns(), next = 0;

	for (size_t i = 0; i < FRONT_FILES_KEPT; i++) {
		struct front_kept *k = &f->kept[i];

		if (k->front && k->until <= now)
			forget(k);
		if (k->front && (!next || k->until < next))
			next = k->until;
	}
	if (next && loop_timer_in(f->loop, t, next - now))
		front_kept_done(f);
}

void front_kept_start(struct fronts *f)
{
	for (size_t i = 0; i < FRONT_FILES_KEPT; i++)
		f->kept[i].fd = -1;
	f->kept_old.cb = on_old;
}

void front_kept_done(struct fronts *f)
{
	for (size_t i = 0; i < FRONT_FILES_KEPT; i++)
		forget(&f->kept[i]);
	loop_timer_stop(&f->kept_old);
}

/* Only of a front that serves the newest state: after a rotation, its next word is waited for. */
static bool is_newest(const struct front *fr)
{
	return fr && fr->serves && !fr->dead && !fr->state && fr->set->acknowledged == fr->set->version;
}

static const struct front_kept *find_kept(const struct fronts *f, const struct front *fr, const struct front_ask *a)
{
	for (size_t i = 0; i < FRONT_FILES_KEPT && is_newest(fr); i++) {
		const struct front_kept *k = &f->kept[i];

		if (k->front == fr->number && k->identity == a->identity && k->what == a->what &&
		    k->version == fr->set->version && k->until > clock_boot_ns())
			return k;
	}
	return NULL;
}

static void keep(struct fronts *f, const struct front *fr, const struct front_ask *a, int fd, uint32_t len)
{
	struct front_kept *k = &f->kept[f->next_kept];

	if (!is_newest(fr) || find_kept(f, fr, a))
		return;
	if (!loop_timer_armed(&f->kept_old) && loop_timer_in(f->loop, &f->kept_old, LIM_TREE_KEPT_MS * NS_PER_MS))
		return;
	forget(k);
	k->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (k->fd < 0)
		return;
	*k = (struct front_kept){ .front = fr->number, .identity = a->identity, .what = a->what, .len = len, .fd = k->fd,
				  .version = fr->set->version, .until = clock_boot_ns() + LIM_TREE_KEPT_MS * NS_PER_MS };
	f->next_kept = (f->next_kept + 1) % FRONT_FILES_KEPT;
}

/* Files that are asked for */

static void over(struct front_ask *a, int err, int fd, uint32_t len)
{
	fronts_file_cancel(a);
	a->done(a, err, fd, len);
}

int fronts_file(struct fronts *f, const struct identity *const *docs, size_t n, struct front_ask *a)
{
	const struct front_kept *kept;
	struct idset *set;
	int err = fronts_set(f, docs, n, &set);

	if (err)
		return err;
	loop_timer_stop(&set->idle);
	a->set = set;
	a->order = 0;
	list_init(&a->in_set);
	list_add_tail(&set->asks, &a->in_set);
	kept = find_kept(f, set->front, a);
	if (kept) {
		over(a, 0, kept->fd, kept->len);
		return 0;
	}
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
int front_file_check(int fd, uint32_t len)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (len > LIM_TREE_FILE || seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ERR_FORMAT;
	return st.st_size >= len ? 0 : -ERR_FORMAT;
}

int front_file(struct chan *c, struct chan_msg *m)
{
	struct front *fr = chan_owner(c);
	struct msg_FR_FILE file;
	struct front_ask *a;
	int err = msg_get_FR_FILE(m->body, &file);

	if (!err)
		err = find_ask(fr, file.order, &a);
	if (!err)
		err = front_file_check(m->fds[0], file.len);
	if (!err && a) {
		keep(fr->table, fr, a, m->fds[0], file.len);
		over(a, 0, m->fds[0], file.len);
	}
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
