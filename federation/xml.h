/* SPDX-License-Identifier: Apache-2.0 */
/* xml.h - texts out of a small XML document that a cloud sent, read by expat. svid-cloud. */
#ifndef CLOUD_XML_H
#define CLOUD_XML_H

#include "agent/base/buf.h"

/* One text that is wanted: element names from the root, joined by '/', without prefixes. The first such element counts. */
struct xml_want {
	const char *path;
	struct buf *to; /* gets the text appended */
	bool found;
};

/**
 * xml_read() - the wanted texts of @doc. A document type declaration is refused, so there are no entities but XML's five.
 * Errors: -ERR_FORMAT (not well-formed, too deep), -ERR_SIZE (a text that does not fit), -ENOMEM.
 */
MUST int xml_read(struct slice doc, struct xml_want *wants, size_t n);

#endif
