/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - gRPC length-prefixed messages and percent-encoded status texts. svid; used by grpc.c. */
#include "agent/cli/frame.h"

#include <errno.h>

#include "agent/base/limits.h"

void frame_put(struct buf *out, struct slice message)
{
	buf_put_u8(out, 0);
	buf_put_be32(out, (uint32_t)message.len);
	buf_put_slice(out, message);
}

int frame_get(const struct buf *in, struct slice *ret_message)
{
	struct slice s = buf_slice(in);
	uint8_t flag;
	uint32_t len;

	if (s.len < FRAME_HEAD)
		return -EAGAIN;
	flag = slice_get_u8(&s);
	len = slice_get_be32(&s);
	if (flag)
		return flag == 1 ? -ERR_COMPRESSED : -ERR_FORMAT;
	if (len > LIM_GRPC_RESPONSE)
		return -ERR_SIZE;
	if (s.len < len)
		return -EAGAIN;
	*ret_message = slice_get_bytes(&s, len);
	return 0;
}

void frame_drop(struct buf *in, struct slice message)
{
	buf_consume(in, FRAME_HEAD + message.len);
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void percent_decode(struct buf *out, struct slice value)
{
	while (value.len) {
		uint8_t c = slice_get_u8(&value);

		if (c == '%' && value.len >= 2 && hex_value(value.p[0]) >= 0 && hex_value(value.p[1]) >= 0) {
			c = (uint8_t)(hex_value(value.p[0]) << 4 | hex_value(value.p[1]));
			(void)slice_get_bytes(&value, 2);
		}
		buf_put_u8(out, c);
	}
}
