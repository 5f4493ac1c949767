// SPDX-License-Identifier: Apache-2.0
/*
 * reflection.c - grpc.reflection.v1 and its older twin: what is served here, told to tools such as grpcurl. svid-front.
 *
 * The descriptors are what protoc made of our .proto files when this was built. Everybody may ask, also without the security
 * header: tools do not send it, and there is nothing here but public names. Source: grpc.reflection.v1.
 */
#include <errno.h>

#include "agent/base/pb.h"
#include "workloadapi/service.h"

static const uint8_t descriptors[] = { /* a google.protobuf.FileDescriptorSet */
#include "gen/descriptors.h"
};

/* Field numbers of google/protobuf/descriptor.proto. */
enum { SET_FILE = 1, NAME = 1, FILE_PACKAGE = 2, FILE_SERVICE = 6 };

/* What a symbol may be. */
enum kind { NOTHING, FILE_DESC, MESSAGE, ENUM, SERVICE, MEMBER };

static const struct part {
	enum kind of;
	uint32_t field;
	enum kind kind;
} parts[] = {
	{ FILE_DESC, 4, MESSAGE }, { FILE_DESC, 5, ENUM }, { FILE_DESC, 6, SERVICE },
	{ MESSAGE, 2, MEMBER },	   { MESSAGE, 3, MESSAGE }, { MESSAGE, 4, ENUM }, { MESSAGE, 8, MEMBER },
	{ ENUM, 2, MEMBER },	   { SERVICE, 2, MEMBER },
};

/* Of ServerReflectionRequest and ServerReflectionResponse. */
enum { ASK_HOST = 1, ASK_FILE = 3, ASK_SYMBOL, ASK_EXTENSION, ASK_EXTENSIONS, ASK_SERVICES };
enum { TELL_HOST = 1, TELL_REQUEST, TELL_FILES = 4, TELL_EXTENSIONS, TELL_SERVICES, TELL_ERROR };

static struct slice name_of(struct slice descriptor)
{
	struct slice name;

	return pb_strings(descriptor, &name, NAME) ? slice_of(NULL, 0) : name;
}

static bool next_file(struct slice *set, struct slice *ret_file)
{
	struct pb_field f;

	if (!pb_next(set, &f))
		return false;
	*ret_file = f.bytes;
	return true;
}

static enum kind kind_of(enum kind of, uint32_t field)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].of == of && parts[i].field == field)
			return parts[i].kind;
	return NOTHING;
}

/* @symbol without "@prefix."; false when it does not begin so. */
static bool strip(struct slice *symbol, struct slice prefix)
{
	if (!slice_starts(*symbol, prefix) || symbol->len <= prefix.len || symbol->p[prefix.len] != '.')
		return false;
	(void)slice_get_bytes(symbol, prefix.len + 1);
	return true;
}

static enum kind find_in(struct slice descriptor, enum kind of, struct slice symbol);

static enum kind find_child(struct slice child, enum kind kind, struct slice symbol)
{
	struct slice name = name_of(child);
	struct slice inner = symbol;
	enum kind found = NOTHING;

	if (slice_eq(symbol, name))
		return kind;
	if (kind == ENUM) /* its values are names of the scope that it is in */
		found = find_in(child, ENUM, symbol);
	if (!found && kind != MEMBER && strip(&inner, name))
		found = find_in(child, kind, inner);
	return found;
}

/* What @symbol, relative to @descriptor, is. As deep as our own files nest. */
static enum kind find_in(struct slice descriptor, enum kind of, struct slice symbol)
{
	struct pb_field f;
	enum kind found = NOTHING;

	while (!found && pb_next(&descriptor, &f)) {
		enum kind kind = kind_of(of, f.number);

		if (kind)
			found = find_child(f.bytes, kind, symbol);
	}
	return found;
}

static enum kind find_in_file(struct slice file, struct slice symbol)
{
	struct slice head[FILE_PACKAGE];

	if (pb_strings(file, head, FILE_PACKAGE))
		return NOTHING;
	if (head[FILE_PACKAGE - 1].len && !strip(&symbol, head[FILE_PACKAGE - 1]))
		return NOTHING;
	return find_in(file, FILE_DESC, symbol);
}

static enum kind find_symbol(struct slice symbol, struct slice *ret_file)
{
	struct slice set = slice_of(descriptors, sizeof(descriptors));
	enum kind found = NOTHING;

	while (!found && next_file(&set, ret_file))
		found = find_in_file(*ret_file, symbol);
	return found;
}

static bool find_file(struct slice name, struct slice *ret_file)
{
	struct slice set = slice_of(descriptors, sizeof(descriptors));

	while (next_file(&set, ret_file))
		if (slice_eq(name, name_of(*ret_file)))
			return true;
	return false;
}

static void put_error(struct buf *out, enum grpc_status status, const char *text)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_GRPC_ERROR);

	pb_put_varint(&b, 1, status);
	pb_put(&b, 2, slice_str(text));
	pb_put_bytes(out, TELL_ERROR, buf_slice(&b));
}

static void put_file(struct buf *out, bool found, struct slice file, const char *missing)
{
	AUTO(buf) struct buf b = BUF_INIT(sizeof(descriptors));

	if (!found) {
		put_error(out, GRPC_NOT_FOUND, missing);
		return;
	}
	pb_put_bytes(&b, 1, file);
	pb_put_bytes(out, TELL_FILES, buf_slice(&b));
}

static void put_service(struct buf *out, struct slice package, struct slice name)
{
	AUTO(buf) struct buf full = BUF_INIT(LIM_GRPC_ERROR);
	AUTO(buf) struct buf b = BUF_INIT(LIM_GRPC_ERROR);

	buf_put_slice(&full, package);
	buf_put_str(&full, package.len ? "." : "");
	buf_put_slice(&full, name);
	pb_put(&b, 1, buf_slice(&full));
	pb_put_bytes(out, 1, buf_slice(&b));
}

static void put_services(struct buf *out)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_GRPC_MESSAGE);
	struct slice set = slice_of(descriptors, sizeof(descriptors));
	struct slice file, head[FILE_PACKAGE];
	struct pb_field f;

	while (next_file(&set, &file)) {
		if (pb_strings(file, head, FILE_PACKAGE))
			continue;
		while (pb_next(&file, &f))
			if (f.number == FILE_SERVICE)
				put_service(&b, head[FILE_PACKAGE - 1], name_of(f.bytes));
	}
	pb_put_bytes(out, TELL_SERVICES, buf_slice(&b));
}

/* Nothing here is extended: proto3. */
static void put_extensions(struct buf *out, struct slice type)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_GRPC_MESSAGE);
	struct slice file;

	if (find_symbol(type, &file) != MESSAGE) {
		put_error(out, GRPC_NOT_FOUND, "no such message type");
		return;
	}
	pb_put(&b, 1, type);
	pb_put_bytes(out, TELL_EXTENSIONS, buf_slice(&b));
}

static void put_answer(struct buf *out, const struct pb_field *ask)
{
	struct slice file = slice_of(NULL, 0);
	bool found;

	switch (ask->number) {
	case ASK_FILE:
		found = find_file(ask->bytes, &file);
		put_file(out, found, file, "no such file");
		break;
	case ASK_SYMBOL:
		found = find_symbol(ask->bytes, &file) != NOTHING;
		put_file(out, found, file, "no such symbol");
		break;
	case ASK_EXTENSION:
		put_error(out, GRPC_NOT_FOUND, "no such extension");
		break;
	case ASK_EXTENSIONS:
		put_extensions(out, ask->bytes);
		break;
	case ASK_SERVICES:
		put_services(out);
		break;
	}
}

/* The last member of a oneof counts. */
static int read_request(struct slice body, struct slice *ret_host, struct pb_field *ret_ask)
{
	struct pb_field f;

	while (pb_next(&body, &f)) {
		if (f.number > ASK_SERVICES || (f.number != ASK_HOST && f.number < ASK_FILE))
			continue;
		if (f.wire != PB_BYTES || !slice_is_utf8(f.bytes))
			return -ERR_REQUEST;
		if (f.number == ASK_HOST)
			*ret_host = f.bytes;
		else
			*ret_ask = f;
	}
	return slice_ok(&body) && ret_ask->number ? 0 : -ERR_REQUEST;
}

static int answer(struct slice body, struct message **ret_m)
{
	AUTO(buf) struct buf out = BUF_INIT(LIM_GRPC_RESPONSE);
	struct slice host = slice_of(NULL, 0);
	struct pb_field ask = { .number = 0 };
	uint8_t *p;
	int err = read_request(body, &host, &ask);

	if (err)
		return err;
	pb_put(&out, TELL_HOST, host);
	pb_put_bytes(&out, TELL_REQUEST, body);
	put_answer(&out, &ask);
	err = buf_ok(&out);
	if (!err)
		err = message_new(out.len, false, &p, ret_m);
	if (!err)
		memcpy(p, out.data, out.len);
	return err;
}

static void reflect(struct call *c, struct slice body)
{
	AUTO(message) struct message *m = NULL;
	int err = answer(body, &m);

	if (err)
		call_fail_err(c, err);
	else
		call_reply(c, m);
}

const struct method reflection_methods[] = {
	{ "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", reflect, MANY },
	{ "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", reflect, MANY },
	{ NULL, NULL, AT_ONCE },
};
