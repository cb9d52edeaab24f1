/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bus_object.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "cleanup.h"
#include "manager.h"
#include "thpd.h"

/* Bytes of the valid UTF-8 sequence at s, or 0. Shortest forms only, no surrogates. */
static size_t utf8_sequence_bytes(const unsigned char *s)
{
	uint32_t code, least;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if ((s[0] & 0xe0) == 0xc0)
		n = 2, code = s[0] & 0x1f, least = 0x80;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3, code = s[0] & 0x0f, least = 0x800;
	else if ((s[0] & 0xf8) == 0xf0)
		n = 4, code = s[0] & 0x07, least = 0x10000;
	else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return n;
}

void bus_text_repair(char *text)
{
	for (char *s = text; *s;) {
		size_t n = utf8_sequence_bytes((const unsigned char *)s);

		if (n == 0)
			*s = '?';
		s += n > 0 ? n : 1;
	}
}

static int check_access(const struct bus_caller *caller, sd_bus_error *error)
{
	if (caller->is_privileged)
		return 0;
	return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
				"Only root and the user that thpd runs as may do this; the status "
				"is open to all.");
}

static int set_manager_error(int r, const char *who, sd_bus_error *error)
{
	switch (r) {
	case -ENOENT:
		return sd_bus_error_setf(error, "org.thpd1.NoSuchVM",
					 "There is no VM with the name, UUID or pid '%.256s'.",
					 who);
	case -ENOTUNIQ:
		return sd_bus_error_setf(
			error, "org.thpd1.AmbiguousVM",
			"Several VMs are called '%.256s'; use the UUID or the pid.", who);
	case -EINVAL:
		return sd_bus_error_setf(
			error, SD_BUS_ERROR_INVALID_ARGS,
			"'%.256s' does not fit: a name, UUID or pid, and an address "
			"of the VM's memory are expected.",
			who);
	default:
		return sd_bus_error_set_errno(error, r);
	}
}

/* Ends a call: text is taken. */
static int reply_text(sd_bus_message *m, char *text, sd_bus_error *error)
{
	_cleanup_free_ char *owned = text;

	if (!owned)
		return sd_bus_error_set_errno(error, -ENOMEM);
	if (strlen(owned) > BUS_ANSWER_MAX_BYTES)
		return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					"The answer is too long for one message.");
	bus_text_repair(owned);
	return sd_bus_reply_method_return(m, "s", owned);
}

static int reply_text_of_host(sd_bus_message *m, struct manager *manager,
			      int (*get)(struct manager *, char **), sd_bus_error *error)
{
	char *text = NULL;
	int r = get(manager, &text);

	return r < 0 ? set_manager_error(r, "", error) : reply_text(m, text, error);
}

static int reply_text_of_vm(sd_bus_message *m, const struct bus_caller *caller,
			    int (*get)(struct manager *, const char *, char **),
			    sd_bus_error *error)
{
	const char *who;
	char *text = NULL;
	int r;

	r = check_access(caller, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "s", &who);
	if (r < 0)
		return r;
	r = get(caller->manager, who, &text);
	return r < 0 ? set_manager_error(r, who, error) : reply_text(m, text, error);
}

static int method_get_status(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_caller *caller = userdata;

	return reply_text_of_host(m, caller->manager, manager_status_json, error);
}

static int method_cat_config(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_caller *caller = userdata;
	int r = check_access(caller, error);

	return r < 0 ? r : reply_text_of_host(m, caller->manager, manager_config_text, error);
}

static int method_show(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return reply_text_of_vm(m, userdata, manager_show_json, error);
}

static int method_plan(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return reply_text_of_vm(m, userdata, manager_plan_json, error);
}

static int method_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return reply_text_of_vm(m, userdata, manager_snapshot_json, error);
}

static int method_explain(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_caller *caller = userdata;
	const char *who, *address;
	char *text = NULL;
	int r;

	r = check_access(caller, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "ss", &who, &address);
	if (r < 0)
		return r;
	r = manager_explain_json(caller->manager, who, address, &text);
	if (r == -EINVAL)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "'%.64s' is not an address in the memory of '%.256s'.",
					 address, who);
	return r < 0 ? set_manager_error(r, who, error) : reply_text(m, text, error);
}

static int reply_ticket(sd_bus_message *m, const struct bus_caller *caller,
			int (*start)(struct manager *, const char *, uint64_t *),
			sd_bus_error *error)
{
	const char *who;
	uint64_t ticket;
	int r;

	r = check_access(caller, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "s", &who);
	if (r < 0)
		return r;
	r = start(caller->manager, who, &ticket);
	if (r < 0)
		return set_manager_error(r, who, error);
	return sd_bus_reply_method_return(m, "t", ticket);
}

static int method_collapse(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return reply_ticket(m, userdata, manager_collapse, error);
}

static int method_nudge(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return reply_ticket(m, userdata, manager_nudge, error);
}

static int method_populate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_caller *caller = userdata;
	const char *who, *how;
	uint64_t ticket;
	int r;

	r = check_access(caller, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "ss", &who, &how);
	if (r < 0)
		return r;
	if (how[0] && strcmp(how, "force") != 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "'%.64s' is neither 'force' nor empty.", how);
	r = manager_populate(caller->manager, who, how[0] != 0, &ticket);
	if (r < 0)
		return set_manager_error(r, who, error);
	return sd_bus_reply_method_return(m, "t", ticket);
}

static int set_paused(sd_bus_message *m, const struct bus_caller *caller, bool is_paused,
		      sd_bus_error *error)
{
	const char *who;
	int r;

	r = check_access(caller, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(m, "s", &who);
	if (r < 0)
		return r;
	r = manager_pause(caller->manager, who, is_paused);
	return r < 0 ? set_manager_error(r, who, error) : sd_bus_reply_method_return(m, NULL);
}

static int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return set_paused(m, userdata, true, error);
}

static int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return set_paused(m, userdata, false, error);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_caller *caller = userdata;
	int r;

	r = check_access(caller, error);
	if (r < 0)
		return r;
	r = manager_reload(caller->manager);
	return r < 0 ? set_manager_error(r, "", error) : sd_bus_reply_method_return(m, NULL);
}

static int property_version(sd_bus *bus, const char *path, const char *interface,
			    const char *property, sd_bus_message *reply, void *userdata,
			    sd_bus_error *error)
{
	(void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)error;
	return sd_bus_message_append(reply, "s", thpd_version());
}

/* UNPRIVILEGED keeps sd-bus's own check away, which asks a bus daemon; ours is check_access(). */
static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", property_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_METHOD("GetStatus", NULL, "s", method_get_status, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Show", "s", "s", method_show, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Explain", "ss", "s", method_explain, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Plan", "s", "s", method_plan, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Snapshot", "s", "s", method_snapshot, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("CatConfig", NULL, "s", method_cat_config, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Collapse", "s", "t", method_collapse, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Populate", "ss", "t", method_populate, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Nudge", "s", "t", method_nudge, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Pause", "s", NULL, method_pause, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Resume", "s", NULL, method_resume, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Reload", NULL, NULL, method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

int bus_object_add(sd_bus *bus, struct bus_caller *caller)
{
	return sd_bus_add_object_vtable(bus, NULL, "/org/thpd1", "org.thpd1.Manager",
					manager_vtable, caller);
}
