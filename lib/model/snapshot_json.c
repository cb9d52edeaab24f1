/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The JSON form of a snapshot, version 1: the tables. A member that is added to a struct of the
 * snapshot gets a row here; the keys are the members' names, and interface. */
#include "snapshot.h"

#include <errno.h>
#include <string.h>

#include <json-c/json.h>

#include "fields.h"
#include "parse.h"

enum {
	DOCUMENT_VERSION = 1,
	DOCUMENT_BYTES_MAX = 128 << 20, /* a full table of sights is about 40 MiB */
	/* Ours is 4 deep; what we do not know and skip may be deeper. */
	DOCUMENT_DEPTH_MAX = 32,
};

/* ---- Rows ---- */

#define MEMBER_SIZE(owner, member) sizeof(((struct owner *)NULL)->member)

#define ROW(kind, owner, member, expected, ...)                                                 \
	{                                                                                       \
		.key = #member, .type = kind, .why = #owner "." #member ": expected " expected, \
		.offset = offsetof(struct owner, member), .size = MEMBER_SIZE(owner, member),   \
		__VA_ARGS__                                                                     \
	}

#define UINT(owner, member, ...) \
	ROW(FIELD_UINT, owner, member, "a whole number in its range", __VA_ARGS__)
#define INT(owner, member) ROW(FIELD_INT, owner, member, "a whole number in its range", )
#define ADDRESS(owner, member, ...) \
	ROW(FIELD_ADDRESS, owner, member, "an address as text, \"0x...\"", __VA_ARGS__)
#define BOOL(owner, member)   ROW(FIELD_BOOL, owner, member, "true or false", )
#define STRING(owner, member) ROW(FIELD_STRING, owner, member, "a text or null", )
#define TEXT(owner, member)   ROW(FIELD_TEXT, owner, member, "a text that fits", )
#define WORD(owner, member, words, n, ...) \
	ROW(FIELD_WORD, owner, member, "one of its words", .word = words, .n_words = n, __VA_ARGS__)
#define STRUCT(owner, member, of, ...) \
	ROW(FIELD_STRUCT, owner, member, "an object", .shape = &of, __VA_ARGS__)
#define ELEMENTS(kind, owner, member, of, max)                                          \
	ROW(kind, owner, member, "an array of objects, within its bound", .shape = &of, \
	    .count_offset = offsetof(struct owner, n_##member),                         \
	    .count_size = MEMBER_SIZE(owner, n_##member), .max_elements = max)

#define SHAPE(of, rows, first)                                                                     \
	{                                                                                          \
		.size = sizeof(of), .initial = first, .fields = rows, .n_fields = ARRAY_SIZE(rows) \
	}

/* Words by number, whatever the enum. */
#define WORDS(function, name, of)                       \
	static const char *function(unsigned int value) \
	{                                               \
		return name((of)value);                 \
	}

WORDS(knob_word, shmem_knob_name, enum shmem_knob)
WORDS(mode_word, mode_name, enum mode)
WORDS(backing_word, backing_name, enum backing)
WORDS(eligibility_word, eligibility_name, enum eligibility)
WORDS(answer_word, answer_name, enum answer)
WORDS(seen_word, seen_name, enum seen)
WORDS(placement_word, placement_name, enum placement)
WORDS(wide_word, wide_name, enum wide)
WORDS(source_word, kvm_source_name, enum kvm_source)
WORDS(populate_word, populate_name, enum populate)
WORDS(nudge_word, nudge_name, enum nudge)
WORDS(reason_word, reason_slug, enum reason)

static const struct field geometry_rows[] = {
	UINT(mmu_geometry, base_shift, .is_required = true),
	UINT(mmu_geometry, pmd_order, .is_required = true),
	UINT(mmu_geometry, pud_order, .is_required = true),
};
static const struct shape geometry_shape = SHAPE(struct mmu_geometry, geometry_rows, NULL);

static const struct field node_rows[] = {
	INT(host_node, id),	     UINT(host_node, free_block_bytes),
	UINT(host_node, free_bytes), UINT(host_node, total_bytes),
	BOOL(host_node, has_cpus),   TEXT(host_node, distances),
};
static const struct host_node node_initial = {.id = -1};
static const struct shape node_shape = SHAPE(struct host_node, node_rows, &node_initial);

static const struct field host_rows[] = {
	UINT(host, features),
	TEXT(host, kernel_release),
	WORD(host, shmem_global, knob_word, SHMEM_KNOB_MAX),
	WORD(host, shmem_block, knob_word, SHMEM_KNOB_MAX),
	TEXT(host, thp_enabled),
	BOOL(host, is_ksm_running),
	BOOL(host, is_numa_balancing),
	BOOL(host, is_uffd_seen),
	UINT(host, mem_total_bytes),
	UINT(host, mem_available_bytes),
	UINT(host, cpus),
	ELEMENTS(FIELD_ARRAY, host, nodes, node_shape, HOST_NODES_MAX),
};
static const struct shape host_shape = SHAPE(struct host, host_rows, NULL);

static const struct field vm_rows[] = {
	INT(vm, pid),
	UINT(vm, starttime),
	UINT(vm, uid),
	TEXT(vm, name),
	TEXT(vm, uuid),
	TEXT(vm, comm),
	TEXT(vm, exe),
	TEXT(vm, cgroup),
	BOOL(vm, has_kvm),
	BOOL(vm, has_uffd),
	BOOL(vm, has_vfio),
	BOOL(vm, has_sev),
	BOOL(vm, has_device_dax_1g),
	BOOL(vm, is_restored),
	BOOL(vm, is_of_libvirt),
	BOOL(vm, has_guest_nodes),
	WORD(vm, is_static, answer_word, ANSWER_MAX),
	WORD(vm, is_logged_for_life, answer_word, ANSWER_MAX),
	BOOL(vm, is_thp_disabled),
	UINT(vm, allowed_nodes),
	UINT(vm, bound_nodes),
	UINT(vm, age_ns),
	UINT(vm, ksm_merged_pages),
	UINT(vm, memcg_headroom_bytes),
};
static const struct shape vm_shape = SHAPE(struct vm, vm_rows, NULL);

static const struct field policy_rows[] = {
	WORD(policy, mode, mode_word, MODE_MAX),
	BOOL(policy, may_remap),
	BOOL(policy, may_copy),
	BOOL(policy, may_ksm),
	BOOL(policy, may_private_file),
	BOOL(policy, may_dirty_logged),
	UINT(policy, min_populated_bp),
	UINT(policy, min_region_bytes),
	UINT(policy, remap_call_bytes),
	UINT(policy, copy_call_bytes),
	UINT(policy, hold_lost_ns),
	WORD(policy, placement, placement_word, PLACEMENT_MAX),
	UINT(policy, nodes),
	UINT(policy, stable_ns),
	UINT(policy, min_gain_bytes),
	UINT(policy, move_interval_ns),
	WORD(policy, wide, wide_word, WIDE_MAX),
	UINT(policy, wide_stripe_bytes),
	WORD(policy, populate, populate_word, POPULATE_MAX),
	WORD(policy, nudge, nudge_word, NUDGE_MAX),
	BOOL(policy, may_dirty_rate),
	BOOL(policy, is_paused),
};
static const struct shape policy_shape = SHAPE(struct policy, policy_rows, NULL);

static const struct field device_rows[] = {
	UINT(dax_device, align_bytes),
	UINT(dax_device, bytes),
	ADDRESS(dax_device, address),
	INT(dax_device, node),
};
static const struct shape device_shape = SHAPE(struct dax_device, device_rows, NULL);

static const struct field region_rows[] = {
	ADDRESS(region, start, .is_required = true),
	ADDRESS(region, end, .is_required = true),
	UINT(region, file_offset),
	WORD(region, backing, backing_word, BACKING_MAX, .is_required = true),
	BOOL(region, is_shared),
	BOOL(region, is_writable),
	BOOL(region, has_anon_pages),
	BOOL(region, is_unlinked_or_memfd),
	BOOL(region, are_flags_known),
	UINT(region, flags),
	WORD(region, eligibility, eligibility_word, ELIGIBILITY_MAX),
	UINT(region, dev_major),
	UINT(region, dev_minor),
	UINT(region, inode),
	WORD(region, is_dax, answer_word, ANSWER_MAX),
	WORD(region, can_dax, answer_word, ANSWER_MAX),
	BOOL(region, are_extents_known),
	UINT(region, file_bytes),
	STRUCT(region, device, device_shape, ),
	UINT(region, edge_present_pages),
	STRING(region, path),
};
static const struct region region_initial = {.device = DAX_DEVICE_INIT,
					     .edge_present_pages = UINT64_MAX};
static const struct shape region_shape = SHAPE(struct region, region_rows, &region_initial);

static const struct field sight_rows[] = {
	ADDRESS(sight, start, .is_required = true),
	UINT(sight, blocks, .is_required = true),
	WORD(sight, seen, seen_word, SEEN_MAX),
	UINT(sight, fill),
	UINT(sight, flags),
	INT(sight, node),
	UINT(sight, present_pages),
	UINT(sight, swapped_pages),
};
static const struct sight sight_initial = {.fill = FILL_UNKNOWN, .node = -1};
static const struct shape sight_shape = SHAPE(struct sight, sight_rows, &sight_initial);

static const struct field hold_rows[] = {
	ADDRESS(hold, start, .is_required = true),
	ADDRESS(hold, end, .is_required = true),
	UINT(hold, until_ns, .is_required = true),
	UINT(hold, strikes),
	WORD(hold, reason, reason_word, REASON_MAX, .is_required = true),
};
static const struct hold hold_initial;
static const struct shape hold_shape = SHAPE(struct hold, hold_rows, &hold_initial);

static const struct field extent_rows[] = {
	ADDRESS(extent, logical, .is_required = true),
	ADDRESS(extent, physical, .is_required = true),
	UINT(extent, bytes, .is_required = true),
	UINT(extent, flags),
};
static const struct extent extent_initial;
static const struct shape extent_shape = SHAPE(struct extent, extent_rows, &extent_initial);

static const struct field vcpu_rows[] = {
	INT(vcpu, tid),	       INT(vcpu, node),
	INT(vcpu, guest_node), UINT(vcpu, allowed),
	UINT(vcpu, ran_ns),    UINT(vcpu, migrated_pages),
	UINT(vcpu, busy_bp),   UINT(vcpu, migrated_pages_per_s),
};
static const struct vcpu vcpu_initial = {
	.node = -1, .guest_node = -1, .busy_bp = VCPU_BUSY_UNKNOWN};
static const struct shape vcpu_shape = SHAPE(struct vcpu, vcpu_rows, &vcpu_initial);

static const struct field guest_span_rows[] = {
	ADDRESS(guest_span, start, .is_required = true),
	UINT(guest_span, bytes, .is_required = true),
	INT(guest_span, guest_node),
};
static const struct guest_span guest_span_initial = {.guest_node = -1};
static const struct shape guest_span_shape =
	SHAPE(struct guest_span, guest_span_rows, &guest_span_initial);

static const struct field memslot_rows[] = {
	ADDRESS(memslot, gpa, .is_required = true),
	UINT(memslot, bytes, .is_required = true),
	ADDRESS(memslot, hva, .is_required = true),
	UINT(memslot, flags),
	UINT(memslot, slot),
	UINT(memslot, address_space),
};
static const struct memslot memslot_initial;
static const struct shape memslot_shape = SHAPE(struct memslot, memslot_rows, &memslot_initial);

static const struct field kvm_counts_rows[] = {
	WORD(kvm_counts, source, source_word, KVM_SOURCE_MAX),
	UINT(kvm_counts, read_ns),
	UINT(kvm_counts, pages_4k),
	UINT(kvm_counts, pages_2m),
	UINT(kvm_counts, pages_1g),
	UINT(kvm_counts, nx_splits),
};
static const struct shape kvm_counts_shape = SHAPE(struct kvm_counts, kvm_counts_rows, NULL);

static const struct field snapshot_rows[] = {
	UINT(snapshot, taken_ns, .is_required = true),
	STRUCT(snapshot, geometry, geometry_shape, .is_required = true),
	STRUCT(snapshot, host, host_shape, ),
	STRUCT(snapshot, vm, vm_shape, ),
	STRUCT(snapshot, policy, policy_shape, ),
	STRUCT(snapshot, kvm, kvm_counts_shape, ),
	STRUCT(snapshot, kvm_before, kvm_counts_shape, ),
	WORD(snapshot, is_migrating, answer_word, ANSWER_MAX, ),
	WORD(snapshot, copies_held, reason_word, REASON_MAX, ),
	WORD(snapshot, populate_held, reason_word, REASON_MAX, ),
	WORD(snapshot, nudge_held, reason_word, REASON_MAX, ),
	BOOL(snapshot, has_library),
	BOOL(snapshot, has_monitor),
	BOOL(snapshot, is_truncated),
	ELEMENTS(FIELD_LIST, snapshot, regions, region_shape, SNAPSHOT_REGIONS_MAX),
	ELEMENTS(FIELD_LIST, snapshot, sights, sight_shape, SNAPSHOT_SIGHTS_MAX),
	ELEMENTS(FIELD_LIST, snapshot, holds, hold_shape, SNAPSHOT_HOLDS_MAX),
	ELEMENTS(FIELD_LIST, snapshot, extents, extent_shape, SNAPSHOT_EXTENTS_MAX),
	ELEMENTS(FIELD_LIST, snapshot, vcpus, vcpu_shape, SNAPSHOT_VCPUS_MAX),
	ELEMENTS(FIELD_LIST, snapshot, guest_spans, guest_span_shape, SNAPSHOT_GUEST_SPANS_MAX),
	BOOL(snapshot, are_memslots_known),
	UINT(snapshot, memslots_inferred_ns),
	ELEMENTS(FIELD_LIST, snapshot, memslots, memslot_shape, SNAPSHOT_MEMSLOTS_MAX),
};
static const struct shape snapshot_shape = {
	.size = sizeof(struct snapshot),
	.version = DOCUMENT_VERSION,
	.fields = snapshot_rows,
	.n_fields = ARRAY_SIZE(snapshot_rows),
};

/* ---- Text ---- */

int snapshot_to_json(const struct snapshot *s, bool pretty, char **ret)
{
	struct text text = TEXT_INIT;

	fields_write(&text, &snapshot_shape, s, pretty);
	if (pretty)
		text_add(&text, "\n");
	return text_take(&text, ret);
}

static void skip_string(struct scanner *s)
{
	for (s->at++; s->at < s->end && *s->at != '"'; s->at++)
		if (*s->at == '\\' && s->at + 1 < s->end)
			s->at++;
	if (s->at < s->end)
		s->at++;
}

static bool is_in(char c, const char *set)
{
	return strchr(set, c) != NULL; /* c is not NUL: such a text is refused before */
}

/* False if it is a whole number beyond 64 bits. */
static bool skip_number(struct scanner *s)
{
	uint64_t value;
	bool fits = scan_u64(s, &value);

	while (s->at < s->end && is_in(*s->at, "0123456789.eE+-"))
		fits |= !is_in(*s->at++, "0123456789");
	return fits;
}

/* json-c 0.16 turns whole numbers that do not fit into the largest that does, which reads as "no
 * limit" here; so they are found before. */
static bool do_numbers_fit(const char *text, size_t size)
{
	struct scanner s = {text, text + size};

	while (s.at < s.end) {
		if (*s.at == '"')
			skip_string(&s);
		else if (!is_in(*s.at, "0123456789"))
			s.at++;
		else if (!skip_number(&s))
			return false;
	}
	return true;
}

static int parse_document(struct json_tokener *tokener, const char *text, size_t size,
			  struct json_object **ret)
{
	struct json_object *json;

	/* json-c takes a NUL for the end and would not look at what follows. */
	if (size > DOCUMENT_BYTES_MAX || memchr(text, '\0', size))
		return -EINVAL;
	if (!do_numbers_fit(text, size))
		return -EINVAL;
	/* Strict: nothing behind the document, no loose syntax. */
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	json = json_tokener_parse_ex(tokener, text, (int)size);
	if (!json)
		return -EINVAL;
	*ret = json;
	return 0;
}

static int read_json(const char *text, size_t size, struct json_object **ret)
{
	struct json_tokener *tokener = json_tokener_new_ex(DOCUMENT_DEPTH_MAX);
	int r;

	if (!tokener)
		return -ENOMEM;
	r = parse_document(tokener, text, size, ret);
	json_tokener_free(tokener);
	return r;
}

/* What a document does not say is unknown, and the unknown is never what permits something. */
static struct snapshot unknown_snapshot(void)
{
	struct snapshot s = SNAPSHOT_INIT;

	s.host.is_uffd_seen = true;
	s.vm.memcg_headroom_bytes = UINT64_MAX;
	s.vm.age_ns = UINT64_MAX;
	s.populate_held = REASON_POLICY_OFF;
	s.nudge_held = REASON_POLICY_OFF;
	return s;
}

int snapshot_from_json(const char *text, size_t size, struct snapshot *ret, const char **ret_why)
{
	struct snapshot s = unknown_snapshot();
	const char *why = "not a JSON document, or too large, too deep or with too large numbers";
	struct json_object *json = NULL;
	int r = read_json(text, size, &json);

	if (r == 0) {
		why = "snapshot: expected an object";
		r = fields_read(json, &snapshot_shape, &s, &why);
	}
	json_object_put(json);
	if (r == 0)
		r = snapshot_validate(&s, &why);
	if (r < 0) {
		snapshot_clear(&s);
		if (ret_why)
			*ret_why = r == -ENOMEM ? "out of memory" : why;
		return r;
	}
	*ret = s;
	return 0;
}
