// SPDX-License-Identifier: Apache-2.0
/*
 * selector.c - compares the values of one selector with what the facts say, and checks require[] rules.
 * Runs in svid-core. Where the facts come from: selector_facts.c. Who calls: policy.c.
 */
#include "agent/core/selector.h"

#include <errno.h>

#include "agent/base/err.h"
#include "agent/core/selector_facts.h"

#define LD_VARIABLES (SVID_IMG_LD_PRELOAD | SVID_IMG_LD_AUDIT | SVID_IMG_LD_LIBRARY_PATH)
#define OLD_PROCESS "it started before svidd; restart it"

static int number_of(unsigned int id, struct slice text, uint64_t *ret_number)
{
	switch (term_selector(id)->kind) {
	case TERM_FILESYSTEM:
		return term_filesystem(text, ret_number);
	case TERM_LOGINUID:
		if (slice_eq_str(text, TERM_LOGINUID_UNSET)) {
			*ret_number = UINT32_MAX;
			return 0;
		}
		return slice_u64_dec(text, ret_number);
	case TERM_NUMBER:
		return slice_u64_dec(text, ret_number);
	default:
		return 0;
	}
}

int selector_set_value(unsigned int id, struct slice text, struct sel_value *v)
{
	if (id >= SEL_COUNT || term_value_why(id, text))
		return -ERR_FORMAT;
	if (number_of(id, text, &v->number))
		return -ERR_FORMAT;
	v->glob = slice_starts(text, slice_str(TERM_GLOB));
	v->text = slice_dup(text);
	v->len = text.len;
	return v->text ? 0 : -ENOMEM;
}

/* Where a pattern goes on after a mismatch: one byte more for the last star. */
struct glob_retry {
	size_t pattern; /* just after the star; 0: there was none */
	size_t text;
};

/*
 * Two kinds of star need two places to come back to: a `*` that cannot grow over a '/' gives up in
 * favour of the last `**`. Quadratic at worst, in a pattern that root wrote.
 */
bool glob_match(struct slice pat, struct slice text, bool path)
{
	struct glob_retry one = { 0 }, two = { 0 };
	size_t p = 0, t = 0;

	while (t < text.len || p < pat.len) {
		if (p < pat.len && pat.p[p] == '*') {
			bool across = !path || (p + 1 < pat.len && pat.p[p + 1] == '*');

			while (across && p + 1 < pat.len && pat.p[p + 1] == '*')
				p++;
			*(across ? &two : &one) = (struct glob_retry){ ++p, t };
			if (across)
				one = (struct glob_retry){ 0 };
			continue;
		}
		if (p < pat.len && t < text.len &&
		    (pat.p[p] == text.p[t] || (pat.p[p] == '?' && !(path && text.p[t] == '/')))) {
			p++;
			t++;
			continue;
		}
		if (one.pattern && one.text < text.len && text.p[one.text] != '/') {
			p = one.pattern;
			t = ++one.text;
		} else if (two.pattern && two.text < text.len) {
			p = two.pattern;
			t = ++two.text;
			one = (struct glob_retry){ 0 };
		} else {
			return false;
		}
	}
	return true;
}

static bool text_matches(enum term_kind kind, const struct sel_value *v, struct slice found)
{
	struct slice wanted = slice_of(v->text, v->len);

	if (v->glob) {
		(void)slice_get_bytes(&wanted, strlen(TERM_GLOB));
		return glob_match(wanted, found, kind != TERM_CMDLINE);
	}
	return kind == TERM_CMDLINE ? slice_starts(found, wanted) : slice_eq(found, wanted);
}

static bool any_value(const struct selector *s, const struct fact *fact)
{
	enum term_kind kind = term_selector(s->id)->kind;

	for (size_t i = 0; i < s->n_values; i++) {
		const struct sel_value *v = &s->values[i];

		if (fact->is_number ? v->number == fact->number : text_matches(kind, v, fact->text))
			return true;
	}
	return false;
}

static void put_found(const struct selector *s, const struct fact *fact, size_t i, struct buf *found)
{
	const char *name = NULL;

	if (!found)
		return;
	if (i)
		buf_put_str(found, ", ");
	if (!fact->is_number) {
		buf_put_slice(found, fact->text);
		return;
	}
	if (term_selector(s->id)->kind == TERM_FILESYSTEM)
		name = term_filesystem_name(fact->number);
	else if (term_selector(s->id)->kind == TERM_LOGINUID && fact->number == UINT32_MAX)
		name = TERM_LOGINUID_UNSET;
	if (name)
		buf_put_str(found, name);
	else if (term_selector(s->id)->kind == TERM_FILESYSTEM)
		buf_printf(found, "0x%llx", (unsigned long long)fact->number);
	else
		buf_printf(found, "%llu", (unsigned long long)fact->number);
}

struct sel_result selector_eval(const struct selector *s, struct eval *e, struct buf *found)
{
	struct sel_result r = { .why = "different" };

	for (size_t i = 0;; i++) {
		struct fact scratch;
		const struct fact *fact = fact_get(s->id, e, i, &scratch);

		if (fact->end)
			break;
		if (fact->why) {
			if (!r.ok)
				r.why = fact->why;
			break;
		}
		put_found(s, fact, i, found);
		if (any_value(s, fact))
			r = (struct sel_result){ .ok = true, .why = "" };
		if (r.ok && !found)
			break;
	}
	return r;
}

static struct sel_result refused(const char *why)
{
	return (struct sel_result){ .why = why };
}

static struct sel_result kept(void)
{
	return (struct sel_result){ .ok = true, .why = "" };
}

static struct sel_result waived(void)
{
	return (struct sel_result){ .ok = true, .waived = true, .why = "not enforced: this tier cannot see it" };
}

/* A12: what is seen always counts; what cannot be seen is waived only as a default, only in these tiers. */
static struct sel_result not_traced(bool is_default, const struct facts *f)
{
	bool blind = f->tier == TIER_BPF_TP || facts_are_socket(f);

	if ((f->conn->image.flags & SVID_IMG_TRACED) || (f->conn->creds.flags & SVID_CRED_TRACED_NOW))
		return refused("it was traced, or its memory was opened, since exec, or at exec there was a seccomp listener, or "
			       "a filter that lies");
	if (blind || !(f->conn->flags & SVID_CONN_SEES_TRACE)) {
		if (blind && is_default)
			return waived();
		return refused("this tier cannot see tracing");
	}
	if ((f->conn->image.flags & SVID_IMG_SCANNED) && !is_default)
		return refused(OLD_PROCESS);
	return kept();
}

static struct sel_result no_variables(bool is_default, const struct facts *f, uint32_t variables, const char *why)
{
	if (f->conn->image.flags & variables)
		return refused(why);
	if (facts_are_socket(f))
		return is_default ? waived() : refused("only the kernel's record can tell this");
	if (f->conn->image.flags & SVID_IMG_ENV_TRUNC)
		return refused("the environment could not be searched whole");
	if ((f->conn->image.flags & SVID_IMG_SCANNED) && !is_default)
		return refused(OLD_PROCESS);
	return kept();
}

static struct sel_result observed_exec(const struct facts *f)
{
	if (facts_are_socket(f))
		return refused("only the kernel's record can tell this");
	return f->conn->image.flags & SVID_IMG_SCANNED ? refused(OLD_PROCESS) : kept();
}

struct sel_result rule_eval(unsigned int rule, bool is_default, const struct facts *f)
{
	switch (rule) {
	case RULE_NOT_TRACED:
		return not_traced(is_default, f);
	case RULE_NO_PRELOAD:
		return no_variables(is_default, f, LD_VARIABLES,
				    "LD_PRELOAD, LD_AUDIT or LD_LIBRARY_PATH was set at exec (or LD_ORIGIN_PATH, LD_PROFILE)");
	case RULE_CLEAN_ENV:
		return no_variables(is_default, f, LD_VARIABLES | SVID_IMG_ENV_OTHER,
				    "a variable that makes foreign code run was set at exec");
	case RULE_OBSERVED_EXEC:
		return observed_exec(f);
	default:
		return refused("unknown rule");
	}
}
