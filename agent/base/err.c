// SPDX-License-Identifier: Apache-2.0
/* err.c - the error table as text. Any role. */
#include "agent/base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct err_row {
	const char *name;
	const char *text;
	enum grpc_status status;
};

static const struct err_row rows[] = {
#define X(name_, status_, text_) { "ERR_" #name_, text_, status_ },
	ERR_TABLE(X)
#undef X
};

static const struct err_row *row_of(int err)
{
	int n = abs(err);

	return n > ERR_BASE && n < ERR_END ? &rows[n - ERR_BASE - 1] : NULL;
}

const char *err_name(int err)
{
	const struct err_row *row = row_of(err);
	const char *name;

	if (err == 0)
		return "OK";
	if (row)
		return row->name;
	name = strerrorname_np(abs(err));
	return name ? name : "EUNKNOWN";
}

const char *err_text(int err)
{
	const struct err_row *row = row_of(err);
	const char *text;

	if (err == 0)
		return "success";
	if (row)
		return row->text;
	text = strerrordesc_np(abs(err));
	return text ? text : "unknown error";
}

enum grpc_status err_status(int err)
{
	const struct err_row *row = row_of(err);

	if (err == 0)
		return GRPC_OK;
	if (row)
		return row->status;
	return abs(err) == ENOMEM ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL;
}
