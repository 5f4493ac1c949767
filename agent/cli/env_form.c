// SPDX-License-Identifier: Apache-2.0
/* env_form.c - environment variables for a shell, systemd, Compose and Kubernetes, each quoted by its own rules. svid env. */
#include "agent/cli/env_form.h"

#include "agent/base/err.h"

struct env_form {
	const char *name;
	const char *before;
	void (*put)(struct buf *out, const struct env_var *v);
	const char *mount;  /* how a container sees the files; @ is their directory. NULL: it runs on the host */
	const char *dollar; /* what the reader of mount would replace; NULL: nothing */
};

bool quote_can(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= 'A' && s.p[i] <= 'Z') && !(s.p[i] >= '0' && s.p[i] <= '9') &&
		    !(s.p[i] && strchr("_@%+:,./-", s.p[i])))
			return false;
	return s.len > 0;
}

void quote_shell(struct buf *out, struct slice s)
{
	if (is_plain(s)) {
		buf_put_slice(out, s);
		return;
	}
	buf_put_u8(out, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\'')
			buf_put_str(out, "'\\''");
		else
			buf_put_u8(out, s.p[i]);
	}
	buf_put_u8(out, '\'');
}

static void put_sh(struct buf *out, const struct env_var *v)
{
	buf_put_str(out, "export ");
	buf_put_slice(out, v->name);
	buf_put_u8(out, '=');
	quote_shell(out, v->value);
	buf_put_u8(out, '\n');
}

/* systemd.exec(5): backslash and double quote as in C, and % begins a specifier of the unit. */
static void put_systemd(struct buf *out, const struct env_var *v)
{
	buf_put_str(out, "Environment=\"");
	buf_put_slice(out, v->name);
	buf_put_u8(out, '=');
	for (size_t i = 0; i < v->value.len; i++) {
		if (strchr("\\\"", v->value.p[i]))
			buf_put_u8(out, '\\');
		if (v->value.p[i] == '%')
			buf_put_u8(out, '%');
		buf_put_u8(out, v->value.p[i]);
	}
	buf_put_str(out, "\"\n");
}

/* A string of JSON is one of YAML. Where @dollar stands, which begins with one, it would be replaced: it is written twice. */
static void put_yaml(struct buf *out, struct slice s, const char *dollar)
{
	AUTO(buf) struct buf text = BUF_INIT(1 << 16);

	for (size_t i = 0; i < s.len; i++) {
		if (dollar && slice_starts(slice_of(s.p + i, s.len - i), slice_str(dollar)))
			buf_put_u8(&text, '$');
		buf_put_u8(&text, s.p[i]);
	}
	buf_put_json(out, buf_slice(&text));
}

static void put_compose(struct buf *out, const struct env_var *v)
{
	buf_put_str(out, "      ");
	buf_put_slice(out, v->name);
	buf_put_str(out, ": ");
	put_yaml(out, v->value, "$");
	buf_put_u8(out, '\n');
}

static void put_k8s(struct buf *out, const struct env_var *v)
{
	buf_put_str(out, "        - name: ");
	buf_put_slice(out, v->name);
	buf_put_str(out, "\n          value: ");
	put_yaml(out, v->value, "$(");
	buf_put_u8(out, '\n');
}

/* A mount that follows: when the agent mounts the tree anew, the container sees the new one. */
static const struct env_form forms[] = {
	{ "sh", "", put_sh, NULL, NULL },
	{ "systemd", "[Service]\n", put_systemd, NULL, NULL },
	{ "compose", "services:\n  app:\n    environment:\n", put_compose,
	  "    volumes:\n      - type: bind\n        source: @\n        target: @\n        read_only: true\n"
	  "        bind:\n          propagation: rslave\n", "$" },
	{ "k8s", "spec:\n  containers:\n    - name: app\n      env:\n", put_k8s,
	  "      volumeMounts:\n        - name: svid-credentials\n          mountPath: @\n          readOnly: true\n"
	  "          mountPropagation: HostToContainer\n"
	  "  volumes:\n    - name: svid-credentials\n      hostPath:\n        path: @\n        type: Directory\n", NULL },
};

const struct env_form *env_form_at(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (strcmp(forms[i].name, name) == 0)
			return &forms[i];
	return NULL;
}

const char *env_form_names(void)
{
	return "sh systemd compose k8s";
}

static void put_note(struct slice note, struct buf *out)
{
	while (note.len) {
		const uint8_t *end = memchr(note.p, '\n', note.len);
		struct slice line = slice_get_bytes(&note, end ? (size_t)(end - note.p) : note.len);

		if (end)
			(void)slice_get_u8(&note);
		buf_put_str(out, "# ");
		buf_put_esc(out, line);
		buf_put_u8(out, '\n');
	}
}

static void put_mount(const struct env_form *form, const char *dir, struct buf *out)
{
	for (const char *p = form->mount; *p; p++) {
		if (*p == '@')
			put_yaml(out, slice_str(dir), form->dollar);
		else
			buf_put_u8(out, (uint8_t)*p);
	}
}

void env_form_put(const struct env_form *form, const struct env_vars *e, struct buf *out)
{
	put_note(e->note, out);
	if (!e->n)
		return;
	buf_put_str(out, form->before);
	for (size_t i = 0; i < e->n; i++)
		form->put(out, &e->v[i]);
	/* Every container's /sys has the tree that the module shows. */
	if (form->mount && strncmp(e->tree, "/sys/", 5) != 0)
		put_mount(form, e->tree, out);
}

static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(s.p[i] >= 'A' && s.p[i] <= 'Z') && !(i && s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '_')
			return false;
	return s.len > 0;
}

int env_read(struct slice text, struct env_vars *ret_vars)
{
	while (text.len) {
		const uint8_t *end = memchr(text.p, '\n', text.len);
		struct slice line = slice_get_bytes(&text, end ? (size_t)(end - text.p) : text.len);
		const uint8_t *sign = line.len ? memchr(line.p, '=', line.len) : NULL;
		struct env_var v;

		if (end)
			(void)slice_get_u8(&text);
		if (!sign)
			return -ERR_FORMAT;
		v.name = slice_get_bytes(&line, (size_t)(sign - line.p));
		(void)slice_get_u8(&line);
		v.value = line;
		if (!is_name(v.name) || !quote_can(v.value))
			return -ERR_FORMAT;
		if (ret_vars->n == ENV_VARS_MAX)
			return -ERR_LIMIT;
		ret_vars->v[ret_vars->n++] = v;
	}
	return 0;
}
