/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One file of configuration, first as thpd.conf, then as a file of vm.d. The result must stay
 * printable and within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_apply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*apply_fn)(struct config *c, const char *file, char *text, size_t size);

static void apply_copy(struct config *c, apply_fn apply, const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (apply(c, "fuzz.conf", text, size) < 0)
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vm vm = {.name = "db1", .comm = "qemu-system-x86", .has_kvm = true};
	struct config c = {0};
	char *text;

	/* Files with NUL bytes and of this size do not come so far. */
	if (memchr(data, '\0', size) || size > CONFIG_FILE_MAX_BYTES)
		return -1;
	if (config_set_defaults(&c) < 0)
		abort();
	apply_copy(&c, config_apply_main, data, size);
	apply_copy(&c, config_apply_rule, data, size);
	if (c.n_rules != 1 || c.policy.copy_call_bytes == 0 || c.policy.min_populated_bp > 10000 ||
	    c.policy.mode >= MODE_MAX || c.policy.placement >= PLACEMENT_MAX || c.n_problems > 80)
		abort();
	(void)config_find_rule(&c, &vm);
	if (config_format(&c, &text) < 0)
		abort();
	free(text);
	config_clear(&c);
	return 0;
}
