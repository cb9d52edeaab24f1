/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_match.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm.h"

bool match_is_empty(const struct match *m)
{
	return !m->name && !m->uuid && !m->comm && !m->exe && !m->cgroup && !m->user;
}

/* Text that a process wrote itself is believed only of something that looks like a VMM: any shell
 * script can call itself "-name db1". QEMU gives itself another comm with -name VM,process=COMM. */
static bool is_known_vmm(const struct vm *vm)
{
	return vm->has_kvm || vmm_kind_of(vm) != VMM_OTHER;
}

static bool glob_fits(const char *glob, const char *text, int flags)
{
	return !glob || fnmatch(glob, text, flags) == 0;
}

/* A user is known by its number and by each of its names. */
static bool user_fits(const char *glob, uid_t uid)
{
	char number[16], buffer[4096];
	struct passwd entry, *found = NULL;

	if (!glob)
		return true;
	(void)snprintf(number, sizeof(number), "%" PRIu32, (uint32_t)uid);
	if (fnmatch(glob, number, 0) == 0)
		return true;
	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found &&
	    fnmatch(glob, found->pw_name, 0) == 0)
		return true;
	/* Two names of one uid: the first answer was only one of them. */
	return getpwnam_r(glob, &entry, buffer, sizeof(buffer), &found) == 0 && found &&
	       found->pw_uid == uid;
}

bool match_fits(const struct match *m, const struct vm *vm)
{
	if (match_is_empty(m))
		return false;
	if ((m->name || m->uuid) && !is_known_vmm(vm))
		return false;
	/* The user last: it may have to ask a name service. */
	return glob_fits(m->name, vm->name, 0) && glob_fits(m->uuid, vm->uuid, FNM_CASEFOLD) &&
	       glob_fits(m->comm, vm->comm, 0) && glob_fits(m->exe, vm->exe, 0) &&
	       glob_fits(m->cgroup, vm->cgroup, 0) && user_fits(m->user, vm->uid);
}

void match_clear(struct match *m)
{
	free(m->name);
	free(m->uuid);
	free(m->comm);
	free(m->exe);
	free(m->cgroup);
	free(m->user);
	*m = (struct match){0};
}

void rule_clear(struct rule *r)
{
	free(r->file);
	match_clear(&r->match);
	*r = (struct rule){0};
}

const struct rule *config_find_rule(const struct config *c, const struct vm *vm)
{
	for (size_t i = 0; i < c->n_rules; i++)
		if (match_fits(&c->rules[i].match, vm))
			return &c->rules[i];
	return NULL;
}
