// SPDX-License-Identifier: Apache-2.0
/*
 * digest.c - digests of executables: one hashing per file whoever asks, remembered by the record of the file, each user's
 * share of hashing bounded. svid-core.
 *
 * Why a record stands for content: a running file cannot be opened for writing, and on the file systems of
 * digest_doubt() each write, each mapping's first write too, moves the change time before the bytes change. Change times
 * are as fine as a clock tick (K9), so a write may keep the recorded one only within the tick of it: exec came later than
 * that (else doubt), and so did hashing. So exec and hashing, of this process or another, saw the same bytes. An inode of
 * overlayfs may say an old time to the kernel's record: there a worker looks at the file again each time.
 */
#include "agent/core/digest.h"

#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"

#define BUCKETS 256
#define COST_START_NS NS_PER_MS /* what a file costs before its first byte */
#define COST_BYTE_NS 5		/* 200 MB/s */

/* One file: being hashed, known, or failed for a while. */
struct digest {
	struct list in_hash;
	struct list in_lru; /* once it is known or failed */
	struct digests *ds;
	struct svid_exe exe;
	struct list wants;
	struct attest_job hash;
	int fd; /* -1 unless it is being hashed */
	uint64_t charged; /* ns */
	uint32_t payer;
	int err;
	uint64_t expires; /* of a failure, CLOCK_BOOTTIME ns */
	char hex[DIGEST_HEX + 1];
};

/* A user's account: hashing time that is left, which grows back at 1 / LIM_DIGEST_SHARE. */
struct account {
	uint32_t uid;
	int64_t left; /* ns */
	uint64_t at;  /* CLOCK_BOOTTIME ns; 0: not in use */
};

struct digests {
	struct loop *loop;
	struct attest *attest;
	struct list buckets[BUCKETS];
	struct list lru; /* oldest first */
	size_t n;
	struct account accounts[LIM_DIGEST_UIDS];
	struct digest_stats stats;
};

int digests_new(struct loop *loop, struct attest *attest, struct digests **ret_ds)
{
	struct digests *ds = mem_new(struct digests);

	if (!ds)
		return -ENOMEM;
	ds->loop = loop;
	ds->attest = attest;
	list_init(&ds->lru);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&ds->buckets[i]);
	*ret_ds = ds;
	return 0;
}

static void digest_free(struct digest *d)
{
	attest_cancel(&d->hash);
	if (d->fd >= 0)
		close(d->fd);
	list_del(&d->in_hash);
	list_del(&d->in_lru);
	d->ds->n--;
	mem_free(d);
}

void digests_free(struct digests *ds)
{
	struct digest *d, *tmp;

	if (!ds)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(d, tmp, &ds->buckets[i], in_hash)
			digest_free(d);
	mem_free(ds);
}

void digest_hex(const uint8_t sha256[static 32], char out[static DIGEST_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_HEX / 2; i++) {
		out[2 * i] = digits[sha256[i] >> 4];
		out[2 * i + 1] = digits[sha256[i] & 15];
	}
	out[DIGEST_HEX] = 0;
}

const char *digest_why(int err)
{
	switch (-err) {
	case ERR_CHANGED:
		return "the executable is not the file any more that was executed, or it was changed since";
	case ESRCH:
		return "the process is gone";
	case ERR_SIZE:
		return "the executable is too large to be hashed";
	case ERR_DEADLINE:
		return "hashing took too long";
	case ERR_RATE:
		return "this user's executables took too much hashing; try later";
	case ERR_CLOSED:
		return "svid-attest ended while it was asked";
	default:
		return err_text(err);
	}
}

/* ---- what may be believed ---- */

/* File systems of which we know that a write through a mapping moves the change time, or that nobody can write. */
static bool tells_of_writes(uint64_t magic)
{
	static const uint32_t known[] = {
		0xef53,	    /* ext2, ext3, ext4 */
		0x58465342, /* xfs */
		0x9123683e, /* btrfs */
		0xf2f52010, /* f2fs */
		0x794c7630, /* overlayfs: as the layer below; one on tmpfs is not told apart (README.md) */
		0x73717368, /* squashfs */
		0xe0f5e1e2, /* erofs */
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (magic == known[i])
			return true;
	return false;
}

static bool only_root_writes(const struct svid_exe *exe)
{
	return exe->uid == 0 && !(exe->mode & 022);
}

/* Whether the change time was, at exec, further back than another write could have been without moving it. */
static bool settled_at_exec(const struct svid_image *img)
{
	int64_t now_boot = (int64_t)clock_boot_ns(), now_wall = clock_wall_ms() * (int64_t)NS_PER_MS;
	int64_t exec = (int64_t)img->exec_time + now_wall - now_boot;
	int64_t change = img->exe.ctime_sec * (int64_t)NS_PER_S + img->exe.ctime_nsec;
	int64_t want = img->exe.ctime_nsec ? LIM_DIGEST_EXEC_MS : LIM_DIGEST_COARSE_MS;

	/* Of an older process only the state at our start is known; that is said by observed=scan. */
	return img->flags & SVID_IMG_SCANNED || exec - change >= want * (int64_t)NS_PER_MS;
}

const char *digest_doubt(const struct svid_conn *r)
{
	const struct svid_image *img = &r->image;

	if (img->flags & SVID_IMG_SOCKET)
		return NULL;
	if (img->flags & SVID_IMG_FS_UNPRIV)
		return "the executable's file system is served by an unprivileged party, which may show others other bytes";
	if (img->flags & SVID_IMG_FS_REMOTE)
		return "the executable is on a remote file system, which may show others other bytes";
	if (img->flags & SVID_IMG_MEMFD)
		return "the executable is a memfd, in which writes leave no trace";
	if (img->flags & SVID_IMG_MNT_USERNS)
		return "the executable's libraries were an unprivileged user's choice: it was executed in his namespaces";
	if (!(r->creds.flags & SVID_CRED_USERNS_INIT))
		return "it is in a user namespace of its own";
	if (!(r->creds.flags & SVID_CRED_MNTNS_INIT))
		return "its mount namespace belongs to an unprivileged user";
	if (!tells_of_writes(img->exe.magic) && !only_root_writes(&img->exe))
		return "the executable's file system does not tell of every write, and others than root may write to it";
	if (!settled_at_exec(img))
		return "the executable was changed in the moment before it was executed; start it again";
	return NULL;
}

/* ---- each user's share ---- */

static void grow(struct account *a, uint64_t now)
{
	int64_t most = LIM_DIGEST_BURST_MS * (int64_t)NS_PER_MS;

	a->left += (int64_t)((now - a->at) / LIM_DIGEST_SHARE);
	if (a->left > most)
		a->left = most;
	a->at = now;
}

/* Nobody's account is forgotten while it is lower than another's. */
static struct account *account_of(struct digests *ds, uint32_t uid)
{
	uint64_t now = clock_boot_ns();
	struct account *best = &ds->accounts[0];

	for (size_t i = 0; i < LIM_DIGEST_UIDS; i++) {
		struct account *a = &ds->accounts[i];

		if (a->at)
			grow(a, now);
		if (a->at && a->uid == uid)
			return a;
		if (!a->at || (best->at && a->left > best->left))
			best = a;
	}
	*best = (struct account){ .uid = uid, .left = LIM_DIGEST_BURST_MS * (int64_t)NS_PER_MS, .at = now };
	return best;
}

/* An estimate beforehand, so that a queue cannot spend what is not there; corrected afterwards. */
static int charge(struct digests *ds, uint32_t uid, uint64_t size, uint64_t *ret_charged)
{
	struct account *a = account_of(ds, uid);

	if (a->left <= 0)
		return -ERR_RATE;
	*ret_charged = COST_START_NS + (size <= LIM_DIGEST_FILE ? size : 0) * COST_BYTE_NS;
	a->left -= (int64_t)*ret_charged;
	return 0;
}

static void settle(struct digest *d)
{
	uint64_t took = d->hash.started ? clock_boot_ns() - d->hash.started : 0;

	account_of(d->ds, d->payer)->left += (int64_t)d->charged - (int64_t)took;
}

/* ---- the table ---- */

static struct list *bucket_of(struct digests *ds, const struct svid_exe *exe)
{
	uint64_t h = exe->ino ^ (uint64_t)exe->dev << 32 ^ (uint64_t)exe->ctime_sec << 20 ^ exe->ctime_nsec;

	return &ds->buckets[(h * 0x9e3779b97f4a7c15ull >> 40) % BUCKETS];
}

/* The whole record of the file is the key: any change of it is another file. */
static struct digest *find(struct digests *ds, const struct svid_exe *exe)
{
	struct digest *d, *tmp;

	list_for_each_safe(d, tmp, bucket_of(ds, exe), in_hash) {
		if (memcmp(&d->exe, exe, sizeof(*exe)) != 0)
			continue;
		if (!d->err || d->expires > clock_boot_ns())
			return d;
		digest_free(d);
	}
	return NULL;
}

static int make_room(struct digests *ds)
{
	if (ds->n < LIM_DIGESTS)
		return 0;
	if (list_empty(&ds->lru))
		return -ERR_LIMIT;
	digest_free(list_entry(ds->lru.next, struct digest, in_lru));
	return 0;
}

static bool is_running(const struct digest *d)
{
	return d->fd >= 0;
}

static bool answer_from(struct digest *d, struct digest_want *w)
{
	if (is_running(d))
		return false;
	d->ds->stats.hits += !d->err;
	list_del(&d->in_lru);
	list_add_tail(&d->ds->lru, &d->in_lru);
	w->err = d->err;
	memcpy(w->hex, d->hex, sizeof(w->hex));
	return true;
}

static void tell(struct digest_want *w)
{
	list_del(&w->node);
	w->ds = NULL;
	w->done(w);
}

static void refuse(struct digest_want *w, int err)
{
	w->err = err;
	w->hex[0] = 0;
	tell(w);
}

/* Which failures say something of the file, not of the moment: that no worker was free in time does not. */
static bool lasts(const struct digest *d)
{
	int err = d->err;

	return err && d->hash.started && err != -ERR_CHANGED && err != -ERR_CLOSED && err != -ERR_LIMIT && err != -ENOMEM;
}

static void on_hashed(struct attest_job *job, const struct attest_answer *answer, int err)
{
	struct digest *d = container_of(job, struct digest, hash);
	struct list wants = LIST_INIT(wants);
	bool keep;

	settle(d);
	close(d->fd);
	d->fd = -1;
	d->ds->stats.running--;
	d->err = err ? err : answer->digested->err;
	if (!d->err)
		digest_hex(answer->digested->sha256.p, d->hex);
	d->expires = clock_boot_ns() + LIM_DIGEST_FAILED_MS * NS_PER_MS;
	d->ds->stats.hashed += !d->err;
	d->ds->stats.failed += !!d->err;
	keep = d->exe.ctime_sec && (lasts(d) || (!d->err && answer->digested->settled));
	while (!list_empty(&d->wants)) {
		struct digest_want *w = list_entry(d->wants.next, struct digest_want, node);

		w->err = d->err;
		memcpy(w->hex, d->hex, sizeof(w->hex));
		list_del(&w->node);
		list_add_tail(&wants, &w->node);
	}
	if (keep)
		list_add_tail(&d->ds->lru, &d->in_lru);
	else
		digest_free(d);
	/* Whoever is told may ask again at once, and the table may change. */
	while (!list_empty(&wants))
		tell(list_entry(wants.next, struct digest_want, node));
}

static struct digest *digest_new(struct digests *ds, const struct digest_want *w)
{
	struct digest *d = mem_new(struct digest);

	if (!d)
		return NULL;
	d->ds = ds;
	d->exe = w->exe;
	d->fd = -1;
	list_init(&d->wants);
	list_init(&d->in_lru);
	list_init(&d->in_hash);
	/* What is known only from /proc is found by nobody else. */
	list_add_tail(bucket_of(ds, &w->exe), &d->in_hash);
	ds->n++;
	return d;
}

static void about_content(struct attest_job *job, const struct digest_want *w, int fd)
{
	job->kind = ATTEST_HASH;
	job->caller = w->open.caller;
	job->done = on_hashed;
	job->fd = fd;
	job->digest = (struct msg_A_DIGEST){
		.compare = w->compare,
		.max = LIM_DIGEST_FILE,
		.size = w->exe.size,
		.mtime_sec = w->exe.mtime_sec,
		.mtime_nsec = w->exe.mtime_nsec,
		.ctime_sec = w->exe.ctime_sec,
		.ctime_nsec = w->exe.ctime_nsec,
	};
}

static int start(struct digests *ds, struct digest_want *w, int *fd)
{
	uint64_t charged = 0;
	struct digest *d;
	int err = w->compare && w->exe.size > LIM_DIGEST_FILE ? -ERR_SIZE : make_room(ds);

	if (!err)
		err = charge(ds, w->open.caller, w->exe.size, &charged);
	if (err)
		return err;
	d = digest_new(ds, w);
	if (!d)
		return -ENOMEM;
	about_content(&d->hash, w, *fd);
	d->charged = charged;
	d->payer = w->open.caller;
	err = attest_ask(ds->attest, &d->hash);
	if (err) {
		settle(d);
		digest_free(d);
		return err;
	}
	d->fd = *fd;
	*fd = -1;
	ds->stats.running++;
	list_add_tail(&d->wants, &w->node);
	return 0;
}

static void on_opened(struct attest_job *job, const struct attest_answer *answer, int err)
{
	struct digest_want *w = container_of(job, struct digest_want, open);
	struct digests *ds = w->ds;
	struct digest *d = err || !w->compare ? NULL : find(ds, &w->exe);

	if (d && answer_from(d, w)) {
		tell(w);
		return;
	}
	if (d) {
		list_add_tail(&d->wants, &w->node);
		attest_also_for(&d->hash, w->open.caller);
		return;
	}
	if (!err)
		err = start(ds, w, answer->fd);
	if (!err)
		return;
	ds->stats.refused++;
	refuse(w, err);
}

bool digest_ask(struct digests *ds, struct digest_want *w, const struct svid_conn *r, pid_t pid, bool compare)
{
	struct digest *d;

	list_init(&w->node);
	w->ds = NULL;
	w->exe = r->image.exe;
	w->flags = r->image.flags;
	w->compare = compare;
	w->err = 0;
	w->hex[0] = 0;
	d = compare ? find(ds, &w->exe) : NULL;
	if (d && (d->err || !(w->flags & SVID_IMG_OVERLAY)) && answer_from(d, w))
		return true;
	attest_about_file(&w->open, &r->image, pid, compare);
	w->open.caller = r->creds.ids.uid;
	w->open.done = on_opened;
	w->err = attest_ask(ds->attest, &w->open);
	if (w->err)
		return true;
	w->ds = ds;
	return false;
}

void digest_cancel(struct digest_want *w)
{
	if (!w->ds)
		return;
	attest_cancel(&w->open);
	list_del(&w->node); /* the file is hashed to its end, for the next one */
	w->ds = NULL;
}

void digests_get_stats(const struct digests *ds, struct digest_stats *ret_stats)
{
	*ret_stats = ds->stats;
	ret_stats->known = (unsigned int)ds->n - ds->stats.running;
}
