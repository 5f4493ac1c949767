// SPDX-License-Identifier: Apache-2.0
/* compile_check.c - `svid policy check`: the compiler in a person's hands. Next: compile_doc.c. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/cli/cli.h"
#include "agent/cli/compile.h"
#include "agent/cli/compile_files.h"

#define OUTPUT_MAX (64u << 20) /* bytes printed */

struct check {
	const char *config; /* svid.yaml, for the trust domain; NULL: none */
	bool json;
};

static int usage(void)
{
	fputs("usage: svid policy check [-c SVID.YAML] [-o json|text] DIR|FILE...\n"
	      "Checks policy documents as svidd would. Exit: 0 good, 1 errors, 2 wrong usage, 5 cannot look.\n",
	      stderr);
	return CLI_USAGE;
}

static int trouble(const char *what, const char *path, int err)
{
	cli_error(what, path, err_text(err), err == -ENOENT ? "a document, or a directory of documents, is wanted" : NULL);
	return err;
}

static int check_dir(struct compiler *c, int fd, const char *path)
{
	AUTO(buf) struct buf prefix = BUF_INIT(8192);
	size_t n = strlen(path);

	buf_printf(&prefix, "%s%s", path, n && path[n - 1] == '/' ? "" : "/");
	return files_compile_dir(c, fd, buf_cstr(&prefix), TRUST_WARN);
}

static int check_path(struct compiler *c, const char *path, enum agent_place agent)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int err = 0;

	if (fd < 0)
		return trouble("cannot read", path, -errno);
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (S_ISDIR(st.st_mode))
		err = check_dir(c, fd, path);
	else
		files_compile_fd(c, fd, path, agent, TRUST_WARN);
	close(fd);
	return err ? trouble("cannot read", path, err) : 0;
}

static void put_text(const struct compiler *c, const struct cerror *e, struct buf *out)
{
	buf_put_esc(out, slice_str(c->files[e->file].name));
	if (e->mark.line)
		buf_printf(out, ":%u:%u", e->mark.line, e->mark.column);
	buf_put_str(out, e->warning ? ": warning: " : ": error: ");
	if (*e->name) {
		buf_put_esc(out, slice_str(e->name));
		buf_put_str(out, ": ");
	}
	buf_put_esc(out, slice_str(e->text));
	buf_put_str(out, "\n");
}

static void put_member(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, ",\"%s\":", key);
	buf_put_json(out, slice_str(value));
}

static void put_json(const struct compiler *c, const struct cerror *e, struct buf *out)
{
	buf_put_str(out, "{\"file\":");
	buf_put_json(out, slice_str(c->files[e->file].name));
	buf_printf(out, ",\"line\":%u,\"column\":%u", e->mark.line, e->mark.column);
	put_member(out, "kind", e->kind);
	put_member(out, "name", e->name);
	put_member(out, "severity", e->warning ? "warning" : "error");
	put_member(out, "text", e->text);
	buf_put_str(out, "}");
}

static size_t good_docs(const struct compiler *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_docs; i++)
		n += !c->docs[i].refused;
	return n;
}

static void put_report(const struct compiler *c, bool json, struct buf *out)
{
	if (json)
		buf_printf(out, "{\"files\":%zu,\"documents\":%zu,\"errors\":%zu,\"warnings\":%zu,\"problems\":[", c->n_files,
			   good_docs(c), c->n_errors - c->n_warnings, c->n_warnings);
	for (size_t i = 0; i < c->n_errors; i++) {
		if (json && i)
			buf_put_str(out, ",");
		if (json)
			put_json(c, &c->errors[i], out);
		else
			put_text(c, &c->errors[i], out);
	}
	if (json)
		buf_put_str(out, "]}\n");
	else
		buf_printf(out, "%zu documents in %zu files are good, %zu errors, %zu warnings\n", good_docs(c), c->n_files,
			   c->n_errors - c->n_warnings, c->n_warnings);
}

static int report(const struct compiler *c, bool json)
{
	AUTO(buf) struct buf out = BUF_INIT(OUTPUT_MAX);

	put_report(c, json, &out);
	if (buf_ok(&out)) {
		(void)trouble("cannot write", "the report", buf_ok(&out));
		return CLI_LOCAL;
	}
	if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout)) {
		(void)trouble("cannot write", "standard output", -errno);
		return CLI_LOCAL;
	}
	return c->n_errors > c->n_warnings ? CLI_NO : CLI_DONE;
}

static int check_all(const struct check *k, char **paths)
{
	AUTO(compiler) struct compiler c = { 0 };
	int err = k->config ? check_path(&c, k->config, AGENT_MUST) : 0;

	for (; *paths && !err; paths++)
		err = check_path(&c, *paths, AGENT_MAY);
	if (err)
		return CLI_LOCAL;
	compiler_finish(&c);
	if (c.no_memory) {
		(void)trouble("cannot check", "the documents", -ENOMEM);
		return CLI_LOCAL;
	}
	return report(&c, k->json);
}

int policy_check_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct check k = { 0 };
	int opt;

	optind = 0; /* the caller may have used getopt for its own words */
	while ((opt = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
		if (opt == 'c')
			k.config = optarg;
		else if (opt == 'o' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "text") == 0))
			k.json = optarg[0] == 'j';
		else
			return usage();
	}
	return optind < argc ? check_all(&k, argv + optind) : usage();
}
