/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_kvm.h"

#include <string.h>

#include "field.h"
#include "format.h"
#include "view_reason.h"

static const char *kvm_source_words(const char *source)
{
	if (strcmp(source, "qmp") == 0)
		return "QEMU's monitor";
	if (strcmp(source, "vmm") == 0)
		return "the VMM";
	return strcmp(source, "debugfs") == 0 ? "the kernel's debugfs" : "an unknown source";
}

void view_kvm_print(FILE *f, struct json_object *kvm, bool is_raw)
{
	uint64_t huge, mapped = field_u64_or_0(kvm, "mapped_bytes");
	char share[FORMAT_MAX], bytes[FORMAT_MAX];

	if (mapped > 0 && field_u64(kvm, "huge_bytes", &huge))
		fprintf(f,
			"KVM: %s of the %s that it maps into the guest is by huge pages (by %s).\n",
			format_share(huge, mapped, share), format_bytes(mapped, is_raw, bytes),
			kvm_source_words(field_text(kvm, "source")));
	if (field_is_true(kvm, "lacks_sample"))
		fputs("KVM: that much is small, though the host has it huge; whether it lasts "
		      "(kvm-small-under-huge-host) takes a second sample, ten seconds later.\n",
		      f);
}

void view_kvm_print_findings(FILE *f, struct json_object *kvm, bool is_raw)
{
	struct json_object *findings = field_array(kvm, "findings");

	for (size_t i = 0; i < field_array_length(findings); i++) {
		struct json_object *o = json_object_array_get_idx(findings, i);
		const struct reason_sum sum = {
			.slug = field_text(o, "reason"),
			.sentence = field_text(o, "sentence"),
			.cure = field_text(o, "cure"),
			.bytes = field_u64_or_0(o, "bytes"),
			.is_inferred = field_is_true(o, "inferred"),
		};

		view_reason_print(f, &sum, is_raw);
	}
}

void view_kvm_print_last_nudge(FILE *f, struct json_object *kvm)
{
	struct json_object *nudge = field_object(kvm, "nudge");
	char result[FORMAT_MAX], means[FORMAT_MAX];

	field_cell(nudge, "result", result, sizeof(result));
	field_cell(nudge, "means", means, sizeof(means));
	if (nudge)
		fprintf(f, "Last nudge: %s, by %s.\n", result, means);
}

void view_kvm_print_nudge(FILE *f, struct json_object *plan)
{
	struct json_object *held = field_object(plan, "nudge_held");
	char slug[FORMAT_MAX], sentence[512], text[1024];

	if (held) {
		(void)snprintf(
			text, sizeof(text), "No nudge (%s): %s",
			format_printable(field_text(held, "reason"), slug, sizeof(slug)),
			format_printable(field_text(held, "sentence"), sentence, sizeof(sentence)));
		format_paragraph(f, 0, text);
	} else if (json_object_object_get_ex(plan, "nudge_held", NULL)) {
		fputs("A nudge is due: KVM maps anew what it maps by small pages.\n", f);
	}
}
