// SPDX-License-Identifier: Apache-2.0
/*
 * compile.c - documents: watch the files, have svidd run the compiler, hand what it says to docs.c, and put what came
 * into force into force. svid-core never opens a policy file.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"
#include "agent/core/settings.h"

#define RERUN_NS (5 * NS_PER_S) /* while nothing is in force, for what inotify cannot see */
#define LOST_NS NS_PER_S /* after a run that memory was too short for */
#define COST_APPLY 8192 /* units of one call of identities_apply(), see sorter.h */
#define EVENTS (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB)

struct compiler {
	struct core *core;
	struct chan *chan; /* NULL: none runs */
	struct loop_watch files;
	struct loop_timer debounce;
	struct loop_timer work; /* armed while there is something left to put into force */
	bool lost;		/* a run said something that is not in force, for want of memory */
	bool revoking;		/* revoke_step() is not through */
	bool applying;		/* identities_apply() is not through */
	size_t applied;		/* how far it is */
	int config_dir;		 /* watch of the directory of svid.yaml; -1 = none */
	const char *config_name; /* the file in it */
};

static void work_on(struct compiler *k);

/* A new generation is in force. What it means for everybody follows in the turns after this one. */
static void documents_changed(struct compiler *k)
{
	struct core *c = k->core;
	const struct settings *s = docs_settings(c->docs);
	bool usable = docs_generation(c->docs) && *s->trust_domain;

	if (*s->trust_domain)
		settings_apply(c, s);
	revoke_policy(c);
	tree_outdated(c->tree);
	cloud_outdated(c->cloud);
	k->revoking = k->applying = true;
	k->applied = 0;
	hold_set(c, HOLD_DOCUMENTS, usable ? 0 : -ERR_NOT_READY);
}

static void follow(struct compiler *k, struct budget *b)
{
	if (k->revoking)
		k->revoking = !revoke_step(k->core, b);
	while (!k->revoking && k->applying && b->left) {
		k->applied = identities_apply(k->core->ids, docs_policy(k->core->docs), k->applied);
		k->applying = k->applied != 0;
		budget_spend(b, COST_APPLY);
	}
}

static void make(struct compiler *k, struct budget *b)
{
	bool changed = false;
	int err = docs_step(k->core->docs, b, &changed);

	if (err) {
		log_error(EV_POLICY, KV("what", V_S("documents")), KV("err", V_S(err_name(err))));
		k->lost = true;
	}
	if (changed)
		documents_changed(k);
}

/* What inotify cannot see, while there is nothing to serve; and what was lost: it may have been a withdrawal. */
static void run_again(struct compiler *k)
{
	bool wanted = k->lost || k->core->holds[HOLD_DOCUMENTS];

	if (wanted && !k->chan && !docs_busy(k->core->docs) && !loop_timer_armed(&k->debounce) &&
	    loop_timer_in(k->core->loop, &k->debounce, k->lost ? LOST_NS : RERUN_NS))
		log_error(EV_POLICY, KV("err", V_S("ENOMEM")));
}

/*
 * One turn's share of putting documents into force. Ten thousand of them must not keep a caller waiting: everything is
 * done in slices, what is to end first.
 */
static void on_work(struct loop_timer *t)
{
	struct compiler *k = container_of(t, struct compiler, work);
	struct docs *d = k->core->docs;
	struct budget b = BUDGET_INIT(BUDGET_TURN / 2), more = BUDGET_INIT(BUDGET_TURN / 2);

	follow(k, &b);
	if (docs_busy(d))
		make(k, &more);
	else if (docs_untidy(d))
		docs_tidy(d, &more);
	if (k->revoking || k->applying || docs_busy(d) || docs_untidy(d))
		work_on(k);
	else
		run_again(k);
}

static void work_on(struct compiler *k)
{
	if (loop_timer_in(k->core->loop, &k->work, 0))
		log_error(EV_POLICY, KV("err", V_S("ENOMEM")));
}

static int on_message(struct chan *ch, struct chan_msg *m)
{
	struct compiler *k = chan_owner(ch);
	int err = docs_message(k->core->docs, m->type, m->body);

	if (docs_busy(k->core->docs))
		work_on(k);
	if (err == -ENOMEM) {
		log_error(EV_POLICY, KV("message", V_S(msg_name(m->type))), KV("err", V_S(err_name(err))));
		k->lost = true;
		return 0; /* the count will be off, and nothing changes; there is another run */
	}
	return err;
}

static void run_ended(struct compiler *k, const char *why)
{
	docs_end(k->core->docs, why);
	if (docs_busy(k->core->docs))
		work_on(k);
	else
		run_again(k);
}

static void on_dead(struct chan *ch, int err)
{
	struct compiler *k = chan_owner(ch);

	chan_free(ch);
	k->chan = NULL;
	if (err != -ERR_CLOSED)
		parent_kill(k->core, ROLE_POLICY, 0);
	run_ended(k, err == -ERR_CLOSED ? "svid compile ended early" : "svid compile sent what it must not");
}

static const struct chan_rule rules[] = {
	{ MSG_PC_FILE, 1, on_message },
	{ MSG_PC_DOC, 1, on_message },
	{ MSG_PC_ERROR, 1, on_message },
	{ MSG_PC_DONE, 1, on_message },
};

static const struct chan_ops chan_ops = {
	.peer = "svid compile",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.dead = on_dead,
};

int compiler_peer(struct core *c, int fd)
{
	struct compiler *k = c->compiler;
	int err;

	if (k->chan) { /* svidd runs one at a time: the other has ended */
		chan_free(k->chan);
		k->chan = NULL;
		run_ended(k, "svid compile was started again");
	}
	docs_begin(c->docs);
	err = chan_new(c->loop, fd, &chan_ops, k, &k->chan);
	if (err) {
		k->lost = true;
		run_ended(k, "svid compile could not be heard");
	}
	return err;
}

static void on_debounce(struct loop_timer *t)
{
	struct compiler *k = container_of(t, struct compiler, debounce);
	int err = chan_put(k->core->parent, C_COMPILE, 0);

	k->lost = err;
	if (!err)
		return;
	log_error(EV_POLICY, KV("what", V_S("C_COMPILE not sent")), KV("err", V_S(err_name(err))));
	run_again(k);
}

/* A run that is wanted while one is wanted is the same run: editors write a file several times. */
void compiler_run(struct core *c)
{
	struct compiler *k = c->compiler;

	if (loop_timer_in(c->loop, &k->debounce, LIM_POLICY_DEBOUNCE_MS * NS_PER_MS))
		log_error(EV_POLICY, KV("err", V_S("ENOMEM")));
}

/*
 * Other files live beside svid.yaml, and may be busy ones. In a Kubernetes volume it is a symlink through ..data,
 * which is swapped. An overrun queue may have lost anything.
 */
static bool is_ours(const struct compiler *k, const struct inotify_event *e)
{
	if (e->wd != k->config_dir || e->mask & IN_Q_OVERFLOW)
		return true;
	return e->len && (strcmp(e->name, k->config_name) == 0 || strncmp(e->name, "..", 2) == 0);
}

static void on_files(struct loop_watch *w, uint32_t events)
{
	struct compiler *k = container_of(w, struct compiler, files);
	_Alignas(struct inotify_event) char text[4096];
	bool ours = false;
	ssize_t n;

	(void)events;
	while ((n = read(w->fd, text, sizeof(text))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const struct inotify_event *)(text + at);

			ours = ours || is_ours(k, e);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	if (ours)
		compiler_run(k->core);
}

static int watch_dir(int fd, const char *dir, const char *what)
{
	int wd = inotify_add_watch(fd, dir, EVENTS | IN_ONLYDIR);

	if (wd < 0)
		log_warn(EV_POLICY, KV("what", V_S(what)), KV("why", V_S("changes are seen at SIGHUP to svidd only")),
			 KV("err", V_S(err_name(-errno))));
	return wd;
}

/* The directory of svid.yaml, not the file: it is replaced by rename. */
static void watch_config(struct compiler *k, const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = slash && slash != path ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(slash ? "/" : ".");

	k->config_name = slash ? slash + 1 : path;
	if (dir)
		k->config_dir = watch_dir(k->files.fd, dir, "directory of svid.yaml");
}

int compiler_watch(struct core *c)
{
	struct compiler *k = mem_new(struct compiler);
	char dir[32];

	if (!k)
		return -ENOMEM;
	*k = (struct compiler){ .core = c, .config_dir = -1, .files = { .fd = -1, .cb = on_files }, .debounce.cb = on_debounce,
				.work.cb = on_work };
	c->compiler = k;
	k->files.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (k->files.fd < 0)
		return -errno;
	snprintf(dir, sizeof(dir), "/proc/self/fd/%d", c->plan.policy_dir);
	watch_config(k, c->plan.config_path);
	/* Last: in the same directory the watch of everything wins. */
	if (watch_dir(k->files.fd, c->plan.policy_dir >= 0 ? dir : c->plan.policy_path, "policy directory") == k->config_dir)
		k->config_dir = -1;
	return 0;
}

int compiler_start(struct core *c)
{
	struct compiler *k = c->compiler;
	int err = loop_add(c->loop, &k->files, EPOLLIN);

	if (!err)
		err = chan_put(c->parent, C_COMPILE, 0);
	return err;
}

void compiler_exit(struct core *c, uint32_t status)
{
	char why[80];

	/* With a channel its end says more, and comes after what is still in it. */
	if (c->compiler->chan || !status)
		return;
	snprintf(why, sizeof(why), "svid compile could not run or failed, status 0x%x", status);
	docs_begin(c->docs);
	run_ended(c->compiler, why);
}

void compiler_free(struct core *c)
{
	struct compiler *k = take(&c->compiler);

	if (!k)
		return;
	chan_free(k->chan);
	loop_del(&k->files);
	if (k->files.fd >= 0)
		close(k->files.fd);
	loop_timer_stop(&k->debounce);
	loop_timer_stop(&k->work);
	mem_free(k);
}
