/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/view.c agent/cli/view_words.c agent/cli/closest.c agent/cli/dump.c agent/cli/out.c agent/cli/options.c agent/cli/nearest.c agent/cli/endpoint.c agent/cli/files.c agent/cli/env_form.c */
/* cli_text_test.c - what svid prints, reads from its command line, and writes: hostile bytes stay bytes. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/cli/endpoint.h"
#include "agent/cli/files.h"
#include "agent/cli/nearest.h"
#include "agent/cli/options.h"
#include "agent/cli/view.h"

static void shows(const char *json, const char *want)
{
	AUTO(buf) struct buf out = BUF_INIT(VIEW_MAX);
	json_t *root = json_loads(json, 0, NULL);

	assert_non_null(root);
	view_json(&out, root);
	assert_string_equal(buf_cstr(&out), want);
	json_decref(root);
}

static void values_are_aligned(void **state)
{
	(void)state;
	shows("{\"a\":1,\"long_name\":\"x\",\"b\":true,\"n\":null}",
	      "a          1\nlong name  x\nb          yes\nn          -\n");
}

static void nested_objects_are_indented(void **state)
{
	(void)state;
	shows("{\"who\":{\"uid\":0,\"path\":\"/x\"}}", "who:\n  uid   0\n  path  /x\n");
}

static void short_lists_stay_on_a_line_and_long_ones_do_not(void **state)
{
	(void)state;
	shows("{\"l\":[1,\"b\"],\"e\":[]}", "l  1, b\ne  -\n");
	shows("{\"l\":[\"0123456789012345678901234567890123456789\",\"0123456789012345678901234567890123456789x\"]}",
	      "l:\n  0123456789012345678901234567890123456789\n  0123456789012345678901234567890123456789x\n");
}

static void rows_of_one_shape_make_a_table(void **state)
{
	(void)state;
	shows("[{\"pid\":1,\"name\":\"init\"},{\"pid\":1234,\"name\":\"b\"}]", "pid   name\n1     init\n1234  b\n");
}

static void rows_of_other_shapes_make_blocks(void **state)
{
	(void)state;
	shows("[{\"a\":1},{\"b\":2}]", "a  1\n\nb  2\n");
}

static void hostile_bytes_are_escaped_everywhere(void **state)
{
	(void)state;
	shows("{\"argv\":\"\\u001b[2J\\nx\\u202e\"}", "argv  \\x1b[2J\\x0ax\\xe2\\x80\\xae\n");
	shows("{\"k\\u001b\":1}", "k\\x1b  1\n");
	shows("[{\"a\":\"\\u0007\"}]", "a\n\\x07\n");
	shows("{\"l\":[\"a\\rb\"]}", "l  a\\x0db\n");
}

static void facts_stand_on_the_line_of_their_key(void **state)
{
	(void)state;
	shows("{\"path\":{\"value\":\"/x\"},\"cgroup\":{\"unknown\":\"no v2\"},\"none\":{\"value\":\"\"}}",
	      "path    /x\ncgroup  unknown: no v2\nnone    -\n");
	shows("{\"two\":{\"value\":1,\"unknown\":\"x\"}}", "two:\n  value    1\n  unknown  x\n");
	shows("[{\"a\":{\"unknown\":\"\\u001b\"}}]", "a\nunknown: \\x1b\n");
}

static void argv_is_one_quoted_command_line(void **state)
{
	(void)state;
	shows("{\"argv\":[\"/bin/sh\",\"-c\",\"echo 'hi'\",\"\",\"a,b\",\"\\n\",\"\\\\x27\"]}",
	      "argv  /bin/sh -c 'echo \\x27hi\\x27' '' a,b '\\x0a' '\\\\x27'\n");
	shows("{\"argv\":[]}", "argv  -\n");
	shows("{\"argv\":[{\"a\":1}]}", "argv:\n  a\n  1\n");
}

static void lines_come_before_blocks(void **state)
{
	(void)state;
	shows("{\"a\":{\"b\":1},\"c\":2}", "c  2\na:\n  b  1\n");
}

static void machine_words_are_said_in_words(void **state)
{
	(void)state;
	shows("{\"not_traced_waived\":false,\"seccomp\":2,\"capabilities\":4096,\"stale\":false}",
	      "seccomp       filter\ncapabilities  0x1000\n");
	shows("{\"seccomp\":3,\"spiffe_id\":\"spiffe://a/b\"}", "seccomp    3\nSPIFFE ID  spiffe://a/b\n");
}

static void a_caller_is_shown_top_down(void **state)
{
	AUTO(buf) struct buf out = BUF_INIT(VIEW_MAX);
	json_t *root = json_loads("{\"tier\":\"t\",\"identities\":[],\"documents\":[{\"name\":\"n\"}]}", 0, NULL);

	(void)state;
	assert_non_null(root);
	view_caller(&out, root);
	assert_string_equal(buf_cstr(&out), "identities  none\n\ndocuments:\n  name\n  n\n\ntier  t\n");
	json_decref(root);
}

#define SELECTOR(key, wanted, found, ok, why) \
	"{\"key\":\"" key "\",\"wanted\":[" wanted "],\"found\":\"" found "\",\"ok\":" ok ",\"why\":\"" why "\"}"
#define DOCUMENT(name, selectors, require) \
	"{\"name\":\"" name "\",\"sets\":[{\"selectors\":[" selectors "]}],\"require\":[" require "]}"

/* At night nobody reads all documents to find the one selector. */
static void a_caller_without_identity_is_told_what_is_missing_nearest_first(void **state)
{
	static const char other[] = DOCUMENT("other", SELECTOR("unix:path", "\"/b\"", "/a", "false", "different"), "");
	static const char mine[] = DOCUMENT("mine\\u001b", SELECTOR("unix:path", "\"/a\"", "/a", "true", "") ","
					    SELECTOR("unix:uid", "\"7\",\"8\",\"9\",\"10\"", "0", "false", "different") ","
					    SELECTOR("unix:sha256", "\"ab\"", "", "false", "the file changed"),
					    "{\"rule\":\"no-preload\",\"ok\":false,\"why\":\"LD_PRELOAD\"}");
	AUTO(buf) struct buf json = BUF_INIT(VIEW_MAX);
	AUTO(buf) struct buf out = BUF_INIT(VIEW_MAX);
	const char *end;
	json_t *root;

	(void)state;
	buf_printf(&json, "{\"identities\":[],\"documents\":[%s,%s,%s,%s]}", other, mine, other, other);
	root = json_loads(buf_cstr(&json), 0, NULL);
	assert_non_null(root);
	view_caller(&out, root);
	end = strstr(buf_cstr(&out), "\n\ndocuments:\n");
	assert_non_null(end);
	buf_reset(&json);
	buf_put(&json, out.data, (size_t)(end - buf_cstr(&out)));
	assert_string_equal(buf_cstr(&json),
			    "identities  none\nwhat is missing, in the nearest documents:\n"
			    "  mine\\x1b  unix:uid is 0, not 7 or 8 or 9 or others; unix:sha256: the file changed, wanted is ab; "
			    "no-preload: LD_PRELOAD\n"
			    "  other  unix:path is /a, not /b\n  other  unix:path is /a, not /b");
	json_decref(root);
}

static void depth_is_bounded(void **state)
{
	AUTO(buf) struct buf json = BUF_INIT(1 << 16);
	AUTO(buf) struct buf out = BUF_INIT(VIEW_MAX);
	json_t *root;

	(void)state;
	for (int i = 0; i < 200; i++)
		buf_put_str(&json, "{\"a\":");
	buf_put_str(&json, "1");
	for (int i = 0; i < 200; i++)
		buf_put_str(&json, "}");
	root = json_loads(buf_cstr(&json), 0, NULL);
	assert_non_null(root);
	view_json(&out, root);
	assert_non_null(strstr(buf_cstr(&out), "...\n"));
	json_decref(root);
}

static void fields_are_padded_and_escaped(void **state)
{
	AUTO(buf) struct buf out = BUF_INIT(256);

	(void)state;
	cli_field(&out, 6, "ab", slice_str("x\ty"));
	assert_string_equal(buf_cstr(&out), "ab      x\\x09y\n");
}

static int path_of(const char *address, const char *want)
{
	const char *path = NULL;
	int err = endpoint_path(address, &path);

	if (!err)
		assert_string_equal(path, want);
	return err;
}

static void socket_addresses_have_the_standards_forms(void **state)
{
	char longest[120];

	(void)state;
	assert_int_equal(path_of("unix:///run/x.sock", "/run/x.sock"), 0);
	assert_int_equal(path_of("unix:/run/x.sock", "/run/x.sock"), 0);
	assert_int_equal(path_of("/run/x.sock", "/run/x.sock"), 0);
	assert_int_equal(path_of("unix:run/x.sock", ""), -ERR_FORMAT);
	assert_int_equal(path_of("unix://host/x.sock", ""), -ERR_FORMAT);
	assert_int_equal(path_of("unix:///x?y", ""), -ERR_FORMAT);
	assert_int_equal(path_of("unix:///x#y", ""), -ERR_FORMAT);
	assert_int_equal(path_of("tcp://127.0.0.1:8081", ""), -ERR_FORMAT);
	assert_int_equal(path_of("tcp:127.0.0.1:8081", ""), -ERR_FORMAT);
	assert_int_equal(path_of("http://x", ""), -ERR_FORMAT);
	assert_int_equal(path_of("", ""), -ERR_FORMAT);
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(path_of(longest, ""), -ERR_SIZE);
	longest[107] = 0;
	assert_int_equal(path_of(longest, longest), 0);
}

static int parse(struct options *o, const char *env, const char *a, const char *b, const char *c, const char *d)
{
	char *argv[] = { "svid", (char *)a, (char *)b, (char *)c, (char *)d, NULL };
	int argc = 1;

	while (argv[argc])
		argc++;
	return options_parse(argc, argv, env, o);
}

static void options_stand_anywhere(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, "-o", "json", "fetch", "x509"), 0);
	assert_int_equal(o.cli.output, OUT_JSON);
	assert_int_equal(o.n_words, 2);
	assert_int_equal(parse(&o, NULL, "explain", "--timeout=3", "--", "-5"), 0);
	assert_string_equal(o.words[1], "-5");
	assert_int_equal(o.cli.timeout_ms, 3000);
	assert_int_equal(parse(&o, NULL, "bundle", "set", "td", "-"), 0);
	assert_string_equal(o.words[3], "-");
}

static void socket_comes_from_option_then_environment_then_default(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, "unix:///env", "--socket", "unix:///opt", "whoami", NULL), 0);
	assert_string_equal(o.cli.socket, "/opt");
	assert_int_equal(parse(&o, "unix:///env", "whoami", NULL, NULL, NULL), 0);
	assert_string_equal(o.cli.socket, "/env");
	assert_int_equal(parse(&o, "", "whoami", NULL, NULL, NULL), 0);
	assert_string_equal(o.cli.socket, "/run/svid/public/api.sock");
	assert_null(o.cli.bad_env);
	assert_int_equal(parse(&o, "tcp://1.2.3.4:5", "status", NULL, NULL, NULL), 0);
	assert_string_equal(o.cli.bad_env, "tcp://1.2.3.4:5");
	assert_string_equal(o.cli.socket, "/run/svid/public/api.sock");
	assert_int_equal(parse(&o, "tcp://1.2.3.4:5", "--socket", "/opt", "whoami", NULL), 0);
	assert_null(o.cli.bad_env);
}

static void wrong_options_are_refused(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, "--nonsense", NULL, NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "-o", NULL, NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "-o", "xml", NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "--timeout", "0", NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "--timeout", "5x", NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "--timeout", "3601", NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "--help=yes", NULL, NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "--socketx", "y", NULL, NULL), -EINVAL);
}

static void options_keep_what_they_mean_for_the_verb(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, NULL, "--audience", "a", "--audience", "b"), 0);
	assert_int_equal(o.cli.n_audiences, 2);
	assert_string_equal(o.cli.audiences[1], "b");
	assert_null(options_unused(&o, USES_AUDIENCE));
	assert_string_equal(options_unused(&o, USES_WRITE), "--audience");
	assert_int_equal(parse(&o, NULL, "--audience", "", NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "--audience", "\xff", NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "--spiffe-id", "spiffe://td/x", NULL, NULL), 0);
	assert_int_equal(parse(&o, NULL, "--spiffe-id", "td/x", NULL, NULL), -EINVAL);
	assert_int_equal(parse(&o, NULL, "--format", "spiffe", "-f", "--denied"), 0);
	assert_int_equal(o.cli.output, OUT_SPIFFE);
	assert_true(o.cli.follow && o.cli.denied);
	/* Scripts give these to every verb alike. */
	assert_int_equal(parse(&o, NULL, "--socket", "/x", "--timeout", "3"), 0);
	assert_null(options_unused(&o, 0));
}

static void too_many_audiences_are_refused(void **state)
{
	char *argv[2 * (LIM_AUDIENCES + 1) + 2] = { "svid" };
	struct options o;

	(void)state;
	for (int i = 0; i <= LIM_AUDIENCES; i++) {
		argv[1 + 2 * i] = "--audience";
		argv[2 + 2 * i] = "a";
	}
	assert_int_equal(options_parse(1 + 2 * LIM_AUDIENCES, argv, NULL, &o), 0);
	assert_int_equal(options_parse(3 + 2 * LIM_AUDIENCES, argv, NULL, &o), -EINVAL);
}

static void near_words_are_found_and_far_ones_are_not(void **state)
{
	(void)state;
	assert_int_equal(nearest_cost("fetch", "fetch"), 0);
	assert_int_equal(nearest_cost("fetc", "fetch"), 1);
	assert_int_equal(nearest_cost("bundel", "bundle"), 2);
	assert_int_equal(nearest_cost("statsu", "status"), 2);
	assert_int_equal(nearest_cost("x508", "x509"), 1);
	assert_int_equal(nearest_cost("nonsense", "status"), NEAREST_NONE);
	assert_int_equal(nearest_cost("ab", "xy"), NEAREST_NONE);
	assert_int_equal(nearest_cost("", "fetch"), NEAREST_NONE);
}

static void files_are_read_up_to_their_limit(void **state)
{
	AUTO(buf) struct buf small = BUF_INIT(4);
	AUTO(buf) struct buf exact = BUF_INIT(5);
	char dir[] = "/tmp/svid-cli-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	assert_int_equal(file_replace(dir, "f", slice_str("12345"), 0600), 0);
	assert_int_equal(file_read(path, &exact), 0);
	assert_int_equal(exact.len, 5);
	assert_int_equal(file_read(path, &small), -ERR_SIZE);
	assert_int_equal(file_read("/nonexistent/f", &small), -ENOENT);
	assert_int_equal(file_read(dir, &exact), -EISDIR);
	unlink(path);
	rmdir(dir);
}

static void files_are_replaced_whole_with_their_mode(void **state)
{
	char dir[] = "/tmp/svid-cli-XXXXXX", path[64], text[16] = "";
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/svid.0.key", dir);
	assert_int_equal(file_replace(dir, "svid.0.key", slice_str("old"), 0644), 0);
	assert_int_equal(file_replace(dir, "svid.0.key", slice_str("new one"), 0600), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text) - 1), 7);
	close(fd);
	assert_string_equal(text, "new one");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0); /* nothing else was left in it */
	assert_int_equal(file_replace(dir, "x", slice_str("y"), 0600), -ENOENT);
}

/* Whoever owns the directory that root exports into must not choose where root writes. */
static void a_link_in_another_ones_directory_is_not_followed(void **state)
{
	char dir[] = "/tmp/svid-files.XXXXXX", path[64], other[64];
	AUTO(buf) struct buf text = BUF_INIT(16);

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(other, sizeof(other), "%s/other", dir);
	snprintf(path, sizeof(path), "%s/sub", dir);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(file_replace_in(dir, "sub", "name", slice_str("x"), 0644), -ENOTDIR);
	assert_int_equal(rmdir(other), 0); /* and so it is empty */
	assert_int_equal(unlink(path), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(file_replace_in(dir, "sub", "name", slice_str(i ? "y" : "x"), 0644), 0);
	snprintf(other, sizeof(other), "%s/sub/name", dir);
	assert_int_equal(file_read(other, &text), 0);
	assert_string_equal(buf_cstr(&text), "y");
	assert_int_equal(unlink(other), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_aligned),
		cmocka_unit_test(nested_objects_are_indented),
		cmocka_unit_test(short_lists_stay_on_a_line_and_long_ones_do_not),
		cmocka_unit_test(rows_of_one_shape_make_a_table),
		cmocka_unit_test(rows_of_other_shapes_make_blocks),
		cmocka_unit_test(hostile_bytes_are_escaped_everywhere),
		cmocka_unit_test(facts_stand_on_the_line_of_their_key),
		cmocka_unit_test(argv_is_one_quoted_command_line),
		cmocka_unit_test(lines_come_before_blocks),
		cmocka_unit_test(machine_words_are_said_in_words),
		cmocka_unit_test(a_caller_is_shown_top_down),
		cmocka_unit_test(a_caller_without_identity_is_told_what_is_missing_nearest_first),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(fields_are_padded_and_escaped),
		cmocka_unit_test(socket_addresses_have_the_standards_forms),
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(socket_comes_from_option_then_environment_then_default),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(options_keep_what_they_mean_for_the_verb),
		cmocka_unit_test(too_many_audiences_are_refused),
		cmocka_unit_test(near_words_are_found_and_far_ones_are_not),
		cmocka_unit_test(files_are_read_up_to_their_limit),
		cmocka_unit_test(files_are_replaced_whole_with_their_mode),
		cmocka_unit_test(a_link_in_another_ones_directory_is_not_followed),
	};

	return cmocka_run_group_tests_name("unit/cli_text", tests, NULL, NULL);
}
