// SPDX-License-Identifier: Apache-2.0
/*
 * The raw client of the attackers: HTTP/2 and gRPC by hand, as little as it takes to tell an SVID from a refusal.
 * Runs in svid-attack. What is done with it: fork_exec.c, fd_pass.c and their neighbours.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/attack/tree.h"

#define FRAME_DATA 0
#define FRAME_HEADERS 1
#define FRAME_RST_STREAM 3
#define FRAME_SETTINGS 4
#define FRAME_GOAWAY 7
#define FLAG_END_STREAM 1
#define FLAG_ACK 1
#define FLAG_END_HEADERS 4

static const uint8_t settings_ack[9] = {0, 0, 0, FRAME_SETTINGS, FLAG_ACK, 0, 0, 0, 0};

static void put(struct request *r, const void *bytes, size_t len)
{
	memcpy(r->bytes + r->len, bytes, len);
	r->len += len;
}

static void put_frame(struct request *r, size_t len, uint8_t type, uint8_t flags, uint32_t stream)
{
	uint8_t head[9] = {len >> 16, len >> 8, len, type, flags, stream >> 24, stream >> 16, stream >> 8, stream};

	put(r, head, sizeof(head));
}

/* Literal header field without indexing, no Huffman coding (RFC 7541 6.2.2). */
static size_t field(uint8_t *to, const char *name, const char *value)
{
	size_t n = 0;

	to[n++] = 0;
	to[n++] = strlen(name);
	memcpy(to + n, name, strlen(name));
	n += strlen(name);
	to[n++] = strlen(value);
	memcpy(to + n, value, strlen(value));
	return n + strlen(value);
}

static bool by_sds;
static const char *asked_by; /* as the command line has it */
static int file_error;

void client_ask_by(const char *service)
{
	asked_by = strdup(service); /* argv may be overwritten (A9) */
	by_sds = strcmp(service, "sds") == 0;
}

const char *client_asks_by(void)
{
	return asked_by;
}

/* A file of the credential tree instead of a connection. */
static bool by_file(void)
{
	return asked_by && *asked_by == '/';
}

static size_t text_field(uint8_t *to, uint8_t number, const char *value)
{
	to[0] = number << 3 | 2;
	to[1] = strlen(value);
	memcpy(to + 2, value, strlen(value));
	return 2 + strlen(value);
}

/*
 * DiscoveryRequest.type_url = 4, without resource_names: everything that the caller may have. The stream stays open, as
 * Envoy's does.
 */
static size_t discovery_request(uint8_t *to)
{
	size_t n = text_field(to + 5, 4, "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret");

	memset(to, 0, 4);
	to[4] = n;
	return 5 + n;
}

void request_more(struct request *ret_request, uint32_t id)
{
	uint8_t block[300], message[128] = {0};
	size_t n = 0, len = by_sds ? discovery_request(message) : 5;

	block[n++] = 0x83; /* :method POST, RFC 7541 appendix A */
	block[n++] = 0x86; /* :scheme http */
	n += field(block + n, ":path", by_sds ? "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
					      : "/SpiffeWorkloadAPI/FetchX509SVID");
	n += field(block + n, ":authority", "localhost");
	n += field(block + n, "te", "trailers");
	n += field(block + n, "content-type", "application/grpc");
	if (!by_sds)
		n += field(block + n, "workload.spiffe.io", "true");
	put_frame(ret_request, n, FRAME_HEADERS, FLAG_END_HEADERS, id);
	ret_request->half = ret_request->len + n / 2;
	put(ret_request, block, n);
	put_frame(ret_request, len, FRAME_DATA, by_sds ? 0 : FLAG_END_STREAM, id);
	put(ret_request, message, len);
}

void request_build(struct request *ret_request)
{
	ret_request->len = 0;
	put(ret_request, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	put_frame(ret_request, 0, FRAME_SETTINGS, 0, 0);
	request_more(ret_request, 1);
}

void answer_init(struct answer *a)
{
	memset(a, 0, sizeof(*a));
	a->status = -1;
	if (nghttp2_hd_inflate_new(&a->hd))
		die("nghttp2_hd_inflate_new");
}

/* The next field of a protobuf message that is bytes, and its number; false at the end, or when it is of another kind. */
static bool pb_next(const uint8_t **at, const uint8_t *end, unsigned int *ret_number, const uint8_t **ret_p, size_t *ret_len)
{
	const uint8_t *p = *at;
	unsigned int tag, shift = 0;
	size_t n = 0;

	if (p >= end)
		return false;
	tag = *p++;
	if ((tag & 7) != 2)
		return false;
	for (; p < end; shift += 7) {
		n |= (size_t)(*p & 0x7f) << shift;
		if (!(*p++ & 0x80) || shift > 28)
			break;
	}
	if (n > (size_t)(end - p))
		return false;
	*ret_number = tag >> 3;
	*ret_p = p;
	*ret_len = n;
	*at = p + n;
	return true;
}

/* The first field @number; false when there is none. */
static bool pb_bytes(const uint8_t *p, size_t len, unsigned int number, const uint8_t **ret_p, size_t *ret_len)
{
	const uint8_t *end = p + len;
	unsigned int n;

	while (pb_next(&p, end, &n, ret_p, ret_len))
		if (n == number)
			return true;
	return false;
}

static void got(struct answer *a, const uint8_t *id, size_t len)
{
	snprintf(a->spiffe_id, sizeof(a->spiffe_id), "%.*s", (int)len, (const char *)id);
}

/* X509SVIDResponse.svids = 1, X509SVID.spiffe_id = 1. */
static void take_svids(struct answer *a, const uint8_t *p, size_t len)
{
	const uint8_t *svid, *id;
	size_t svid_len, id_len;

	if (pb_bytes(p, len, 1, &svid, &svid_len) && pb_bytes(svid, svid_len, 1, &id, &id_len))
		got(a, id, id_len);
}

/* Any.value = 2, Secret.name = 1, .tls_certificate = 2, its private_key = 2, DataSource.inline_bytes = 2: a key is a theft. */
static void take_secret(struct answer *a, const uint8_t *p, size_t len)
{
	const uint8_t *secret, *name, *pair, *source, *key;
	size_t secret_len, name_len, n;

	if (pb_bytes(p, len, 2, &secret, &secret_len) && pb_bytes(secret, secret_len, 1, &name, &name_len) &&
	    pb_bytes(secret, secret_len, 2, &pair, &n) && pb_bytes(pair, n, 2, &source, &n) && pb_bytes(source, n, 2, &key, &n) &&
	    n && !a->spiffe_id[0])
		got(a, name, name_len);
}

/* DiscoveryResponse.resources = 2, repeated. */
static void take_message(struct answer *a, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len, *resource;
	unsigned int number;
	size_t n;

	a->messages++;
	if (!by_sds)
		take_svids(a, p, len);
	while (by_sds && pb_next(&p, end, &number, &resource, &n))
		if (number == 2)
			take_secret(a, resource, n);
}

static void take_data(struct answer *a, const uint8_t *p, size_t len)
{
	size_t n;

	if (a->body_len + len > sizeof(a->body)) {
		a->garbage = true;
		return;
	}
	memcpy(a->body + a->body_len, p, len);
	a->body_len += len;
	while (a->body_len >= 5) {
		n = (size_t)a->body[1] << 24 | a->body[2] << 16 | a->body[3] << 8 | a->body[4];
		if (n > a->body_len - 5)
			return;
		take_message(a, a->body + 5, n);
		a->body_len -= 5 + n;
		memmove(a->body, a->body + 5 + n, a->body_len);
	}
}

static int number_of(const uint8_t *p, size_t len)
{
	int n = 0;

	while (len--)
		n = n * 10 + *p++ - '0';
	return n;
}

/* Whoever comes later to a connection lacks the decoder's state: what cannot be read is still an end of the stream. */
static void take_headers(struct answer *a, uint8_t frame_flags, const uint8_t *p, size_t len)
{
	nghttp2_nv nv;
	ssize_t n;
	int flags;

	do {
		flags = 0;
		n = nghttp2_hd_inflate_hd2(a->hd, &nv, &flags, p, len, 1);
		if (n < 0) {
			if (frame_flags & FLAG_END_STREAM)
				a->status = 2;
			return;
		}
		p += n;
		len -= n;
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
			continue;
		if (nv.namelen == 11 && memcmp(nv.name, "grpc-status", 11) == 0)
			a->status = number_of(nv.value, nv.valuelen);
		if (nv.namelen == 12 && memcmp(nv.name, "grpc-message", 12) == 0)
			snprintf(a->text, sizeof(a->text), "%.*s", (int)nv.valuelen, (const char *)nv.value);
	} while (!(flags & NGHTTP2_HD_INFLATE_FINAL));
	nghttp2_hd_inflate_end_headers(a->hd);
}

static void take_frame(struct answer *a, uint8_t type, uint8_t flags, const uint8_t *p, size_t len)
{
	if (type == FRAME_DATA)
		take_data(a, p, len);
	else if (type == FRAME_HEADERS)
		take_headers(a, flags, p, len);
	else if (type == FRAME_SETTINGS && !(flags & FLAG_ACK))
		a->settings = true;
	else if (type == FRAME_GOAWAY)
		a->goaway = true;
	else if (type == FRAME_RST_STREAM && a->status < 0)
		a->closed = true;
}

void answer_feed(struct answer *a, const uint8_t *bytes, size_t len)
{
	size_t n;

	if (a->have + len > sizeof(a->in)) {
		a->garbage = true;
		return;
	}
	memcpy(a->in + a->have, bytes, len);
	a->have += len;
	while (a->have >= 9) {
		n = (size_t)a->in[0] << 16 | a->in[1] << 8 | a->in[2];
		if (n > a->have - 9)
			return;
		take_frame(a, a->in[3], a->in[4], a->in + 9, n);
		a->have -= 9 + n;
		memmove(a->in, a->in + 9 + n, a->have);
	}
}

void answer_ended(struct answer *a, ssize_t n, int error)
{
	if (n == 0 || error == ECONNRESET || error == EPIPE)
		a->closed = true;
	else if (error != EAGAIN && error != EINTR)
		a->error = error;
}

bool answer_over(const struct answer *a)
{
	return a->messages || a->status >= 0 || a->closed || a->error || a->garbage;
}

int client_open(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd;

	if (by_file()) {
		fd = open(asked_by, O_RDONLY | O_CLOEXEC);
		file_error = fd < 0 ? errno : 0;
		return fd;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	return fd;
}

int client_send(int fd, struct answer *a, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n < 0) {
			answer_ended(a, n, errno);
			return -1;
		}
		bytes += n;
		len -= n;
	}
	return 0;
}

void client_read(int fd, struct answer *a, int wait_ms, bool quiet)
{
	int64_t end = now_us() + wait_ms * 1000LL, left;
	uint8_t bytes[16384];
	ssize_t n;

	while (!answer_over(a)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		left = (end - now_us()) / 1000;
		if (left <= 0 || poll(&p, 1, left) == 0)
			return;
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n > 0)
			answer_feed(a, bytes, n);
		else
			answer_ended(a, n, errno);
		if (a->settings && !quiet) {
			a->settings = false;
			/* a connection that ended meanwhile shows at the next recv */
			if (send(fd, settings_ack, sizeof(settings_ack), MSG_NOSIGNAL) < 0 && errno == EACCES)
				a->error = errno;
		}
	}
}

void client_ask(int fd, struct answer *a, int wait_ms)
{
	struct request r;

	if (by_file()) {
		a->error = file_error;
		if (!file_error)
			tree_take(fd, "", a);
		return;
	}
	request_build(&r);
	/* after a failed send the reason may still be there to be read */
	if (client_send(fd, a, r.bytes, r.len) && a->error)
		return;
	a->closed = false;
	client_read(fd, a, wait_ms, false);
}

void answer_say(const char *who, const struct answer *a)
{
	static const char *const names[17] = {
		"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
		"PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange",
		"Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"};

	if (a->spiffe_id[0])
		say("%s: got SVID %s", who, a->spiffe_id);
	else if (a->messages)
		say("%s: got a message without SVID", who);
	else if (a->status >= 0)
		say("%s: %s %s", who, names[a->status < 17 ? a->status : 2], a->text);
	else if (a->error)
		say("%s: refused %s", who, strerrorname_np(a->error));
	else if (a->garbage)
		say("%s: garbage", who);
	else if (a->closed || a->goaway)
		say("%s: cut", who);
	else
		say("%s: nothing", who);
}
