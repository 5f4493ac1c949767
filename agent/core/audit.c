// SPDX-License-Identifier: Apache-2.0
/* audit.c - appending audit lines; a full disk is an answer, not an accident. svid-core. */
#include "agent/core/audit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/log.h"

/* Whoever wrote here before may have met a full disk in the middle of a line. */
static bool ends_torn(int fd)
{
	struct stat st;
	char last;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
}

void audit_init(struct audit *a, int fd, enum audit_mode mode)
{
	*a = (struct audit){ .fd = fd, .mode = mode, .torn = ends_torn(fd) };
}

void audit_reopen(struct audit *a, int fd)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = fd;
	a->torn = ends_torn(fd);
}

void audit_done(struct audit *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

/* A line that went out in part is finished by the next one, so that a reader loses one line, not two. */
static int write_line(struct audit *a, struct slice line)
{
	ssize_t n;

	if (a->fd < 0)
		return -EBADF;
	if (a->torn && write(a->fd, "\n", 1) != 1)
		return -ENOSPC;
	a->torn = false;
	do {
		n = write(a->fd, line.p, line.len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	a->torn = (size_t)n != line.len;
	return a->torn ? -ENOSPC : 0;
}

static void put_head(struct buf *b, const char *event)
{
	int64_t ms = clock_wall_ms();
	char when[32], frac[8];

	clock_rfc3339(ms / 1000, when);
	snprintf(frac, sizeof(frac), ".%03u", (unsigned int)(ms % 1000));
	buf_put_str(b, "{\"time\":\"");
	buf_put(b, when, strnlen(when, 19)); /* without the Z */
	buf_put_str(b, frac);
	buf_put_str(b, "Z\",\"event\":\"");
	buf_put_str(b, event);
	buf_put_u8(b, '"');
}

int audit_write(struct audit *a, const char *event, struct slice fields)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE);
	int err;

	put_head(&b, event);
	if (fields.len)
		buf_put_u8(&b, ',');
	buf_put_slice(&b, fields);
	buf_put_str(&b, "}\n");
	err = buf_ok(&b);
	if (!err)
		err = write_line(a, buf_slice(&b));
	if (err != a->err)
		log_error(EV_AUDIT, KV("err", V_S(err_name(err))), KV("failures", V_U(a->failures)));
	a->err = err;
	a->lines += !err;
	a->failures += !!err;
	return err && a->mode == AUDIT_REQUIRED ? -ERR_AUDIT : 0;
}
