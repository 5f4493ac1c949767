// SPDX-License-Identifier: Apache-2.0
/*
 * tree_fuse.c - the credential tree through /dev/fuse, for machines without our kernel module. svid-core. Next: tree.h.
 *
 * libfuse takes requests apart; they are read, kept and replayed here, because /dev/fuse is svidd's and outlives us. Nothing
 * is remembered of a node: its id is made of its path, so the kernel's counts of lookups are of no use to us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"
#include "agent/core/tree_fuse.h"

#define READ_BATCH 32 /* requests in one turn of the loop */
#define MAX_TRIES 3
#define NOTIFY_RESEND 7 /* Linux 6.9 */

/* Requests */

/* Without libfuse, which has nothing of this request any more. */
void fuse_refuse_slot(struct fuse_tree *f, struct kept_slot *s, int err)
{
	struct fuse_out_header h = { .len = sizeof(h), .error = -err, .unique = s->head.unique };

	if (write(f->dev.fd, &h, sizeof(h)) < 0 && errno != ENOENT)
		log_warn(EV_TREE, KV("what", V_S("answer not taken")), KV("err", V_S(err_name(-errno))));
	kept_done(f->kept, s);
}

static void take_apart(struct fuse_tree *f, struct kept_slot *s)
{
	const struct fuse_buf b = { .size = s->head.len, .mem = s->bytes };

	f->now = s;
	if (s->head.opcode == FUSE_INTERRUPT)
		fuse_interrupt(f, ((const struct fuse_interrupt_in *)(&s->head + 1))->unique);
	else
		fuse_session_process_buf(f->session, &b);
	if (f->now)
		kept_done(f->kept, s);
	f->now = NULL;
}

/* Names are there, or were waited for long enough. */
static void go_on(struct fuse_tree *f)
{
	size_t n = f->n_held;

	f->patient = false;
	f->n_held = 0;
	for (size_t i = 0; i < n; i++)
		take_apart(f, f->held[i]);
}

static void on_patience(struct loop_timer *t)
{
	go_on(container_of(t, struct fuse_tree, patience));
}

/* A session of our predecessor said yes to INIT. Ours learns it by one that is like it; the kernel waits for no answer. */
static void make_init(struct kept_slot *s)
{
	struct fuse_init_in *in = (struct fuse_init_in *)(&s->head + 1);

	s->head = (struct fuse_in_header){ .opcode = FUSE_INIT, .unique = ~1ull };
	*in = (struct fuse_init_in){ .major = FUSE_KERNEL_VERSION, .minor = 31, .flags = FUSE_PARALLEL_DIROPS };
	s->head.len = sizeof(s->head) + 4 * sizeof(uint32_t); /* what a 7.31 has */
}

/* One request into @s. Errors: -EAGAIN (there is none), -errno. */
static int receive(struct fuse_tree *f, struct kept_slot *s)
{
	ssize_t n;

	do
		n = read(f->dev.fd, s->bytes, sizeof(s->bytes));
	while (n < 0 && (errno == EINTR || errno == ENOENT)); /* ENOENT: it was taken back */
	if (n < 0)
		return -errno;
	return (size_t)n >= sizeof(s->head) && (size_t)n == s->head.len ? 0 : -EIO;
}

static int receive_one(struct fuse_tree *f)
{
	struct kept_slot *s = kept_take(f->kept), *init = kept_init(f->kept);
	int err = s ? receive(f, s) : -EAGAIN;

	if (err) {
		if (s)
			kept_done(f->kept, s);
		return err;
	}
	if (s->head.opcode == FUSE_INIT && s->head.len <= KEPT_BYTES && !init->head.len)
		memcpy(init->bytes, s->bytes, s->head.len);
	take_apart(f, s);
	return 0;
}

static void on_dev(struct loop_watch *w, uint32_t events)
{
	struct fuse_tree *f = container_of(w, struct fuse_tree, dev);
	int err = 0;

	(void)events;
	for (int i = 0; i < READ_BATCH && !err; i++)
		err = receive_one(f);
	if (!err || err == -EAGAIN)
		return;
	log_error(EV_TREE, KV("what", V_S(err == -ENODEV ? "unmounted by somebody else" : "FUSE cannot be read")),
		  KV("err", V_S(err_name(err))));
	loop_del(w);
}

static void replay(void *arg, struct kept_slot *s)
{
	struct fuse_tree *f = arg;

	if (++s->tries > MAX_TRIES)
		fuse_refuse_slot(f, s, EIO);
	else
		take_apart(f, s);
}

/*
 * Begin a session: with the INIT that the kernel has sent just now; or with that of before, and what was not answered; or,
 * when nobody kept it, with one made up.
 */
static int begin(struct fuse_tree *f)
{
	const struct fuse_out_header again = { .len = sizeof(again), .error = NOTIFY_RESEND };
	struct kept_slot *init = kept_init(f->kept);
	int err;

	if (init->head.len) {
		take_apart(f, init);
		kept_each(f->kept, replay, f);
		return 0;
	}
	err = receive_one(f);
	if (err && err != -EAGAIN)
		return err;
	if (init->head.len)
		return 0;
	make_init(init);
	take_apart(f, init);
	if (write(f->dev.fd, &again, sizeof(again)) < 0)
		log_info(EV_TREE, KV("what", V_S("reads that waited for the svid-core before are lost")));
	return 0;
}

/* What tree.h calls */

static void on_del(void *owner, const struct tree_node *n)
{
	struct fuse_tree *f = owner;

	opened_drop_node(f->openeds, n);
}

static void on_complete(void *owner)
{
	struct fuse_tree *f = owner;

	loop_timer_stop(&f->patience);
	go_on(f);
}

__attribute__((format(printf, 2, 0))) static void log_fuse(enum fuse_log_level level, const char *format, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), format, args);
	log_warn(EV_TREE, KV("libfuse", V_S(text)), KV("level", V_U(level)));
}

static int new_session(struct fuse_tree *f)
{
	char name[] = "svid-core", path[32];
	char *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	int flags = fcntl(f->dev.fd, F_GETFL);

	if (flags < 0 || fcntl(f->dev.fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	fuse_set_log_func(log_fuse);
	f->session = fuse_session_new(&args, &fuse_ops, sizeof(fuse_ops), f);
	fuse_opt_free_args(&args); /* it has made a copy of what is ours */
	snprintf(path, sizeof(path), "/dev/fd/%d", f->dev.fd);
	return f->session && !fuse_session_mount(f->session, path) ? 0 : -ENOMEM;
}

/* The mount stays. Those who wait in it are in the kept slots: the next svid-core answers them, or the unmounting. */
static void fuse_tree_free(struct fuse_tree *f)
{
	loop_del(&f->dev);
	loop_timer_stop(&f->patience);
	fuse_forget(f);
	if (f->session)
		fuse_session_destroy(f->session);
	openeds_free(f->openeds);
	kept_free(f->kept);
	mem_free(f);
}

static void on_end(void *owner)
{
	fuse_tree_free(owner);
}

static const struct tree_backend backend = { .name = "fuse", .del = on_del, .complete = on_complete, .end = on_end };

int tree_fuse_start(struct tree *t, int fd, int state)
{
	struct fuse_tree *f = mem_new(struct fuse_tree);
	struct kept *kept = NULL;
	int err = kept_open(state, &kept);

	if (!f || err) {
		kept_free(kept);
		mem_free(f);
		return err ? err : -ENOMEM;
	}
	*f = (struct fuse_tree){ .tree = t, .loop = tree_core(t)->loop, .dev = { .fd = fd, .cb = on_dev }, .kept = kept,
				 .patience = { .cb = on_patience }, .patient = true, .since = clock_wall_s() };
	list_init(&f->asks);
	err = openeds_new(f->loop, &f->openeds);
	if (!err)
		err = new_session(f);
	if (!err)
		err = loop_add(f->loop, &f->dev, EPOLLIN);
	if (!err)
		err = loop_timer_in(f->loop, &f->patience, LIM_TREE_WAIT_MS * NS_PER_MS);
	if (err) {
		fuse_tree_free(f);
		return err;
	}
	tree_set_backend(t, &backend, f);
	return begin(f);
}
