/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smaps onto regions whose bounds it may or may not hold: bounds stay, backings stay in range. */
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "procfs.h"
#include "region_flags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct region regions[] = {
	{.start = 0x1000, .end = 0x2000, .eligibility = ELIGIBILITY_NO},
	{.start = 0x400000, .end = 0x800000, .backing = BACKING_SHMEM},
	{.start = 0x7f0000200000, .end = 0x7f0040200000, .backing = BACKING_FILE},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct scanner s = {text, text + size}, line, key;
	struct region copy[ARRAY_SIZE(regions)];
	uint64_t bytes;
	uint32_t flags;

	memcpy(copy, regions, sizeof(copy));
	regions_apply_smaps(copy, ARRAY_SIZE(copy), text, size);
	for (size_t i = 0; i < ARRAY_SIZE(copy); i++)
		if (copy[i].start != regions[i].start || copy[i].end != regions[i].end ||
		    copy[i].backing >= BACKING_MAX || (copy[i].flags && !copy[i].are_flags_known))
			abort();
	while (scan_line(&s, &line)) {
		if (smaps_parse_size(line, &key, &bytes) && (bytes % 1024 || key.at == key.end))
			abort();
		if (smaps_parse_flags(line, &flags) && flags >= VMA_FLAG_NR * 2)
			abort();
	}
	return 0;
}
